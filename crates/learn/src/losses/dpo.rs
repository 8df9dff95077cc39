use serde::{Deserialize, Serialize};

use super::{AnswerScores, PairLoss, beta_problem, log_sigmoid, sigmoid};

/// Direct preference optimisation (Rafailov et al., arXiv 2305.18290, Eq. 7), with r = log π/π_ref
/// summed over an answer's tokens:
///
/// z = β·r_w − β·r_l, ℓ = −(1 − ε)·log σ(z) − ε·log σ(−z).
///
/// ε > 0 is conservative DPO (Mitchell 2023): it believes that a share ε of the labels is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dpo {
    /// β: how dear it is to leave the reference; above 0.
    pub beta: f64,
    /// ε: share of labels that are believed to be wrong; 0 to below 0.5.
    pub label_smoothing: f64,
}

impl Default for Dpo {
    fn default() -> Self {
        Self { beta: 0.1, label_smoothing: 0.0 }
    }
}

impl Dpo {
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let fine = (0.0..0.5).contains(&self.label_smoothing);
        let smoothing = (!fine).then_some(("loss.label_smoothing", "must be at least 0 and below 0.5"));
        beta_problem(self.beta).or(smoothing)
    }

    pub(super) fn of(&self, chosen: &AnswerScores, rejected: &AnswerScores) -> PairLoss {
        self.with(1.0, chosen, rejected)
    }

    /// The loss with the rejected answer's log-ratio times `share`, a constant; ACO is this with a
    /// share of its own, so that with a share of 1 both are equal to the last bit.
    pub(super) fn with(&self, share: f64, chosen: &AnswerScores, rejected: &AnswerScores) -> PairLoss {
        let (beta, wrong) = (self.beta, self.label_smoothing);
        let scale = beta * share;
        let z = beta * chosen.ratio() - scale * rejected.ratio();
        let d = wrong * sigmoid(z) - (1.0 - wrong) * sigmoid(-z);
        let loss = -(1.0 - wrong) * log_sigmoid(z) - wrong * log_sigmoid(-z);
        PairLoss { loss, d_chosen: d * beta, d_rejected: -d * scale }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Loss, check};
    use super::*;

    #[test]
    fn gradients_match_differences() {
        for label_smoothing in [0.0, 0.2] {
            let loss = Loss::Dpo(Dpo { beta: 0.3, label_smoothing });
            check::gradient(&loss);
            check::extremes(&loss);
        }
        assert!(Loss::Dpo(Dpo { label_smoothing: 0.5, ..Dpo::default() }).validate().is_err());
    }

    #[test]
    fn an_unchanged_model_loses_log_two_and_smoothing_has_its_lowest_point() {
        let answer = |policy| AnswerScores { policy, reference: -5.0, tokens: 4, ..AnswerScores::default() };
        let same = Dpo::default().of(&answer(-5.0), &answer(-5.0));
        assert!((same.loss - 2f64.ln()).abs() < 1e-15);
        assert_eq!((same.d_chosen, same.d_rejected), (-0.05, 0.05));
        // The derivative of the smoothed loss is 0 where σ(z) = 1 − ε.
        let smooth = Dpo { beta: 1.0, label_smoothing: 0.1 };
        let best = smooth.of(&answer(-5.0 + 9f64.ln()), &answer(-5.0));
        assert!(best.d_chosen.abs() < 1e-15, "{best:?}");
    }
}
