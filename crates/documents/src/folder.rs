use std::path::{Component, Path, PathBuf};

use record::Format;
use walkdir::WalkDir;

use crate::{Error, Result};

/// The file endings that are taken for documents.
pub const ENDINGS: &[&str] = &["html", "htm", "xhtml", "md", "markdown", "txt", "text", "pdf"];

/// What a file is taken for, by its ending.
pub(crate) fn format(path: &Path) -> Option<Format> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    match ending.as_str() {
        "html" | "htm" | "xhtml" => Some(Format::Html),
        "md" | "markdown" => Some(Format::Markdown),
        "txt" | "text" => Some(Format::Text),
        "pdf" => Some(Format::Pdf),
        _ => None,
    }
}

/// The documents below `root`, as sorted relative paths with `/`. A `root` that is a file is its own
/// only document. Hidden files and folders are passed over.
///
/// Links are not followed: one that stays inside leads to a document that is listed anyway, and one
/// that leaves the folder must not smuggle in a file that the user did not name.
///
/// # Errors
/// A folder that cannot be read, or that holds no document.
pub fn list(root: &Path) -> Result<Vec<String>> {
    let metadata = std::fs::metadata(root).map_err(|e| Error::io("look at", root, e))?;
    if metadata.is_file() {
        let name = root.file_name().and_then(|n| n.to_str());
        return match (format(root), name) {
            (Some(_), Some(name)) => Ok(vec![name.to_string()]),
            _ => Err(Error::Unknown { path: root.into() }),
        };
    }
    let visible =
        |entry: &walkdir::DirEntry| entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".");
    let mut ids = Vec::new();
    for entry in WalkDir::new(root).follow_root_links(true).into_iter().filter_entry(visible) {
        let entry = entry.map_err(|e| {
            let path = e.path().unwrap_or(root).to_path_buf();
            Error::io("list", path, e.into())
        })?;
        if entry.file_type().is_file() && format(entry.path()).is_some() {
            let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
            let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            ids.push(parts.join("/"));
        }
    }
    if ids.is_empty() {
        let endings = ENDINGS.iter().map(|e| format!(".{e}")).collect::<Vec<_>>().join(", ");
        return Err(Error::NoDocuments { path: root.into(), endings });
    }
    ids.sort();
    Ok(ids)
}

/// The file behind an id; an id that leads out of `root`, be it by `..` or by a link, is refused.
pub(crate) fn locate(root: &Path, id: &str) -> Result<PathBuf> {
    if root.is_file() {
        return Ok(root.to_path_buf());
    }
    let outside = || Error::Outside { id: id.into(), root: root.into() };
    if !Path::new(id).components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(outside());
    }
    let path = root.join(id);
    let real = |path: &Path| path.canonicalize().map_err(|e| Error::io("find", path, e));
    if !real(&path)?.starts_with(real(root)?) {
        return Err(outside());
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn lists_documents_sorted_and_passes_over_the_rest() {
        let folder = tempfile::tempdir().expect("tempdir");
        for name in ["b.HTML", "a/z.md", "a.txt", ".git/x.md", "a/picture.png", "noending"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("create folder");
            fs::write(path, "x").expect("write");
        }
        assert_eq!(list(folder.path()).expect("list"), ["a.txt", "a/z.md", "b.HTML"]);
        assert_eq!(list(&folder.path().join("a.txt")).expect("file"), ["a.txt"]);
    }

    #[test]
    fn a_folder_without_documents_names_the_endings() {
        let folder = tempfile::tempdir().expect("tempdir");
        fs::write(folder.path().join("a.png"), "x").expect("write");
        let message = list(folder.path()).expect_err("nothing").to_string();
        assert!(message.contains(".html") && message.contains(".pdf"), "{message}");
        assert!(list(&folder.path().join("gone")).expect_err("gone").to_string().contains("gone"));
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_the_folder_are_not_followed() {
        let outer = tempfile::tempdir().expect("tempdir");
        let inner = outer.path().join("docs");
        fs::create_dir(&inner).expect("create");
        fs::create_dir(outer.path().join("private")).expect("create");
        for name in ["secret.txt", "private/p.txt", "docs/a.txt"] {
            fs::write(outer.path().join(name), "Text here.").expect("write");
        }
        std::os::unix::fs::symlink("../secret.txt", inner.join("b.txt")).expect("link");
        std::os::unix::fs::symlink("../private", inner.join("more")).expect("link");
        assert_eq!(list(&inner).expect("list"), ["a.txt"]);
        assert!(matches!(locate(&inner, "b.txt"), Err(Error::Outside { .. })));
        assert!(matches!(locate(&inner, "more/p.txt"), Err(Error::Outside { .. })));
    }
}
