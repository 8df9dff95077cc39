use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::intake::{Entry, Intake};
use crate::records::Lines;
use crate::sitting::Sitting;
use crate::table::Row;
use crate::{Error, Result, json};

/// What counts here of a marked answer.
#[derive(Debug, Deserialize)]
struct Answer {
    item: String,
    #[serde(default)]
    fact: Option<String>,
    #[serde(default)]
    document: Option<String>,
    model: String,
    #[serde(default)]
    mode: Option<String>,
    #[serde(default)]
    question: Option<String>,
    score: Value,
    #[serde(default)]
    secondary: Value,
    #[serde(default)]
    choice_logprobs: Vec<Value>,
    #[serde(default)]
    failed: Option<String>,
}

/// A line of `responses.jsonl`, or of a shard, which says what it holds.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Shard { response: Answer },
    Plain(Answer),
}

/// Who sat, by the first answer. An exam names its models by their part in it (`candidate`), so the
/// folder tells them apart.
pub(crate) fn sitting(path: &Path) -> Option<Sitting> {
    let mut lines = Lines::new(BufReader::new(File::open(path).ok()?));
    let mut buffer = Vec::new();
    while lines.next(&mut buffer).ok()?.is_some() {
        if let Ok(Line::Plain(answer) | Line::Shard { response: answer }) = json::parse(&buffer) {
            let folder = path.parent().unwrap_or(Path::new("")).display().to_string();
            let settings = answer.mode.map(|mode| ("mode".to_string(), mode)).into_iter();
            let settings = settings.chain([("folder".to_string(), folder)]).collect();
            return Some(Sitting { model: answer.model, task: String::new(), settings });
        }
        buffer.clear();
    }
    None
}

/// Reads marked answers, line by line. `person` is the first one's.
pub(crate) fn read(path: &Path, person: &str, intake: &mut Intake) -> Result<()> {
    let file = File::open(path).map_err(Error::file("read", path))?;
    let mut lines = Lines::new(BufReader::new(file));
    let (mut buffer, mut first) = (Vec::new(), None::<(String, Option<String>)>);
    loop {
        buffer.clear();
        let Some(line) = lines.next(&mut buffer).map_err(Error::file("read", path))? else { return Ok(()) };
        if buffer.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let line = Some(line);
        let answer: Answer = match json::parse(&buffer) {
            Ok(Line::Plain(answer) | Line::Shard { response: answer }) => answer,
            Err(error) => {
                intake.refuse(line, "not-an-answer", || error.to_string())?;
                continue;
            }
        };
        let who = (answer.model.clone(), answer.mode.clone());
        let name = if first.get_or_insert_with(|| who.clone()) == &who {
            person.to_string()
        } else {
            format!("{}{}", who.0, who.1.map(|mode| format!(" (mode={mode})")).unwrap_or_default())
        };
        let score =
            if intake.options.metric.as_deref() == Some("secondary") { &answer.secondary } else { &answer.score };
        let Some(score) = json::number(score) else {
            intake.refuse(line, "no-score", || format!("{score} is no score"))?;
            continue;
        };
        if let Some(reason) = &answer.failed {
            intake.remark(line, "failed", || format!("the request failed ({reason}), which counts as {score}"));
        }
        let person = intake.person(&name)?;
        let (item, new) = intake.item(&answer.item, false)?;
        if new {
            let choices = answer.choice_logprobs.len();
            let known = intake.marks.item_mut(item);
            (known.subject, known.cluster, known.text) = (answer.document, answer.fact, answer.question);
            known.kind = Some(if choices > 1 { "choice" } else { "blank" }.into());
            known.chance = (choices > 1).then(|| 1.0 / choices as f64);
        }
        let (grader, attempt) = (Row::NOBODY, 0);
        intake.score(Entry { person, item, grader, attempt, score, max: Some(1.0), line })?;
    }
}
