//! What a measuring verb writes beside its page, and how that came to be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use record::shard::{sha256_file, write_atomic};
use record::{Input, Manifest};
use serde::Serialize;

use crate::{Error, Result};

/// Width of a picture as PNG.
const PIXELS: u32 = 1440;

/// Files written into a folder.
pub(crate) struct Made {
    folder: PathBuf,
    files: Vec<PathBuf>,
}

impl Made {
    /// None yet; the folder is made.
    pub fn new(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|source| Error::Folder {
            operation: "create",
            path: folder.into(),
            source,
        })?;
        Ok(Self { folder: folder.into(), files: Vec::new() })
    }

    /// Writes a file.
    pub fn put(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        write_atomic(&path, bytes)?;
        self.files.push(path);
        Ok(())
    }

    /// Writes a record.
    pub fn put_json(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        record::shard::write_json(&self.folder.join(name), value)?;
        self.files.push(self.folder.join(name));
        Ok(())
    }

    /// Writes a picture as SVG and as PNG.
    pub fn put_figure(&mut self, name: &str, figure: &plot::Figure) -> Result<()> {
        self.put(&format!("{name}.svg"), figure.svg().as_bytes())?;
        self.put(&format!("{name}.png"), &figure.png(PIXELS)?)
    }

    /// Counts a file that was written into the folder by its own writer.
    pub fn wrote(&mut self, name: &str) {
        self.files.push(self.folder.join(name));
    }

    /// What was written, in order.
    pub fn into_files(self) -> Vec<PathBuf> {
        self.files
    }
}

/// How the files came to be.
#[expect(clippy::too_many_arguments, reason = "each is a field of the manifest")]
pub(super) fn manifest(
    stage: &str,
    settings: &impl Serialize,
    sources: &[PathBuf],
    made: &Made,
    seed: u64,
    begin: Instant,
    delivered: u64,
    dropped: BTreeMap<String, u64>,
) -> Manifest {
    let hash = |path: &PathBuf| Some(Input { path: path.display().to_string(), sha256: sha256_file(path).ok()? });
    Manifest {
        schema_version: 1,
        stage: stage.into(),
        recipe: serde_json::to_value(settings).unwrap_or_default(),
        inputs: sources.iter().filter_map(hash).collect(),
        outputs: made.files.iter().filter_map(hash).collect(),
        seed,
        version: env!("CARGO_PKG_VERSION").into(),
        git_revision: option_env!("LYCEUM_GIT_REVISION").map(Into::into),
        git_dirty: option_env!("LYCEUM_GIT_DIRTY").map(|dirty| dirty == "true"),
        kernels: None,
        usage: Default::default(),
        cost_usd: 0.0,
        seconds: begin.elapsed().as_secs_f64(),
        delivered,
        dropped,
    }
}
