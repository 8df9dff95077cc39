use std::path::PathBuf;

/// What can go wrong with an exam.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read, or a line of it is no record.
    #[error(transparent)]
    Record(#[from] record::Error),
    /// An item of a bank file cannot be used as it stands.
    #[error("{}:{line}: item {item:?}: field `{field}` {problem}", path.display())]
    Item {
        /// The bank file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// Id of the item.
        item: String,
        /// The field that is wrong.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A bank without items.
    #[error("{}: the bank holds no item", path.display())]
    Empty {
        /// The bank file.
        path: PathBuf,
    },
    /// An exam or control item was about to be used for training or selection.
    #[error(
        "{stage}: item {item:?} belongs to the {bank} bank and may not be used here; use a practice or validation \
         bank, or allow it explicitly, which is stamped into the report"
    )]
    Sealed {
        /// Stage that asked.
        stage: String,
        /// The first such item.
        item: String,
        /// Its bank.
        bank: &'static str,
    },
    /// A setting is out of its range.
    #[error("exam settings: `{field}` {problem}")]
    Config {
        /// The setting.
        field: &'static str,
        /// Which values are allowed.
        problem: &'static str,
    },
    /// An open-book exam was asked for without a book.
    #[error("an open-book exam needs documents to look things up in; give some, or sit it closed-book")]
    NoBook,
    /// Two sittings do not cover the same items.
    #[error("sittings of different banks cannot be compared: {problem}")]
    Differs {
        /// What differs, with an item's id.
        problem: String,
    },
    /// The question of GAOKAO-Eval cannot be asked: difficulty is missing, or there is too little of it.
    #[error("{problem}")]
    Difficulty {
        /// What is missing.
        problem: String,
    },
    /// A paper or an answer cannot be read as it stands.
    #[error("{}:{line}: {problem}", path.display())]
    Paper {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong, with the field.
        problem: String,
    },
    /// A table is no CSV.
    #[error("{}: {source}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        source: csv::Error,
    },
    /// A cell of a table cannot be used as it stands.
    #[error("{}:{line}: column `{column}`: {problem}", path.display())]
    Cell {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A mark does not fit the table.
    #[error(transparent)]
    Marks(#[from] marks::Error),
    /// Judges cannot be held against people.
    #[error("graders are held against people who marked the same answers; {missing} are missing")]
    Uncalibrated {
        /// What is missing.
        missing: &'static str,
    },
    /// Too few independent facts for a standard error.
    #[error("{clusters} independent facts are too few for a standard error; give items about 2 or more facts")]
    TooFew {
        /// How many there are.
        clusters: usize,
    },
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;
