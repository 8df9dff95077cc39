//! Named assets, with progress on the run's own watch.

use std::path::PathBuf;

use crate::{Event, Result, Watch};

/// Where named assets may come from.
#[derive(Clone)]
pub struct Sources {
    /// Options of the `assets` room: cache folder, offline.
    pub options: assets::Options,
    /// Who is told about downloads.
    pub watch: Watch,
}

impl Sources {
    /// The asset's path on this machine, fetched first if it is not in the cache.
    pub fn pull(&self, name: &str) -> Result<PathBuf> {
        let watch = self.watch.clone();
        let path = assets::pull(name, &self.options, &mut |progress| {
            watch.tell(Event::Progress {
                stage: format!("pull {name}"),
                done: progress.done,
                total: progress.total,
                detail: progress.detail.to_string(),
            });
        })?;
        Ok(path)
    }
}
