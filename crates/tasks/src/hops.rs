//! Places described by other places: `bob is north of ann. cid is east of bob. where is cid from
//! ann?` is walked hop by hop; each step says where its place lies from the first.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::generate::Draft;
use crate::words::NAMES;

/// Hops, by difficulty.
const HOPS: [usize; 9] = [2, 2, 3, 3, 4, 5, 6, 7, 8];
/// Facts that lead elsewhere.
const BYWAYS: [usize; 9] = [0, 1, 0, 1, 1, 2, 2, 3, 3];
/// Longest hop; a length of 1 is not written.
const FAR: [i32; 9] = [1, 1, 1, 1, 3, 5, 9, 9, 9];
/// Difficulty, less one, from which facts stand in any order, and from which one may be told from
/// its other end.
const SHUFFLED: usize = 1;
const TURNED: usize = 5;
/// Name, step to the east, step to the north. The opposite is two places on.
const DIRECTIONS: [(&str, i32, i32); 4] = [("north", 0, 1), ("east", 1, 0), ("south", 0, -1), ("west", -1, 0)];

pub(crate) fn draft(level: usize, random: &mut ChaCha8Rng) -> Draft {
    let mut names = NAMES;
    names.shuffle(random);
    let hops = HOPS[level];
    let (mut east, mut north) = (0, 0);
    let (mut facts, mut steps) = (Vec::new(), Vec::new());
    for place in 1..=hops + BYWAYS[level] {
        let by = place > hops;
        let from = if by { random.random_range(0..=hops) } else { place - 1 };
        let (direction, far) = (random.random_range(0..4), random.random_range(1..=FAR[level]));
        let turned = level >= TURNED && random.random_bool(0.5);
        facts.push(if turned {
            fact(names[from], (direction + 2) % 4, far, names[place])
        } else {
            fact(names[place], direction, far, names[from])
        });
        if !by {
            east += far * DIRECTIONS[direction].1;
            north += far * DIRECTIONS[direction].2;
            steps.push(format!("{}: {}", names[place], position(east, north)));
        }
    }
    if level >= SHUFFLED {
        facts.shuffle(random);
    }
    let question = format!("{} where is {} from {}?", facts.join(" "), names[hops], names[0]);
    Draft { question, steps, answer: position(east, north) }
}

fn fact(what: &str, direction: usize, far: i32, from: &str) -> String {
    let name = DIRECTIONS[direction].0;
    if far == 1 { format!("{what} is {name} of {from}.") } else { format!("{what} is {far} {name} of {from}.") }
}

/// `2 east 1 south`; `here` where nothing is left.
fn position(east: i32, north: i32) -> String {
    let part = |value: i32, plus: &str, minus: &str| match value {
        0 => None,
        _ => Some(format!("{} {}", value.abs(), if value > 0 { plus } else { minus })),
    };
    let parts: Vec<String> =
        [part(east, "east", "west"), part(north, "north", "south")].into_iter().flatten().collect();
    if parts.is_empty() { "here".into() } else { parts.join(" ") }
}
