//! Laws as a page, as a text and as files.

use report::{Section, Sheet, Table};
use scaling::{Interval, Verdict};

use super::picture::{curve, passage};
use super::{Capability, Laws, Method, Reads, Study};

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
    let error = |row: &super::MethodRow| row.mae.map_or(f64::INFINITY, |mae| mae.value);
    let own = study.rows.first().and_then(|row| row.mae);
    let rival = study.rows.iter().skip(1).min_by(|a, b| error(a).total_cmp(&error(b)));
    let Some((own, rival)) = own.zip(rival) else { return "No method could be fitted.".into() };
    let found = study.tasks.iter().filter(|task| matches!(task.verdict, Verdict::Predictable { .. })).count();
    format!(
        "With {}, salience vectors miss accuracies by {} points {}, n = {}; the best rival, {}, by {}. {found} of {} tasks are predictable.",
        study.hold_out.name(),
        points(own.value),
        limits(&own),
        study.n,
        rival.method.name(),
        points(error(rival)),
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
    let fitted = |row: &&super::MethodRow| row.mae.is_some();
    let mut section = Section::new(format!("Every law, {}", study.hold_out.name()))
        .text(format!(
            "{}. Errors are in points of accuracy over n = {} predictions (tasks × held-out models); limits draw {} groups of models of one family and size anew. A fit that fails counts with the mean of the training models.",
            parts.collect::<Vec<_>>().join("; "),
            study.n,
            study.clusters
        ))
        .table(Table::new(head, study.rows.iter().filter(fitted).map(row).collect()).file("methods.csv"));
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

/// The tasks with the salience vector's figures and its best rival's; a file holds all.
fn tasks(study: &Study) -> Section {
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
        let own = task.mae.iter().find(|(method, _)| *method == Method::Salience);
        cells.push(own.map_or("–".into(), |(_, x)| points(*x)));
        let rivals = task.mae.iter().filter(|(method, _)| *method != Method::Salience);
        let best = rivals.min_by(|a, b| a.1.total_cmp(&b.1));
        cells.push(best.map_or("–".into(), |(method, x)| format!("{} ({})", points(*x), method.name())));
        cells
    };
    let head = [
        "task",
        "range",
        "by salience",
        "saved against the mean [95 %]",
        "in the 95 % band",
        "MAE, salience",
        "MAE, best rival",
    ];
    let all: (usize, usize) =
        study.tasks.iter().filter_map(|task| task.covered).fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
    Section::new(format!("Task by task, {}", study.hold_out.name()))
        .text(format!(
            "95 % bands of the salience vector, with the errors that it made on folds of the training models, hold {} of {} accuracies. The best rival of each task was picked afterwards.",
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
        first = first.figure(figure.bare(), figure.caption());
    }
    let second = passage(of)
        .map(|figure| Section::new(format!("{} in its text", of.task)).figure(figure.bare(), figure.caption()));
    std::iter::once(first).chain(second).collect()
}

/// White space that can be seen.
fn shown(text: &str) -> String {
    text.replace('\n', "⏎")
}

/// Points of accuracy.
fn points(x: f64) -> String {
    format!("{:.2}", 100.0 * x).replace('-', "−")
}

fn signed(x: f64) -> String {
    format!("{:+.2}", 100.0 * x).replace('-', "−")
}

fn limits(interval: &Interval) -> String {
    format!("[{}, {}]", points(interval.low), points(interval.high))
}

/// The files beside the page: name and content. Numbers are shares, not points, and not rounded.
pub fn scaling_csv(laws: &Laws) -> Vec<(&'static str, Vec<u8>)> {
    let (mut methods, mut tasks, mut points) = (Vec::new(), Vec::new(), Vec::new());
    let limits = |interval: &Option<Interval>| {
        [|i: &Interval| i.value, |i: &Interval| i.low, |i: &Interval| i.high]
            .map(|pick| interval.as_ref().map_or(String::new(), |interval| pick(interval).to_string()))
    };
    line(
        &mut methods,
        "held_out method reads mae low high median behind behind_low behind_high unfit fits n".split(' '),
    );
    line(&mut tasks, "held_out task method mae".split(' '));
    line(&mut points, "held_out task model predicted low high observed".split(' '));
    for study in &laws.studies {
        let name = format!("{:?}", study.hold_out).to_lowercase();
        for row in &study.rows {
            let (method, reads) = (row.method.name().to_string(), format!("{:?}", row.reads).to_lowercase());
            let median = if row.median.is_finite() { row.median.to_string() } else { String::new() };
            let counts = [row.unfit, row.fits, study.n].map(|count| count.to_string());
            let cells = [name.clone(), method, reads].into_iter().chain(limits(&row.mae)).chain([median]);
            line(&mut methods, cells.chain(limits(&row.behind)).chain(counts));
        }
        for task in &study.tasks {
            for (method, mae) in &task.mae {
                line(&mut tasks, [name.clone(), task.task.clone(), method.name().into(), mae.to_string()]);
            }
            for point in &task.points {
                let band = point.band.map_or(Default::default(), |(low, high)| [low.to_string(), high.to_string()]);
                let cells = [name.clone(), task.task.clone(), point.model.clone(), point.predicted.to_string()];
                line(&mut points, cells.into_iter().chain(band).chain([point.observed.to_string()]));
            }
        }
    }
    let mut files = vec![("methods.csv", methods), ("tasks.csv", tasks), ("points.csv", points)];
    if laws.capabilities.iter().any(|of| !of.types.is_empty()) {
        let mut salience = Vec::new();
        line(&mut salience, ["task", "token", "weight"]);
        for of in &laws.capabilities {
            of.types.iter().for_each(|(token, slope)| line(&mut salience, [&of.task, token, &slope.to_string()]));
        }
        files.push(("salience.csv", salience));
    }
    files
}

/// A line of a CSV file; memory never refuses it.
fn line(file: &mut Vec<u8>, cells: impl IntoIterator<Item = impl AsRef<[u8]>>) {
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(cells).ok();
    writer.flush().ok();
}
