use std::path::PathBuf;

/// What can go wrong when records are read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused; `operation` says what was tried.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `read`, `write`, `rename`.
        operation: &'static str,
        /// The file in question.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A line is not the record that was expected.
    #[error("{}:{line}: not a valid {record} record: {source}", path.display())]
    Line {
        /// The file in question.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The record type's name.
        record: &'static str,
        /// serde's own words, which name the field.
        source: serde_json::Error,
    },
    /// A record cannot be written as JSON.
    #[error("cannot encode a {record} record: {source}")]
    Encode {
        /// The record type's name.
        record: &'static str,
        /// serde's own words.
        source: serde_json::Error,
    },
}

impl Error {
    /// Wraps a system error with what was tried on which path.
    pub fn io(operation: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { operation, path: path.into(), source }
    }
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;
