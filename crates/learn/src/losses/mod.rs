//! What is made small over answers that are known to be better and worse: one loss a file.
//!
//! A loss sees an answer only through a few numbers ([`AnswerScores`]): its log-probability, summed
//! over its tokens, under the model that learns and under the reference, and its length. It gives
//! back its value and the derivatives with respect to the two summed log-probabilities of the model
//! that learns ([`PairLoss`]); the trainer turns those into one weight a token.
//!
//! The loss of a batch is Σ weight · loss / Σ [`Loss::share`]: a mean over pairs; over answers for
//! KTO, which knows no pairs; over learned tokens for SFT, as everywhere in this crate. A pair's
//! weight does not change the divisor, so it counts the same whatever stands beside it.

mod aco;
mod dpo;
mod ipo;
mod kto;
mod npo;
mod ropo;
mod sft;
mod simpo;

use serde::{Deserialize, Serialize};

pub use aco::Aco;
pub use dpo::Dpo;
pub use ipo::Ipo;
pub use kto::Kto;
pub use npo::Npo;
pub use ropo::Ropo;
pub use sft::Sft;
pub use simpo::SimPo;

use crate::{Error, Result};

/// A loss with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Loss {
    /// Likelihood of the better answer alone.
    Sft(Sft),
    /// DPO whose worse answer counts less the smaller its advantage: Genius.
    Aco(Aco),
    /// Log-odds against the reference.
    Dpo(Dpo),
    /// A fixed distance of the log-odds, instead of an ever larger one.
    Ipo(Ipo),
    /// Mean log-probabilities and a margin, without a reference.
    #[serde(rename = "simpo")]
    SimPo(SimPo),
    /// DPO that turns away from pairs that look mislabelled.
    Ropo(Ropo),
    /// Answers that are good or bad, each for itself.
    Kto(Kto),
    /// Worse answers alone: unlearning.
    Npo(Npo),
}

impl Default for Loss {
    fn default() -> Self {
        Self::Aco(Aco::default())
    }
}

/// What a loss is told of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AnswerScores {
    /// Log-probability under the model that learns, summed over the answer's tokens, in nats.
    pub policy: f64,
    /// The same under the reference; not looked at where [`Loss::needs_reference`] says no.
    pub reference: f64,
    /// Tokens of the answer, its end of turn included; at least 1.
    pub tokens: usize,
    /// Genius' A; only ACO looks at it.
    pub advantage: f64,
    /// policy − reference of this answer behind the prompt of another question; only KTO looks at it.
    pub mismatched: Option<f64>,
}

impl AnswerScores {
    /// log π/π_ref of the answer.
    pub fn ratio(&self) -> f64 {
        self.policy - self.reference
    }

    /// Mean over tokens.
    fn mean(&self, sum: f64) -> f64 {
        sum / self.tokens.max(1) as f64
    }
}

/// What a loss is told of a pair, or of one answer without a partner.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PairScores {
    /// The better answer.
    pub chosen: Option<AnswerScores>,
    /// The worse answer.
    pub rejected: Option<AnswerScores>,
    /// How much the pair counts; finite and 0 or more. [`Loss::of`] leaves it out, [`Loss::mean`] does not.
    pub weight: f64,
}

impl PairScores {
    fn answers(&self) -> impl Iterator<Item = &AnswerScores> {
        self.chosen.iter().chain(&self.rejected)
    }

    fn both(&self) -> Option<(&AnswerScores, &AnswerScores)> {
        Some((self.chosen.as_ref()?, self.rejected.as_ref()?))
    }
}

/// Value and derivatives of a pair's loss; all 0 for a side that the loss does not look at.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PairLoss {
    /// The value.
    pub loss: f64,
    /// Derivative with respect to `chosen.policy`.
    pub d_chosen: f64,
    /// Derivative with respect to `rejected.policy`.
    pub d_rejected: f64,
}

/// The answers that a loss looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// A pair of a better and a worse one.
    Both,
    /// The better one.
    Chosen,
    /// The worse one.
    Rejected,
    /// Each that is there.
    Either,
}

