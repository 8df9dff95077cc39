use serde::{Deserialize, Serialize};

use super::{AnswerScores, PairLoss, PairScores, beta_problem, sigmoid};

/// Kahneman–Tversky optimisation (Ethayarajh et al., arXiv 2402.01306, Eq. 7 and 8) over answers that
/// are good or bad, each for itself, with r = log π/π_ref summed over an answer's tokens:
///
/// ℓ = λ_D·(1 − σ(β·(r − z₀))) for a good answer, λ_U·(1 − σ(β·(z₀ − r))) for a bad one.
///
/// z₀ is the point against which answers gain or lose: KL(π ‖ π_ref), estimated as the mean of r over
/// the batch's answers, each behind the prompt of another question, and at least 0. It is one number
/// for the whole batch and a constant to the gradient. A batch of one kind alone is fine: z₀ knows no
/// kinds; without other questions there is no z₀, and 0, its lowest value, is taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kto {
    /// β: how dear it is to leave the reference; above 0.
    pub beta: f64,
    /// λ_D: weight of good answers; 0 or more.
    pub desirable: f64,
    /// λ_U: weight of bad answers; 0 or more. The paper asks that λ_D · good answers and λ_U · bad
    /// answers differ by a factor of at most 4/3.
    pub undesirable: f64,
}

impl Default for Kto {
    fn default() -> Self {
        Self { beta: 0.1, desirable: 1.0, undesirable: 1.0 }
    }
}

/// z₀ of a batch.
pub(super) fn point(batch: &[PairScores]) -> f64 {
    let ratios = || batch.iter().flat_map(PairScores::answers).filter_map(|answer| answer.mismatched);
    match ratios().count() {
        0 => 0.0,
        count => (ratios().sum::<f64>() / count as f64).max(0.0),
    }
}

impl Kto {
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let fine = |weight: f64| weight.is_finite() && weight >= 0.0;
        let desirable = (!fine(self.desirable)).then_some(("loss.desirable", "must be at least 0"));
        let undesirable = (!fine(self.undesirable)).then_some(("loss.undesirable", "must be at least 0"));
        beta_problem(self.beta).or(desirable).or(undesirable)
    }

    pub(super) fn of(&self, scores: &PairScores, point: f64) -> PairLoss {
        let beta = self.beta;
        // λ·(1 − σ(u)) = λ·σ(−u), whose derivative by u is −λ·σ(u)·σ(−u).
        let side = |answer: Option<AnswerScores>, weight: f64, sign: f64| {
            answer.map_or((0.0, 0.0), |answer| {
                let u = sign * beta * (answer.ratio() - point);
                (weight * sigmoid(-u), -weight * sign * beta * sigmoid(u) * sigmoid(-u))
            })
        };
        let (good, d_chosen) = side(scores.chosen, self.desirable, 1.0);
        let (bad, d_rejected) = side(scores.rejected, self.undesirable, -1.0);
        PairLoss { loss: good + bad, d_chosen, d_rejected }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Loss, check};
    use super::*;

    #[test]
    fn gradients_match_differences() {
        for loss in [Kto::default(), Kto { beta: 0.5, desirable: 2.0, undesirable: 0.5 }] {
            check::gradient(&Loss::Kto(loss));
            check::extremes(&Loss::Kto(loss));
        }
        assert!(Loss::Kto(Kto { desirable: f64::NAN, ..Kto::default() }).validate().is_err());
    }

    #[test]
    fn the_point_is_the_mean_over_mismatched_answers_and_never_below_zero() {
        let answer = |mismatched| Some(AnswerScores { tokens: 1, mismatched, ..AnswerScores::default() });
        let good = |m| PairScores { chosen: answer(Some(m)), rejected: None, weight: 1.0 };
        let bad = |m| PairScores { chosen: None, rejected: answer(Some(m)), weight: 1.0 };
        assert_eq!(point(&[good(1.0), bad(2.0)]), 1.5);
        assert_eq!(point(&[good(-1.0), bad(-2.0)]), 0.0);
        assert_eq!(point(&[PairScores { chosen: answer(None), rejected: None, weight: 1.0 }]), 0.0);
        // One kind alone.
        let kto = Loss::Kto(Kto { beta: 1.0, ..Kto::default() });
        let losses = kto.of(&[good(0.5), good(0.5)]);
        assert!((losses[0].loss - (1.0 - 1.0 / (1.0 + 0.5f64.exp()))).abs() < 1e-15);
        assert_eq!(kto.mean(&[good(0.5), good(0.5)]).0, losses[0].loss);
    }
}
