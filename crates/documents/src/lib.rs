//! Here is a folder; give me its text in chunks with numbered sentences.
//!
//! [`list`] finds the documents of a folder, [`read`] turns one into a [`Document`]: HTML without
//! its menus and footers, Markdown with tables, plain text, PDF with a text layer.
//!
//! How text becomes sentences: a list entry ends a sentence; a table row is one sentence
//! `header: cell; header: cell` (cells hold no `; `, headers no `: `, so that cells can be read
//! back; a cell without a header stands alone); a short entry of a definition list reads
//! `term: definition`; a line of code is one sentence. Sentences are numbered from 1 through the
//! whole document.
//!
//! Invariants: a link is never followed, so nothing outside the folder is read; the same bytes give
//! the same document; a file that gives no text is a typed error, never an empty document.

mod bytes;
mod config;
mod error;
mod folder;
mod html;
mod markdown;
mod outline;
mod pdf;
mod sentence;
mod table;
mod text;

use std::path::Path;

use record::{Document, Format};
use sha2::{Digest, Sha256};

pub use config::Config;
pub use error::{Error, Result};
pub use folder::{ENDINGS, list};
pub use sentence::split;

/// Reads the document `id` (as [`list`] named it) of the folder or file `root`.
///
/// # Errors
/// A file that is missing, unreadable, too large, binary, outside of `root` or without text.
pub fn read(root: &Path, id: &str, config: &Config) -> Result<Document> {
    let path = folder::locate(root, id)?;
    let format = folder::format(&path).ok_or_else(|| Error::Unknown { path: path.clone() })?;
    let size = std::fs::metadata(&path).map_err(|e| Error::io("look at", &path, e))?.len();
    let limit = config.max_megabytes.saturating_mul(1 << 20);
    if size > limit {
        return Err(Error::TooLarge { path, megabytes: size.div_ceil(1 << 20), limit: config.max_megabytes });
    }
    let raw = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
    let (content, encoding) = match format {
        Format::Pdf => (pdf::content(&raw, &path)?, "PDF"),
        _ => {
            let (decoded, encoding) = bytes::decode(&raw, format == Format::Html, &path)?;
            let content = match format {
                Format::Html => html::content(&decoded),
                Format::Markdown => markdown::content(&decoded),
                _ => text::content(&decoded),
            };
            (content, encoding)
        }
    };
    let chunks = outline::chunks(id, &content.blocks, config);
    if chunks.is_empty() {
        return Err(Error::NoText { path });
    }
    Ok(Document {
        id: id.to_string(),
        title: content.title(id),
        sha256: Sha256::digest(&raw).iter().map(|b| format!("{b:02x}")).collect(),
        bytes: size,
        format,
        encoding: encoding.to_string(),
        chunks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("tempdir");
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("create folder");
            fs::write(path, bytes).expect("write");
        }
        folder
    }

    fn sentences(document: &Document) -> Vec<&str> {
        document.chunks.iter().flat_map(|c| &c.sentences).map(|s| s.text.as_str()).collect()
    }

    #[test]
    fn sentences_are_numbered_through_the_document_and_chunks_stand_under_their_headings() {
        let page = "# Pumps\nOne here. Two here.\n\n## Deep\n- three\n- four\n\n| Pump | Litres |\n|---|---|\n| Ada | 5; or 6 |\n";
        let folder = folder(&[("a/pumps.md", page.as_bytes())]);
        let document = read(folder.path(), "a/pumps.md", &Config::default()).expect("read");
        assert_eq!(document.title, "Pumps");
        assert_eq!(document.sha256, record::shard::sha256(page.as_bytes()));
        assert_eq!(sentences(&document), ["One here.", "Two here.", "three", "four", "Pump: Ada; Litres: 5, or 6"]);
        let numbers: Vec<_> = document.chunks.iter().flat_map(|c| &c.sentences).map(|s| s.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
        assert_eq!(document.chunks[1].id, "a/pumps.md#1");
        assert_eq!(document.chunks[1].headings, ["Pumps", "Deep"]);
    }

    #[test]
    fn what_cannot_be_read_is_a_typed_error_that_says_what_to_do() {
        let folder = folder(&[
            ("binary.txt", b"\x7fELF\x02\x01\0\0\0\0\x01\0"),
            ("empty.md", b""),
            ("blank.txt", b" \n\n"),
            ("menu.html", b"<nav><a href=x>Home</a></nav>"),
            ("broken.pdf", b"%PDF-1.4\nnothing"),
            ("picture.png", b"x"),
        ]);
        let try_read = |id: &str| read(folder.path(), id, &Config::default()).expect_err(id);
        assert!(matches!(try_read("binary.txt"), Error::Binary { .. }));
        for id in ["empty.md", "blank.txt", "menu.html"] {
            assert!(matches!(try_read(id), Error::NoText { .. }), "{id}");
        }
        assert!(matches!(try_read("broken.pdf"), Error::Pdf { .. }));
        assert!(matches!(try_read("picture.png"), Error::Unknown { .. }));
        assert!(try_read("gone.txt").to_string().contains("gone.txt"));
        for id in ["../etc/passwd.txt", "/etc/passwd.txt"] {
            assert!(matches!(try_read(id), Error::Outside { .. }), "{id}");
        }
    }

    #[test]
    fn a_large_text_is_refused_below_the_limit_and_read_above_it() {
        let line = "The pump Ada stands in room 5 and moves water. ";
        let text = line.repeat((3 << 20) / line.len() + 1);
        let folder = folder(&[("large.txt", text.as_bytes())]);
        let limit = |max_megabytes| Config { max_megabytes, ..Config::default() };
        let refused = read(folder.path(), "large.txt", &limit(2)).expect_err("too large").to_string();
        assert!(refused.contains("max_megabytes") && refused.contains("4 MB"), "{refused}");
        let document = read(folder.path(), "large.txt", &limit(4)).expect("read");
        assert_eq!(sentences(&document).len(), text.len() / line.len());
    }

    #[test]
    fn old_encodings_are_detected() {
        let (latin, _, _) = encoding_rs::WINDOWS_1252.encode("Der Käse liegt im Kühlraum. Er wiegt fünf Kilogramm.");
        let utf16: Vec<u8> = "\u{feff}Ada pumps.".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let meta = b"<meta charset=iso-8859-2><p>\xb3ad is here.</p>";
        let folder = folder(&[("latin.txt", &latin), ("wide.txt", &utf16), ("meta.html", meta)]);
        let get = |id: &str| read(folder.path(), id, &Config::default()).expect(id);
        assert_eq!(sentences(&get("latin.txt"))[0], "Der Käse liegt im Kühlraum.");
        let wide = get("wide.txt");
        assert_eq!((sentences(&wide)[0], wide.encoding.as_str()), ("Ada pumps.", "UTF-16LE"));
        assert_eq!(sentences(&get("meta.html")), ["ład is here."]);
    }
}
