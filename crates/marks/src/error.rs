/// What can be wrong with marks.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A score that an item cannot have.
    #[error("person {person:?} has {score} for item {item:?}, which gives 0 to {max}")]
    Score {
        /// Name of the person.
        person: String,
        /// Id of the item.
        item: String,
        /// The score.
        score: f64,
        /// The most that the item gives.
        max: f64,
    },
    /// More persons, items or graders than the table can number.
    #[error("there are more than {most} {what}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// The most.
        most: usize,
    },
}

/// Result of this room.
pub type Result<T> = std::result::Result<T, Error>;
