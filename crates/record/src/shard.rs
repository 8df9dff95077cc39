//! Shard files: JSON lines that appear under their final name only when whole and on disk.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Writes `bytes` to `path`: temporary name in the same folder, fsync, rename, fsync of the folder.
/// A reader sees the old file or the new one, never a part; a kill leaves at most a `.tmp`.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|e| Error::io("create folder", folder, e))?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|e| Error::io("write", path, e))
        .and_then(|()| fs::rename(&temporary, path).map_err(|e| Error::io("rename", path, e)));
    if written.is_err() {
        // A full disk must not keep the half-written file as well.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    // Without this a power cut may forget the rename; not every file system allows it.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Encodes records as JSON lines.
pub fn to_jsonl<T: Serialize>(records: &[T]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for record in records {
        serde_json::to_writer(&mut bytes, record)
            .map_err(|source| Error::Encode { record: short_name::<T>(), source })?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Writes records as one shard and returns the SHA-256 of its bytes in hex.
pub fn write_jsonl<T: Serialize>(path: &Path, records: &[T]) -> Result<String> {
    let bytes = to_jsonl(records)?;
    write_atomic(path, &bytes)?;
    Ok(sha256(&bytes))
}

/// Reads all records of a shard. Blank lines are skipped; a bad one is an error with its number.
pub fn read_jsonl<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
    let mut records = Vec::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|e| Error::io("read", path, e))?;
        // Some editors begin a file with a byte order mark.
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() {
            continue;
        }
        records.push(serde_json::from_str(line).map_err(|source| Error::Line {
            path: path.into(),
            line: index + 1,
            record: short_name::<T>(),
            source,
        })?);
    }
    Ok(records)
}

/// Writes one value as pretty JSON, atomically.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut bytes =
        serde_json::to_vec_pretty(value).map_err(|source| Error::Encode { record: short_name::<T>(), source })?;
    bytes.push(b'\n');
    write_atomic(path, &bytes)
}

/// Reads one JSON value.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).map_err(|e| Error::io("read", path, e))?;
    serde_json::from_slice(&bytes).map_err(|source| Error::Line {
        path: path.into(),
        line: source.line(),
        record: short_name::<T>(),
        source,
    })
}

/// SHA-256 of bytes, in hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a file's bytes, in hex, without reading it into memory at once.
pub fn sha256_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(|e| Error::io("read", path, e))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).map_err(|e| Error::io("read", path, e))?;
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Drop;

    fn drop_record(id: &str) -> Drop {
        Drop { stage: "synth".into(), record: id.into(), reason: "duplicate".into(), detail: "ä \"quoted\"\n".into() }
    }

    #[test]
    fn a_shard_comes_back_as_written_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().expect("tempdir");
        let path = folder.path().join("shards/00000.jsonl");
        let records = vec![drop_record("a"), drop_record("b")];
        let hash = write_jsonl(&path, &records).expect("write");
        assert_eq!(read_jsonl::<Drop>(&path).expect("read"), records);
        assert_eq!(hash, sha256_file(&path).expect("hash"));
        assert_eq!(fs::read_dir(folder.path().join("shards")).expect("dir").count(), 1);
    }

    #[test]
    fn a_bad_line_is_named_with_file_line_and_field() {
        let folder = tempfile::tempdir().expect("tempdir");
        let path = folder.path().join("bad.jsonl");
        let good = String::from_utf8(to_jsonl(&[drop_record("a")]).expect("encode")).expect("utf-8");
        fs::write(&path, format!("{good}\n{{\"stage\":1}}\n")).expect("write");
        let message = read_jsonl::<Drop>(&path).expect_err("bad line").to_string();
        assert!(message.contains("bad.jsonl:3") && message.contains("Drop"), "{message}");
    }
}