impl Loss {
    /// All losses with their defaults, and the presets of the papers' code.
    pub fn list() -> Vec<Self> {
        vec![
            Self::Aco(Aco::default()),
            Self::Aco(Aco::released()),
            Self::Dpo(Dpo::default()),
            Self::Ipo(Ipo::default()),
            Self::SimPo(SimPo::default()),
            Self::Ropo(Ropo::default()),
            Self::Kto(Kto::default()),
            Self::Npo(Npo::default()),
            Self::Sft(Sft::default()),
        ]
    }

    /// The name by which [`Loss::parse`] finds it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sft(_) => "sft",
            Self::Aco(aco) if aco.released => "aco-released",
            Self::Aco(_) => "aco",
            Self::Dpo(_) => "dpo",
            Self::Ipo(_) => "ipo",
            Self::SimPo(_) => "simpo",
            Self::Ropo(_) => "ropo",
            Self::Kto(_) => "kto",
            Self::Npo(_) => "npo",
        }
    }

    /// The loss of this name with its defaults.
    pub fn parse(name: &str) -> Result<Self> {
        let all = Self::list();
        all.iter().find(|loss| loss.name() == name).cloned().ok_or_else(|| {
            let names: Vec<_> = all.iter().map(Self::name).collect();
            Error::Setting {
                setting: "loss",
                problem: format!("`{name}` is not known; there are {}", names.join(", ")),
            }
        })
    }

    /// Whether log-probabilities of a reference are needed.
    pub fn needs_reference(&self) -> bool {
        !matches!(self, Self::Sft(_) | Self::SimPo(_))
    }

    /// The answers that it looks at.
    pub fn sides(&self) -> Sides {
        match self {
            Self::Sft(_) => Sides::Chosen,
            Self::Npo(_) => Sides::Rejected,
            Self::Kto(_) => Sides::Either,
            Self::Aco(_) | Self::Dpo(_) | Self::Ipo(_) | Self::SimPo(_) | Self::Ropo(_) => Sides::Both,
        }
    }

    /// Refuses the first setting outside its range.
    pub fn validate(&self) -> Result<()> {
        let problem = match self {
            Self::Sft(_) => None,
            Self::Aco(loss) => loss.problem(),
            Self::Dpo(loss) => loss.problem(),
            Self::Ipo(loss) => loss.problem(),
            Self::SimPo(loss) => loss.problem(),
            Self::Ropo(loss) => loss.problem(),
            Self::Kto(loss) => loss.problem(),
            Self::Npo(loss) => loss.problem(),
        };
        match problem {
            Some((setting, problem)) => Err(Error::Setting { setting, problem: problem.into() }),
            None => Ok(()),
        }
    }

    /// What a pair adds to the divisor of the batch's mean.
    pub fn share(&self, scores: &PairScores) -> usize {
        match self {
            Self::Sft(_) => scores.chosen.map_or(0, |answer| answer.tokens),
            Self::Kto(_) => scores.answers().count(),
            _ => 1,
        }
    }

    /// The one number of a batch that its pairs share: KTO's reference point, 0 for the others.
    pub fn point(&self, batch: &[PairScores]) -> f64 {
        if matches!(self, Self::Kto(_)) { kto::point(batch) } else { 0.0 }
    }

    /// Loss of one pair, without its weight; `point` is that of its batch. A pair that lacks a side
    /// that the loss looks at adds nothing.
    pub fn pair(&self, scores: &PairScores, point: f64) -> PairLoss {
        let loss = match self {
            Self::Sft(loss) => scores.chosen.as_ref().map(|chosen| loss.of(chosen)),
            Self::Npo(loss) => scores.rejected.as_ref().map(|rejected| loss.of(rejected)),
            Self::Kto(loss) => Some(loss.of(scores, point)),
            Self::Aco(loss) => scores.both().map(|(chosen, rejected)| loss.of(chosen, rejected)),
            Self::Dpo(loss) => scores.both().map(|(chosen, rejected)| loss.of(chosen, rejected)),
            Self::Ipo(loss) => scores.both().map(|(chosen, rejected)| loss.of(chosen, rejected)),
            Self::SimPo(loss) => scores.both().map(|(chosen, rejected)| loss.of(chosen, rejected)),
            Self::Ropo(loss) => scores.both().map(|(chosen, rejected)| loss.of(chosen, rejected)),
        };
        loss.unwrap_or_default()
    }

    /// Losses of the pairs of a batch, without their weights.
    pub fn of(&self, batch: &[PairScores]) -> Vec<PairLoss> {
        let point = self.point(batch);
        batch.iter().map(|scores| self.pair(scores, point)).collect()
    }

    /// Loss of a batch, and the derivatives of it, pair by pair.
    pub fn mean(&self, batch: &[PairScores]) -> (f64, Vec<PairLoss>) {
        let divisor = batch.iter().map(|scores| self.share(scores)).sum::<usize>().max(1) as f64;
        let mut losses = self.of(batch);
        for (loss, scores) in losses.iter_mut().zip(batch) {
            *loss = loss.times(scores.weight / divisor);
        }
        (losses.iter().map(|loss| loss.loss).sum(), losses)
    }

    /// How far the chosen answer is ahead: β · (its log-ratio less that of the rejected one); for
    /// SimPO, which knows no reference, β · (difference of mean log-probabilities). Nothing for losses
    /// that compare nothing, and for an answer without a partner.
    pub fn margin(&self, scores: &PairScores) -> Option<f64> {
        let (chosen, rejected) = scores.both()?;
        let beta = match self {
            Self::Sft(_) | Self::Npo(_) => return None,
            Self::SimPo(loss) => return Some(loss.margin(chosen, rejected)),
            Self::Aco(loss) => loss.beta,
            Self::Dpo(loss) => loss.beta,
            Self::Ipo(loss) => loss.beta,
            Self::Ropo(loss) => loss.beta,
            Self::Kto(loss) => loss.beta,
        };
        Some(beta * (chosen.ratio() - rejected.ratio()))
    }
}

