//! Laws as a page, as a text and as files.

use report::{Section, Sheet, Table};
use scaling::{Interval, Verdict};

use super::picture::{curve, passage};
use super::{Capability, Laws, Reads, Study};

/// The laws as a sheet: a section for each way of holding out, and what each task hangs on.
pub fn scaling_sheet(laws: &Laws, title: &str) -> Sheet {
    let mut sheet = Sheet::new(title, headline(laws));
    sheet.read = vec![
        (laws.models.len() as u64, "models".into()),
        (laws.columns as u64, "columns of losses".into()),
        (laws.tasks.len() as u64, "tasks".into()),
    ];
    sheet.notes.clone_from(&laws.notes);
    for study in &laws.studies {
        sheet.sections.push(methods(study));
        sheet.sections.push(tasks(study));
    }
    if !laws.capabilities.is_empty() {
        sheet.sections.push(shares(laws));
    }
    let shown = laws.capabilities.iter().take(SHOWN).filter(|of| !of.top.is_empty());
    sheet.sections.extend(shown.flat_map(|of| tokens(laws, of)));
    sheet
}

/// Tasks whose tokens are shown; all stand in the record.
const SHOWN: usize = 12;

/// The first study in a sentence.
fn headline(laws: &Laws) -> String {
    let Some(study) = laws.studies.first() else { return String::new() };
    let known = |row: &&super::MethodRow| row.mae.is_some();
    let error = |row: &super::MethodRow| row.mae.map_or(f64::INFINITY, |mae| mae.value);
    let best = study.rows.iter().filter(known).min_by(|a, b| error(a).total_cmp(&error(b)));
    let own = study.rows.first().and_then(|row| row.mae);
    let (Some(best), Some(own)) = (best, own) else { return "No method could be fitted.".into() };
    let found = study.tasks.iter().filter(|task| matches!(task.verdict, Verdict::Predictable { .. })).count();
    format!(
        "With {}, salience vectors miss accuracies by {} on average (95 % {}, n = {} predictions); the least error has {} with {}. {} of {} tasks are predictable by salience.",
        study.hold_out.name(),
        points(own.value),
        limits(&own),
        study.n,
        best.method.name(),
        best.mae.map_or(String::new(), |mae| points(mae.value)),
        found,
        study.tasks.len()
    )
}

fn methods(study: &Study) -> Section {
    let interval = |interval: &Option<Interval>| interval.as_ref().map_or("–".into(), limits);
    let number = |x: f64| if x.is_finite() { points(x) } else { "–".into() };
    let row = |row: &super::MethodRow| {
        let reads = match row.reads {
            Reads::Losses => "losses",
            Reads::Tasks => "other tasks",
            Reads::Size => "size",
        };
        vec![
            row.method.name().into(),
            reads.into(),
            row.mae.map_or("–".into(), |mae| points(mae.value)),
            interval(&row.mae),
            number(row.median),
            row.spearman.map_or("–".into(), |rank| format!("{rank:.2}")),
            row.behind.map_or("–".into(), |behind| format!("{} {}", signed(behind.value), limits(&behind))),
            row.verdicts.map(|count| count.to_string()).join(" / "),
            format!("{} of {}", row.unfit, row.fits),
        ]
    };
    let head = [
        "method",
        "reads",
        "MAE",
        "95 %",
        "median",
        "rank correlation",
        "behind salience [95 %]",
        "predictable / not / open",
        "not fitted",
    ];
    let parts = study.parts.iter().map(|part| {
        let end = if part.at_end { ", at the end of what was tried" } else { "" };
        format!("{} ({} learnt from, {} predicted, λ {:.1e}{end})", part.name, part.train, part.test, part.lambda)
    });
    let mut section = Section::new(format!("Every law, {}", study.hold_out.name()))
        .text(format!(
            "{}. Errors are in points of accuracy over n = {} predictions (tasks × held-out models); limits draw {} groups of models of one family and size anew. A fit that fails counts with the mean of the training models.",
            parts.collect::<Vec<_>>().join("; "),
            study.n,
            study.clusters
        ))
        .table(Table::new(head, study.rows.iter().map(row).collect()).file("methods.csv"));
    let whys: Vec<String> = study
        .rows
        .iter()
        .filter_map(|row| row.why.as_ref().map(|why| format!("{}: {why}", row.method.name())))
        .collect();
    if !whys.is_empty() {
        section = section.text(format!("Not fitted, the first reason of each: {}.", whys.join("; ")));
    }
    section
}

