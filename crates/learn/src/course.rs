use serde::{Deserialize, Serialize};

/// How the learning rate falls after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Along half a cosine, to 0 after the last step.
    Cosine,
    /// In a straight line, to 0 after the last step.
    Linear,
    /// Not at all.
    Constant,
}

/// What every training has, whatever it trains: the settings of its loop of steps. It is made by
/// [`crate::SftConfig::course`], [`crate::PretrainConfig::course`] and
/// [`crate::PreferConfig::course`], whose fields of the same names say what each number means.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Share of all steps in which the rate rises from 0.
    pub warmup: f64,
    /// How the rate falls afterwards.
    pub schedule: Schedule,
    /// Passes over the samples.
    pub passes: u64,
    /// Samples, or pairs, in one optimiser step.
    pub batch_samples: usize,
    /// Tokens in a packed row.
    pub row_tokens: usize,
    /// Run each block a second time in the backward pass instead of keeping what it needs.
    pub recompute: bool,
    /// Sets of rows whose gradients are computed side by side, each by one thread, and then added in
    /// order; 1 computes row after row with all threads in each operation. It is fixed by the task,
    /// never by the machine, so that the order of sums is.
    pub lanes: usize,
    /// Decoupled weight decay of AdamW.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Longest gradient.
    pub clip_norm: f64,
    /// Seed of the order of samples.
    pub seed: u64,
    /// Steps between two saved states; 0 saves only at the end.
    pub checkpoint_every: u64,
    /// Steps between two measurements on the validation samples; 0 measures once a pass.
    pub validation_every: u64,
    /// Give back the parameters with the lowest validation loss instead of the last ones.
    pub keep_best: bool,
    /// Stop after so many measurements without a lower validation loss; 0 never does.
    pub patience: usize,
    /// Stop at a loss that is so many times the usual one.
    pub spike: Option<f64>,
    /// Stop before the step that would read more tokens than this.
    pub max_tokens: Option<u64>,
    /// Stop at the first step that ends after so many seconds of this call.
    pub max_seconds: Option<f64>,
    /// Threads; 0 takes all processors.
    pub threads: usize,
}

impl Course {
    /// Optimiser steps in one pass over so many samples.
    pub fn steps_per_pass(&self, samples: usize) -> u64 {
        samples.div_ceil(self.batch_samples.max(1)).max(1) as u64
    }

    /// Learning rate of step `step` (from 1) of `total`: a straight rise over w = ⌈warmup · total⌉
    /// steps, then the schedule over the rest, whose last step is still above 0.
    pub fn rate(&self, step: u64, total: u64) -> f64 {
        let warm = (self.warmup * total as f64).ceil();
        let step = step as f64;
        if step <= warm {
            return self.learning_rate * step / warm;
        }
        let passed = (step - warm - 1.0) / (total as f64 - warm).max(1.0);
        self.learning_rate
            * match self.schedule {
                Schedule::Constant => 1.0,
                Schedule::Linear => 1.0 - passed,
                Schedule::Cosine => 0.5 + 0.5 * (std::f64::consts::PI * passed).cos(),
            }
    }

    /// The first setting outside its range, and what is wrong with it.
    pub(crate) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let above = |value: f64| value.is_finite() && value > 0.0;
        let checks = [
            ("learning_rate", above(self.learning_rate) && self.learning_rate <= 1.0, "must lie above 0, at most at 1"),
            ("warmup", (0.0..=1.0).contains(&self.warmup), "must lie between 0 and 1"),
            ("row_tokens", (8..=1 << 16).contains(&self.row_tokens), "must lie between 8 and 65536"),
            ("weight_decay", (0.0..=1.0).contains(&self.weight_decay), "must lie between 0 and 1"),
            ("beta1", (0.0..1.0).contains(&self.beta1), "must be at least 0 and below 1"),
            ("beta2", (0.0..1.0).contains(&self.beta2), "must be at least 0 and below 1"),
            ("epsilon", above(self.epsilon), "must be above 0"),
            ("clip_norm", above(self.clip_norm), "must be above 0"),
            ("spike", self.spike.is_none_or(|spike| spike > 1.0), "must be above 1"),
            ("max_seconds", self.max_seconds.is_none_or(above), "must be above 0"),
            ("threads", self.threads <= 1024, "must be at most 1024"),
        ];
        checks.into_iter().find(|(_, fine, _)| !fine).map(|(setting, _, problem)| (setting, problem))
    }
}
