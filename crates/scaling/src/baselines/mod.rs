//! What a salience vector must beat: each law in a file, with `fit` on the training models and `predict`
//! for any.

mod chinchilla;
mod compute;
mod flp;
mod gadre;
mod ladder;
mod mean_loss;
mod observational;

pub use chinchilla::Chinchilla;
pub use compute::Compute;
pub use flp::Flp;
pub use gadre::{ErrorLaw, Gadre, LossLaw};
pub use ladder::OlmoLadder;
pub use mean_loss::MeanLoss;
pub use observational::Observational;

/// log₁₀ of training compute, C = 6ND FLOP.
fn log_compute(n: f64, d: f64) -> f64 {
    (6.0 * n * d).log10()
}
