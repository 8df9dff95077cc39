use record::TrainStep;
use serde::{Deserialize, Serialize};

/// A step at which a training was stopped because its loss was far above the usual, or no number.
///
/// A spike is a loss above `spike` times the median of the last 32 steps, of which there must be 8,
/// and above the loss of the first step: a loss that fell near 0 may rise to many times that without
/// harm, one that is worse than before training may not. Nothing of the step is learned. The training
/// goes back to the last state that was saved and is known to be good, because the next step's loss
/// was computed with it and was no spike; to the start, where none was saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spike {
    /// The step, from 1.
    pub step: u64,
    /// Its loss; none where loss or gradient were no finite numbers.
    pub loss: Option<f64>,
    /// Median of the losses before; none where there were too few.
    pub median: Option<f64>,
    /// Ids of its samples or preferences.
    pub samples: Vec<String>,
    /// The step whose state was gone back to; 0 is the start.
    pub back_to: u64,
}

/// Steps that the usual loss is taken from, at most and at least.
const STEPS: std::ops::RangeInclusive<usize> = 8..=32;

/// The usual loss after these steps.
pub(crate) fn usual(curve: &[TrainStep]) -> Option<f64> {
    let mut last: Vec<f64> = curve.iter().rev().take(*STEPS.end()).map(|step| step.loss).collect();
    if last.len() < *STEPS.start() {
        return None;
    }
    last.sort_by(f64::total_cmp);
    Some(last[last.len() / 2])
}

/// Whether a loss is a spike after these steps.
pub(crate) fn is_spike(curve: &[TrainStep], loss: f64, factor: f64) -> bool {
    let first = curve.first().map_or(f64::INFINITY, |step| step.loss);
    usual(curve).is_some_and(|usual| loss > factor * usual && loss > first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(losses: impl IntoIterator<Item = f64>) -> Vec<TrainStep> {
        let step = |(step, loss): (u64, f64)| TrainStep {
            step,
            epoch: 0.0,
            loss,
            learning_rate: 0.0,
            gradient_norm: 0.0,
            tokens: 0,
            learned_tokens: 0,
            validation_loss: None,
            weighted_loss: None,
            preference: None,
        };
        (1..).zip(losses).map(step).collect()
    }

    #[test]
    fn a_spike_is_far_above_the_usual_and_above_the_start() {
        let steady = curve([3.0].into_iter().chain([1.0; 40]));
        assert_eq!(usual(&steady), Some(1.0));
        assert!(is_spike(&steady, 4.1, 4.0) && !is_spike(&steady, 3.9, 4.0));
        assert!(!is_spike(&steady, 2.5, 2.0), "still better than at the start");
        // Only the last steps count, and one outlier among them moves nothing.
        let fallen = curve([1.0].into_iter().chain([0.9; 20]).chain([0.1; 31]).chain([0.9]));
        assert_eq!(usual(&fallen), Some(0.1));
        assert!(!is_spike(&curve([1.0; 7]), 100.0, 2.0), "too few steps to know");
        assert!(is_spike(&curve([1.0; 8]), 100.0, 2.0));
    }
}
