use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use weights::Projection;

use crate::{Course, Error, Loss, Result, Schedule};

/// Makes the settings of a training out of its own fields and those that every training has. (Serde
/// refuses unknown keys only where fields are not flattened out of another struct, and a recipe's keys
/// are to be flat.)
macro_rules! settings {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$own_meta:meta])* pub $own:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$own_meta])* pub $own: $kind,)*
            /// Tokens in a packed row: what is computed at one time, and so the memory; 8 to 65536.
            pub row_tokens: usize,
            /// Run each block a second time in the backward pass: less memory for half as much work
            /// again, and the same result.
            pub recompute: bool,
            /// Cut what is longer than allowed (a row, when fine-tuning; the model's context, when all
            /// weights are trained on texts) at its end, instead of refusing it.
            pub truncate: bool,
            /// Highest learning rate; above 0, at most 1.
            pub learning_rate: f64,
            /// Share of all steps in which the rate rises from 0; 0 to 1.
            pub warmup: f64,
            /// How the rate falls afterwards.
            pub schedule: Schedule,
            /// Decoupled weight decay of AdamW, which pulls pairs, and so the model to its base, or
            /// matrices of whole weights to 0; 0 to 1.
            pub weight_decay: f64,
            /// Decay of the first moment; 0 to 1, without 1.
            pub beta1: f64,
            /// Decay of the second moment; 0 to 1, without 1.
            pub beta2: f64,
            /// Added to the root of the second moment; above 0.
            pub epsilon: f64,
            /// Longest gradient; longer ones are shortened to it. Above 0.
            pub clip_norm: f64,
            /// Seed of the initial A matrices and of the order of samples. That of the first weights
            /// of a model from nothing is given to [`weights::Checkpoint::fresh`].
            pub seed: u64,
            /// Steps between two saved states; 0 saves only at the end.
            pub checkpoint_every: u64,
            /// Steps between two measurements on the validation samples; 0 measures once a pass.
            pub validation_every: u64,
            /// Give back the parameters with the lowest validation loss instead of the last ones.
            pub keep_best: bool,
            /// Stop after so many measurements without a lower validation loss; 0 never stops early.
            pub patience: usize,
            /// Stop, and go back to the last good state, at a loss that is so many times the median of
            /// the last steps and above that of the first; see [`crate::Spike`]. Above 1; none, or
            /// infinity, never stops.
            pub spike: Option<f64>,
            /// Stop at the first step that ends after so many seconds of this call. The schedule does
            /// not know of it, and where it stops depends on the machine.
            pub max_seconds: Option<f64>,
            /// Threads; 0 takes all processors. The bits do not depend on it.
            pub threads: usize,
        }

        impl $name {
            /// What a loop takes over as it is: one pass in steps of one sample.
            fn shared(&self) -> Course {
                Course {
                    learning_rate: self.learning_rate,
                    warmup: self.warmup,
                    schedule: self.schedule,
                    passes: 1,
                    batch_samples: 1,
                    row_tokens: self.row_tokens,
                    recompute: self.recompute,
                    lanes: 1,
                    weight_decay: self.weight_decay,
                    beta1: self.beta1,
                    beta2: self.beta2,
                    epsilon: self.epsilon,
                    clip_norm: self.clip_norm,
                    seed: self.seed,
                    checkpoint_every: self.checkpoint_every,
                    validation_every: self.validation_every,
                    keep_best: self.keep_best,
                    patience: self.patience,
                    spike: self.spike,
                    max_tokens: None,
                    max_seconds: self.max_seconds,
                    threads: self.threads,
                }
            }

            /// Without the settings that change when and where a training pauses, and how much memory
            /// it takes, but not what it gives.
            pub(crate) fn lasting(&self) -> Self {
                Self { threads: 0, recompute: false, checkpoint_every: 0, max_seconds: None, ..self.clone() }
            }
        }
    };
}