fn tasks(study: &Study) -> Section {
    let methods: Vec<_> = study.rows.iter().filter(|row| row.mae.is_some()).map(|row| row.method).collect();
    let row = |task: &super::TaskRow| {
        let mut cells = vec![task.task.clone(), format!("{}–{}", points(task.range.0), points(task.range.1))];
        let (word, gain) = match &task.verdict {
            Verdict::Predictable { gain } => ("predictable".into(), gain),
            Verdict::NotPredictable { reason, gain } => (format!("not predictable: {reason}"), gain),
            Verdict::Undecided { gain, detectable } => {
                (format!("undecided (detectable: {})", points(*detectable)), gain)
            }
        };
        cells.push(word);
        cells.push(format!("{} {}", signed(gain.value), limits(gain)));
        cells.push(task.covered.map_or("–".into(), |(inside, n)| format!("{inside} of {n}")));
        let error =
            |method| task.mae.iter().find(|(other, _)| *other == method).map_or("–".into(), |(_, x)| points(*x));
        cells.extend(methods.iter().map(|method| error(*method)));
        cells
    };
    let mut head: Vec<String> =
        ["task", "range", "by salience", "saved against the mean [95 %]", "in the 95 % band"].map(Into::into).into();
    head.extend(methods.iter().map(|method| format!("MAE, {}", method.name())));
    let all: (usize, usize) =
        study.tasks.iter().filter_map(|task| task.covered).fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
    Section::new(format!("Task by task, {}", study.hold_out.name()))
        .text(format!(
            "95 % bands of the salience vector, with the errors that it made on folds of the training models, hold {} of {} accuracies.",
            all.0, all.1
        ))
        .table(Table::new(head, study.tasks.iter().map(row).collect()).file("tasks.csv"))
}

fn shares(laws: &Laws) -> Section {
    let row = |of: &Capability| {
        let shares = of.domains.iter().take(5).map(|(name, share)| format!("{name} {:.0} %", 100.0 * share));
        vec![of.task.clone(), shares.collect::<Vec<_>>().join(", "), points(of.rmse), format!("{:.1e}", of.lambda)]
    };
    Section::new("What each task hangs on")
        .text("Vectors fitted to all models: a column's effect is its weight in log-odds a nat times the spread of its loss over the models. They describe; predictions stand above.")
        .table(Table::new(
            ["task", "share of the effect by domain", "rms error on the same models", "λ"],
            laws.capabilities.iter().map(row).collect(),
        ))
}

fn tokens(laws: &Laws, of: &Capability) -> Vec<Section> {
    let row = |token: &super::InText| {
        vec![
            shown(&token.token),
            format!("…{}[{}]{}…", shown(&token.around.0), shown(&token.token), shown(&token.around.1)),
            token.domain.clone(),
            format!("{:+.3}", token.effect),
            format!("{:+.3}", token.slope),
            format!("{:.2}", token.spread),
        ]
    };
    let mut first = Section::new(format!("Top tokens of {}", of.task)).table(Table::new(
        ["token", "in its text", "domain", "effect, log-odds", "slope, log-odds a nat", "spread, nats"],
        of.top.iter().map(row).collect(),
    ));
    if let Some(figure) = curve(laws, of) {
        first = first.figure(figure.svg(), figure.caption());
    }
    let second = passage(of)
        .map(|figure| Section::new(format!("{} in its text", of.task)).figure(figure.svg(), figure.caption()));
    std::iter::once(first).chain(second).collect()
}

/// White space that can be seen.
fn shown(text: &str) -> String {
    text.replace('\n', "⏎")
}

/// Points of accuracy.
fn points(x: f64) -> String {
    format!("{:.2}", 100.0 * x)
}

fn signed(x: f64) -> String {
    format!("{:+.2}", 100.0 * x)
}

fn limits(interval: &Interval) -> String {
    format!("[{}, {}]", points(interval.low), points(interval.high))
}

/// The files beside the page: name and content.
pub fn scaling_csv(laws: &Laws) -> Vec<(&'static str, Vec<u8>)> {
    let mut files = vec![("methods.csv", Vec::new()), ("tasks.csv", Vec::new()), ("points.csv", Vec::new())];
    for (at, study) in laws.studies.iter().enumerate() {
        let name = study.hold_out.name();
        for (file, section) in [(0, methods(study)), (1, tasks(study))] {
            let Some(table) = section.table else { continue };
            if at == 0 {
                line(&mut files[file].1, std::iter::once("held out").chain(table.columns.iter().map(String::as_str)));
            }
            for row in &table.rows {
                line(&mut files[file].1, std::iter::once(name).chain(row.iter().map(String::as_str)));
            }
        }
        if at == 0 {
            line(&mut files[2].1, ["held out", "task", "model", "predicted", "low", "high", "observed"].into_iter());
        }
        for task in &study.tasks {
            for point in &task.points {
                let band =
                    |pick: fn((f64, f64)) -> f64| point.band.map_or(String::new(), |band| pick(band).to_string());
                let numbers = [point.predicted.to_string(), band(|b| b.0), band(|b| b.1), point.observed.to_string()];
                let cells = [name, &task.task, &point.model].into_iter();
                line(&mut files[2].1, cells.chain(numbers.iter().map(String::as_str)));
            }
        }
    }
    files
}

/// A line of a CSV file; memory never refuses it.
fn line<'a>(file: &mut Vec<u8>, cells: impl Iterator<Item = &'a str>) {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
    writer.write_record(cells).ok();
    writer.flush().ok();
}
