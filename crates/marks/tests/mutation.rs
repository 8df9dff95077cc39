//! Spoilt copies of every sample log, thousands of them: no reader may panic or let an impossible score in.

use std::fs;
use std::path::{Path, PathBuf};

use marks::{Duplicates, Marks, Options};

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}

/// What stands in logs, or should not.
const WORDS: [&[u8]; 16] = [
    b"\"",
    b",",
    b"\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"NaN",
    b"-1",
    b"1e308",
    b"\\u0000",
    b"\xff",
    b"\0",
    b":",
    b"99999999999999999999",
];

fn spoil(bytes: &mut Vec<u8>, others: &[Vec<u8>], chance: &mut Chance) {
    for _ in 0..1 + chance.below(4) {
        let at = chance.below(bytes.len());
        let end = (at + chance.below(64)).min(bytes.len());
        match chance.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << chance.below(8),
            1 if !bytes.is_empty() => bytes[at] = chance.below(256) as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => drop(bytes.splice(at..at, WORDS[chance.below(WORDS.len())].iter().copied())),
            5 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(end..end, again);
            }
            _ => {
                let other = &others[chance.below(others.len())];
                let from = chance.below(other.len());
                let to = (from + chance.below(200)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
        }
    }
}

/// The sample logs, and a table of each form.
fn samples() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<PathBuf> = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")];
    let mut samples = vec![
        (
            "long.csv".to_string(),
            b"model,item,score,max,grader\na,\"q\n1\",1,2,x\nb,q2,0.5,2,y\n\"c\",q2,2,2,\n".to_vec(),
        ),
        ("wide.tsv".to_string(), b"name\tgroup\tq1\tq2\nann\tx\t1\t0\nbob\ty\t\t1\n".to_vec()),
        (
            "lines.jsonl".to_string(),
            b"{\"model\":\"a\",\"item\":1,\"score\":1}\n{\"model\":\"b\",\"item\":1,\"score\":0}\n".to_vec(),
        ),
    ];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(&path).expect("folder").map(|entry| entry.expect("entry").path()));
        } else {
            let name = path.file_name().expect("name").to_string_lossy().into_owned();
            samples.push((name, fs::read(&path).expect("file")));
        }
    }
    samples.sort();
    samples
}

fn check(marks: &Marks) {
    for row in marks.rows() {
        let item = &marks.items()[row.item as usize];
        assert!(!marks.persons()[row.person as usize].name.is_empty());
        assert!(row.score >= 0.0 && f64::from(row.score) <= item.max * (1.0 + 1e-6), "{row:?} {item:?}");
    }
    assert!(!marks.rows().is_empty());
}

#[test]
fn no_spoilt_log_breaks_a_reader() {
    let samples = samples();
    let others: Vec<Vec<u8>> = samples.iter().map(|sample| sample.1.clone()).collect();
    let folder = tempfile::tempdir().expect("tempdir");
    let (mut read, mut refused) = (0, 0);
    for (kind, (name, bytes)) in samples.iter().enumerate() {
        let path = folder.path().join(name);
        for case in 0..200 {
            let mut chance = Chance((kind * 100_000 + case) as u64);
            let mut spoilt = bytes.clone();
            spoil(&mut spoilt, &others, &mut chance);
            fs::write(&path, &spoilt).expect("file");
            let duplicates = [Duplicates::Refuse, Duplicates::First, Duplicates::Mean][case % 3];
            let options = Options { duplicates, strict: case % 5 == 0, ..Options::default() };
            match marks::read(std::slice::from_ref(&path), &options) {
                Ok(found) => {
                    check(&found.marks);
                    read += 1;
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    refused += 1;
                }
            }
        }
        fs::remove_file(&path).expect("gone");
    }
    // Both paths were walked.
    assert!(read > 1000 && refused > 1000, "{read} read, {refused} refused");
}