settings! {
    /// Settings of supervised fine-tuning. The defaults learn a few hundred facts by heart.
    pub struct SftConfig {
        /// Rank of each low-rank pair; 1 to 1024.
        pub rank: usize,
        /// α; a projection changes by α / rank · B A. Above 0.
        pub alpha: f32,
        /// Scale by α / √rank instead, as rank-stabilised LoRA does.
        pub rank_stabilised: bool,
        /// Projections that are adapted, in every block; at least one.
        pub targets: BTreeSet<Projection>,
        /// Passes over the samples; at least 1.
        pub epochs: usize,
        /// More passes are made where so few samples would end sooner than after so many steps: few
        /// facts take as many steps to learn as many.
        pub min_steps: u64,
        /// Samples in one optimiser step; at least 1.
        pub batch_samples: usize,
        /// Stop before the step that would read more tokens than this, prompts included; the schedule
        /// is stretched over the steps that are left.
        pub max_tokens: Option<u64>,
    }
}

impl Default for SftConfig {
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 32.0,
            rank_stabilised: false,
            targets: Projection::ALL.into(),
            epochs: 4,
            min_steps: 200,
            batch_samples: 12,
            max_tokens: None,
            row_tokens: 512,
            recompute: false,
            truncate: false,
            learning_rate: 1e-3,
            warmup: 0.05,
            schedule: Schedule::Linear,
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
            spike: None,
            max_seconds: None,
            threads: 0,
        }
    }
}

impl SftConfig {
    /// Refuses the first setting outside its range.
    pub fn validate(&self) -> Result<()> {
        let pairs = pair_checks(self.rank, self.alpha, &self.targets);
        let own = [
            ("epochs", (1..=10_000).contains(&self.epochs), "must lie between 1 and 10000"),
            ("batch_samples", self.batch_samples > 0, "must be at least 1"),
            ("max_tokens", self.max_tokens != Some(0), "must be at least 1"),
        ];
        refuse(pairs.into_iter().chain(own), &self.course(0))
    }

    /// Optimiser steps in one pass over so many samples.
    pub fn steps_per_pass(&self, samples: usize) -> u64 {
        self.course(samples).steps_per_pass(samples)
    }

    /// Passes over so many samples: `epochs`, or what `min_steps` asks for.
    pub fn passes(&self, samples: usize) -> u64 {
        self.course(samples).passes
    }

    /// The loop of steps over so many samples.
    pub fn course(&self, samples: usize) -> Course {
        let mut course = Course { batch_samples: self.batch_samples, max_tokens: self.max_tokens, ..self.shared() };
        let fewest = self.min_steps.div_ceil(course.steps_per_pass(samples));
        course.passes = (self.epochs as u64).max(fewest);
        course
    }
}

settings! {
    /// Settings of training all weights, from nothing or from a model that is there.
    pub struct PretrainConfig {
        /// Tokens to read, prompts included: the texts are passed over as often as that takes. Without
        /// it, `epochs` counts.
        pub tokens: Option<u64>,
        /// Passes over the texts where `tokens` is not given; at least 1.
        pub epochs: usize,
        /// Tokens in one optimiser step, about: as many texts as hold them on average; at least 1.
        pub batch_tokens: usize,
        /// Learn prompts too, not only what follows them.
        pub learn_prompts: bool,
    }
}

impl Default for PretrainConfig {
    fn default() -> Self {
        Self {
            tokens: None,
            epochs: 1,
            batch_tokens: 2048,
            learn_prompts: false,
            row_tokens: 1024,
            recompute: false,
            truncate: false,
            learning_rate: 3e-3,
            warmup: 0.03,
            schedule: Schedule::Cosine,
            weight_decay: 0.1,
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-8,
            clip_norm: 1.0,
            seed: 0,
            checkpoint_every: 100,
            validation_every: 100,
            keep_best: false,
            patience: 0,
            spike: None,
            max_seconds: None,
            threads: 0,
        }
    }
}

/// Above so many weights a gradient for each of eight lanes would take too much memory; then rows
/// are computed one after the other.
const LANES_UP_TO: usize = 1 << 24;

