use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Something in a log that did not become a mark as it stood: one note for each file and reason; what
/// is a choice among what logs offer, and no fault of a file, is said once of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The file or folder.
    pub path: PathBuf,
    /// Line or row of the first one, from 1, where the file has lines.
    pub line: Option<u64>,
    /// A stable word, e.g. `not-json`, `over-max`, `duplicate`.
    pub reason: &'static str,
    /// The first one, in a sentence.
    pub detail: String,
    /// How many there are.
    pub count: u64,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {} ({}", self.detail, self.reason)?;
        if self.count > 1 { write!(f, ", {} in all)", self.count) } else { write!(f, ")") }
    }
}

/// Notes, gathered by file and reason.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    notes: Vec<Note>,
    of_path: HashMap<PathBuf, Vec<usize>>,
}

impl Notes {
    /// Counts one, or keeps it if it is the first.
    pub fn add(&mut self, path: &Path, line: Option<u64>, reason: &'static str, detail: impl FnOnce() -> String) {
        let same = |at: &&usize| self.notes[**at].reason == reason;
        if let Some(&at) = self.of_path.get(path).and_then(|of_path| of_path.iter().find(same)) {
            self.notes[at].count += 1;
            return;
        }
        self.of_path.entry(path.into()).or_default().push(self.notes.len());
        self.notes.push(Note { path: path.into(), line, reason, detail: detail(), count: 1 });
    }

    /// As [`add`](Self::add), of a choice: the file that offers the same as one before is only counted.
    pub fn add_choice(&mut self, path: &Path, line: Option<u64>, reason: &'static str, detail: String) {
        match self.notes.iter_mut().find(|note| note.reason == reason && note.detail == detail) {
            Some(note) => note.count += 1,
            None => self.notes.push(Note { path: path.into(), line, reason, detail, count: 1 }),
        }
    }

    pub fn first(&self) -> Option<&Note> {
        self.notes.first()
    }

    pub fn into_inner(self) -> Vec<Note> {
        self.notes
    }
}
