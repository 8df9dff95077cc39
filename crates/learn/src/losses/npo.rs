use serde::{Deserialize, Serialize};

use super::{AnswerScores, PairLoss, beta_problem, log_sigmoid, sigmoid};

/// Negative preference optimisation (Zhang et al., arXiv 2404.05868, Eq. 3), which unlearns answers,
/// with r = log π/π_ref summed over an answer's tokens:
///
/// ℓ = −2/β·log σ(−β·r_l).
///
/// Its derivative 2·σ(β·r) falls to 0 as the answer becomes unlikely, where plain gradient ascent
/// would go on and destroy the model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Npo {
    /// β: the larger, the sooner an answer is unlikely enough; above 0.
    pub beta: f64,
}

impl Default for Npo {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

impl Npo {
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        beta_problem(self.beta)
    }

    pub(super) fn of(&self, rejected: &AnswerScores) -> PairLoss {
        let z = self.beta * rejected.ratio();
        PairLoss { loss: -2.0 / self.beta * log_sigmoid(-z), d_chosen: 0.0, d_rejected: 2.0 * sigmoid(z) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Loss, check};
    use super::*;

    #[test]
    fn gradients_match_differences() {
        for beta in [0.1, 1.5] {
            check::gradient(&Loss::Npo(Npo { beta }));
            check::extremes(&Loss::Npo(Npo { beta }));
        }
        assert!(Loss::Npo(Npo { beta: f64::INFINITY }).validate().is_err());
    }

    #[test]
    fn an_answer_that_is_unlikely_enough_is_let_be() {
        let answer = |policy| AnswerScores { policy, reference: -5.0, tokens: 3, ..AnswerScores::default() };
        assert_eq!(Npo::default().of(&answer(-5.0)).d_rejected, 1.0);
        assert!(Npo::default().of(&answer(-205.0)).d_rejected < 1e-8);
    }
}
