use std::path::PathBuf;

/// Why a document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused; `operation` says what was tried.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file or folder in question.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// Nothing to read was found.
    #[error("no documents in {}: looked for files that end in {endings}; name the folder that holds them", path.display())]
    NoDocuments {
        /// The folder that was searched.
        path: PathBuf,
        /// The endings that were looked for.
        endings: String,
    },
    /// The ending is none of the known ones.
    #[error("{} ends in none of the known endings ({}); convert it first", path.display(), crate::ENDINGS.join(", "))]
    Unknown {
        /// The file in question.
        path: PathBuf,
    },
    /// The id leads out of the documents' folder.
    #[error("document `{id}` does not lie inside {}; use an id that the folder's list names", root.display())]
    Outside {
        /// The id as asked for.
        id: String,
        /// The documents' folder.
        root: PathBuf,
    },
    /// The file is larger than the limit.
    #[error("{} has {megabytes} MB, the limit is {limit} MB; split it, or raise `max_megabytes`", path.display())]
    TooLarge {
        /// The file in question.
        path: PathBuf,
        /// Its size, rounded up.
        megabytes: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The bytes are no text in any encoding.
    #[error("{} is binary, not text; give it its true ending or convert it to text", path.display())]
    Binary {
        /// The file in question.
        path: PathBuf,
    },
    /// Nothing is left when menus and white space are taken away.
    #[error("{} holds no text (empty, or nothing but menus and links)", path.display())]
    NoText {
        /// The file in question.
        path: PathBuf,
    },
    /// The PDF shows pictures of pages only.
    #[error("{} has no text layer (scanned pages?); run it through OCR first, e.g. with ocrmypdf", path.display())]
    NoTextLayer {
        /// The file in question.
        path: PathBuf,
    },
    /// The PDF is broken, encrypted, or uses what the reader does not know.
    #[error("cannot read the PDF {}: {problem}; save it anew or convert it to text", path.display())]
    Pdf {
        /// The file in question.
        path: PathBuf,
        /// The reader's own words.
        problem: String,
    },
}

impl Error {
    /// Wraps a system error with what was tried on which path.
    pub fn io(operation: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { operation, path: path.into(), source }
    }

    /// One stable word for counting.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Io { .. } => "unreadable",
            Self::NoDocuments { .. } => "no-documents",
            Self::Unknown { .. } => "unknown-format",
            Self::Outside { .. } => "outside",
            Self::TooLarge { .. } => "too-large",
            Self::Binary { .. } => "binary",
            Self::NoText { .. } => "no-text",
            Self::NoTextLayer { .. } => "no-text-layer",
            Self::Pdf { .. } => "broken-pdf",
        }
    }
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;
