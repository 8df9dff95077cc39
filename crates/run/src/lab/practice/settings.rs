use learn::{Loss, PreferConfig};

use crate::practise::{GuardConfig, Keep};

/// Rates that are tried for every loss on a seed outside the table (`lyceum lab --on practice-rates`).
pub(crate) const RATES: [f64; 3] = [1e-4, 3e-4, 1e-3];

/// Passes over the measure's pairs, as in the paper.
const EPOCHS: usize = 1;
/// Passes that no contestant needs to spend the tokens that the measure spent.
const ENOUGH: usize = 100;
/// Passes of practice that is driven too far.
pub(super) const TOO_MANY: usize = 4;
/// Its rate, ten times the trainer's own. At 1e-2 the model is gone before the guard looks again.
pub(super) const TOO_HIGH: f64 = 1e-3;

/// The rate of a loss: of [`RATES`] the one whose last point was best on the validation bank of the
/// seed outside, with everything else as in the table.
pub(crate) fn rate(loss: &Loss) -> f64 {
    match loss {
        Loss::Sft(_) => 3e-4,
        Loss::Aco(_) | Loss::Dpo(_) | Loss::Ipo(_) | Loss::SimPo(_) | Loss::Ropo(_) => 1e-4,
        // Of no line of the table, and not tried: like those that compare answers.
        Loss::Kto(_) | Loss::Npo(_) => 1e-4,
    }
}

/// How every contestant is trained; only loss and rate differ, and how often a small set is passed
/// over until the tokens are spent. Losses have the settings that their papers recommend.
pub(super) fn training(loss: &Loss, rate: f64, tokens: Option<u64>, seed: u64, threads: usize) -> PreferConfig {
    PreferConfig {
        loss: loss.clone(),
        learning_rate: rate,
        epochs: if tokens.is_some() { ENOUGH } else { EPOCHS },
        max_tokens: tokens,
        seed,
        threads,
        // What is compared is what a loss leads to: nothing but the guard looks on, and afterwards.
        spike: None,
        ..PreferConfig::default()
    }
}

/// How every contestant is watched: measured and never stopped, so that the last point shows where it
/// leads; the best point is kept.
pub(super) fn watching(questions: usize) -> GuardConfig {
    GuardConfig { questions, stops: false, keep: Keep::Last, ..GuardConfig::default() }
}