/// Lanes for a model of so many weights.
fn lanes(weights: usize) -> usize {
    if weights <= LANES_UP_TO { 8 } else { 1 }
}

impl PretrainConfig {
    /// Refuses the first setting outside its range.
    pub fn validate(&self) -> Result<()> {
        let checks = [
            ("tokens", self.tokens != Some(0), "must be at least 1"),
            ("epochs", (1..=10_000).contains(&self.epochs), "must lie between 1 and 10000"),
            ("batch_tokens", self.batch_tokens > 0, "must be at least 1"),
        ];
        refuse(checks, &self.course(1, 1, 1))
    }

    /// The loop of steps over so many texts, which hold so many tokens, for a model of so many weights.
    pub fn course(&self, texts: usize, tokens: u64, weights: usize) -> Course {
        let tokens = tokens.max(1);
        let batch = (self.batch_tokens as f64 * texts as f64 / tokens as f64).round();
        Course {
            passes: self.tokens.map_or(self.epochs as u64, |wanted| wanted.div_ceil(tokens)),
            batch_samples: (batch as usize).clamp(1, texts.max(1)),
            lanes: lanes(weights),
            max_tokens: self.tokens,
            ..self.shared()
        }
    }
}

settings! {
    /// Settings of learning from preferences.
    pub struct PreferConfig {
        /// What is made small.
        pub loss: Loss,
        /// Rank of each low-rank pair; 1 to 1024. An adapter that training goes on from keeps its own
        /// rank, strength and projections.
        pub rank: usize,
        /// α; a projection changes by α / rank · B A. Above 0.
        pub alpha: f32,
        /// Scale by α / √rank instead, as rank-stabilised LoRA does.
        pub rank_stabilised: bool,
        /// Projections that are adapted, in every block; at least one.
        pub targets: BTreeSet<Projection>,
        /// Train all weights instead of pairs; an adapter that training goes on from is merged first.
        pub whole: bool,
        /// Passes over the preferences; at least 1.
        pub epochs: usize,
        /// Preferences in one optimiser step; at least 1. As many rows as they need are computed one
        /// after the other, so memory does not grow with it.
        pub batch_pairs: usize,
        /// Stop before the step that would read more tokens than this, both answers with their prompts
        /// counted whole; the schedule is stretched over the steps that are left.
        pub max_tokens: Option<u64>,
    }
}

impl Default for PreferConfig {
    fn default() -> Self {
        Self {
            loss: Loss::default(),
            rank: 16,
            alpha: 32.0,
            rank_stabilised: false,
            targets: Projection::ALL.into(),
            whole: false,
            epochs: 1,
            batch_pairs: 32,
            max_tokens: None,
            row_tokens: 1024,
            recompute: false,
            truncate: false,
            learning_rate: 1e-4,
            warmup: 0.1,
            schedule: Schedule::Linear,
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
            spike: Some(10.0),
            max_seconds: None,
            threads: 0,
        }
    }
}

impl PreferConfig {
    /// Refuses the first setting outside its range.
    pub fn validate(&self) -> Result<()> {
        self.loss.validate()?;
        let pairs = pair_checks(self.rank, self.alpha, &self.targets);
        let own = [
            ("epochs", (1..=10_000).contains(&self.epochs), "must lie between 1 and 10000"),
            ("batch_pairs", self.batch_pairs > 0, "must be at least 1"),
            ("max_tokens", self.max_tokens != Some(0), "must be at least 1"),
        ];
        refuse(pairs.into_iter().chain(own), &self.course(1))
    }

    /// The loop of steps for a model of so many weights.
    pub fn course(&self, weights: usize) -> Course {
        Course {
            passes: self.epochs as u64,
            batch_samples: self.batch_pairs,
            lanes: lanes(weights),
            max_tokens: self.max_tokens,
            ..self.shared()
        }
    }

    /// Optimiser steps over so many preferences, where no budget ends them sooner.
    pub fn steps(&self, preferences: usize) -> u64 {
        let course = self.course(1);
        course.steps_per_pass(preferences) * course.passes
    }
}

