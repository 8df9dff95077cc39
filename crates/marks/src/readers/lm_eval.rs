use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::intake::{Entry, Intake};
use crate::metric;
use crate::records::Lines;
use crate::sitting::Sitting;
use crate::table::Row;
use crate::{Error, Result, json};

/// Keys of a line that are no metric.
const OTHER_KEYS: [&str; 11] = [
    "doc_id",
    "doc",
    "target",
    "arguments",
    "resps",
    "filtered_resps",
    "filter",
    "metrics",
    "doc_hash",
    "prompt_hash",
    "target_hash",
];

/// The `results_*.json` beside samples, read once each.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// What a folder's results hold, by their date.
    folders: HashMap<PathBuf, BTreeMap<String, Value>>,
}

impl Runs {
    /// Whose samples of which task a file holds.
    pub fn sitting(&mut self, path: &Path) -> Sitting {
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        self.folders.entry(folder.clone()).or_insert_with(|| results(&folder));
        let results = self.results(path);
        let task = task(path, results);
        let Some(results) = results else {
            // The harness names a model's folder after it.
            let model = folder.file_name().map(|name| name.to_string_lossy().into_owned());
            return Sitting { model: model.unwrap_or_else(|| "model".into()), task, settings: BTreeMap::new() };
        };
        let config = &results["config"];
        let mut settings = arguments(&config["model_args"]);
        let named =
            ["peft", "delta", "pretrained", "model", "path", "engine"].iter().find_map(|key| settings.remove(*key));
        let model = json::id(&results["model_name"]).or(named).or_else(|| json::id(&config["model"]));
        for (key, value) in arguments(&config["gen_kwargs"]) {
            settings.insert(key, value);
        }
        for (key, value) in [
            ("shots", &results["n-shot"][&task]),
            ("system", &results["system_instruction_sha"]),
            ("template", &results["chat_template_sha"]),
            ("multiturn", &results["fewshot_as_multiturn"]),
        ] {
            match value {
                Value::Null => {}
                Value::String(hash) => drop(settings.insert(key.into(), hash.chars().take(8).collect())),
                value => drop(settings.insert(key.into(), value.to_string())),
            }
        }
        // How it was computed makes no other person.
        for key in ["batch_size", "max_batch_size", "device", "parallelize", "num_concurrent", "base_url"] {
            settings.remove(key);
        }
        Sitting { model: model.unwrap_or_else(|| "model".into()), task, settings }
    }

    /// The results of a samples file's run: of the same date, or the only ones there.
    fn results(&self, path: &Path) -> Option<&Value> {
        let results = self.folders.get(path.parent()?)?;
        let stem = path.file_stem()?.to_string_lossy();
        let same = results.iter().find(|(date, _)| !date.is_empty() && stem.ends_with(date.as_str()));
        same.map(|(_, value)| value).or_else(|| results.values().next().filter(|_| results.len() == 1))
    }

    /// Whether less is better under a metric, e.g. perplexity.
    fn falls(&self, path: &Path, task: &str, metric: &str) -> bool {
        self.results(path).is_some_and(|results| results["higher_is_better"][task][metric] == false)
    }
}

fn results(folder: &Path) -> BTreeMap<String, Value> {
    let mut results = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".json").filter(|_| !name.starts_with("samples_")) else { continue };
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        if let Ok(value) = json::parse::<Value>(&bytes)
            && value["results"].is_object()
        {
            let date = stem.rsplit('_').next().unwrap_or_default();
            results.insert(date.into(), value);
        }
    }
    results
}

/// The task of `samples_TASK_DATE.jsonl`: the longest that the results name, or what stands there.
fn task(path: &Path, results: Option<&Value>) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem = stem.strip_prefix("samples_").unwrap_or(&stem);
    // Dates are such as 2024-05-03T10-20-30.123456.
    let task = match stem.rsplit_once('_') {
        Some((task, date)) if date.contains('T') && date.starts_with(|c: char| c.is_ascii_digit()) => task,
        _ => stem,
    };
    let known = results.and_then(|results| results["configs"].as_object());
    if known.is_none_or(|known| known.contains_key(task)) {
        return task.into();
    }
    // Older versions put the model's arguments in front of the task.
    let tasks = known.into_iter().flat_map(|known| known.keys()).filter(|name| task.ends_with(name.as_str()));
    tasks.max_by_key(|name| name.len()).map_or(task, String::as_str).into()
}