impl PairLoss {
    /// All three numbers times `factor`.
    pub fn times(self, factor: f64) -> Self {
        let Self { loss, d_chosen, d_rejected } = self;
        Self { loss: loss * factor, d_chosen: d_chosen * factor, d_rejected: d_rejected * factor }
    }
}

/// σ(z) = 1 / (1 + e⁻ᶻ), which neither overflows nor loses digits near 0.
fn sigmoid(z: f64) -> f64 {
    let small = (-z.abs()).exp();
    if z >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) }
}

/// log σ(z), which for very negative z is z.
fn log_sigmoid(z: f64) -> f64 {
    z.min(0.0) - (-z.abs()).exp().ln_1p()
}

/// The range check that most losses need.
fn beta_problem(beta: f64) -> Option<(&'static str, &'static str)> {
    let fine = beta.is_finite() && beta > 0.0;
    (!fine).then_some(("loss.beta", "must be above 0"))
}

#[cfg(test)]
pub(crate) mod check {
    use super::*;

    /// Pairs with margins from small to huge, of several lengths.
    pub fn pairs() -> Vec<PairScores> {
        let one = |(i, ahead): (usize, f64)| {
            let reference = -4.0 - 3.0 * i as f64;
            let answer = |policy, tokens, advantage| AnswerScores {
                policy,
                reference,
                tokens,
                advantage,
                mismatched: Some(0.2 * i as f64 - 0.3),
            };
            PairScores {
                chosen: Some(answer(reference + ahead, 3 + i, 0.3)),
                rejected: Some(answer(reference - 0.7 * ahead + 0.4, 9 - i, 0.3 - 0.4 * i as f64 + 0.5)),
                weight: 1.0 + 0.5 * i as f64,
            }
        };
        [0.0, 0.6, -1.5, 9.0, -25.0].into_iter().enumerate().map(one).collect()
    }

