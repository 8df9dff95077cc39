//! Rewriting: `rewrite abca: ab>d, dc>b` replaces, rule by rule, the leftmost place where the left
//! side stands. A rule whose left side stands nowhere changes nothing.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::generate::Draft;

/// Rules, by difficulty.
const RULES: [usize; 9] = [2, 3, 4, 5, 6, 7, 8, 9, 10];
/// Letters of the first string.
const LENGTH: [usize; 9] = [3, 4, 5, 5, 6, 6, 7, 8, 9];
/// Letters of the alphabet.
const LETTERS: [u8; 9] = [4, 4, 4, 4, 5, 5, 6, 6, 6];
/// Difficulty, less one, from which a rule may fit nowhere.
const IDLE: usize = 4;

/// `length` random letters of the first `letters`.
pub(crate) fn letters(length: usize, letters: u8, random: &mut ChaCha8Rng) -> String {
    (0..length).map(|_| char::from(b'a' + random.random_range(0..letters))).collect()
}

pub(crate) fn draft(level: usize, random: &mut ChaCha8Rng) -> Draft {
    let count = LETTERS[level];
    let mut text = letters(LENGTH[level], count, random);
    let mut question = format!("rewrite {text}:");
    let mut steps = Vec::new();
    for rule in 0..RULES[level] {
        let left = if level >= IDLE && random.random_bool(0.25) {
            letters(2, count, random)
        } else {
            let at = random.random_range(0..text.len() - 1);
            text[at..at + 2].to_string()
        };
        let length = match text.len() {
            ..=2 => 2,
            length if length > LENGTH[level] => 1,
            _ => random.random_range(1..=2),
        };
        let mut right = letters(length, count, random);
        while right == left {
            right = letters(length, count, random);
        }
        question += &format!("{} {left}>{right}", if rule == 0 { "" } else { "," });
        text = text.replacen(&left, &right, 1);
        steps.push(format!("{left}>{right}: {text}"));
    }
    Draft { question, steps, answer: text }
}
