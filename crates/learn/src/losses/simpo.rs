use serde::{Deserialize, Serialize};

use super::{AnswerScores, PairLoss, beta_problem, log_sigmoid, sigmoid};

/// SimPO (Meng et al., arXiv 2405.14734, Eq. 6), without a reference; |y| counts tokens:
///
/// z = β/|y_w|·log π(y_w) − β/|y_l|·log π(y_l) − γ, ℓ = −log σ(z).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimPo {
    /// β: scale of the mean log-probabilities; above 0. The paper takes 2 to 2.5.
    pub beta: f64,
    /// γ: margin that is asked for; 0 or more. The paper takes 0.5 to 1.5.
    pub gamma: f64,
}

impl Default for SimPo {
    fn default() -> Self {
        Self { beta: 2.0, gamma: 1.0 }
    }
}

impl SimPo {
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let fine = self.gamma.is_finite() && self.gamma >= 0.0;
        beta_problem(self.beta).or((!fine).then_some(("loss.gamma", "must be at least 0")))
    }

    /// β · (difference of mean log-probabilities).
    pub(super) fn margin(&self, chosen: &AnswerScores, rejected: &AnswerScores) -> f64 {
        self.beta * (chosen.mean(chosen.policy) - rejected.mean(rejected.policy))
    }

    pub(super) fn of(&self, chosen: &AnswerScores, rejected: &AnswerScores) -> PairLoss {
        let z = self.margin(chosen, rejected) - self.gamma;
        let d = -sigmoid(-z) * self.beta;
        PairLoss { loss: -log_sigmoid(z), d_chosen: chosen.mean(d), d_rejected: -rejected.mean(d) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Loss, check};
    use super::*;

    #[test]
    fn gradients_match_differences() {
        for (beta, gamma) in [(2.0, 1.0), (0.5, 0.0)] {
            check::gradient(&Loss::SimPo(SimPo { beta, gamma }));
            check::extremes(&Loss::SimPo(SimPo { beta, gamma }));
        }
        assert!(Loss::SimPo(SimPo { gamma: -1.0, ..SimPo::default() }).validate().is_err());
    }

    #[test]
    fn length_gives_no_answer_an_advantage_and_the_reference_is_not_looked_at() {
        let answer = |policy, tokens, reference| AnswerScores { policy, tokens, reference, ..AnswerScores::default() };
        let loss = SimPo { beta: 2.0, gamma: 0.0 };
        let equal = loss.of(&answer(-30.0, 30, 5.0), &answer(-3.0, 3, -9.0));
        assert!((equal.loss - 2f64.ln()).abs() < 1e-15);
        assert!(!Loss::SimPo(loss).needs_reference());
    }
}
