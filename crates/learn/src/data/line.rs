use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;

use record::Drop;
use serde_json::{Map, Value};

use super::{STAGE, parquet};
use crate::{Error, Result};

/// One line of a file, or one row, as it came.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// `line-12`, or `row-12` in a table; also its id where it has none of its own.
    pub place: String,
    fields: Map<String, Value>,
}

/// Why a line gives nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// A stable word.
    pub reason: &'static str,
    /// In a sentence.
    pub detail: String,
}

impl Refusal {
    pub fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// As a record, which names the file too.
    pub fn record(self, path: &Path, id: &str, place: &str) -> Drop {
        let own = if id == place { String::new() } else { format!(" ({id})") };
        let detail = format!("{}, {}{own}: {}", path.display(), place.replace('-', " "), self.detail);
        Drop { stage: STAGE.into(), record: id.into(), reason: self.reason.into(), detail }
    }
}

impl Line {
    pub fn new(place: String, value: Value) -> std::result::Result<Self, Refusal> {
        match value {
            Value::Object(fields) => Ok(Self { place, fields }),
            other => Err(Refusal::new("not-json", format!("is {}, not an object", kind(&other)))),
        }
    }

    /// A field, where it is there and not null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether a field is a list of turns rather than a text.
    pub fn has_turns(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Array(_)))
    }

    pub fn has_text(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::String(_)))
    }

    /// Names of the fields that are there.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str())
    }

    /// The whole line as a record of our own.
    pub fn record<T: serde::de::DeserializeOwned>(&self) -> std::result::Result<T, Refusal> {
        let fields = self.fields.iter().filter(|(_, value)| !value.is_null());
        let value = Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect());
        serde_json::from_value(value).map_err(|e| Refusal::new("bad-record", e.to_string()))
    }

    /// Its own id, or its place.
    pub fn id(&self) -> String {
        match self.get("id") {
            Some(Value::String(id)) if !id.is_empty() => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => self.place.clone(),
        }
    }
}

/// What a value is, in a word.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The lines of a JSON Lines file, the members of a JSON list, or the rows of a Parquet table, told
/// apart by their first bytes. A line that cannot be read is a drop; a file that cannot be, an error.
pub(super) fn read(path: &Path) -> Result<(Vec<Line>, Vec<Drop>)> {
    let fail = |e| record::Error::io("read", path, e);
    if path.is_dir() {
        return Err(whole(path, "is a folder", "give one file; several are joined with cat"));
    }
    let mut file = File::open(path).map_err(fail)?;
    let mut head = Vec::new();
    file.by_ref().take(64).read_to_end(&mut head).map_err(fail)?;
    file.rewind().map_err(fail)?;
    let text = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&head);
    if head.is_empty() {
        return Err(whole(path, "is empty (0 bytes)", "was its download or its making cut off?"));
    }
    if head.starts_with(parquet::MAGIC) {
        return parquet::read(path, file);
    }
    if head.starts_with(&[0x1f, 0x8b]) || head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || head.starts_with(b"PK\x03\x04")
    {
        return Err(whole(path, "is compressed", "unpack it first"));
    }
    let values = if text.trim_ascii_start().starts_with(b"[") { members(path, file)? } else { lines(path, file)? };
    let (mut lines, mut drops) = (Vec::new(), Vec::new());
    for (place, value) in values {
        match value.and_then(|value| Line::new(place.clone(), value)) {
            Ok(line) => lines.push(line),
            Err(refusal) => drops.push(refusal.record(path, &place, &place)),
        }
    }
    Ok((lines, drops))
}

type Placed = (String, std::result::Result<Value, Refusal>);

fn lines(path: &Path, file: File) -> Result<Vec<Placed>> {
    let (mut reader, mut values, mut bytes) = (BufReader::new(file), Vec::new(), Vec::new());
    for number in 1.. {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).map_err(|e| record::Error::io("read", path, e))? == 0 {
            break;
        }
        let parsed = match std::str::from_utf8(&bytes) {
            // Some editors begin a file with a byte order mark.
            Ok(text) => match text.trim_start_matches('\u{feff}').trim() {
                "" => continue,
                text => serde_json::from_str(text).map_err(|e| Refusal::new("not-json", e.to_string())),
            },
            Err(e) => Err(Refusal::new("not-utf8", format!("byte {} is no UTF-8", e.valid_up_to() + 1))),
        };
        values.push((format!("line-{number}"), parsed));
    }
    Ok(values)
}

fn members(path: &Path, mut file: File) -> Result<Vec<Placed>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|e| record::Error::io("read", path, e))?;
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let values: Vec<Value> = serde_json::from_slice(text).map_err(|e| {
        whole(path, &format!("begins like a JSON list and is none ({e})"), "mend it, or write one object a line")
    })?;
    Ok(values.into_iter().enumerate().map(|(at, value)| (format!("member-{}", at + 1), Ok(value))).collect())
}

/// Nothing of the file can be used.
pub(super) fn whole(path: &Path, problem: &str, hint: impl Into<String>) -> Error {
    Error::Data { path: path.into(), problem: problem.into(), hint: hint.into() }
}
