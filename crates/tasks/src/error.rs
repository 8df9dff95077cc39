use std::path::PathBuf;

use crate::{Kind, Split};

/// What can go wrong with problems.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A difficulty outside 1 to 9.
    #[error("difficulty {difficulty} does not exist; choose 1 (easiest) to 9")]
    Difficulty {
        /// As asked.
        difficulty: u8,
    },
    /// A name that no kind or split has.
    #[error("no {what} is called {name:?}; choose one of: {known}")]
    Unknown {
        /// `kind` or `split`.
        what: &'static str,
        /// As given.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// The kind has fewer distinct questions of this difficulty than were asked for.
    #[error(
        "{kind} of difficulty {difficulty}: {asked} distinct questions of the {split} split were asked for and only \
         {found} found; ask for fewer, or raise the difficulty"
    )]
    TooFew {
        /// Kind of the problems.
        kind: Kind,
        /// Their difficulty.
        difficulty: u8,
        /// Their split.
        split: Split,
        /// How many were asked for.
        asked: usize,
        /// How many there are, as far as a long search could tell.
        found: usize,
    },
    /// An exam problem was about to become a training sample, or a problem claims another split
    /// than its question has.
    #[error(
        "problem {id:?}: its question belongs to the {split} split and cannot be a {wanted} record; problems of the \
         exam split are never learned from"
    )]
    Sealed {
        /// Id of the problem.
        id: String,
        /// The split that the question's text decides.
        split: Split,
        /// What was to be made of it.
        wanted: &'static str,
    },
    /// A file of a public set cannot be read, or a line of it is no record.
    #[error(transparent)]
    Record(#[from] record::Error),
    /// A line of a public set cannot be used.
    #[error("{}:{line}: {problem}; fetch the set again with `lyceum pull`", path.display())]
    Public {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;
