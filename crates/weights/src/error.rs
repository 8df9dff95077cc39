use std::path::PathBuf;

/// What can go wrong when weights are read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused; `operation` says what was tried.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `open`, `map`, `write`.
        operation: &'static str,
        /// The file in question.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// The file is not what its name says, or is damaged.
    #[error("{} is not readable: {problem}; {hint}", path.display())]
    Format {
        /// The file in question.
        path: PathBuf,
        /// What was found.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// A setting that the model needs is missing or has the wrong type.
    #[error("{}: setting `{key}` {problem}", path.display())]
    Setting {
        /// The file in question.
        path: PathBuf,
        /// GGUF metadata key or config.json field.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The model asks for something this program does not compute.
    #[error("{}: {feature} is not supported; {hint}", path.display())]
    Unsupported {
        /// The file in question.
        path: PathBuf,
        /// What the model asks for.
        feature: String,
        /// What to do.
        hint: &'static str,
    },
    /// A tensor is missing, lies outside its file, has the wrong shape or is not finite.
    #[error("{}: tensor `{tensor}` {problem}; {hint}", path.display())]
    Tensor {
        /// The file in question.
        path: PathBuf,
        /// The tensor's name in the file.
        tensor: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// The tokenizer cannot be built from what the file says.
    #[error("{}: tokenizer: {problem}", path.display())]
    Tokenizer {
        /// The file in question.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The chat template does not render, or there is none.
    #[error("chat template: {problem}; {hint}")]
    Template {
        /// The template engine's words.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// An adapter does not fit the model or asks for something that is not computed.
    #[error("adapter {}: {problem}", path.display())]
    Adapter {
        /// The adapter's folder or file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// The usual way out of a damaged file.
pub(crate) const FETCH_AGAIN: &str = "the file is damaged or only partly downloaded, fetch it again";

impl Error {
    /// Wraps a system error with what was tried on which path.
    pub fn io(operation: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { operation, path: path.into(), source }
    }
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;
