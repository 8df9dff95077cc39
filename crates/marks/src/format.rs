use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde::Serialize;

use crate::json::{self, Head};
use crate::readers::{csv, parquet};
use crate::{Error, Options, Result};

/// How much of a file is looked at to tell its format.
const LOOK: u64 = 1 << 20;

/// Formats of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Delimited text (commas, tabs, semicolons or bars) of one score a row.
    Csv,
    /// Delimited text of one person a row and one item a column.
    Wide,
    /// Parquet of one score a row.
    Parquet,
    /// JSON lines of one score a line.
    Lines,
    /// `samples_*.jsonl` of lm-evaluation-harness.
    LmEval,
    /// A `.eval` or `.json` log of Inspect.
    Inspect,
    /// `per_instance_stats.json` of HELM.
    Helm,
    /// A file under `results/` of OpenCompass, with details.
    OpenCompass,
    /// Marked answers of Lyceum's own exams.
    Answers,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Wide => "wide CSV",
            Self::Parquet => "Parquet",
            Self::Lines => "JSON lines",
            Self::LmEval => "lm-evaluation-harness",
            Self::Inspect => "Inspect",
            Self::Helm => "HELM",
            Self::OpenCompass => "OpenCompass",
            Self::Answers => "Lyceum answers",
        })
    }
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Log(Format),
    /// A part of a log that a reader asks for itself, such as settings.
    Companion,
    /// Something else, and why it is no log.
    Other(String),
}

/// Tells what a file is by its content.
pub(crate) fn kind(path: &Path, options: &Options) -> Result<Kind> {
    let file = File::open(path).map_err(Error::file("read", path))?;
    let mut head = Vec::new();
    BufReader::new(file).take(LOOK).read_to_end(&mut head).map_err(Error::file("read", path))?;
    Ok(kind_of(&head, options))
}

/// Tells what a file that begins with `head` is.
pub(crate) fn kind_of(head: &[u8], options: &Options) -> Kind {
    let other = |why: &str| Kind::Other(why.into());
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    if text.iter().all(u8::is_ascii_whitespace) {
        return other("is empty");
    }
    if head.starts_with(parquet::MAGIC) {
        return Kind::Log(Format::Parquet);
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Kind::Log(Format::Inspect);
    }
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return other("is UTF-16; write it again as UTF-8");
    }
    if text.contains(&0) {
        return other("is binary, and no Parquet table or Inspect log");
    }
    match json::head(text) {
        Some(Head::Object(keys)) => object(&keys, text, options),
        Some(Head::Array(keys)) => {
            let all = |names: &[&str]| names.iter().all(|name| keys.iter().any(|key| key == name));
            if all(&["instance_id", "stats"]) {
                Kind::Log(Format::Helm)
            } else if all(&["input", "references"]) || all(&["name", "count"]) {
                Kind::Companion
            } else {
                other("is JSON of no log that is known")
            }
        }
        None => match csv::shape(text, options) {
            Ok(shape) if shape.wide => Kind::Log(Format::Wide),
            Ok(_) => Kind::Log(Format::Csv),
            Err(why) => Kind::Other(why),
        },
    }
}

fn object(keys: &[String], text: &[u8], options: &Options) -> Kind {
    let has = |name: &str| keys.iter().any(|key| key == name);
    let any = |names: &[&str]| names.iter().any(|name| has(name));
    if has("doc_id") && any(&["doc", "doc_hash", "resps", "filtered_resps", "arguments"]) {
        return Kind::Log(Format::LmEval);
    }
    if ["item", "fact", "model", "mode", "score"].into_iter().all(has) || keys == ["response"] {
        return Kind::Log(Format::Answers);
    }
    if has("eval") && any(&["version", "status", "plan"]) {
        return Kind::Log(Format::Inspect);
    }
    if has("details") {
        return Kind::Log(Format::OpenCompass);
    }
    let settings = has("results") && any(&["configs", "config", "versions", "n-shot"]);
    let helm = has("adapter_spec") || has("scenario_spec");
    // OpenCompass names the answers of its predictions by number.
    let predictions = has("0") && contains(text, b"\"prediction\"");
    if settings || helm || predictions {
        return Kind::Companion;
    }
    let missing = crate::column::Layout::new(keys, options.metric.as_deref()).missing();
    if missing.is_empty() {
        return Kind::Log(Format::Lines);
    }
    Kind::Other(format!("is JSON of no log that is known, and has no {}", missing.join(", ")))
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}
