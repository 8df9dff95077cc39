use std::path::PathBuf;

/// What can go wrong when an encoder is read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused to read a file.
    #[error("cannot read {}: {source}; `lyceum pull minilm` fetches it", path.display())]
    Io {
        /// The file in question.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// The file is not what its name says, or is damaged.
    #[error("{} is not readable: {problem}; remove it and pull it again", path.display())]
    Format {
        /// The file in question.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// The model asks for something this program does not compute.
    #[error("{}: setting `{key}` {problem}; only BERT encoders with absolute positions and gelu are read", path.display())]
    Setting {
        /// The file in question.
        path: PathBuf,
        /// The field.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A tensor is missing, of another type or shape, or not finite.
    #[error("{}: tensor `{tensor}` {problem}; remove the file and pull it again", path.display())]
    Tensor {
        /// The file in question.
        path: PathBuf,
        /// The tensor's name in the file.
        tensor: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;
