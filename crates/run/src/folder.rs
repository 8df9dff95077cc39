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
