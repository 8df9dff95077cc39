//! Can this task be predicted at all? "No" is a result, too.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::bootstrap::{Bootstrap, Interval};
use crate::{Error, Result, evaluate};

/// What held-out models say of a prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// Better than the mean of the training models, beyond chance.
    Predictable {
        /// Mean absolute error that it saves against the mean.
        gain: Interval,
    },
    /// Not predictable from these losses, and why.
    NotPredictable {
        /// Why.
        reason: Reason,
        /// Mean absolute error that it saves against the mean.
        gain: Interval,
    },
    /// Too few or too scattered models to say.
    Undecided {
        /// Mean absolute error that it saves against the mean.
        gain: Interval,
        /// The saving that would have been seen in four of five such studies.
        detectable: f64,
    },
}

/// Why a task is not predictable.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Reason {
    /// The held-out models' accuracies differ no more than by sampling of items.
    Flat {
        /// Probability of at least such differences by sampling alone.
        p: f64,
    },
    /// The paired difference to the mean may be 0.
    NoBetterThanMean,
    /// The mean of the training models predicts better.
    WorseThanMean,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Flat { p } => write!(f, "the models' accuracies differ no more than by sampling (p = {p:.2})"),
            Self::NoBetterThanMean => write!(f, "no better than the mean of the training models"),
            Self::WorseThanMean => write!(f, "worse than the mean of the training models"),
        }
    }
}

/// Judges predictions of held-out models against the mean accuracy of the training models, by a paired
/// bootstrap over families. With standard errors of the accuracies it first asks whether there is
/// anything to predict (χ² of their differences at 0.05). Where the limits enclose 0 and even half of
/// the mean's error could not have been seen, the verdict is open.
pub fn judge(
    predicted: &[f64],
    train_mean: f64,
    observed: &[f64],
    errors: Option<&[f64]>,
    families: &[usize],
    bootstrap: &Bootstrap,
) -> Result<Verdict> {
    judge_pooled(predicted, &vec![train_mean; observed.len()], observed, errors, families, bootstrap)
}

/// As [`judge`], for models of several splits, each beside the mean of its own training models.
pub fn judge_pooled(
    predicted: &[f64],
    train_means: &[f64],
    observed: &[f64],
    errors: Option<&[f64]>,
    families: &[usize],
    bootstrap: &Bootstrap,
) -> Result<Verdict> {
    let gain = evaluate::gain(predicted, train_means, observed, families, bootstrap)?;
    let same = errors.map(|errors| sameness(observed, errors)).transpose()?.flatten();
    if let Some(p) = same.filter(|p| *p > 0.05) {
        return Ok(Verdict::NotPredictable { reason: Reason::Flat { p }, gain });
    }
    if gain.low > 0.0 {
        return Ok(Verdict::Predictable { gain });
    }
    if gain.high < 0.0 {
        return Ok(Verdict::NotPredictable { reason: Reason::WorseThanMean, gain });
    }
    // (z_level + z_0.8) standard errors; the limits are 2 z_level of them apart.
    let normal = statrs::distribution::Normal::standard();
    let z = normal.inverse_cdf((1.0 + bootstrap.level) / 2.0);
    let detectable = (gain.high - gain.low) / (2.0 * z) * (z + 0.8416);
    let of_mean = evaluate::metrics(train_means, observed)?.mae;
    if detectable > of_mean / 2.0 {
        return Ok(Verdict::Undecided { gain, detectable });
    }
    Ok(Verdict::NotPredictable { reason: Reason::NoBetterThanMean, gain })
}

/// Probability of accuracies at least so different if all were equal; none for fewer than two.
fn sameness(observed: &[f64], errors: &[f64]) -> Result<Option<f64>> {
    if errors.len() != observed.len() {
        return Err(Error::Length { what: "the list of standard errors", got: errors.len(), expected: observed.len() });
    }
    if let Some(m) = errors.iter().position(|e| !e.is_finite() || *e <= 0.0) {
        let model = format!("model {m}");
        return Err(Error::NotPositive { what: "standard error", model, value: errors[m] });
    }
    let weight: f64 = errors.iter().map(|e| 1.0 / (e * e)).sum();
    let mean = observed.iter().zip(errors).map(|(y, e)| y / (e * e)).sum::<f64>() / weight;
    let chi: f64 = observed.iter().zip(errors).map(|(y, e)| ((y - mean) / e).powi(2)).sum();
    Ok(ChiSquared::new(observed.len() as f64 - 1.0).ok().map(|d| d.sf(chi)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(i: usize) -> f64 {
        ((i * 7919) % 1009) as f64 / 504.5 - 1.0
    }

    #[test]
    fn four_verdicts() {
        let own: Vec<usize> = (0..40).collect();
        let by = Bootstrap::default();
        let y: Vec<f64> = (0..40).map(|i| 0.3 + 0.01 * i as f64).collect();
        let near: Vec<f64> = y.iter().enumerate().map(|(i, y)| y + 0.02 * noise(i)).collect();
        let errors = vec![0.01; 40];
        let good = judge(&near, 0.5, &y, Some(&errors), &own, &by).expect("forty");
        assert!(matches!(good, Verdict::Predictable { .. }), "{good:?}");
        let flat = judge(&near, 0.5, &y, Some(&[0.5; 40]), &own, &by).expect("forty");
        assert!(matches!(flat, Verdict::NotPredictable { reason: Reason::Flat { .. }, .. }), "{flat:?}");
        let random: Vec<f64> = (0..40).map(|i| 0.495 + 0.04 * noise(i + 3)).collect();
        let none = judge(&random, 0.495, &y, Some(&errors), &own, &by).expect("forty");
        assert!(matches!(none, Verdict::NotPredictable { reason: Reason::NoBetterThanMean, .. }), "{none:?}");
        let wrong: Vec<f64> = y.iter().map(|y| 1.0 - y).collect();
        let worse = judge(&wrong, 0.495, &y, None, &own, &by).expect("forty");
        assert!(matches!(worse, Verdict::NotPredictable { reason: Reason::WorseThanMean, .. }), "{worse:?}");
        let few = judge(&[0.3, 0.9, 0.5], 0.5, &[0.4, 0.6, 0.8], None, &own[..3], &by).expect("three");
        assert!(matches!(few, Verdict::Undecided { .. }), "{few:?}");
    }

    #[test]
    fn equal_accuracies_are_called_flat_as_often_as_the_level_says() {
        use rand::{RngExt, SeedableRng};
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        // 2,000 studies of 12 equal models with 400 items each: p > 0.05 in 93 to 97 of 100.
        let study = |_: usize| {
            let share = |_: usize| (0..400).filter(|_| random.random::<f64>() < 0.4).count() as f64 / 400.0;
            let y: Vec<f64> = (0..12).map(share).collect();
            let p = sameness(&y, &[(0.24_f64 / 400.0).sqrt(); 12]).expect("good errors").expect("twelve");
            usize::from(p > 0.05)
        };
        let kept = (0..2000).map(study).sum::<usize>();
        assert!((1860..=1940).contains(&kept), "{kept}");
    }
}
