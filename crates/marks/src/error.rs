use std::path::PathBuf;

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
    /// A file or folder cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file that holds no marks.
    #[error("{}: {problem}", path.display())]
    NoLog {
        /// The file or folder.
        path: PathBuf,
        /// What it is instead, and what would help.
        problem: String,
    },
    /// Something broken in a log; an error where the reading is strict.
    #[error("{}{}: {problem} ({reason})", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Broken {
        /// The log.
        path: PathBuf,
        /// Its line or row, from 1.
        line: Option<u64>,
        /// A stable word.
        reason: &'static str,
        /// In a sentence.
        problem: String,
    },
    /// One person has two different scores where only one can be.
    #[error(
        "person {person:?} has {first} and {second} for item {item:?}{}, attempt {attempt} ({} and {}); choose the \
         first or their mean, or give each attempt its number",
        grader.as_ref().map(|grader| format!(" by grader {grader:?}")).unwrap_or_default(), paths.0.display(),
        paths.1.display()
    )]
    Contradiction {
        /// Name of the person.
        person: String,
        /// Id of the item.
        item: String,
        /// Name of the grader, if there is one.
        grader: Option<String>,
        /// Number of the attempt.
        attempt: u16,
        /// The first score.
        first: f64,
        /// Another one.
        second: f64,
        /// The logs that say so; often twice the same.
        paths: Box<(PathBuf, PathBuf)>,
    },
    /// Logs without a single score that counts.
    #[error("no score in {}{}", path.display(), because.as_ref().map(|b| format!(": {b}")).unwrap_or_default())]
    Empty {
        /// The first path that was given.
        path: PathBuf,
        /// The first thing that was set aside.
        because: Option<String>,
    },
}

impl Error {
    /// A file that holds no marks.
    pub(crate) fn no_log(path: &std::path::Path, problem: impl Into<String>) -> Self {
        Self::NoLog { path: path.into(), problem: problem.into() }
    }

    /// For `map_err` on a file.
    pub(crate) fn file(action: &'static str, path: &std::path::Path) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::File { action, path: path.into(), source }
    }
}

/// Result of this room.
pub type Result<T> = std::result::Result<T, Error>;
