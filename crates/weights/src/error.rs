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
    /// What the chat template writes for a finished conversation does not begin with the prompt.
    #[error(
        "chat template: prefix mismatch: the open prompt goes on with {prompt}, the whole conversation with {whole}; training on it would show the model what generation never does, use a model whose template keeps its prompt"
    )]
    UnstableTemplate {
        /// The prompt from the first difference on, quoted.
        prompt: String,
        /// The conversation from there on, quoted.
        whole: String,
    },
    /// The chat template cannot open the model's turn.
    #[error(
        "chat template: no generation mark: it ignores `add_generation_prompt`, so {header} would be learned before each answer and stand before none that is generated; use a model whose template opens the model's turn"
    )]
    UnopenedTemplate {
        /// What stands between prompt and answer, quoted.
        header: String,
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
