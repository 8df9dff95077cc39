//! Programs to trace: `a=3; b=a+4; repeat 2: a=a+b; if a>9: a=a-5; print a`. Each step is a line that
//! was carried out, with its values.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::arithmetic::Operation;
use crate::generate::Draft;

/// Lines after the first assignments, by difficulty.
const LINES: [usize; 9] = [2, 3, 3, 4, 5, 6, 7, 8, 9];
/// Variables.
const VARIABLES: [usize; 9] = [2, 2, 2, 2, 3, 3, 3, 3, 4];
/// Largest constant.
const LARGEST: [u32; 9] = [9, 9, 9, 9, 9, 19, 19, 29, 49];
/// Largest value on the way.
const LIMIT: [u32; 9] = [50, 50, 50, 99, 99, 99, 200, 500, 999];
/// Difficulty, less one, from which loops and conditions occur.
const LOOPS: usize = 2;
const CONDITIONS: usize = 3;

/// The right-hand side of a line.
#[derive(Clone, Copy)]
enum Right {
    Number(u32),
    Variable(usize),
}

pub(crate) fn draft(level: usize, random: &mut ChaCha8Rng) -> Draft {
    let (largest, limit) = (LARGEST[level], LIMIT[level]);
    let mut values: Vec<u32> = (0..VARIABLES[level]).map(|_| random.random_range(1..=largest)).collect();
    let mut lines: Vec<String> = values.iter().enumerate().map(|(i, value)| format!("{}={value}", name(i))).collect();
    let mut steps = Vec::new();
    let mut last = 0;
    for _ in 0..LINES[level] {
        let target = random.random_range(0..values.len());
        let form = random.random_range(0..4);
        last = target;
        if form == 0 && level >= LOOPS {
            // Adding a small number stays within bounds for any number of turns that is drawn.
            let (turns, by) = (random.random_range(2..=3), random.random_range(1..=5));
            if values[target] + turns * by <= limit {
                let line = name(target);
                lines.push(format!("repeat {turns}: {line}={line}+{by}"));
                for _ in 0..turns {
                    steps.push(format!("{line}={}+{by}={}", values[target], values[target] + by));
                    values[target] += by;
                }
                continue;
            }
        }
        let condition = (form == 1 && level >= CONDITIONS)
            .then(|| (random.random_range(0..values.len()), random.random_range(1..=largest)));
        let source = if condition.is_some() { target } else { random.random_range(0..values.len()) };
        let (operation, right) = expression(source, &values, largest, limit, random);
        let right_text = match right {
            Right::Number(number) => number.to_string(),
            Right::Variable(other) => name(other).to_string(),
        };
        let assignment = format!("{}={}{operation}{right_text}", name(target), name(source));
        let number = match right {
            Right::Number(number) => number,
            Right::Variable(other) => values[other],
        };
        let next = operation.of(values[source], number);
        let traced = format!("{}={}{operation}{number}={next}", name(target), values[source]);
        match condition {
            Some((tested, bound)) => {
                lines.push(format!("if {}>{bound}: {assignment}", name(tested)));
                if values[tested] > bound {
                    steps.push(format!("{}>{bound}: {traced}", values[tested]));
                    values[target] = next;
                } else {
                    steps.push(format!("{}>{bound}: no", values[tested]));
                }
            }
            None => {
                lines.push(assignment);
                steps.push(traced);
                values[target] = next;
            }
        }
    }
    let question = format!("{}; print {}", lines.join("; "), name(last));
    Draft { question, steps, answer: values[last].to_string() }
}

fn name(variable: usize) -> char {
    char::from(b'a' + u8::try_from(variable).unwrap_or(0))
}

/// An operation on a variable with a number or another variable, within the limit.
fn expression(source: usize, values: &[u32], largest: u32, limit: u32, random: &mut ChaCha8Rng) -> (Operation, Right) {
    if random.random_bool(0.4) {
        let other = random.random_range(0..values.len());
        if other != source && values[source] + values[other] <= limit {
            return (Operation::Add, Right::Variable(other));
        }
        if other != source && values[source] >= values[other] {
            return (Operation::Subtract, Right::Variable(other));
        }
    }
    let (operation, number) = Operation::draw(values[source], largest, limit, random);
    (operation, Right::Number(number))
}
