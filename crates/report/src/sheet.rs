//! The page of an examination: one record that every measuring verb fills in, and that a page and a
//! text are drawn from.

mod draw;
mod say;

use record::Manifest;
use serde::{Deserialize, Serialize};

pub use draw::sheet_page;
pub use say::sheet_text;

/// What was measured and what follows, in the order in which it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    /// Layout of this record; 1.
    pub schema_version: u32,
    /// Name of what was measured, e.g. of the exam.
    pub title: String,
    /// The result in one plain sentence, with its n and its interval.
    pub headline: String,
    /// What was read, as a number and its noun: `(12, "persons")`.
    pub read: Vec<(u64, String)>,
    /// What a reader must know beforehand: rows that were set aside, assumptions that do not hold.
    pub notes: Vec<String>,
    /// The parts of the page.
    pub sections: Vec<Section>,
    /// How it came to be.
    pub manifest: Option<Manifest>,
}

/// A heading with what stands below it: words, a figure, a table, each only if there is one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// Paragraphs of plain text.
    pub text: Vec<String>,
    /// A picture as SVG. It is put into the page as it is: only `plot` may make it, never a log.
    pub figure: Option<String>,
    /// What the figure shows, with its n.
    pub caption: String,
    /// A table.
    pub table: Option<Table>,
}

/// A table of cells that are ready to be read. Columns of numbers are set to the right.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Headings of the columns.
    pub columns: Vec<String>,
    /// Cells, row by row; a row may be shorter than the headings.
    pub rows: Vec<Vec<String>>,
    /// Name of the file beside the page in which all rows stand. A page shows [`Table::SHOWN`] at most.
    pub file: Option<String>,
}

impl Sheet {
    /// A sheet with nothing on it but a title and a result.
    pub fn new(title: impl Into<String>, headline: impl Into<String>) -> Self {
        let (title, headline) = (title.into(), headline.into());
        Self {
            schema_version: 1,
            title,
            headline,
            read: Vec::new(),
            notes: Vec::new(),
            sections: Vec::new(),
            manifest: None,
        }
    }
}

impl Section {
    /// A section with nothing below its heading.
    pub fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), ..Self::default() }
    }

    /// With one more paragraph.
    pub fn text(mut self, paragraph: impl Into<String>) -> Self {
        self.text.push(paragraph.into());
        self
    }

    /// With a picture, as `plot` gives it.
    pub fn figure(mut self, svg: impl Into<String>, caption: impl Into<String>) -> Self {
        (self.figure, self.caption) = (Some(svg.into()), caption.into());
        self
    }

    /// With a table.
    pub fn table(mut self, table: Table) -> Self {
        self.table = Some(table);
        self
    }
}

impl Table {
    /// Rows that a page shows at most, folded ones included; a browser grows slow with more.
    pub const SHOWN: usize = 1000;
    /// Rows that stand open; the rest is folded.
    const OPEN: usize = 16;

    /// A table with these headings and rows.
    pub fn new<C: Into<String>>(columns: impl IntoIterator<Item = C>, rows: Vec<Vec<String>>) -> Self {
        Self { columns: columns.into_iter().map(Into::into).collect(), rows, file: None }
    }

    /// All rows stand in this file beside the page.
    pub fn file(mut self, name: impl Into<String>) -> Self {
        self.file = Some(name.into());
        self
    }

    /// Whether a column holds numbers, intervals and dashes only, and at least one number.
    fn is_number(&self, column: usize) -> bool {
        let cells = || self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.trim());
        let number = |cell: &str| {
            let rest =
                cell.trim_start_matches(['+', '-', '\u{2212}', '[', '(', '<', '≤', '≥', '×', '±', '~', '.', ' ', '$']);
            rest.starts_with(|c: char| c.is_ascii_digit())
        };
        let empty = |cell: &str| matches!(cell, "" | "-" | "–" | "—" | "NaN" | "∞" | "\u{2212}∞");
        cells().all(|cell| number(cell) || empty(cell)) && cells().any(number)
    }

    /// How many rows no page shows.
    fn hidden(&self) -> usize {
        self.rows.len().saturating_sub(Self::SHOWN)
    }

    /// Where the rows are that are not shown, in words.
    fn rest(&self, shown: usize) -> Option<String> {
        let more = self.rows.len().checked_sub(shown).filter(|more| *more > 0)?;
        let more = crate::number::plural(more, "more row");
        Some(match &self.file {
            Some(file) => format!("{more}; all stand in {file}"),
            None => more,
        })
    }
}
