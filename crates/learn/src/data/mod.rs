//! Data in the formats that people have.
//!
//! [`samples`], [`preferences`] and [`questions`] read JSON Lines, a JSON list, or a Parquet table;
//! which of the [`Format`]s it is, its first line says:
//!
//! | fields | from | becomes |
//! |---|---|---|
//! | `id`, `fact`, `document`, `messages`, `wording`, `citations` | lyceum | sample |
//! | `id`, `question`, `messages`, `chosen`, `rejected` | lyceum | preference |
//! | `messages` | TRL, OpenAI chat | sample |
//! | `prompt`, `completion` | TRL | sample |
//! | `prompt`, `completion`, `label` | TRL (KTO) | preference with one answer |
//! | `prompt`, `chosen`, `rejected` | TRL | preference |
//! | `chosen`, `rejected`, lists of turns | TRL | preference; the prompt is what both begin with |
//! | `input`, `preferred_output`, `non_preferred_output` | OpenAI | preference |
//! | `question`, `answer` | anywhere | sample |
//!
//! A prompt that is a plain text becomes a turn of the user, and a completion a turn of the model, so
//! that the chat template frames both; one space at a completion's beginning is dropped, since it
//! stood between the two. Turns may carry OpenAI's `weight`, 0 or 1. Other fields are ignored. A line
//! without an id gets its place: `line-12`.
//!
//! Invariants: a file of several formats, an empty one and a sealed bank are errors that name file,
//! line and field; a line that cannot be used is a [`Drop`] with one of [`REASONS`], so that lines
//! read = lines used + drops; nothing is guessed.

mod completion;
mod format;
mod line;
mod pair;
mod parquet;
mod question;
mod sample;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use record::{Drop, Preference, Sample};

pub use format::Format;
pub use question::Question;
pub use turns::Turns;

use crate::{Error, Result};
use line::{Line, Refusal, whole};

/// Name of the stage in drops.
const STAGE: &str = "data";

/// Why lines are dropped, in stable words, and what each means.
pub const REASONS: [(&str, &str); 19] = [
    ("not-utf8", "the line is no UTF-8"),
    ("not-json", "the line is no JSON object"),
    ("bad-record", "a record of lyceum's own lacks a field or has a wrong one"),
    ("duplicate", "an earlier line has the same id"),
    ("no-prompt", "nothing is asked"),
    ("no-answer", "nothing is answered"),
    ("empty-answer", "an answer says nothing"),
    ("prompt-ends-with-answer", "the last turn of a prompt is the assistant's"),
    ("same-answers", "both answers of a pair are the same"),
    ("not-one-answer", "the sides of a pair differ in more than the last answer"),
    ("content-not-text", "a text is a number, a list, an object or null"),
    ("not-turns", "a list of turns is something else"),
    ("unknown-role", "a turn is neither the system's, the user's nor the assistant's"),
    ("uses-tools", "a turn calls a tool, or tools are offered"),
    ("bad-weight", "a weight is no number that is allowed there"),
    ("bad-label", "a label is neither true nor false"),
    ("nothing-learned", "no turn of the assistant has a weight"),
    ("no-chosen", "fine-tuning needs a good answer"),
    ("cut-answer", "fine-tuning needs an answer that is whole"),
];

/// What a file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Data<T> {
    /// In the file's order.
    pub records: Vec<T>,
    /// What the lines are.
    pub format: Format,
    /// Lines that give nothing.
    pub drops: Vec<Drop>,
    /// Lines that have several turns of the model.
    pub several: usize,
}

/// What a file holds, whichever it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Either {
    /// For fine-tuning.
    Samples(Data<Sample>),
    /// For learning from preferences.
    Preferences(Data<Preference>),
}

/// Reads samples for fine-tuning; of a preference its better answer.
pub fn samples(path: &Path, which: Turns) -> Result<Data<Sample>> {
    let (lines, drops) = line::read(path)?;
    let format = format::detect(path, &lines)?;
    let document = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    collect(path, lines, format, drops, |line| sample::read(line, format, &document, which))
}

/// Reads preferences.
pub fn preferences(path: &Path) -> Result<Data<Preference>> {
    let (lines, drops) = line::read(path)?;
    let format = format::detect(path, &lines)?;
    if !format.is_preference() {
        let hint = "learn from them with `lyceum learn sft`, or give pairs: prompt, chosen, rejected";
        return Err(whole(path, &format!("holds {}, of which none is better or worse", format.words()), hint));
    }
    collect(path, lines, format, drops, |line| Ok(vec![pair::read(line, format)?]))
}

