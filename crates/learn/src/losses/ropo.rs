use serde::{Deserialize, Serialize};

use super::{AnswerScores, PairLoss, beta_problem, log_sigmoid, sigmoid};

/// Robust preference optimisation (Liang et al., arXiv 2404.04102, Eq. 9 of its first version), with
/// r = log π/π_ref summed over an answer's tokens:
///
/// z = β·(r_w − r_l), ℓ = 4α/(1+α)²·(−log σ(z)) + 4α²/(1+α)²·σ(−z).
///
/// The second term is bounded: a pair that the model firmly believes to be the other way round, which
/// DPO would push hardest, is nearly let be. The weight |∂ℓ/∂z| = 4α/(1+α)²·σ(−z)·(1 + α·σ(z)) is
/// highest, 1, for pairs that are nearly undecided: at σ(−z) = (1+α)/(2α), where α ≥ 1. The paper's
/// filtering of samples is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ropo {
    /// α: how much the bounded term counts; above 0. The paper takes 14.
    pub alpha: f64,
    /// β: how dear it is to leave the reference; above 0.
    pub beta: f64,
}

impl Default for Ropo {
    fn default() -> Self {
        Self { alpha: 14.0, beta: 0.1 }
    }
}

impl Ropo {
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let fine = self.alpha.is_finite() && self.alpha > 0.0;
        beta_problem(self.beta).or((!fine).then_some(("loss.alpha", "must be above 0")))
    }

    pub(super) fn of(&self, chosen: &AnswerScores, rejected: &AnswerScores) -> PairLoss {
        let Self { alpha, beta } = *self;
        let z = beta * (chosen.ratio() - rejected.ratio());
        let scale = 4.0 * alpha / ((1.0 + alpha) * (1.0 + alpha));
        let d = -scale * sigmoid(-z) * (1.0 + alpha * sigmoid(z)) * beta;
        PairLoss { loss: scale * (alpha * sigmoid(-z) - log_sigmoid(z)), d_chosen: d, d_rejected: -d }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Loss, check};
    use super::*;

    #[test]
    fn gradients_match_differences() {
        for alpha in [14.0, 0.5] {
            check::gradient(&Loss::Ropo(Ropo { alpha, beta: 0.4 }));
            check::extremes(&Loss::Ropo(Ropo { alpha, beta: 0.4 }));
        }
        assert!(Loss::Ropo(Ropo { alpha: 0.0, ..Ropo::default() }).validate().is_err());
    }

    #[test]
    fn the_weight_is_highest_for_nearly_undecided_pairs() {
        let weight = |z: f64| {
            let answer = |policy| AnswerScores { policy, tokens: 1, ..AnswerScores::default() };
            -Ropo { alpha: 14.0, beta: 1.0 }.of(&answer(z), &answer(0.0)).d_chosen
        };
        // σ(−z) = 15/28.
        let top = -(15f64 / 13.0).ln();
        assert!((weight(top) - 1.0).abs() < 1e-12);
        assert!((-100..100).map(|i| weight(f64::from(i) * 0.1)).all(|w| w <= 1.0));
        assert!(weight(-8.0) < 0.3 && weight(8.0) < 0.01, "{} {}", weight(-8.0), weight(8.0));
    }
}
