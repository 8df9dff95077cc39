use std::collections::HashSet;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::format::{Kind, kind};
use crate::intake::Intake;
use crate::readers::{answers, csv, helm, inspect, lines, lm_eval, open_compass, parquet};
use crate::sitting::{self, Sitting};
use crate::{Error, Format, Marks, Note, Options, Result};

/// Marks that were read, and what did not become a mark.
#[derive(Debug, Clone)]
pub struct Read {
    /// The table.
    pub marks: Marks,
    /// What was set aside, chosen or inferred, and why, in the order of the logs.
    pub notes: Vec<Note>,
    /// The logs that were read, in order.
    pub sources: Vec<Source>,
}

/// A log that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// Scores that were read from it, before duplicates were dropped.
    pub rows: usize,
}

/// A log to read.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    format: Format,
    /// Whether it was named itself, not found in a folder.
    named: bool,
}

/// Reads logs of any format that is known into one table; what a file is, its content tells. Folders are
/// searched, and files in them that are no logs are passed over, with a note.
///
/// Persons of one name are one person, items of one id are one item. Errors: a path that cannot be read
/// or that holds no log; a contradiction, unless `options` settle it; with `options.strict` everything
/// that would be set aside; no score at all.
pub fn read(paths: &[PathBuf], options: &Options) -> Result<Read> {
    let Some(first) = paths.first() else { return Err(Error::no_log(Path::new(""), "name a log to read")) };
    let mut intake = Intake::new(options);
    let logs = find(paths, &mut intake)?;
    let mut runs = lm_eval::Runs::default();
    let sittings: Vec<Option<Sitting>> = logs
        .iter()
        .map(|log| match log.format {
            Format::LmEval => Some(runs.sitting(&log.path)),
            Format::Inspect => inspect::sitting(&log.path),
            Format::Helm => helm::sitting(&log.path),
            Format::Answers => answers::sitting(&log.path),
            Format::OpenCompass => Some(open_compass::sitting(&log.path)),
            Format::Csv | Format::Wide | Format::Parquet | Format::Lines => None,
        })
        .collect();
    let known: Vec<Sitting> = sittings.iter().flatten().cloned().collect();
    let mut names = sitting::names(&known).into_iter();
    for (log, sitting) in logs.iter().zip(&sittings) {
        intake.begin(&log.path, log.format);
        // Without a sitting the head is unreadable, and the reader will say so.
        let person = sitting.as_ref().and_then(|_| names.next()).unwrap_or_default();
        let task = sitting.as_ref().map(|sitting| sitting.task.as_str()).unwrap_or_default();
        let (path, intake) = (log.path.as_path(), &mut intake);
        let done = match log.format {
            Format::Csv | Format::Wide => csv::read(path, intake),
            Format::Parquet => parquet::read(path, intake),
            Format::Lines => lines::read(path, intake),
            Format::LmEval => lm_eval::read(path, &person, task, &runs, intake),
            Format::Inspect => inspect::read(path, &person, intake),
            Format::Helm => helm::read(path, &person, task, intake),
            Format::OpenCompass => open_compass::read(path, &person, task, intake),
            Format::Answers => answers::read(path, &person, intake),
        };
        match done {
            Err(Error::NoLog { problem, .. }) if !log.named => intake.refuse(None, "unreadable", || problem)?,
            done => done?,
        }
        if let Some(Sitting { model, .. }) = sitting.as_ref().filter(|sitting| sitting.model != person) {
            // Variants of one model are not independent.
            let at = intake.person(&person)?;
            intake.marks.person_mut(at).base.get_or_insert_with(|| model.clone());
        }
        intake.end();
    }
    intake.finish(first)
}

/// The logs at `paths`.
fn find(paths: &[PathBuf], intake: &mut Intake) -> Result<Vec<Log>> {
    let (mut logs, mut seen) = (Vec::new(), HashSet::new());
    for path in paths {
        let meta = std::fs::metadata(path).map_err(Error::file("read", path))?;
        let (found, mut again) = (logs.len(), false);
        let files = if meta.is_dir() { walk(path, intake) } else { vec![path.clone()] };
        for file in files {
            let named = !meta.is_dir();
            // The same file by two ways would only give duplicates.
            if !seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
                again = true;
                intake.remark_at(&file, "named-twice", || "is named twice and read once".into());
                continue;
            }
            let kind = match kind(&file, intake.options) {
                Err(Error::File { source, .. }) if !named => Kind::Other(format!("cannot be read: {source}")),
                kind => kind?,
            };
            match kind {
                Kind::Log(format) => logs.push(Log { path: file, format, named }),
                Kind::Companion if named => {
                    return Err(Error::no_log(&file, "belongs to a log but holds no scores; name its folder"));
                }
                Kind::Companion => {}
                Kind::Other(problem) if named => return Err(Error::no_log(&file, problem)),
                Kind::Other(problem) => {
                    intake.remark_at(path, "no-log", || format!("{} {problem}", file.display()));
                }
            }
        }
        if meta.is_dir() {
            set_summaries_aside(&mut logs, found, path, intake);
            if logs.len() == found && !again {
                return Err(Error::no_log(path, "no log is in this folder"));
            }
        }
    }
    Ok(logs)
}

/// Beside a harness's logs a table with numbers is a summary, not a log.
fn set_summaries_aside(logs: &mut Vec<Log>, found: usize, folder: &Path, intake: &mut Intake) {
    let harness = |log: &Log| !matches!(log.format, Format::Csv | Format::Wide | Format::Parquet | Format::Lines);
    if !logs[found..].iter().any(harness) {
        return;
    }
    let mut at = 0;
    logs.retain(|log| {
        at += 1;
        let keep = at <= found || log.format != Format::Wide;
        if !keep {
            let detail =
                || format!("{} is taken for a summary beside the logs; name it to read it", log.path.display());
            intake.remark_at(folder, "summary", detail);
        }
        keep
    });
}

/// The files of a folder in the order of their names, without hidden ones.
fn walk(folder: &Path, intake: &mut Intake) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let visible = |entry: &walkdir::DirEntry| {
        let hidden = entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.');
        // Our own shards stand again, joined, beside their folder.
        let joined = entry.file_type().is_dir()
            && entry.file_name() == "shards"
            && entry.path().with_file_name("responses.jsonl").is_file();
        !hidden && !joined
    };
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter().filter_entry(visible) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => files.push(entry.into_path()),
            Ok(_) => {}
            Err(error) => intake.remark_at(error.path().unwrap_or(folder), "unreadable", || error.to_string()),
        }
    }
    files
}