/// Reads samples or preferences, as the file has them.
pub fn open(path: &Path, which: Turns) -> Result<Either> {
    let (lines, _) = line::read(path)?;
    match format::detect(path, &lines)?.is_preference() {
        true => preferences(path).map(Either::Preferences),
        false => samples(path, which).map(Either::Samples),
    }
}

/// Reads questions to practise on: `question`, `prompt` or `messages`, and `answer` or `answers`
/// where they are known. A bank that is marked for the exam or for control is refused.
pub fn questions(path: &Path) -> Result<(Vec<Question>, Vec<Drop>)> {
    let (lines, drops) = line::read(path)?;
    for line in &lines {
        if let Some(bank) = question::sealed(line) {
            let hint = "practise on a bank marked `practice`, or on questions of your own; what was seen in \
                        training proves nothing in an exam";
            let problem = format!("holds a question of the {bank} bank ({})", line.place.replace('-', " "));
            return Err(whole(path, &problem, hint));
        }
    }
    if !lines.iter().any(|line| ["question", "prompt", "messages"].iter().any(|field| line.has(field))) {
        let problem = "has no line with a `question`, a `prompt` or `messages`";
        return Err(whole(path, problem, r#"one line a question: {"question": "…"}"#));
    }
    let data = collect(path, lines, Format::Messages, drops, |line| Ok(vec![question::read(line)?]))?;
    Ok((data.records, data.drops))
}

/// A count for each reason.
pub fn counts(drops: &[Drop]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for drop in drops {
        *counts.entry(drop.reason.clone()).or_insert(0) += 1;
    }
    counts
}

/// Each line by itself, then what holds of all: ids differ, and something is left.
fn collect<T>(
    path: &Path,
    lines: Vec<Line>,
    format: Format,
    mut drops: Vec<Drop>,
    read: impl Fn(&Line) -> std::result::Result<Vec<T>, Refusal>,
) -> Result<Data<T>> {
    let (mut records, mut ids, mut several) = (Vec::new(), HashSet::new(), 0);
    for line in lines {
        let id = line.id();
        let found = match ids.contains(&id) {
            true => Err(Refusal::new("duplicate", format!("the id {id:?} was given to an earlier line"))),
            false => read(&line),
        };
        match found {
            Ok(found) => {
                several += usize::from(speaks_often(&line));
                records.extend(found);
                ids.insert(id);
            }
            Err(refusal) => drops.push(refusal.record(path, &id, &line.place)),
        }
    }
    if records.is_empty() {
        let told = counts(&drops).iter().map(|(reason, count)| format!("{reason} {count}")).collect::<Vec<_>>();
        let problem = format!("has no line that can be used ({})", told.join(", "));
        let first = drops.first().map_or("it has no lines".to_string(), |drop| drop.detail.clone());
        return Err(whole(path, &problem, format!("the first: {first}")));
    }
    Ok(Data { records, format, drops, several })
}

/// Whether a conversation has several turns of the model.
fn speaks_often(line: &Line) -> bool {
    let messages = line.get("messages").and_then(|value| value.as_array());
    let speaks = |turn: &&serde_json::Value| turn["role"] == "assistant";
    messages.is_some_and(|turns| turns.iter().filter(speaks).count() > 1)
}

/// Why the model cannot learn a record, in a stable word, if that is what went wrong.
pub(crate) fn reason(error: &Error) -> Option<&'static str> {
    use weights::Error::{UnopenedTemplate, UnstableTemplate};
    Some(match error {
        Error::SampleTooLong { .. } => "too-long",
        Error::Sample { .. } => "not-learnable",
        Error::Template { source: UnstableTemplate { .. }, .. } => "template-prefix-mismatch",
        Error::Template { source: UnopenedTemplate { .. }, .. } => "template-without-generation-mark",
        Error::Template { .. } => "template",
        _ => return None,
    })
}

/// A drop for a record that the model cannot learn.
pub(crate) fn unlearnable(error: &Error) -> Option<Drop> {
    let (Error::SampleTooLong { id, .. } | Error::Sample { id, .. } | Error::Template { id, .. }) = error else {
        return None;
    };
    let (record, reason) = (id.clone(), reason(error)?.into());
    Some(Drop { stage: STAGE.into(), record, reason, detail: error.to_string() })
}
