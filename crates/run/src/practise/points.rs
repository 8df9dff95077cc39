use std::path::{Path, PathBuf};

use learn::Learned;
use record::Guard;
use record::shard::{read_jsonl, to_jsonl, write_atomic};

use super::guard::kept;
use crate::Result;

/// What the guard saw so far, on disk beside the state of the training: a training that goes on
/// from an earlier state finds what was measured before the interruption, and measures nothing twice.
pub(super) struct Points {
    folder: PathBuf,
    points: Vec<Guard>,
}

impl Points {
    /// Those that lie in the folder.
    pub fn open(folder: &Path) -> Result<Self> {
        let folder = folder.to_path_buf();
        let path = folder.join("guards.jsonl");
        let points = if path.is_file() { read_jsonl(&path)? } else { Vec::new() };
        Ok(Self { folder, points })
    }

    pub fn all(&self) -> &[Guard] {
        &self.points
    }

    pub fn at(&self, step: u64) -> Option<&Guard> {
        self.points.iter().find(|point| point.step == step)
    }

    /// The step at which training was stopped.
    pub fn stopped(&self) -> Option<u64> {
        self.points.iter().find(|point| point.stop.is_some()).map(|point| point.step)
    }

    /// Adds a point. What was learned is kept where it is the best so far: it is on disk before the
    /// point that vouches for it, and what it takes the place of goes afterwards. With `all`, every
    /// point's model stays.
    pub fn add(&mut self, point: Guard, learned: Option<&Learned>, all: bool) -> Result<()> {
        let before = kept(&self.points);
        let step = point.step;
        self.points.push(point);
        let best = kept(&self.points) == Some(step);
        if let Some(learned) = learned.filter(|_| best || all) {
            save(learned, &self.model(step))?;
        }
        write_atomic(&self.folder.join("guards.jsonl"), &to_jsonl(&self.points)?)?;
        if let Some(old) = before.filter(|old| best && *old > 0 && !all) {
            let old = self.model(old);
            std::fs::remove_dir_all(&old).map_err(|e| record::Error::io("remove", &old, e))?;
        }
        Ok(())
    }

    /// Where the model of a step lies, if it was kept.
    pub fn model(&self, step: u64) -> PathBuf {
        self.folder.join(format!("kept-{step}"))
    }
}

fn save(learned: &Learned, folder: &Path) -> Result<()> {
    match learned {
        Learned::Adapter(adapter) => adapter.save(folder)?,
        Learned::Whole(checkpoint) => weights::export_hf(checkpoint, None, folder)?,
    }
    Ok(())
}