    /// Derivatives of every pair's loss against differences.
    pub fn gradient(loss: &Loss) {
        const STEP: f64 = 1e-5;
        let pairs = pairs();
        let point = loss.point(&pairs);
        for scores in &pairs {
            let ours = loss.pair(scores, point);
            let moved = |chosen: f64, rejected: f64| {
                let mut moved = *scores;
                moved.chosen.iter_mut().for_each(|answer| answer.policy += chosen);
                moved.rejected.iter_mut().for_each(|answer| answer.policy += rejected);
                loss.pair(&moved, point).loss
            };
            let chosen = (moved(STEP, 0.0) - moved(-STEP, 0.0)) / (2.0 * STEP);
            let rejected = (moved(0.0, STEP) - moved(0.0, -STEP)) / (2.0 * STEP);
            for (ours, difference) in [(ours.d_chosen, chosen), (ours.d_rejected, rejected)] {
                let apart = (ours - difference).abs();
                assert!(apart < 1e-7 * (1.0 + ours.abs()), "{}: {ours} {difference} at {scores:?}", loss.name());
            }
        }
    }

    /// Nothing overflows however far the model has moved.
    pub fn extremes(loss: &Loss) {
        for ahead in [1e4, -1e4, 1e8, -1e8] {
            let answer = |policy| AnswerScores { policy, reference: -1.0, tokens: 2, ..AnswerScores::default() };
            let scores = PairScores { chosen: Some(answer(ahead)), rejected: Some(answer(-ahead)), weight: 1.0 };
            let PairLoss { loss: value, d_chosen, d_rejected } = loss.of(&[scores])[0];
            let all = [value, d_chosen, d_rejected];
            assert!(all.iter().all(|number| number.is_finite()), "{} at {ahead}: {all:?}", loss.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_is_found_by_its_name_and_reads_back() {
        for loss in Loss::list() {
            assert_eq!(Loss::parse(loss.name()).expect("known"), loss);
            let text = serde_json::to_string(&loss).expect("JSON");
            assert_eq!(serde_json::from_str::<Loss>(&text).expect("reads"), loss, "{text}");
            loss.validate().expect("defaults are fine");
        }
        assert!(Loss::parse("dop").expect_err("must fail").to_string().contains("dpo, ipo, simpo"));
        assert_eq!(serde_json::from_str::<Loss>(r#"{"kind": "simpo", "gamma": 0.5}"#).expect("reads").name(), "simpo");
        assert!(serde_json::from_str::<Loss>(r#"{"kind": "dpo", "gamma": 0.5}"#).is_err());
    }

    #[test]
    fn the_mean_is_over_pairs_answers_or_tokens() {
        let pairs = check::pairs();
        for loss in Loss::list() {
            let divisor: usize = match loss.name() {
                "sft" => (0..5).map(|i| 3 + i).sum(),
                "kto" => 10,
                _ => 5,
            };
            let expected: f64 = loss.of(&pairs).iter().zip(&pairs).map(|(l, p)| l.loss * p.weight).sum();
            let (mean, parts) = loss.mean(&pairs);
            assert!((mean - expected / divisor as f64).abs() < 1e-12 * mean.abs().max(1.0), "{}", loss.name());
            let light: Vec<_> = pairs.iter().map(|pair| PairScores { weight: 0.0, ..*pair }).collect();
            assert_eq!(loss.mean(&light).0, 0.0);
            assert_eq!(parts.len(), 5);
        }
    }

    #[test]
    fn a_lone_answer_is_for_losses_that_need_no_partner() {
        for loss in Loss::list() {
            let lone = PairScores { rejected: None, ..check::pairs()[1] };
            let value = loss.of(&[lone])[0];
            let used = matches!(loss.sides(), Sides::Chosen | Sides::Either);
            assert_eq!(value.d_chosen != 0.0, used, "{}", loss.name());
            assert_eq!(loss.margin(&lone), None);
        }
    }

    #[test]
    fn sigmoids_keep_their_digits_at_both_ends() {
        assert_eq!((sigmoid(800.0), sigmoid(-800.0)), (1.0, 0.0));
        assert_eq!((log_sigmoid(800.0), log_sigmoid(-800.0)), (0.0, -800.0));
        assert!((sigmoid(-40.0) / (-40f64).exp() - 1.0).abs() < 1e-12);
        assert!((log_sigmoid(40.0) + (-40f64).exp()).abs() < 1e-30);
    }
}
