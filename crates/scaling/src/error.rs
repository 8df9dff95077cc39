use std::path::PathBuf;

use thiserror::Error;

/// What this room's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why losses or accuracies could not be read or fitted.
#[derive(Debug, Error)]
pub enum Error {
    /// A number is infinite or no number at all.
    #[error("{what} of {model}, column {column}, is {value}; leave the model or the column out")]
    NotFinite {
        /// Which number.
        what: &'static str,
        /// The model's name.
        model: String,
        /// The column's index, from 0.
        column: usize,
        /// The number.
        value: f64,
    },
    /// An accuracy lies outside 0 to 1.
    #[error("accuracy of {model} on {task} is {value}; give shares between 0 and 1")]
    Accuracy {
        /// The task's name.
        task: String,
        /// The model's name.
        model: String,
        /// What was given.
        value: f64,
    },
    /// A standard error, a size or a number of tokens is not above 0.
    #[error("{what} of {model} is {value}; it must be above 0")]
    NotPositive {
        /// Which number.
        what: &'static str,
        /// The model's name.
        model: String,
        /// What was given.
        value: f64,
    },
    /// Two lists that belong together have different lengths.
    #[error("{what} has {got} entries where {expected} belong")]
    Length {
        /// Which list.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length that it should have.
        expected: usize,
    },
    /// The data cannot bear the model.
    #[error("{problem}; {hint}")]
    Data {
        /// What is missing.
        problem: String,
        /// What could be done.
        hint: &'static str,
    },
    /// A setting lies outside its range.
    #[error("{setting} {problem}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A file of losses could not be read or written.
    #[error("{operation} {path}: {source}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file does not hold what its beginning says.
    #[error("{path} is no matrix of losses: {problem}; write it anew")]
    Format {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}
