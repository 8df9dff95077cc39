use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{Error, Result};

/// A run's folder, locked for this process.
///
/// ```text
/// RUN/recipe.toml            the recipe with every default filled in
/// RUN/ledger.jsonl           one line when a shard starts, one when it is on disk
/// RUN/STAGE/plan.json        what the stage does
/// RUN/STAGE/shards/00000.jsonl, done/00000.json
/// RUN/STAGE/KIND.jsonl       the shards' records, merged by kind
/// RUN/STAGE/manifest.json
/// RUN/report.html
/// ```
pub struct RunFolder {
    root: PathBuf,
    ledger: File,
    _lock: File,
}

/// A line of the ledger.
#[derive(Serialize)]
struct Entry<'a> {
    event: &'a str,
    stage: &'a str,
    shard: u32,
    plan: &'a str,
    unix_seconds: u64,
}

impl RunFolder {
    /// Creates or reopens a run folder. Fails at once if it cannot be written or is in use.
    pub fn open(root: &Path) -> Result<Self> {
        let fail = |operation, path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Folder { operation, path, source }
        };
        fs::create_dir_all(root).map_err(fail("create", root))?;
        let path = root.join(".lock");
        let lock = File::create(&path).map_err(fail("write", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked { folder: root.into() }),
            Err(TryLockError::Error(source)) => return Err(fail("lock", &path)(source)),
        }
        sweep(root);
        let path = root.join("ledger.jsonl");
        let ledger = File::options().create(true).append(true).open(&path).map_err(fail("write", &path))?;
        Ok(Self { root: root.into(), ledger, _lock: lock })
    }

    /// The folder's path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of a stage.
    pub fn stage(&self, stage: &str) -> PathBuf {
        self.root.join(stage)
    }

    /// Notes in the ledger that a shard started or finished.
    pub fn note(&self, event: &str, stage: &str, shard: u32, plan: &str) -> Result<()> {
        let unix_seconds =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let line = record::shard::to_jsonl(&[Entry { event, stage, shard, plan, unix_seconds }])?;
        // One write a line: lines of a killed process are whole or absent.
        (&self.ledger)
            .write_all(&line)
            .map_err(|source| record::Error::io("write", self.root.join("ledger.jsonl"), source).into())
    }
}

/// Removes what killed processes left half written (`NAME.PID.tmp`): the lock says that none of them is
/// still at work here. What cannot be read or removed stays; it is in nobody's way.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        if kind.as_ref().is_ok_and(|kind| kind.is_dir()) {
            sweep(&path);
        } else if kind.is_ok_and(|kind| kind.is_file()) && half_written(&path) {
            fs::remove_file(&path).ok();
        }
    }
}

fn half_written(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".tmp"));
    let number = name.and_then(|name| name.rsplit_once('.')).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_half_written_is_swept_away() {
        let folder = tempfile::tempdir().expect("tempdir");
        let deep = folder.path().join("practise/learn");
        fs::create_dir_all(&deep).expect("folder");
        let files = ["recipe.toml.17.tmp", "practise/learn/a.safetensors.4.tmp", "mine.tmp", "a.17.txt"];
        files.iter().for_each(|name| fs::write(folder.path().join(name), "x").expect("file"));
        RunFolder::open(folder.path()).expect("a run");
        assert_eq!(files.map(|name| folder.path().join(name).exists()), [false, false, true, true]);
    }
}
