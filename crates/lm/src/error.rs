/// What can go wrong when a model is asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The model cannot do this at all.
    #[error("model {model} cannot {what}")]
    Unsupported {
        /// Name of the model.
        model: String,
        /// What was asked, as a verb: `return log-probabilities`.
        what: String,
    },
    /// A field of the request is out of its range.
    #[error("bad request: {field} {problem}")]
    Request {
        /// The field.
        field: &'static str,
        /// What is wrong with it and which values are allowed.
        problem: String,
    },
    /// Prompt and completion do not fit.
    #[error("{tokens} tokens do not fit the context of {limit} tokens of model {model}")]
    Context {
        /// Name of the model.
        model: String,
        /// Tokens of prompt and asked completion.
        tokens: usize,
        /// Tokens that fit.
        limit: usize,
    },
    /// No adapter of this name is loaded.
    #[error("model {model} has no adapter {adapter:?}")]
    Adapter {
        /// Name of the model.
        model: String,
        /// Name of the adapter.
        adapter: String,
    },
    /// The server could not be reached or broke off, after all retries.
    #[error("{endpoint}: {problem} (after {attempts} attempts)")]
    Transport {
        /// The address, without credentials.
        endpoint: String,
        /// What happened last.
        problem: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The server answered with an error that a retry does not mend.
    #[error("{endpoint}: refused with status {status}: {problem}")]
    Refused {
        /// The address, without credentials.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// The server's words, shortened.
        problem: String,
    },
    /// The answer is not what the protocol says.
    #[error("{endpoint}: answer not understood: {problem}")]
    Protocol {
        /// The address, without credentials.
        endpoint: String,
        /// What is missing or wrong.
        problem: String,
    },
    /// A logit, probability or vector is NaN or infinite.
    #[error("model {model} computed a number that is not finite in {place}")]
    NonFinite {
        /// Name of the model.
        model: String,
        /// Where it was noticed.
        place: String,
    },
    /// A limit of tokens, money or time is used up.
    #[error("budget used up: {0}")]
    Budget(String),
    /// The engine stopped, or an invariant of it broke.
    #[error("engine: {0}")]
    Engine(String),
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;
