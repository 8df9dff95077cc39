use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use weights::Projection;

use crate::{Error, Result};

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

/// Settings of supervised fine-tuning. The defaults learn a few hundred facts by heart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SftConfig {
    /// Rank of each low-rank pair; 1 to 1024.
    pub rank: usize,
    /// α; a projection changes by α / rank · B A. Above 0.
    pub alpha: f32,
    /// Projections that are adapted, in every block; at least one.
    pub targets: BTreeSet<Projection>,
    /// Highest learning rate; above 0, at most 1.
    pub learning_rate: f64,
    /// Share of all steps in which the rate rises from 0; 0 to 1.
    pub warmup: f64,
    /// How the rate falls afterwards.
    pub schedule: Schedule,
    /// Passes over the samples; at least 1.
    pub epochs: usize,
    /// More passes are made where so few samples would end sooner than after so many steps: few facts
    /// take as many steps to learn as many.
    pub min_steps: u64,
    /// Samples in one optimiser step; at least 1.
    pub batch_samples: usize,
    /// Tokens in a packed row: what is computed at one time, and so the memory; 8 or more, at most
    /// the model's context.
    pub row_tokens: usize,
    /// Cut a sample that is longer than a row at its end, instead of refusing it.
    pub truncate: bool,
    /// Decoupled weight decay of AdamW, which pulls the model back to its base; 0 to 1.
    pub weight_decay: f64,
    /// Decay of the first moment; 0 to 1, without 1.
    pub beta1: f64,
    /// Decay of the second moment; 0 to 1, without 1.
    pub beta2: f64,
    /// Added to the root of the second moment; above 0.
    pub epsilon: f64,
    /// Longest gradient; longer ones are shortened to it. Above 0.
    pub clip_norm: f64,
    /// Seed of the initial A matrices and of the order of samples.
    pub seed: u64,
    /// Steps between two saved states; 0 saves only at the end.
    pub checkpoint_every: u64,
    /// Steps between two measurements on the validation samples; 0 measures once a pass.
    pub validation_every: u64,
    /// Give back the parameters with the lowest validation loss instead of the last ones.
    pub keep_best: bool,
    /// Stop after so many measurements without a lower validation loss; 0 never stops early.
    pub patience: usize,
    /// Stop before the step that would read more tokens than this, prompts included; the schedule
    /// is stretched over the steps that are left.
    pub max_tokens: Option<u64>,
    /// Stop at the first step that ends after so many seconds of this call. The schedule does not
    /// know of it, and where it stops depends on the machine.
    pub max_seconds: Option<f64>,
    /// Threads; 0 takes all processors. The bits do not depend on it.
    pub threads: usize,
}

impl Default for SftConfig {
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 32.0,
            targets: Projection::ALL.into(),
            learning_rate: 1e-3,
            warmup: 0.05,
            schedule: Schedule::Linear,
            epochs: 4,
            min_steps: 200,
            batch_samples: 12,
            row_tokens: 512,
            truncate: false,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            clip_norm: 1.0,
            seed: 0,
            checkpoint_every: 25,
            validation_every: 0,
            keep_best: true,
            patience: 0,
            max_tokens: None,
            max_seconds: None,
            threads: 0,
        }
    }
}

impl SftConfig {
    /// Refuses the first setting outside its range.
    pub fn validate(&self) -> Result<()> {
        let above = |value: f64| value.is_finite() && value > 0.0;
        let checks = [
            ("rank", (1..=1024).contains(&self.rank), "must lie between 1 and 1024"),
            ("alpha", above(self.alpha.into()), "must be above 0"),
            ("targets", !self.targets.is_empty(), "must name a projection: q, k, v, o, gate, up, down"),
            ("learning_rate", above(self.learning_rate) && self.learning_rate <= 1.0, "must lie above 0, at most at 1"),
            ("warmup", (0.0..=1.0).contains(&self.warmup), "must lie between 0 and 1"),
            ("epochs", (1..=10_000).contains(&self.epochs), "must lie between 1 and 10000"),
            ("batch_samples", self.batch_samples > 0, "must be at least 1"),
            ("row_tokens", (8..=1 << 16).contains(&self.row_tokens), "must lie between 8 and 65536"),
            ("weight_decay", (0.0..=1.0).contains(&self.weight_decay), "must lie between 0 and 1"),
            ("beta1", (0.0..1.0).contains(&self.beta1), "must be at least 0 and below 1"),
            ("beta2", (0.0..1.0).contains(&self.beta2), "must be at least 0 and below 1"),
            ("epsilon", above(self.epsilon), "must be above 0"),
            ("clip_norm", above(self.clip_norm), "must be above 0"),
            ("max_tokens", self.max_tokens != Some(0), "must be at least 1"),
            ("max_seconds", self.max_seconds.is_none_or(above), "must be above 0"),
            ("threads", self.threads <= 1024, "must be at most 1024"),
        ];
        match checks.into_iter().find(|(_, fine, _)| !fine) {
            Some((setting, _, problem)) => Err(Error::Setting { setting, problem: problem.into() }),
            None => Ok(()),
        }
    }

    /// Optimiser steps in one pass over so many samples.
    pub fn steps_per_pass(&self, samples: usize) -> u64 {
        samples.div_ceil(self.batch_samples.max(1)).max(1) as u64
    }

    /// Passes over so many samples: `epochs`, or what `min_steps` asks for.
    pub fn passes(&self, samples: usize) -> u64 {
        self.min_steps.div_ceil(self.steps_per_pass(samples)).max(self.epochs as u64)
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_falls_and_never_reaches_zero() {
        for schedule in [Schedule::Cosine, Schedule::Linear, Schedule::Constant] {
            let config = SftConfig { schedule, warmup: 0.1, ..SftConfig::default() };
            let rates: Vec<f64> = (1..=100).map(|step| config.rate(step, 100)).collect();
            assert!((rates[0] - 1e-4).abs() < 1e-12 && (rates[9] - 1e-3).abs() < 1e-12 && rates[10] == 1e-3);
            assert!(rates[9..].windows(2).all(|w| w[1] <= w[0]) && rates.iter().all(|&r| r > 0.0));
        }
        let config = SftConfig { warmup: 0.0, ..SftConfig::default() };
        assert_eq!([1, 2].map(|step| config.rate(step, 2)), [1e-3, 5e-4]);
    }

    #[test]
    fn few_samples_are_passed_over_more_often() {
        let config = SftConfig::default();
        assert_eq!([5, 60, 1800, 18000].map(|n| config.passes(n)), [200, 40, 4, 4]);
        assert_eq!(config.steps_per_pass(60), 5);
    }

    #[test]
    fn bad_settings_are_named() {
        let bad = SftConfig { warmup: f64::NAN, ..SftConfig::default() };
        assert!(bad.validate().expect_err("must fail").to_string().contains("warmup"));
        assert!(SftConfig::default().validate().is_ok());
        assert!(serde_json::from_str::<SftConfig>(r#"{"rang": 3}"#).is_err());
        let read: SftConfig = serde_json::from_str(r#"{"targets": ["q", "v"], "rank": 4}"#).expect("works");
        assert_eq!((read.rank, read.targets.len(), read.epochs), (4, 2, 4));
    }
}
