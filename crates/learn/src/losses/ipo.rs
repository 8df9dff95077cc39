use serde::{Deserialize, Serialize};

use super::{AnswerScores, PairLoss, beta_problem};

/// Identity preference optimisation (Azar et al., arXiv 2310.12036, Eq. 17), with r̄ = log π/π_ref
/// averaged over an answer's tokens, as its authors and TRL have it:
///
/// ℓ = (r̄_w − r̄_l − 1/(2β))².
///
/// It asks for a distance and no more, so certain pairs are not pushed apart without end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ipo {
    /// β, the paper's τ: 1/(2β) is the distance that is asked for; above 0.
    pub beta: f64,
}

impl Default for Ipo {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

impl Ipo {
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        beta_problem(self.beta)
    }

    pub(super) fn of(&self, chosen: &AnswerScores, rejected: &AnswerScores) -> PairLoss {
        let off = chosen.mean(chosen.ratio()) - rejected.mean(rejected.ratio()) - 0.5 / self.beta;
        PairLoss { loss: off * off, d_chosen: chosen.mean(2.0 * off), d_rejected: -rejected.mean(2.0 * off) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Loss, check};
    use super::*;

    #[test]
    fn gradients_match_differences() {
        for beta in [0.1, 2.0] {
            check::gradient(&Loss::Ipo(Ipo { beta }));
            check::extremes(&Loss::Ipo(Ipo { beta }));
        }
        assert!(Loss::Ipo(Ipo { beta: 0.0 }).validate().is_err());
    }

    #[test]
    fn the_distance_that_it_asks_for_costs_nothing() {
        let answer = |policy, tokens| AnswerScores { policy, reference: -8.0, tokens, ..AnswerScores::default() };
        // 4 tokens with a ratio of 10 are 2.5 a token, the distance of β = 0.2.
        let loss = Ipo { beta: 0.2 }.of(&answer(2.0, 4), &answer(-8.0, 7));
        assert_eq!((loss.loss, loss.d_chosen), (0.0, 0.0));
    }
}
