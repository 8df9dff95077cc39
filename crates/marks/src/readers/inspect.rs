use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use zip::ZipArchive;

use crate::intake::{Entry, Intake};
use crate::sitting::Sitting;
use crate::{Error, Result, json};

/// The most that one member of an archive may unpack to, in bytes.
const LARGEST_MEMBER: u64 = 256 << 20;
/// The most that a whole archive may unpack to, in bytes.
const LARGEST_LOG: u64 = 64 << 30;
/// Settings of how a model is called, which make no other person of it.
const CALLS: [&str; 9] = [
    "max_retries",
    "timeout",
    "attempt_timeout",
    "max_connections",
    "adaptive_connections",
    "seed",
    "batch",
    "cache",
    "base_url",
];

/// What counts here of a log's head.
#[derive(Debug, Deserialize)]
struct Header {
    eval: Eval,
}

#[derive(Debug, Deserialize)]
struct Eval {
    task: String,
    model: String,
    #[serde(default)]
    model_generate_config: Map<String, Value>,
    #[serde(default)]
    model_args: Map<String, Value>,
    #[serde(default)]
    task_args: Map<String, Value>,
    #[serde(default)]
    solver: Option<String>,
    #[serde(default)]
    solver_args: Option<Map<String, Value>>,
}

/// What counts here of a sample.
#[derive(Debug, Deserialize)]
struct Sample {
    id: Value,
    #[serde(default = "first_epoch")]
    epoch: u64,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    choices: Option<Vec<Value>>,
    #[serde(default)]
    target: Value,
    #[serde(default)]
    scores: Option<BTreeMap<String, Score>>,
    /// The one score of early logs.
    #[serde(default)]
    score: Option<Score>,
    #[serde(default)]
    error: Option<Problem>,
    #[serde(default)]
    invalidation: Option<Value>,
    #[serde(default)]
    attachments: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Score {
    #[serde(default)]
    value: Value,
}

#[derive(Debug, Deserialize)]
struct Problem {
    #[serde(default)]
    message: String,
}

/// A log in one piece.
#[derive(Debug, Deserialize)]
struct Whole {
    #[serde(default)]
    samples: Option<Vec<Value>>,
}

fn first_epoch() -> u64 {
    1
}

/// Who sat for what; none if the head cannot be read.
pub(crate) fn sitting(path: &Path) -> Option<Sitting> {
    let mut file = File::open(path).ok()?;
    head(&mut file).ok().map(from_header)
}

fn from_header(Header { eval }: Header) -> Sitting {
    let mut settings = BTreeMap::new();
    let solver = eval.solver.map(|solver| ("solver".to_string(), Value::String(solver)));
    let all = eval.model_generate_config.into_iter().chain(eval.model_args).chain(eval.task_args);
    for (key, value) in all.chain(eval.solver_args.unwrap_or_default()).chain(solver) {
        if !value.is_null() && !CALLS.contains(&key.as_str()) {
            settings.insert(key, value.as_str().map_or_else(|| value.to_string(), Into::into));
        }
    }
    Sitting { model: eval.model, task: eval.task, settings }
}

/// The head of a log in either form; why it cannot be read, else.
fn head<R: Read + Seek>(source: &mut R) -> std::result::Result<Header, String> {
    let mut magic = [0; 2];
    let io = |error: std::io::Error| error.to_string();
    source.read_exact(&mut magic).and_then(|()| source.rewind()).map_err(io)?;
    if &magic != b"PK" {
        return serde_json::from_slice(&whole(source)?).map_err(|error| format!("is no Inspect log ({error})"));
    }
    let mut archive = ZipArchive::new(BufReader::new(source)).map_err(damaged)?;
    // A run that was cut off has left only its beginning.
    let name = ["header.json", "_journal/start.json"].into_iter().find(|name| archive.index_for_name(name).is_some());
    let at = name.and_then(|name| archive.index_for_name(name)).ok_or("is a zip archive, but no Inspect log")?;
    let bytes = member(&mut archive, at, &mut LARGEST_MEMBER.clone())?;
    json::parse(&bytes).map_err(|error| format!("has a head that is no Inspect log's ({error})"))
}

/// Everything, with null for what JSON does not have.
fn whole(source: &mut impl Read) -> std::result::Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(json::without_nan(&bytes).into_owned())
}

fn damaged(error: impl std::fmt::Display) -> String {
    format!("is a damaged or cut off zip archive ({error})")
}

/// A member's bytes, which `budget` pays for. Nothing is written to the disk, so its name is harmless.
fn member<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    at: usize,
    budget: &mut u64,
) -> std::result::Result<Vec<u8>, String> {
    let file = archive.by_index(at).map_err(damaged)?;
    let most = LARGEST_MEMBER.min(*budget);
    let mut bytes = Vec::new();
    let read = file.take(most + 1).read_to_end(&mut bytes).map_err(damaged)? as u64;
    *budget -= read.min(most);
    if read > most { Err(format!("unpacks to more than {} MiB", most >> 20)) } else { Ok(bytes) }
}

/// Reads a log in either form.
pub(crate) fn read(path: &Path, person: &str, intake: &mut Intake) -> Result<()> {
    let file = File::open(path).map_err(Error::file("read", path))?;
    stream(path, file, person, intake)
}

