/// What can go wrong while samples are made. A single fact that fails is a drop, not an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is out of its range.
    #[error("synth setting `{field}` {problem}")]
    Config {
        /// The field's name.
        field: &'static str,
        /// What it must be.
        problem: &'static str,
    },
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;
