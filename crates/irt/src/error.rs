use thiserror::Error;

/// What this room's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why responses could not be read or fitted.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Error {
    /// A response names a person or an item outside the design, or a score outside its item.
    #[error("response {at}: {problem}")]
    Response {
        /// Its place among the responses that were given, from 0.
        at: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The same person answered the same item twice.
    #[error("person {person} answered item {item} more than once; keep one response, or make each occasion an item")]
    Twice {
        /// The person's index.
        person: usize,
        /// The item's index.
        item: usize,
    },
    /// The data cannot bear the model.
    #[error("{problem}; {hint}")]
    Data {
        /// What is missing.
        problem: String,
        /// What could be done.
        hint: &'static str,
    },
    /// Who waited for a fit ended it.
    #[error("the fit was ended before it was done")]
    Stopped,
    /// A setting lies outside its range.
    #[error("{setting} {problem}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A number became infinite or no number at all.
    #[error("{what} of item {item} is not finite; the item may be answered alike by everybody")]
    NotFinite {
        /// Which number.
        what: &'static str,
        /// The item's index.
        item: usize,
    },
}
