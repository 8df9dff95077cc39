use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::intake::{Entry, Intake};
use crate::sitting::Sitting;
use crate::table::Row;
use crate::{Error, Result, json};

/// Keys of a detail that say how right it is, the best first.
const KEYS: [&str; 7] = ["correct", "is_correct", "score", "cascade_correct", "llm_correct", "rule_correct", "acc"];

/// Who sat for what: `results/MODEL/DATASET.json`.
pub(crate) fn sitting(path: &Path) -> Sitting {
    let name = |path: Option<&Path>| path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let task = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Sitting { model: name(path.parent()).unwrap_or_else(|| "model".into()), task, settings: BTreeMap::new() }
}

/// Reads the details of a file of results, with the questions of the predictions it was made from.
pub(crate) fn read(path: &Path, person: &str, task: &str, intake: &mut Intake) -> Result<()> {
    let bytes = std::fs::read(path).map_err(Error::file("read", path))?;
    let predictions = predictions(path).unwrap_or_default();
    parse(path, &bytes, &predictions, person, task, intake)
}

/// `predictions/MODEL/DATASET.json`, beside the results.
fn predictions(path: &Path) -> Option<Value> {
    let (model, file) = (path.parent()?, path.file_name()?);
    let beside = model.parent()?.parent()?.join("predictions").join(model.file_name()?).join(file);
    json::parse(&std::fs::read(beside).ok()?).ok()
}

/// Reads results; `predictions` may tell the questions, by number.
pub(crate) fn parse(
    path: &Path,
    bytes: &[u8],
    predictions: &Value,
    person: &str,
    task: &str,
    intake: &mut Intake,
) -> Result<()> {
    let results: Value = json::parse(bytes)
        .map_err(|error| Error::no_log(path, format!("is damaged or cut off results of OpenCompass ({error})")))?;
    let numbered: Vec<(String, &Value)> = match &results["details"] {
        Value::Array(details) => {
            let id = |at: usize, detail: &Value| json::id(&detail["example_abbr"]).unwrap_or_else(|| at.to_string());
            details.iter().enumerate().map(|(at, detail)| (id(at, detail), detail)).collect()
        }
        Value::Object(details) => {
            details.iter().filter(|(_, detail)| detail.is_object()).map(|(id, detail)| (id.clone(), detail)).collect()
        }
        _ => return Err(Error::no_log(path, "has no details of single answers; evaluate with --dump-eval-details")),
    };
    for (id, detail) in numbered {
        // Of several answers each stands in a list.
        let answers: Vec<&Value> = match &detail["predictions"] {
            Value::Array(answers) if answers.iter().all(Value::is_object) => answers.iter().collect(),
            _ => vec![detail],
        };
        for (attempt, answer) in answers.into_iter().enumerate() {
            let Some(score) = score(answer, intake.options.metric.as_deref()) else {
                let keys = answer.as_object().map(|answer| answer.keys().cloned().collect::<Vec<_>>().join(", "));
                let problem = || format!("answer {id} does not say how right it is, only {}", keys.unwrap_or_default());
                intake.refuse(None, "no-score", problem)?;
                continue;
            };
            let Some(attempt) = u16::try_from(attempt).ok().filter(|attempt| *attempt != u16::MAX) else {
                intake.refuse(None, "bad-attempt", || format!("item {id} has more than {} answers", u16::MAX))?;
                continue;
            };
            let person = intake.person(person)?;
            let (item, new) = intake.question(task, &id, None, None)?;
            if new {
                describe(intake, item, detail, &predictions[&id]);
            }
            let (grader, max, line) = (Row::NOBODY, None, None);
            intake.score(Entry { person, item, grader, attempt, score, max, line })?;
        }
    }
    Ok(())
}

fn score(answer: &Value, metric: Option<&str>) -> Option<f64> {
    let number = |key: &str| match &answer[key] {
        // Some evaluators give a list of one.
        Value::Array(one) if one.len() == 1 => json::number(&one[0]),
        value => json::number(value),
    };
    match metric {
        Some(metric) => number(metric),
        None => KEYS.iter().find_map(|key| number(key)),
    }
}

fn describe(intake: &mut Intake, at: u32, detail: &Value, prediction: &Value) {
    let known = intake.marks.item_mut(at);
    known.text = prompt(&detail["prompt"]).or_else(|| prompt(&prediction["origin_prompt"]));
    // Where choices were weighed by their likelihood, each has its own entry.
    let weighed = detail["origin_prediction"].as_object().or(prediction.as_object());
    let choices = weighed.map_or(0, |labels| labels.values().filter(|label| label["PPL"].is_number()).count());
    known.kind = Some(if choices > 1 { "choice" } else { "open" }.into());
    known.chance = (choices > 1).then(|| 1.0 / choices as f64);
}

/// A prompt: a text, or what is said last in a conversation.
fn prompt(prompt: &Value) -> Option<String> {
    match prompt {
        Value::Array(turns) => turns.iter().rev().find_map(|turn| turn["prompt"].as_str()).map(Into::into),
        prompt => prompt.as_str().map(Into::into),
    }
}
