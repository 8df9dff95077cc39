//! Chained arithmetic: `7 +4 *2 -5` is worked from left to right, one operation a step.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::arithmetic::Operation;
use crate::generate::Draft;

/// Operations, by difficulty.
const STEPS: [usize; 9] = [2, 3, 4, 5, 6, 7, 8, 9, 10];
/// Largest summand.
const LARGEST: [u32; 9] = [9, 9, 9, 19, 19, 29, 49, 99, 199];
/// Largest value on the way.
const LIMIT: [u32; 9] = [50, 50, 99, 99, 99, 150, 200, 500, 999];

pub(crate) fn draft(level: usize, random: &mut ChaCha8Rng) -> Draft {
    let mut value = random.random_range(1..=LIMIT[level]);
    let mut question = value.to_string();
    let mut steps = Vec::new();
    for _ in 0..STEPS[level] {
        let (operation, right) = Operation::draw(value, LARGEST[level], LIMIT[level], random);
        question += &format!(" {operation}{right}");
        let next = operation.of(value, right);
        steps.push(format!("{value}{operation}{right}={next}"));
        value = next;
    }
    Draft { question, steps, answer: value.to_string() }
}
