//! Reads arbitrary bytes as a log. Run one target a reader, e.g.
//!
//! ```text
//! cd crates/marks && cargo +nightly fuzz run csv -- -max_total_time=600
//! ```
//!
//! The samples under `tests/data` are good first inputs: copy those of a format to `fuzz/corpus/TARGET`.

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::Corpus;
use marks::{Duplicates, Format, Options};

/// A folder of this process, in memory where there is one.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = base.join(format!("marks-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
});

/// Reads `data` as a file of that name, and looks whether what comes out can be. Inputs of another
/// format are not worth keeping.
pub fn read(name: &str, format: Format, data: &[u8]) -> Corpus {
    let path = FOLDER.join(name);
    std::fs::write(&path, data).expect("a file");
    let options = Options { duplicates: Duplicates::Mean, ..Options::default() };
    let Ok(read) = marks::read(&[path], &options) else { return Corpus::Keep };
    for row in read.marks.rows() {
        let most = read.marks.items()[row.item as usize].max;
        assert!(row.score >= 0.0 && f64::from(row.score) <= most * (1.0 + 1e-6), "{row:?} of {most}");
    }
    if read.sources.iter().all(|source| source.format == format) { Corpus::Keep } else { Corpus::Reject }
}
