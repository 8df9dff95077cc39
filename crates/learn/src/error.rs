use std::path::PathBuf;

/// What can go wrong while learning.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting lies outside its range.
    #[error("setting `{setting}` {problem}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// What is wrong with it and what is allowed.
        problem: String,
    },
    /// There is nothing to learn from.
    #[error("no training samples were given; check the synthesis stage's drops for the reason")]
    NoSamples,
    /// Not one sample can be learned by this model.
    #[error("none of the {count} samples can be learned by this model ({reasons}); the first: {first}")]
    Unlearnable {
        /// How many there are.
        count: usize,
        /// A count for each reason.
        reasons: String,
        /// What is wrong with the first.
        first: String,
    },
    /// A data file cannot be used at all.
    #[error("{} {problem}; {hint}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What was found.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// A data file mixes formats.
    #[error("{}, {place}: {problem}; a file has one format, split it", path.display())]
    Mixed {
        /// The file.
        path: PathBuf,
        /// The first line of another format.
        place: String,
        /// Which field tells, and what it tells.
        problem: String,
    },
    /// A sample cannot be learned from as it is.
    #[error("sample {id}: {problem}")]
    Sample {
        /// The sample's id.
        id: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The chat template does not render a sample, or not so that it could be learned from.
    #[error("sample {id}: {source}")]
    Template {
        /// The sample's id.
        id: String,
        /// What the template does.
        source: weights::Error,
    },
    /// A sample is longer than a packed row.
    #[error("sample {id} has {tokens} tokens, a row holds {row_tokens}; raise `row_tokens` or set `truncate`")]
    SampleTooLong {
        /// The sample's id.
        id: String,
        /// Its length, prompt and completion.
        tokens: usize,
        /// The length of a row.
        row_tokens: usize,
    },
    /// No preference is left to learn from.
    #[error("none of the {given} preferences can be learned from: {}", .reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>().join(", "))]
    NothingLeft {
        /// How many were given.
        given: usize,
        /// Why they were left out, and how many of each.
        reasons: Vec<(String, usize)>,
    },
    /// A loss or gradient is no finite number any more.
    #[error("the {what} of step {step} is not finite (samples {}); {}; lower the learning rate or look at these samples", samples.join(", "), last_good(.state))]
    NotFinite {
        /// `loss` or `gradient`.
        what: &'static str,
        /// The optimiser step, from 1.
        step: u64,
        /// Ids of the samples in the step.
        samples: Vec<String>,
        /// The step of the last good state on disk, and its file; none before one was saved.
        state: Option<(u64, PathBuf)>,
    },
    /// The folder holds the state of another training.
    #[error("{} belongs to a training with other {what}; use another folder or remove it", path.display())]
    OtherTraining {
        /// The state's file.
        path: PathBuf,
        /// What differs: `weights`, `settings` or `samples`.
        what: &'static str,
    },
    /// The saved state cannot be read.
    #[error("{} is not a training state: {problem}; remove it to begin again", path.display())]
    State {
        /// The state's file.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// The threads could not be started.
    #[error("cannot start {threads} threads: {source}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// The system's own words.
        source: rayon::ThreadPoolBuildError,
    },
    /// The model's file or template.
    #[error(transparent)]
    Weights(#[from] weights::Error),
    /// Files of the run.
    #[error(transparent)]
    Record(#[from] record::Error),
}

fn last_good(state: &Option<(u64, PathBuf)>) -> String {
    match state {
        Some((step, path)) => format!("the state after step {step} is the last good one, in {}", path.display()),
        None => "no state was saved before".into(),
    }
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;
