use std::path::PathBuf;

/// What can go wrong with a search.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One of the calls to the model failed. Nothing is tried again here; whoever talks to a server
    /// has done so already.
    #[error("search: {operation} at node {node}: {source}")]
    Model {
        /// Node whose continuation was asked for.
        node: usize,
        /// What was done: `roll out a step`.
        operation: &'static str,
        /// The model's error.
        source: lm::Error,
    },
    /// No strategy of this name.
    #[error("no strategy is called {name:?}; the strategies are {}", crate::Strategy::names().join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// A setting of a strategy is out of its range, or not known.
    #[error("strategy {strategy}: {problem}")]
    Setting {
        /// The strategy.
        strategy: String,
        /// The setting, what is wrong with it, and which values are allowed.
        problem: String,
    },
    /// A field of the request is out of its range.
    #[error("search request: `{field}` {problem}")]
    Request {
        /// The field.
        field: &'static str,
        /// What is wrong with it and which values are allowed.
        problem: String,
    },
    /// The strategy needs something that is not there.
    #[error("strategy {strategy} needs {what}; {hint}")]
    Needs {
        /// The strategy.
        strategy: String,
        /// What is missing.
        what: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// A score is NaN or infinite.
    #[error("search: {what} of node {node} is not a finite number")]
    NonFinite {
        /// The node.
        node: usize,
        /// Which number.
        what: &'static str,
    },
    /// A saved search is not a tree, or its numbers do not follow from each other.
    #[error("search record: {problem}")]
    Record {
        /// Which node or round, and what is wrong.
        problem: String,
    },
    /// A saved search cannot be read or written.
    #[error("{operation} search {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;
