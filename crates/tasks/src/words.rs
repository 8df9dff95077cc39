//! Word problems: what somebody has after a few events, or what several people have who are
//! compared with each other.

use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::arithmetic::Operation;
use crate::generate::Draft;

/// People of problems; three letters each.
pub(crate) const NAMES: [&str; 16] =
    ["ann", "bob", "cid", "dan", "eva", "fay", "gus", "hal", "ida", "jim", "kim", "leo", "max", "ned", "pam", "tom"];
const THINGS: [&str; 10] = ["pens", "cups", "nuts", "hats", "eggs", "keys", "figs", "pins", "toys", "bags"];
const GAINS: [&str; 4] = ["finds", "gets", "buys", "wins"];
const LOSSES: [&str; 4] = ["loses", "sells", "drops", "gives away"];

/// Events, by difficulty.
const EVENTS: [usize; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];
/// Comparisons.
const COMPARISONS: [usize; 9] = [1, 2, 2, 2, 3, 4, 5, 6, 7];
/// Largest summand.
const LARGEST: [u32; 9] = [9, 9, 9, 9, 19, 19, 29, 49, 99];
/// Largest value on the way.
const LIMIT: [u32; 9] = [50, 50, 50, 99, 99, 150, 200, 500, 999];
/// Difficulty, less one, from which boxes, bystanders and sums of two people occur.
const HARDER: usize = 2;

pub(crate) fn draft(level: usize, random: &mut ChaCha8Rng) -> Draft {
    if random.random_bool(0.5) { events(level, random) } else { comparisons(level, random) }
}

fn pick<'a>(from: &[&'a str], random: &mut ChaCha8Rng) -> &'a str {
    from.choose(random).copied().unwrap_or_default()
}

/// `tom has 7 pens. tom finds 4. tom loses 2. how many pens has tom?`
fn events(level: usize, random: &mut ChaCha8Rng) -> Draft {
    let (name, thing) = (pick(&NAMES, random), pick(&THINGS, random));
    let (largest, limit) = (LARGEST[level], LIMIT[level]);
    let mut value = random.random_range(1..=limit.min(3 * largest));
    let mut question = format!("{name} has {value} {thing}. ");
    let mut steps = Vec::new();
    let mut boxes = level >= HARDER;
    for _ in 0..EVENTS[level] {
        let (count, size) = (random.random_range(2..=4), random.random_range(2..=9));
        if boxes && value + count * size <= limit && random.random_bool(0.3) {
            // One box event a problem keeps the easier questions short.
            boxes = level >= 2 * HARDER;
            question += &format!("{name} gets {count} boxes of {size}. ");
            steps.push(format!("{count}*{size}={}", count * size));
            steps.push(format!("{value}+{}={}", count * size, value + count * size));
            value += count * size;
            continue;
        }
        let gains = value == 0 || (value < limit && random.random_bool(0.5));
        let most = largest.min(if gains { limit - value } else { value });
        let amount = random.random_range(1..=most);
        let operation = if gains { Operation::Add } else { Operation::Subtract };
        let verb = pick(if gains { &GAINS } else { &LOSSES }, random);
        question += &format!("{name} {verb} {amount}. ");
        let next = operation.of(value, amount);
        steps.push(format!("{value}{operation}{amount}={next}"));
        value = next;
    }
    question += &format!("how many {thing} has {name}?");
    Draft { question, steps, answer: value.to_string() }
}

/// `ann has 7 pens. bob has 3 more than ann. how many pens has bob?`
fn comparisons(level: usize, random: &mut ChaCha8Rng) -> Draft {
    let mut names = NAMES;
    names.shuffle(random);
    let thing = pick(&THINGS, random);
    let (largest, limit) = (LARGEST[level], LIMIT[level]);
    let mut values = vec![random.random_range(1..=limit.min(3 * largest))];
    let mut question = format!("{} has {} {thing}. ", names[0], values[0]);
    let mut steps = Vec::new();
    for who in 1..=COMPARISONS[level] {
        // The harder ones compare with anybody who was named, the easier with the last.
        let whom = if level >= 2 * HARDER { random.random_range(0..who) } else { who - 1 };
        let (operation, right) = Operation::draw(values[whom], largest, limit, random);
        let relation = match operation {
            Operation::Add => format!("{right} more than"),
            Operation::Subtract => format!("{right} less than"),
            Operation::Multiply => format!("{right} times"),
        };
        question += &format!("{} has {relation} {}. ", names[who], names[whom]);
        let value = operation.of(values[whom], right);
        steps.push(format!("{}: {}{operation}{right}={value}", names[who], values[whom]));
        values.push(value);
    }
    let last = COMPARISONS[level];
    if level >= HARDER && random.random_bool(0.5) {
        let other = random.random_range(0..last);
        question += &format!("how many {thing} have {} and {}?", names[last], names[other]);
        let sum = values[last] + values[other];
        steps.push(format!("{}+{}={sum}", values[last], values[other]));
        return Draft { question, steps, answer: sum.to_string() };
    }
    question += &format!("how many {thing} has {}?", names[last]);
    Draft { question, steps, answer: values[last].to_string() }
}
