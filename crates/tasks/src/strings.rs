//! Operations on a string, in turn: `cab: reverse, add de, a to e, letter 2`.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::generate::Draft;
use crate::rules::letters;

/// Operations, by difficulty.
const STEPS: [usize; 9] = [2, 3, 4, 5, 6, 7, 8, 9, 10];
/// Letters of the first string.
const LENGTH: [usize; 9] = [3, 4, 4, 5, 5, 6, 6, 7, 8];
/// Letters of the alphabet.
const LETTERS: u8 = 8;
/// How many letters longer than at the start a string may grow.
const GROWTH: usize = 2;

pub(crate) fn draft(level: usize, random: &mut ChaCha8Rng) -> Draft {
    let mut text = letters(LENGTH[level], LETTERS, random);
    let mut question = format!("{text}:");
    let mut steps = Vec::new();
    for step in 0..STEPS[level] {
        let last = step + 1 == STEPS[level];
        let (name, next) = operation(&text, LENGTH[level] + GROWTH, last, random);
        question += &format!("{} {name}", if step == 0 { "" } else { "," });
        steps.push(format!("{name}: {next}"));
        text = next;
    }
    Draft { question, steps, answer: text }
}

/// An operation that fits the string, by name, and what it makes of it.
fn operation(text: &str, longest: usize, last: bool, random: &mut ChaCha8Rng) -> (String, String) {
    if last && random.random_bool(0.4) {
        let at = random.random_range(0..text.len());
        return (format!("letter {}", at + 1), text[at..=at].into());
    }
    loop {
        match random.random_range(0..6) {
            0 => return ("reverse".into(), text.chars().rev().collect()),
            1 if text.len() < longest => {
                let more = letters(random.random_range(1..=2), LETTERS, random);
                return (format!("add {more}"), format!("{text}{more}"));
            }
            2 if text.len() < longest => {
                let more = letters(random.random_range(1..=2), LETTERS, random);
                return (format!("put {more} first"), format!("{more}{text}"));
            }
            3 => {
                let at = random.random_range(0..text.len());
                let (old, new) = (&text[at..=at], letters(1, LETTERS, random));
                if old != new {
                    return (format!("{old} to {new}"), text.replace(old, &new));
                }
            }
            4 if text.len() > 2 => return ("drop first".into(), text[1..].into()),
            5 if text.len() > 2 => return ("drop last".into(), text[..text.len() - 1].into()),
            _ => {}
        }
    }
}
