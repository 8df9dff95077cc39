/// What can go wrong when a model is loaded or an adapter is added. Requests fail with
/// [`lm::Error`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Weights(#[from] weights::Error),
    /// The model has a shape that the kernels don't compute.
    #[error("model {model}: {problem}")]
    Unsupported {
        /// Name of the model.
        model: String,
        /// What it has, and what is computed.
        problem: String,
    },
    /// A setting is out of its range.
    #[error("setting {field} {problem}")]
    Config {
        /// The field of [`crate::Config`].
        field: &'static str,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// An adapter does not fit the model.
    #[error("adapter {name:?} {problem}")]
    Adapter {
        /// Name under which it was to be added.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The system gave no thread.
    #[error("cannot start the engine's threads: {0}")]
    Threads(std::io::Error),
    /// The engine's thread has ended.
    #[error("the engine has stopped after an internal error; load the model again")]
    Stopped,
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;
