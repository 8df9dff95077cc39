/// What can be wrong with numbers to draw.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing finite is left to draw.
    #[error("nothing to draw: {what} are empty or not finite")]
    Empty {
        /// What is empty.
        what: &'static str,
    },
    /// Two lists that belong together have different lengths.
    #[error("{what}: {found} numbers where {expected} belong")]
    Length {
        /// Which list.
        what: String,
        /// Its length.
        found: usize,
        /// The length that it should have.
        expected: usize,
    },
    /// A width that no picture can have.
    #[error("a picture of {width} pixels: 16 to {most} can be made")]
    Width {
        /// What was asked for.
        width: u32,
        /// The most.
        most: u32,
    },
    /// The picture could not be turned into pixels.
    #[error("the picture was not drawn: {0}")]
    Raster(String),
}

/// Result of this room.
pub type Result<T> = std::result::Result<T, Error>;