/// Name, whether it is fine, and what is allowed.
type Check = (&'static str, bool, &'static str);

fn pair_checks(rank: usize, alpha: f32, targets: &BTreeSet<Projection>) -> [Check; 3] {
    [
        ("rank", (1..=1024).contains(&rank), "must lie between 1 and 1024"),
        ("alpha", alpha.is_finite() && alpha > 0.0, "must be above 0"),
        ("targets", !targets.is_empty(), "must name a projection: q, k, v, o, gate, up, down"),
    ]
}

fn refuse(checks: impl IntoIterator<Item = Check>, course: &Course) -> Result<()> {
    let own = checks.into_iter().find(|(_, fine, _)| !fine).map(|(setting, _, problem)| (setting, problem));
    match own.or(course.problem()) {
        Some((setting, problem)) => Err(Error::Setting { setting, problem: problem.into() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_falls_and_never_reaches_zero() {
        for schedule in [Schedule::Cosine, Schedule::Linear, Schedule::Constant] {
            let config = SftConfig { schedule, warmup: 0.1, ..SftConfig::default() };
            let rates: Vec<f64> = (1..=100).map(|step| config.course(1).rate(step, 100)).collect();
            assert!((rates[0] - 1e-4).abs() < 1e-12 && (rates[9] - 1e-3).abs() < 1e-12 && rates[10] == 1e-3);
            assert!(rates[9..].windows(2).all(|w| w[1] <= w[0]) && rates.iter().all(|&r| r > 0.0));
        }
        let config = SftConfig { warmup: 0.0, ..SftConfig::default() };
        assert_eq!([1, 2].map(|step| config.course(1).rate(step, 2)), [1e-3, 5e-4]);
    }

    #[test]
    fn few_samples_are_passed_over_more_often() {
        let config = SftConfig::default();
        assert_eq!([5, 60, 1800, 18000].map(|n| config.passes(n)), [200, 40, 4, 4]);
        assert_eq!(config.steps_per_pass(60), 5);
    }

    #[test]
    fn a_token_budget_sets_passes_and_batches() {
        let config = PretrainConfig { tokens: Some(1_000_000), ..PretrainConfig::default() };
        let course = config.course(1000, 100_000, 1 << 20);
        assert_eq!((course.passes, course.batch_samples, course.max_tokens), (10, 20, Some(1_000_000)));
        assert_eq!((config.course(5, 500, 1).batch_samples, config.course(5, 500, 1 << 25).lanes), (5, 1));
        let bad = PretrainConfig { row_tokens: 3, ..config };
        assert!(bad.validate().expect_err("must fail").to_string().contains("row_tokens"));
    }

    #[test]
    fn bad_settings_are_named() {
        let bad = SftConfig { warmup: f64::NAN, ..SftConfig::default() };
        assert!(bad.validate().expect_err("must fail").to_string().contains("warmup"));
        assert!(SftConfig::default().validate().is_ok());
        assert!(serde_json::from_str::<SftConfig>(r#"{"rang": 3}"#).is_err());
        let bad = PreferConfig {
            loss: Loss::Dpo(crate::losses::Dpo { beta: 0.0, ..Default::default() }),
            ..Default::default()
        };
        assert!(bad.validate().expect_err("must fail").to_string().contains("loss.beta"));
        assert!(PreferConfig { spike: Some(1.0), ..Default::default() }.validate().is_err());
        let read: PreferConfig =
            serde_json::from_str(r#"{"loss": {"kind": "ipo", "beta": 0.2}, "batch_pairs": 8}"#).expect("works");
        assert_eq!((read.loss.name(), read.batch_pairs, read.steps(20)), ("ipo", 8, 3));
        assert!(read.validate().is_ok() && serde_json::from_str::<PreferConfig>(r#"{"batch_samples": 3}"#).is_err());
        let read: SftConfig = serde_json::from_str(r#"{"targets": ["q", "v"], "rank": 4}"#).expect("works");
        assert_eq!((read.rank, read.targets.len(), read.epochs), (4, 2, 4));
    }
}
