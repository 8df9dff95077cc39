use std::collections::HashSet;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use record::seed;

use crate::{Error, HARDEST, Kind, Problem, Result, Split, chain, hops, lookup, programs, rules, strings, words};

/// So many draws in a row without a new question of the split mean that there are no more. A split
/// of one tenth with a single question left in a hundred would be hit once in a thousand draws.
const PATIENCE: usize = 20_000;

/// A question with its solution, before anybody asked which split it belongs to.
pub(crate) struct Draft {
    pub(crate) question: String,
    pub(crate) steps: Vec<String>,
    pub(crate) answer: String,
}

/// `n` problems of one kind, difficulty (1 to 9) and split, with distinct questions.
///
/// One stream of questions belongs to each (seed, kind, difficulty); a split takes those that are
/// its own ([`Split::of`]). The first `k` of `n` problems are what `k` would give.
pub fn generate(kind: Kind, difficulty: u8, split: Split, n: usize, seed: u64) -> Result<Vec<Problem>> {
    if !(1..=HARDEST).contains(&difficulty) {
        return Err(Error::Difficulty { difficulty });
    }
    let draft = match kind {
        Kind::Chain => chain::draft,
        Kind::Words => words::draft,
        Kind::Rules => rules::draft,
        Kind::Lookup => lookup::draft,
        Kind::Hops => hops::draft,
        Kind::Strings => strings::draft,
        Kind::Programs => programs::draft,
    };
    let stage = format!("tasks/{kind}/{difficulty}");
    let mut seen = HashSet::new();
    let mut problems = Vec::new();
    let (mut index, mut last) = (0usize, 0usize);
    while problems.len() < n {
        if index - last > PATIENCE {
            return Err(Error::TooFew { kind, difficulty, split, asked: n, found: problems.len() });
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed::derive(seed, &stage, &index.to_string()));
        index += 1;
        let Draft { question, steps, answer } = draft(usize::from(difficulty - 1), &mut random);
        if Split::of(&question) != split || !seen.insert(question.clone()) {
            continue;
        }
        last = index;
        let id = format!("{kind}-{difficulty}-{:016x}", seed::derive(0, "tasks/id", &question));
        problems.push(Problem { id, kind, difficulty, split, question, steps, answer });
    }
    Ok(problems)
}
