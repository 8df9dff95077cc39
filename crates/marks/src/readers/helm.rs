use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::intake::{Entry, Intake};
use crate::sitting::Sitting;
use crate::table::Row;
use crate::{Error, METRICS, Result, json, metric};

/// What was measured of one answer.
#[derive(Debug, Deserialize)]
struct Answer {
    instance_id: Value,
    #[serde(default)]
    train_trial_index: u64,
    #[serde(default)]
    perturbation: Option<Named>,
    #[serde(default)]
    stats: Vec<Stat>,
}

#[derive(Debug, Deserialize)]
struct Stat {
    name: Named,
    #[serde(default)]
    count: u64,
    #[serde(default)]
    sum: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

/// Who sat for what, by the `run_spec.json` beside the statistics, or by the folder's name, which is
/// `SCENARIO:KEY=VALUE,…,model=MODEL`.
pub(crate) fn sitting(path: &Path) -> Option<Sitting> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let spec = companion(folder, "run_spec.json");
    let adapter = &spec["adapter_spec"];
    let name = json::id(&spec["name"]).or_else(|| Some(folder.file_name()?.to_string_lossy().into_owned()))?;
    let (scenario, arguments) = name.split_once(':').unwrap_or((&name, ""));
    let pairs = || arguments.split(',').filter_map(|argument| argument.split_once('='));
    let model = json::id(&adapter["model"]);
    let model = model.or_else(|| pairs().find(|(key, _)| *key == "model").map(|(_, model)| model.to_string()));
    // What is asked, without who is asked and how.
    let asked: Vec<String> = pairs()
        .filter(|(key, _)| !["model", "model_deployment", "method"].contains(key))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let task = if asked.is_empty() { scenario.to_string() } else { format!("{scenario}:{}", asked.join(",")) };
    let mut settings = BTreeMap::new();
    for (key, field) in [("shots", "max_train_instances"), ("temperature", "temperature"), ("method", "method")] {
        if let Some(value) = json::id(&adapter[field]) {
            settings.insert(key.into(), value);
        }
    }
    Some(Sitting { model: model.unwrap_or_else(|| "model".into()), task, settings })
}

fn companion(folder: &Path, name: &str) -> Value {
    let bytes = std::fs::read(folder.join(name)).unwrap_or_default();
    json::parse(&bytes).unwrap_or_default()
}

/// Reads `per_instance_stats.json`, with the questions of the `instances.json` beside it.
pub(crate) fn read(path: &Path, person: &str, task: &str, intake: &mut Intake) -> Result<()> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::file("read", path))?;
    std::io::Read::read_to_end(&mut BufReader::new(file), &mut bytes).map_err(Error::file("read", path))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let choice = companion(folder, "run_spec.json")["adapter_spec"]["method"]
        .as_str()
        .is_some_and(|method| method.starts_with("multiple_choice"));
    parse(path, &bytes, &companion(folder, "instances.json"), choice, person, task, intake)
}

/// Reads the statistics. `choice` says whether the references of an instance are choices.
pub(crate) fn parse(
    path: &Path,
    bytes: &[u8],
    instances: &Value,
    choice: bool,
    person: &str,
    task: &str,
    intake: &mut Intake,
) -> Result<()> {
    let answers: Vec<Value> = json::parse(bytes)
        .map_err(|error| Error::no_log(path, format!("is damaged or cut off statistics of HELM ({error})")))?;
    let mut whole: Vec<Answer> = Vec::new();
    for value in answers {
        match serde_json::from_value(value) {
            Ok(answer) => whole.push(answer),
            Err(error) => intake.refuse(None, "not-an-answer", || error.to_string())?,
        }
    }
    let told: HashMap<String, &Value> = instances.as_array().map_or_else(HashMap::new, |instances| {
        instances.iter().filter_map(|instance| Some((json::id(&instance["id"])?, instance))).collect()
    });
    // Most statistics are no scores (times, tokens): only metrics that are known, or asked for.
    let asked = intake.options.metric.as_deref();
    let stats = || whole.iter().flat_map(|answer| &answer.stats).filter(|stat| stat.count > 0);
    let is_score = |name: &&str| METRICS.contains(name) || asked == Some(*name);
    let mut names: Vec<&str> = stats().map(|stat| stat.name.name.as_str()).filter(is_score).collect();
    names.sort_unstable();
    names.dedup();
    let Some(metric) = metric::choose(&names, intake, None)? else {
        let mut all: Vec<&str> = stats().map(|stat| stat.name.name.as_str()).collect();
        all.sort_unstable();
        all.dedup();
        return intake.refuse(None, "no-metric", || format!("has no metric that is known, only {}", all.join(", ")));
    };
    for answer in &whole {
        let Some(stat) = answer.stats.iter().find(|stat| stat.name.name == metric && stat.count > 0) else { continue };
        let Some(instance) = json::id(&answer.instance_id) else {
            intake.refuse(None, "no-item", || "an answer names no instance".into())?;
            continue;
        };
        let Some(sum) = stat.sum else {
            intake.refuse(None, "not-finite", || format!("instance {instance} has no finite {metric}"))?;
            continue;
        };
        let Some(attempt) = u16::try_from(answer.train_trial_index).ok().filter(|trial| *trial != u16::MAX) else {
            intake.refuse(None, "bad-attempt", || {
                format!("instance {instance} is of trial {}", answer.train_trial_index)
            })?;
            continue;
        };
        let id = match &answer.perturbation {
            Some(Named { name }) => format!("{instance}~{name}"),
            None => instance.clone(),
        };
        let at = intake.person(person)?;
        let (item, new) = intake.question(task, &id, None, None)?;
        if let Some(instance) = told.get(&instance).filter(|_| new) {
            let references = instance["references"].as_array().map_or(0, Vec::len);
            let known = intake.marks.item_mut(item);
            known.text = instance["input"]["text"].as_str().or_else(|| instance["input"].as_str()).map(Into::into);
            known.kind = Some(if choice && references > 1 { "choice" } else { "open" }.into());
            known.chance = (choice && references > 1).then(|| 1.0 / references as f64);
        }
        let score = sum / stat.count as f64;
        let (grader, max, line) = (Row::NOBODY, None, None);
        intake.score(Entry { person: at, item, grader, attempt, score, max, line })?;
    }
    Ok(())
}
