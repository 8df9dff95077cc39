//! What is kept, where, and who may write to it now.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{Asset, Error, Options, Progress, Result, archive, catalogue, hub};

/// Something that the cache holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Name to pull it by.
    pub name: String,
    /// Its size on disk.
    pub bytes: u64,
    /// What a caller opens.
    pub path: PathBuf,
}

/// The note on something whose content no catalogue knows: a distribution's package, a hub model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Name to pull it by.
    pub(crate) name: String,
    /// Version of the package, or commit of the repository.
    pub(crate) version: String,
    /// What a caller opens, below the cache folder.
    pub(crate) opens: PathBuf,
    /// Its files, below the cache folder.
    pub(crate) files: Vec<PathBuf>,
}

impl Held {
    pub(crate) fn new(name: &str, version: &str, opens: &Path, files: &[PathBuf], cache: &Path) -> Self {
        // The hub's client may have resolved a link in the cache's own path.
        let below = |path: &Path| path.strip_prefix(cache).unwrap_or(path).to_path_buf();
        Self {
            name: name.into(),
            version: version.into(),
            opens: below(opens),
            files: files.iter().map(|path| below(path)).collect(),
        }
    }

    /// The note of this name; none if there is none that can be read.
    pub(crate) fn read(cache: &Path, record: &str) -> Option<Self> {
        record::shard::read_json(&note(cache, record)).ok()
    }

    pub(crate) fn write(&self, cache: &Path, record: &str) -> Result<()> {
        Ok(record::shard::write_json(&note(cache, record), self)?)
    }

    /// What a caller opens, if every file is still there.
    pub(crate) fn opened(&self, cache: &Path) -> Option<PathBuf> {
        self.files.iter().all(|file| cache.join(file).is_file()).then(|| cache.join(&self.opens))
    }

    fn bytes(&self, cache: &Path) -> u64 {
        self.files.iter().filter_map(|file| cache.join(file).metadata().ok()).map(|m| m.len()).sum()
    }
}

fn note(cache: &Path, record: &str) -> PathBuf {
    cache.join("notes").join(format!("{record}.json"))
}

/// Where the hub's client keeps its files.
pub(crate) fn hub_folder(cache: &Path) -> PathBuf {
    cache.join("hub")
}

/// Where an asset is put together before it is moved into its place.
pub(crate) fn staging(cache: &Path, name: &str) -> PathBuf {
    cache.join("staging").join(name)
}

/// Waits until no other process fetches `name`, and keeps others out while the file lives.
pub(crate) fn lock(options: &Options, name: &str, progress: &mut dyn FnMut(Progress)) -> Result<File> {
    let folder = options.cache.join("locks");
    fs::create_dir_all(&folder).map_err(|e| Error::io("create folder", &folder, e))?;
    let path = folder.join(name);
    let file = File::create(&path).map_err(|e| Error::io("write", &path, e))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(e)) => return Err(Error::io("lock", path, e)),
            Err(TryLockError::WouldBlock) => {}
        }
        if start.elapsed() > options.patience {
            return Err(Error::Busy { name: name.into(), seconds: options.patience.as_secs() });
        }
        progress(Progress { done: 0, total: 0, detail: format!("another process fetches {name}; waiting for it") });
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What the cache holds, in the order of the catalogue, hub models last.
pub fn cached(options: &Options) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for asset in catalogue() {
        let folder = options.cache.join(asset.folder);
        let whole = match asset.files {
            [] => Held::read(&options.cache, asset.name).is_some_and(|held| held.opened(&options.cache).is_some()),
            files => files.iter().all(|file| folder.join(file.path).is_file()),
        };
        if whole {
            let files = archive::files_below(&folder)?;
            let bytes = files.iter().filter_map(|path| path.metadata().ok()).map(|m| m.len()).sum();
            entries.push(Entry { name: asset.name.into(), bytes, path: opened(asset, options) });
        }
    }
    for (_, held) in hub_notes(options)? {
        if let Some(path) = held.opened(&options.cache) {
            entries.push(Entry { bytes: held.bytes(&options.cache), name: held.name, path });
        }
    }
    Ok(entries)
}

/// Removes the named assets, or everything that was ever fetched if none is named, and returns how
/// many bytes that freed. Files of others in the same folder are left alone.
pub fn clean(options: &Options, names: &[String]) -> Result<u64> {
    let mut paths = Vec::new();
    if names.is_empty() {
        paths.extend(["hub", "notes", "staging", "locks"].map(|folder| options.cache.join(folder)));
        paths.extend(catalogue().iter().map(|asset| options.cache.join(asset.folder)));
    }
    for name in names {
        if let Some(hub) = hub::Name::read(name) {
            let hub = hub?;
            let repository = format!("models--{}", hub.repository.replace('/', "--"));
            paths.push(hub_folder(&options.cache).join(repository));
            // The repository's files are shared by all names that point into it.
            let prefix = format!("hub--{}@", hub.repository.replace('/', "--"));
            let notes = hub_notes(options)?.into_iter().map(|(path, _)| path);
            paths.extend(
                notes.filter(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&prefix))),
            );
        } else {
            let asset = catalogue::find(name)?;
            paths.extend([
                options.cache.join(asset.folder),
                note(&options.cache, asset.name),
                staging(&options.cache, asset.name),
            ]);
        }
    }
    let mut freed = 0;
    for path in paths {
        if path.is_dir() {
            freed +=
                archive::files_below(&path)?.iter().filter_map(|p| p.metadata().ok()).map(|m| m.len()).sum::<u64>();
            fs::remove_dir_all(&path).map_err(|e| Error::io("remove", &path, e))?;
        } else if path.is_file() {
            freed += path.metadata().map_or(0, |m| m.len());
            fs::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
        }
    }
    Ok(freed)
}

/// What a caller opens of an asset.
pub(crate) fn opened(asset: &Asset, options: &Options) -> PathBuf {
    let folder = options.cache.join(asset.folder);
    if asset.opens.is_empty() { folder } else { folder.join(asset.opens) }
}

fn hub_notes(options: &Options) -> Result<Vec<(PathBuf, Held)>> {
    let folder = options.cache.join("notes");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let files = archive::files_below(&folder)?;
    let of_hub = files.into_iter().filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("hub--") && name.ends_with(".json")
    });
    Ok(of_hub.filter_map(|path| record::shard::read_json(&path).ok().map(|held| (path, held))).collect())
}
