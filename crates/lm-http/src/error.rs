/// What can be wrong with the settings of a remote model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be used.
    #[error("address {address}: {problem}")]
    Address {
        /// The address, without credentials.
        address: String,
        /// What is wrong and what is right.
        problem: String,
    },
    /// The environment variable with the key is not set or cannot be sent.
    #[error("key in environment variable {variable}: {problem}")]
    Key {
        /// Name of the variable.
        variable: String,
        /// What is wrong.
        problem: String,
    },
    /// A setting is out of its range.
    #[error("setting {field} {problem}")]
    Setting {
        /// The setting.
        field: &'static str,
        /// What is wrong with it and which values are allowed.
        problem: String,
    },
    /// The HTTP client could not be made.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;