/// Reads a log from anything that gives its bytes.
pub(crate) fn stream<R: Read + Seek>(path: &Path, mut source: R, person: &str, intake: &mut Intake) -> Result<()> {
    let fail = |problem: String| Error::no_log(path, problem);
    let task = head(&mut source).map_err(fail)?.eval.task;
    source.rewind().map_err(Error::file("read", path))?;
    let mut magic = [0; 2];
    source.read_exact(&mut magic).and_then(|()| source.rewind()).map_err(Error::file("read", path))?;
    let before = intake.marks.rows().len();
    if &magic == b"PK" {
        let mut archive = ZipArchive::new(BufReader::new(source)).map_err(|error| fail(damaged(error)))?;
        let mut budget = LARGEST_LOG;
        for at in 0..archive.len() {
            let name = archive.name_for_index(at).and_then(std::result::Result::ok).unwrap_or_default().into_owned();
            if !name.starts_with("samples/") || !name.ends_with(".json") {
                continue;
            }
            match member(&mut archive, at, &mut budget) {
                Ok(bytes) => match json::parse(&bytes) {
                    Ok(found) => sample(found, &task, person, intake)?,
                    Err(error) => intake.refuse(None, "not-a-sample", || format!("{name:?}: {error}"))?,
                },
                Err(problem) => intake.refuse(None, "damaged-member", || format!("{name:?} {problem}"))?,
            }
        }
    } else {
        let bytes = whole(&mut source).map_err(fail)?;
        let whole: Whole =
            serde_json::from_slice(&bytes).map_err(|error| fail(format!("is no Inspect log ({error})")))?;
        for value in whole.samples.unwrap_or_default() {
            match serde_json::from_value(value) {
                Ok(found) => sample(found, &task, person, intake)?,
                Err(error) => intake.refuse(None, "not-a-sample", || error.to_string())?,
            }
        }
    }
    if intake.marks.rows().len() == before {
        intake.remark(None, "no-sample", || "has no sample with a score".into());
    }
    Ok(())
}

fn sample(sample: Sample, task: &str, person: &str, intake: &mut Intake) -> Result<()> {
    let Some(id) = json::id(&sample.id) else {
        return intake.refuse(None, "no-item", || "a sample has no id".into());
    };
    if sample.invalidation.is_some() {
        return intake.refuse(None, "invalidated", || format!("sample {id} was declared invalid"));
    }
    let epoch = sample.epoch;
    let Some(attempt) = epoch.checked_sub(1).and_then(|a| u16::try_from(a).ok()).filter(|a| *a != u16::MAX) else {
        return intake.refuse(None, "bad-attempt", || format!("sample {id} has epoch {epoch}"));
    };
    let mut scores = sample.scores.unwrap_or_default();
    if let Some(score) = sample.score {
        scores.insert("score".into(), score);
    }
    if scores.is_empty() {
        intake.remark(None, "no-score", || match &sample.error {
            Some(Problem { message }) => format!("sample {id} failed ({message}) and has no score"),
            None => format!("sample {id} has no score"),
        });
        return Ok(());
    }
    let text = input(&sample.input, &sample.attachments);
    let print = text.as_ref().map(|text| fingerprint(text.as_bytes()));
    let values = values(&scores);
    let asked = intake.options.metric.clone();
    let chosen: Vec<_> = match &asked {
        Some(asked) => {
            values.into_iter().filter(|(name, ..)| name.split('/').any(|part| part == asked) || name == asked).collect()
        }
        None => values,
    };
    if chosen.is_empty() {
        let found: Vec<&str> = scores.keys().map(String::as_str).collect();
        return intake.refuse(None, "no-metric", || format!("sample {id} has only scores by {}", found.join(", ")));
    }
    let person = intake.person(person)?;
    let (item, new) = intake.question(task, &id, print, None)?;
    if new {
        let choices = sample.choices.map_or(0, |choices| choices.len());
        let one = !matches!(&sample.target, Value::Array(targets) if targets.len() > 1);
        let known = intake.marks.item_mut(item);
        known.text = text;
        known.kind = Some(if choices > 1 { "choice" } else { "open" }.into());
        known.chance = (choices > 1 && one).then(|| 1.0 / choices as f64);
    }
    for (name, value) in chosen {
        if value.is_null() {
            intake.remark(None, "no-score", || format!("sample {id} has no number from scorer {name}"));
            continue;
        }
        let Some(score) = number(value) else {
            intake.refuse(None, "not-a-score", || format!("scorer {name} gave sample {id} {value}, no number"))?;
            continue;
        };
        let grader = intake.marks.grader(&name)?;
        intake.score(Entry { person, item, grader, attempt, score, max: None, line: None })?;
    }
    Ok(())
}

/// Scores by scorer; those of a scorer that gives several by `SCORER/KEY`.
fn values(scores: &BTreeMap<String, Score>) -> Vec<(String, &Value)> {
    let mut values = Vec::new();
    for (scorer, Score { value }) in scores {
        match value {
            Value::Object(parts) => values.extend(parts.iter().map(|(key, value)| (format!("{scorer}/{key}"), value))),
            value => values.push((scorer.clone(), value)),
        }
    }
    values
}

/// A score's number; Inspect has letters for correct, incorrect, partial and no answer.
fn number(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("C") => Some(1.0),
        Some("P") => Some(0.5),
        Some("I" | "N") => Some(0.0),
        _ => json::number(value),
    }
}

/// The question: a text, or what the user says last in a conversation.
fn input(input: &Value, attachments: &BTreeMap<String, Value>) -> Option<String> {
    let content = match input {
        Value::Array(messages) => &messages.iter().rev().find(|message| message["role"] == "user")?["content"],
        input => input,
    };
    let text = match content {
        Value::Array(parts) => parts.iter().find_map(|part| part["text"].as_str())?,
        content => content.as_str()?,
    };
    // Long texts stand apart.
    let attached = text.strip_prefix("attachment://").and_then(|name| attachments.get(name)).and_then(Value::as_str);
    Some(attached.unwrap_or(text).to_string()).filter(|text| !text.is_empty())
}

/// FNV-1a of a question's bytes: the same everywhere, for item names show it.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
