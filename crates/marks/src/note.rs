use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Something in a log that did not become a mark as it stood: one note for each file and reason, and one
/// for all files of which the same is to be said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The file or folder, the first of [`Self::files`].
    pub path: PathBuf,
    /// Line or row of the first one, from 1, where the file has lines.
    pub line: Option<u64>,
    /// A stable word, e.g. `not-json`, `over-max`, `duplicate`.
    pub reason: &'static str,
    /// The first one, in a sentence.
    pub detail: String,
    /// How many there are.
    pub count: u64,
    /// In how many files.
    pub files: u64,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {} ({}", self.detail, self.reason)?;
        match (self.count, self.files) {
            (1, _) => write!(f, ")"),
            (count, 1) => write!(f, ", {count} in all)"),
            (count, files) => write!(f, ", {count} in all, in {files} files)"),
        }
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
        self.notes.push(Note { path: path.into(), line, reason, detail: detail(), count: 1, files: 1 });
    }

    pub fn first(&self) -> Option<&Note> {
        self.notes.first()
    }

    /// The notes in the order of their first files; what is said of several files in the same words, once.
    pub fn into_inner(self) -> Vec<Note> {
        let mut said: Vec<Note> = Vec::new();
        let mut place = HashMap::new();
        for note in self.notes {
            match place.entry((note.reason, note.detail.clone())) {
                Entry::Occupied(at) => {
                    let first: &mut Note = &mut said[*at.get()];
                    (first.count, first.files) = (first.count + note.count, first.files + 1);
                }
                Entry::Vacant(free) => {
                    free.insert(said.len());
                    said.push(note);
                }
            }
        }
        said
    }
}