/// Arguments as the harness logs them: an object, or `key=value,key=value`.
fn arguments(value: &Value) -> BTreeMap<String, String> {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), value.as_str().map_or_else(|| value.to_string(), Into::into)))
            .collect(),
        Value::String(text) => {
            let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
            pairs.map(|(key, value)| (key.trim().into(), value.trim().into())).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// Reads samples, line by line.
pub(crate) fn read(path: &Path, person: &str, task: &str, runs: &Runs, intake: &mut Intake) -> Result<()> {
    let rows = intake.marks.rows().len();
    let asked = intake.options.filter.clone();
    let mut filters = pass(path, person, task, runs, asked.as_deref(), intake)?;
    // A filter is asked for where there are several; a task with one filter has its only one.
    if asked.is_some() && intake.marks.rows().len() == rows && filters.len() == 1 {
        filters = pass(path, person, task, runs, None, intake)?;
    }
    if filters.len() > 1 {
        let chosen = asked.as_ref().filter(|asked| filters.contains(asked)).or(filters.first()).cloned();
        let taken = chosen.unwrap_or_default();
        intake.choice(
            None,
            "several-filters",
            format!("answers were filtered by {}; taken: {taken}", filters.join(", ")),
        );
    }
    Ok(())
}

/// Reads the samples of one filter, by default the first; gives the filters of all.
fn pass(
    path: &Path,
    person: &str,
    task: &str,
    runs: &Runs,
    filter: Option<&str>,
    intake: &mut Intake,
) -> Result<Vec<String>> {
    let file = File::open(path).map_err(Error::file("read", path))?;
    let mut lines = Lines::new(BufReader::new(file));
    let (mut buffer, mut filters, mut chosen) = (Vec::new(), Vec::<String>::new(), None::<String>);
    let person = intake.person(person)?;
    loop {
        buffer.clear();
        let Some(line) = lines.next(&mut buffer).map_err(Error::file("read", path))? else { return Ok(filters) };
        if buffer.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let line = Some(line);
        let sample: Map<String, Value> = match json::parse(&buffer) {
            Ok(sample) => sample,
            Err(error) => {
                intake.refuse(line, "not-json", || error.to_string())?;
                continue;
            }
        };
        let of = sample.get("filter").and_then(Value::as_str).unwrap_or("none");
        if !filters.iter().any(|known| known == of) {
            filters.push(of.into());
        }
        if of != filter.unwrap_or(&filters[0]) {
            continue;
        }
        let Some(id) = sample.get("doc_id").and_then(json::id) else {
            intake.refuse(line, "no-item", || "has no doc_id".into())?;
            continue;
        };
        if chosen.is_none() {
            chosen = choose(&sample, path, task, runs, line, intake)?;
        }
        let Some(metric) = &chosen else { continue };
        let Some(score) = sample.get(metric).and_then(json::number) else {
            let found = sample.get(metric).unwrap_or(&Value::Null);
            intake.refuse(line, "no-score", || format!("`{metric}` is {found}, no number"))?;
            continue;
        };
        let print = sample.get("doc_hash").and_then(Value::as_str).and_then(|hash| hash.get(..16));
        let print = print.and_then(|hash| u64::from_str_radix(hash, 16).ok());
        let (item, new) = intake.question(task, &id, print, line)?;
        if new {
            describe(intake, item, &sample);
        }
        let (grader, attempt, max) = (Row::NOBODY, 0, None);
        intake.score(Entry { person, item, grader, attempt, score, max, line })?;
    }
}

/// The metric that a file's first sample has; none if there is none that can be a score.
fn choose(
    sample: &Map<String, Value>,
    path: &Path,
    task: &str,
    runs: &Runs,
    line: Option<u64>,
    intake: &mut Intake,
) -> Result<Option<String>> {
    let numbers =
        sample.iter().filter(|(key, value)| !OTHER_KEYS.contains(&key.as_str()) && json::number(value).is_some());
    let names: Vec<&str> = numbers.map(|(key, _)| key.as_str()).filter(|name| !runs.falls(path, task, name)).collect();
    let chosen = metric::choose(&names, intake, line)?;
    if chosen.is_none() {
        let found: Vec<&str> = sample.keys().map(String::as_str).filter(|key| !OTHER_KEYS.contains(key)).collect();
        let asked = intake.options.metric.clone();
        intake.refuse(line, "no-metric", || match asked {
            Some(asked) => format!("has no metric {asked} in which more is better, only {}", found.join(", ")),
            None => format!("has no metric in which more is better, only {}", found.join(", ")),
        })?;
    }
    Ok(chosen)
}

/// Tells what a sample says of its question.
fn describe(intake: &mut Intake, at: u32, sample: &Map<String, Value>) {
    let requests: Vec<[&Value; 2]> = match sample.get("arguments") {
        Some(Value::Object(requests)) => {
            requests.values().map(|request| [&request["arg_0"], &request["arg_1"]]).collect()
        }
        Some(Value::Array(requests)) => requests.iter().map(|request| [&request[0], &request[1]]).collect(),
        _ => Vec::new(),
    };
    // Choices are continuations; those without a context only normalise the others.
    let is_choice = |[context, continuation]: &&[&Value; 2]| {
        continuation.is_string() && context.as_str().is_some_and(|context| !context.is_empty())
    };
    let choices = requests.iter().filter(is_choice).count();
    let item = intake.marks.item_mut(at);
    item.text = sample.get("doc").and_then(question).or_else(|| Some(requests.first()?[0].as_str()?.to_string()));
    item.kind = match choices {
        0 if requests.is_empty() => None,
        0 => Some("open".into()),
        1 => Some("blank".into()),
        _ => Some("choice".into()),
    };
    item.chance = (choices > 1).then(|| 1.0 / choices as f64);
}

/// The question of a document.
fn question(doc: &Value) -> Option<String> {
    const KEYS: [&str; 11] = [
        "question",
        "query",
        "problem",
        "input",
        "prompt",
        "goal",
        "ctx",
        "sentence",
        "premise",
        "text",
        "instruction",
    ];
    KEYS.iter().find_map(|key| doc[*key].as_str()).filter(|text| !text.is_empty()).map(Into::into)
}
