use std::collections::HashSet;
use std::path::{Path, PathBuf};

use record::shard::read_jsonl;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A text whose losses are measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Unique among the texts; where none is given, file and line.
    #[serde(default)]
    pub id: String,
    /// What it is of; without one, its file's name, or its folder's below the one that was named.
    #[serde(default)]
    pub domain: String,
    /// What a model reads before it, whose losses do not count.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prompt: String,
    /// What is measured.
    pub text: String,
}

/// Reads files, JSON lines (`text`, and if wanted `id`, `domain`, `prompt`; other fields are passed
/// over) and folders of both, in the order of their names.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Text>> {
    let mut texts = Vec::new();
    for path in paths {
        if path.is_dir() {
            folder(path, path, &mut texts)?;
        } else {
            let domain = path.file_stem().unwrap_or_default().to_string_lossy();
            file(path, &domain, &path.display().to_string(), &mut texts)?;
        }
    }
    let mut seen = HashSet::new();
    let wrong = |problem: String, hint: &str| Err(Error::Nothing { problem, hint: hint.into() });
    for text in &texts {
        if text.text.is_empty() {
            return wrong(format!("text {} is empty", text.id), "leave it out, or give it text");
        }
        if !seen.insert(&text.id) {
            return wrong(format!("two texts are called {}", text.id), "give every text an id of its own");
        }
    }
    if texts.is_empty() {
        return wrong(
            "there is no text to score".into(),
            "give text files, JSON lines with `text`, or folders of them",
        );
    }
    Ok(texts)
}

fn folder(root: &Path, path: &Path, texts: &mut Vec<Text>) -> Result<()> {
    let failed = |source| Error::Folder { operation: "read", path: path.into(), source };
    let entries = std::fs::read_dir(path).map_err(failed)?.collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Names that begin with a dot belong to programs.
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            folder(root, &path, texts)?;
        } else {
            let below = path.strip_prefix(root).unwrap_or(&path);
            let place = below.parent().filter(|parent| !parent.as_os_str().is_empty());
            let domain = place.unwrap_or(Path::new(path.file_stem().unwrap_or_default()));
            file(&path, &domain.to_string_lossy(), &below.display().to_string(), texts)?;
        }
    }
    Ok(())
}

fn file(path: &Path, domain: &str, name: &str, texts: &mut Vec<Text>) -> Result<()> {
    if path.extension().is_some_and(|extension| extension == "jsonl") {
        for (line, text) in read_jsonl::<Text>(path)?.into_iter().enumerate() {
            texts.push(Text {
                id: if text.id.is_empty() { format!("{name}:{}", line + 1) } else { text.id },
                domain: if text.domain.is_empty() { domain.into() } else { text.domain },
                ..text
            });
        }
        return Ok(());
    }
    let bytes = std::fs::read(path).map_err(|e| record::Error::io("read", path, e))?;
    let text = String::from_utf8(bytes).map_err(|e| Error::Nothing {
        problem: format!("{} is no UTF-8 text: byte {} is odd", path.display(), e.utf8_error().valid_up_to()),
        hint: "give text files, JSON lines with `text`, or folders of them".into(),
    })?;
    texts.push(Text { id: name.into(), domain: domain.into(), prompt: String::new(), text });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lines_and_folders_are_read_and_what_is_wrong_is_named() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &[u8]| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(&path, text).expect("written");
            path
        };
        write("all/law/a.txt", b"one");
        write("all/b.txt", b"two");
        write("all/.hidden", b"\xff");
        let lines = write(
            "c.jsonl",
            b"{\"text\":\"three\",\"domain\":\"x\",\"source\":7}\n{\"id\":\"d\",\"prompt\":\"p\",\"text\":\"four\"}\n",
        );
        let texts = read(&[root.path().join("all"), lines.clone()]).expect("four texts");
        let short: Vec<_> = texts.iter().map(|t| (t.domain.as_str(), t.prompt.as_str(), t.text.as_str())).collect();
        assert_eq!(short, [("b", "", "two"), ("law", "", "one"), ("x", "", "three"), ("c", "p", "four")]);
        assert_eq!((texts[0].id.as_str(), texts[3].id.as_str()), ("b.txt", "d"));
        let said = |paths: &[PathBuf]| read(paths).expect_err("must fail").to_string();
        assert!(said(&[]).contains("no text"));
        assert!(said(&[lines.clone(), lines]).contains("two texts are called"));
        assert!(said(&[write("empty.txt", b"")]).contains("empty"));
        assert!(said(&[write("odd.txt", b"a\xff")]).contains("byte 1"));
        assert!(said(&[write("odd.jsonl", b"{\"text\":\"a\"}\n{\"txt\":\"a\"}\n")]).contains('2'));
        assert!(said(&[root.path().join("none.txt")]).contains("none.txt"));
    }
}
