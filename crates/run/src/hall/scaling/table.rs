//! Tables of models: a head, then a model a line.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A CSV file whose lines are models.
pub(crate) struct Table {
    path: PathBuf,
    pub head: Vec<String>,
    /// Line in the file, and its cells.
    rows: Vec<(u64, Vec<String>)>,
}

impl Table {
    /// Reads a file; every line must have as many cells as the head.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |problem: String| Error::Nothing {
            problem: format!("{}: {problem}", path.display()),
            hint: "write comma-separated values: a head, then a model a line".into(),
        };
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(|e| wrong(e.to_string()))?;
        let head: Vec<String> = reader.headers().map_err(|e| wrong(e.to_string()))?.iter().map(Into::into).collect();
        if let Some(name) = head.iter().enumerate().find(|(at, name)| head[..*at].contains(name)).map(|(_, name)| name)
        {
            return Err(wrong(format!("two columns are called {name}")));
        }
        let row = |record: csv::Result<csv::StringRecord>| {
            let record = record.map_err(|e| wrong(e.to_string()))?;
            let line = record.position().map_or(0, csv::Position::line);
            Ok((line, record.iter().map(Into::into).collect()))
        };
        let rows = reader.records().map(row).collect::<Result<Vec<_>>>()?;
        if rows.is_empty() {
            return Err(wrong("it has no line below its head".into()));
        }
        Ok(Self { path: path.into(), head, rows })
    }

    /// An error about this file.
    pub fn wrong(&self, problem: impl std::fmt::Display, hint: &str) -> Error {
        Error::Nothing { problem: format!("{}: {problem}", self.path.display()), hint: hint.into() }
    }

    /// Number of models.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Place of the first of these columns that there is.
    pub fn find(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.head.iter().position(|head| head.eq_ignore_ascii_case(name)))
    }

    /// A column as text.
    pub fn texts(&self, column: usize) -> Vec<String> {
        self.rows.iter().map(|(_, cells)| cells[column].clone()).collect()
    }

    /// A column as numbers, every one finite.
    pub fn numbers(&self, column: usize) -> Result<Vec<f64>> {
        let number = |(line, cells): &(u64, Vec<String>)| {
            let cell = &cells[column];
            cell.parse().ok().filter(|x: &f64| x.is_finite()).ok_or_else(|| {
                self.wrong(
                    format!("line {line}, column {}: {cell:?} is no number", self.head[column]),
                    "write a finite number",
                )
            })
        };
        self.rows.iter().map(number).collect()
    }

    /// Whether every cell of a column is a number.
    pub fn is_number(&self, column: usize) -> bool {
        self.rows.iter().all(|(_, cells)| cells[column].parse::<f64>().is_ok())
    }
}
