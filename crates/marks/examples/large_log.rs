//! Writes a CSV of about 1 GB with one broken line in the middle, reads it, and says how long that took
//! and how much memory it needed at most:
//!
//! ```text
//! cargo run --release -p marks --example large_log -- /tmp/large.csv
//! ```

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

const PERSONS: u64 = 2000;
const ITEMS: u64 = 20_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = PathBuf::from(std::env::args().nth(1).ok_or("where to? name a file")?);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
    writeln!(file, "model,question_id,correct")?;
    for person in 0..PERSONS {
        for item in 0..ITEMS {
            if (person, item) == (PERSONS / 2, ITEMS / 2) {
                writeln!(file, "\"model-{person:04},question-{item:05},1")?;
            }
            writeln!(file, "model-{person:04},question-{item:05},{}", (person * 31 + item * 17) % 3 / 2)?;
        }
    }
    file.flush()?;
    let size = std::fs::metadata(&path)?.len();
    let before = peak().unwrap_or(0);
    let begin = Instant::now();
    let read = marks::read(std::slice::from_ref(&path), &marks::Options::default())?;
    let (seconds, rows) = (begin.elapsed().as_secs_f64(), read.marks.rows().len());
    for note in &read.notes {
        println!("{note}");
    }
    println!("{rows} scores from {size} bytes in {seconds:.1} s, {:.0} MB/s", size as f64 / seconds / 1e6);
    if let Some(after) = peak() {
        let each = (after - before) as f64 / rows as f64;
        println!("at most {} MB of memory, {each:.1} bytes a score", after / 1_000_000);
    }
    Ok(())
}

/// The most memory that this process ever held, in bytes, where the system tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().trim_end_matches(" kB").parse::<u64>().ok()?)
}
