use serde::{Deserialize, Deserializer, Serialize};

use super::{AnswerScores, Dpo, PairLoss, beta_problem};

/// Advantage-calibrated optimisation (Genius, Xu et al., arXiv 2504.08672), with r = log π/π_ref
/// summed over an answer's tokens and the advantages A of the judged steps:
///
/// w = min(exp(−(A_l − A_w)/α), 1), z = β·r_w − β·w·r_l, ℓ = −log σ(z).
///
/// w is a constant to the gradient, which so is −(1 − σ(z))·β·[∇log π(y_w) − w·∇log π(y_l)]. The more
/// the rejected step's advantage exceeds the chosen one's, the less the rejected answer is pushed
/// down. Pairs with A_l ≤ A_w have w = 1: those whose steps have one parent (the winner has the
/// highest f), so all of a search's first step. α → ∞ is DPO, to the last bit.
///
/// `released` is the loss of the authors' code, whose clip is inverted: w = max(exp(…), 1). Where
/// that code further differs (the loser is drawn uniformly, the prompt is left out of the
/// conditioning), it differs in sampling; see `decode`'s preset of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Aco {
    /// α: how much of a difference in advantage matters, in nats; above 0, may be infinite.
    #[serde(deserialize_with = "endless")]
    pub alpha: f64,
    /// β: how dear it is to leave the reference; above 0.
    pub beta: f64,
    /// The clip of the authors' code instead of the paper's.
    pub released: bool,
}

impl Default for Aco {
    fn default() -> Self {
        Self { alpha: 1.0, beta: 0.1, released: false }
    }
}

/// Largest exponent of the inverted clip: e⁸⁰ is beyond use, but a number.
const MOST: f64 = 80.0;

impl Aco {
    /// As the authors' code has it.
    pub fn released() -> Self {
        Self { released: true, ..Self::default() }
    }

    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let alpha = (self.alpha.is_nan() || self.alpha <= 0.0).then_some(("loss.alpha", "must be above 0"));
        beta_problem(self.beta).or(alpha)
    }

    /// w.
    pub fn share(&self, chosen: f64, rejected: f64) -> f64 {
        let exponent = -(rejected - chosen) / self.alpha;
        if self.released { exponent.clamp(0.0, MOST).exp() } else { exponent.min(0.0).exp() }
    }

    pub(super) fn of(&self, chosen: &AnswerScores, rejected: &AnswerScores) -> PairLoss {
        let dpo = Dpo { beta: self.beta, label_smoothing: 0.0 };
        dpo.with(self.share(chosen.advantage, rejected.advantage), chosen, rejected)
    }
}

/// JSON has no infinity and writes null for it.
fn endless<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
}

#[cfg(test)]
mod tests {
    use super::super::{Loss, check};
    use super::*;

    #[test]
    fn gradients_match_differences() {
        for loss in [Aco::default(), Aco::released(), Aco { alpha: 0.2, beta: 0.5, released: false }] {
            check::gradient(&Loss::Aco(loss));
            check::extremes(&Loss::Aco(loss));
        }
        for bad in [0.0, -1.0, f64::NAN] {
            assert!(Loss::Aco(Aco { alpha: bad, ..Aco::default() }).validate().is_err());
        }
    }

    #[test]
    fn steps_of_one_parent_count_whole_and_the_released_clip_is_inverted() {
        let (paper, released) = (Aco::default(), Aco::released());
        // A = f − Q of the parent: with one parent, and in the first step, where Q is 0, the winner,
        // which has the highest f, has the highest advantage.
        for (f_chosen, f_rejected) in [(-0.1, -0.1), (-0.2, -3.0), (0.0, -90.0)] {
            for q in [0.0, -0.7, 2.0] {
                assert_eq!(paper.share(f_chosen - q, f_rejected - q), 1.0);
            }
        }
        // Another parent, whose value was low, can give the loser the higher advantage.
        assert!((paper.share(0.1, 0.6) - (-0.5f64).exp()).abs() < 1e-15);
        assert_eq!(released.share(0.1, 0.6), 1.0);
        assert!((released.share(0.6, 0.1) - 0.5f64.exp()).abs() < 1e-15);
        assert!(released.share(1e6, -1e6).is_finite());
        let far = AnswerScores { policy: -4.0, reference: -4.0, tokens: 1, advantage: 1e6, mismatched: None };
        let loss = released.of(&far, &AnswerScores { advantage: -1e6, ..far });
        assert!((loss.loss - 2f64.ln()).abs() < 1e-15 && loss.d_rejected.is_finite());
    }

    #[test]
    fn without_end_it_is_dpo_to_the_last_bit() {
        let aco = Loss::Aco(Aco { alpha: f64::INFINITY, ..Aco::default() });
        let dpo = Loss::Dpo(Dpo::default());
        let bits = |loss: &Loss| {
            let losses = loss.of(&check::pairs());
            losses.iter().map(|l| [l.loss, l.d_chosen, l.d_rejected].map(f64::to_bits)).collect::<Vec<_>>()
        };
        assert_eq!(bits(&aco), bits(&dpo));
        let text = serde_json::to_string(&aco).expect("JSON");
        assert_eq!(serde_json::from_str::<Loss>(&text).expect("reads"), aco, "{text}");
    }

    #[test]
    fn the_gradient_is_that_of_the_paper() {
        let aco = Aco { alpha: 0.5, beta: 0.2, released: false };
        for pair in check::pairs() {
            let (chosen, rejected) = (pair.chosen.expect("there"), pair.rejected.expect("there"));
            let w = (-(rejected.advantage - chosen.advantage) / 0.5).exp().min(1.0);
            let z = 0.2 * (chosen.policy - chosen.reference) - 0.2 * w * (rejected.policy - rejected.reference);
            let pull = -(1.0 - 1.0 / (1.0 + (-z).exp())) * 0.2;
            let ours = aco.of(&chosen, &rejected);
            assert!((ours.d_chosen - pull).abs() < 1e-12 && (ours.d_rejected + w * pull).abs() < 1e-12, "{ours:?}");
        }
    }
}
