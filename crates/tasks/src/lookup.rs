//! Look-ups: following a map, adding items of a list, adding the rows of a table that fit.

use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::generate::Draft;
use crate::words::NAMES;

/// Entries of a map or list, by difficulty.
const ENTRIES: [usize; 9] = [4, 4, 5, 6, 7, 8, 9, 9, 9];
/// Look-ups in it.
const LOOKS: [usize; 9] = [2, 3, 3, 4, 5, 6, 7, 8, 9];
/// Rows of a table.
const ROWS: [usize; 9] = [3, 4, 4, 5, 6, 7, 8, 9, 10];
/// Largest number.
const LARGEST: [u32; 9] = [9, 9, 19, 19, 29, 49, 99, 99, 99];
const COLOURS: [&str; 3] = ["red", "tan", "blue"];

pub(crate) fn draft(level: usize, random: &mut ChaCha8Rng) -> Draft {
    match random.random_range(0..3) {
        0 => follow(level, random),
        1 => items(level, random),
        _ => total(level, random),
    }
}

/// `map k:b, b:x, x:k, d:b. start at x, go 2`
fn follow(level: usize, random: &mut ChaCha8Rng) -> Draft {
    let mut keys: Vec<char> = ('a'..='z').collect();
    keys.shuffle(random);
    keys.truncate(ENTRIES[level]);
    let mut at = keys[random.random_range(0..keys.len())];
    let start = at;
    let mut map = Vec::new();
    for &key in &keys {
        // Nobody points at itself: such a walk would stand still.
        let others: Vec<char> = keys.iter().copied().filter(|&other| other != key).collect();
        map.push((key, others[random.random_range(0..others.len())]));
    }
    let mut steps = Vec::new();
    for _ in 0..LOOKS[level] {
        let next = map.iter().find(|(key, _)| *key == at).map_or(at, |&(_, value)| value);
        steps.push(format!("{at}:{next}"));
        at = next;
    }
    let listed: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    let question = format!("map {}. start at {start}, go {}", listed.join(", "), LOOKS[level]);
    Draft { question, steps, answer: at.to_string() }
}

/// `list 4 7 2 9. item 2 + item 4?`
fn items(level: usize, random: &mut ChaCha8Rng) -> Draft {
    let list: Vec<u32> = (0..ENTRIES[level]).map(|_| random.random_range(1..=LARGEST[level])).collect();
    let wanted: Vec<usize> = (0..LOOKS[level]).map(|_| random.random_range(0..list.len())).collect();
    let mut steps = Vec::new();
    let mut sum = 0;
    for (index, &item) in wanted.iter().enumerate() {
        let value = list[item];
        let number = item + 1;
        let next = sum + value;
        steps.push(match index {
            0 => format!("item {number}: {value}"),
            _ => format!("item {number}: {sum}+{value}={next}"),
        });
        sum = next;
    }
    let list: Vec<String> = list.iter().map(u32::to_string).collect();
    let wanted: Vec<String> = wanted.iter().map(|item| format!("item {}", item + 1)).collect();
    let question = format!("list {}. {}?", list.join(" "), wanted.join(" + "));
    Draft { question, steps, answer: sum.to_string() }
}

/// `table ann red 4, bob tan 7, cid red 2. sum of red?`
fn total(level: usize, random: &mut ChaCha8Rng) -> Draft {
    let mut names = NAMES;
    names.shuffle(random);
    let mut rows: Vec<(&str, &str, u32)> = Vec::new();
    for name in names.iter().take(ROWS[level]) {
        let colour = COLOURS.choose(random).copied().unwrap_or_default();
        rows.push((name, colour, random.random_range(1..=LARGEST[level])));
    }
    // The colour of one row, so that there is something to add.
    let wanted = rows[random.random_range(0..rows.len())].1;
    let mut steps = Vec::new();
    let mut sum = 0;
    for (name, _, value) in rows.iter().filter(|row| row.1 == wanted) {
        let next = sum + value;
        steps.push(if sum == 0 { format!("{name}: {value}") } else { format!("{name}: {sum}+{value}={next}") });
        sum = next;
    }
    let rows: Vec<String> = rows.iter().map(|(name, colour, value)| format!("{name} {colour} {value}")).collect();
    let question = format!("table {}. sum of {wanted}?", rows.join(", "));
    Draft { question, steps, answer: sum.to_string() }
}
