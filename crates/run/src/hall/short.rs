//! `lyceum short`: which few items stand for the whole exam, and what does that cost?

mod apply;
mod draw;
mod record;
mod say;

use std::path::{Path, PathBuf};

use irt::short::{HeldOut, Maker, Method, Whole};
use serde::Serialize;

pub use self::apply::{Scored, ScoredLine, score_by_form};
pub use self::record::{Candidate, FormFile, FormItem, Shortened};
use super::compare::{Count, Table};
use super::manifest::{Made, manifest};
use crate::{Error, Event, Result, Watch};

/// Names of the methods.
pub const METHODS: [&str; 6] = ["random", "stratified", "anchor", "information", "anchor-curves", "mixed"];

/// A method by name.
pub fn method(name: &str) -> Option<Method> {
    Method::ALL.into_iter().find(|method| method.name() == name)
}

/// What is asked of the logs.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// How logs are read.
    pub read: marks::Options,
    /// The persons to learn from; empty for all.
    pub only: Vec<String>,
    /// Items of the form; none for the fewest whose error is at most `error`.
    pub items: Option<usize>,
    /// Mean absolute error of the score, in shares of 1, that the upper 95 % limit on held-out persons must
    /// not exceed.
    pub error: f64,
    /// The method; none for `mixed`, or `anchor` where scores are no whole points.
    pub method: Option<Method>,
    /// Folds of persons.
    pub folds: usize,
    /// Draws of the methods that draw.
    pub draws: usize,
    /// Seed.
    pub seed: u64,
}

/// Reads logs, chooses items, measures the form on persons whom the choice did not see, and writes
/// `form.json`, `items.jsonl`, `errors.csv`, for lm-evaluation-harness `samples.json`, a figure and the
/// page `short.html` into `out`.
pub fn short(paths: &[PathBuf], settings: &Settings, out: &Path, watch: &Watch) -> Result<Shortened> {
    let begin = std::time::Instant::now();
    if !(settings.error > 0.0 && settings.error < 1.0) {
        return nothing(
            "--error must lie between 0 and 1; 0.02 is two points of a hundred",
            "see `lyceum short --help`",
        );
    }
    let read = marks::read(paths, &settings.read)?;
    for note in &read.notes {
        watch.tell(Event::Note { text: note.to_string() });
    }
    let table = Table::new(&read.marks, &settings.only, Count::Mean)?;
    let (whole, kept, mut notes) = complete(&table)?;
    notes.splice(0..0, read.notes.iter().map(ToString::to_string));
    let method = choose_method(settings.method, &whole)?;
    let methods: Vec<Method> =
        Method::ALL.into_iter().filter(|method| whole.calibrates() || !method.needs_curves()).collect();
    if !whole.calibrates() {
        notes.push(
            "Some scores are no whole points (shares, or means of attempts), so no curves are fitted: the methods with \
             curves are left out."
                .into(),
        );
    }
    if read.marks.persons().iter().all(|person| person.base.is_none()) {
        notes.push(
            "No log names base models, so each person counts as one: if some are variants of one model, the limits are too \
             narrow."
                .into(),
        );
    }
    if let Some(k) = settings.items.filter(|k| *k == 0 || *k >= kept.len()) {
        return nothing(
            format!(
                "--items {k}: the exam has {} items that everybody met, so 1 to {} can be chosen",
                kept.len(),
                kept.len() - 1
            ),
            "choose fewer",
        );
    }
    let held_out = HeldOut { folds: settings.folds, draws: settings.draws, seed: settings.seed };
    let sizes = sizes(settings.items, kept.len());
    let mut measured: Vec<Candidate> = Vec::new();
    let measure = |measured: &mut Vec<Candidate>, methods: &[Method], size: usize| -> Result<()> {
        let errors = held_out.measure(&whole, &table.bases, methods, &[size])?;
        measured.extend(record::candidates(&errors, &table.bases));
        watch.check()
    };
    let within = |measured: &[Candidate], size: usize| {
        measured.iter().any(|c| c.method == method && c.items == size && c.error_high <= settings.error)
    };
    for &size in &sizes {
        let stage = format!("{size} items");
        watch.tell(Event::Stage { stage, shards: 1, done: 0 });
        measure(&mut measured, &methods, size)?;
        // Larger forms than the one that is taken say nothing new.
        if settings.items.is_none() && within(&measured, size) {
            break;
        }
    }
    let size = match settings.items {
        Some(size) => size,
        None => {
            let Some(at) = sizes.iter().position(|&size| within(&measured, size)) else {
                let best = measured.iter().filter(|c| c.method == method).map(|c| c.error_high).fold(1.0, f64::min);
                return nothing(
                    format!(
                        "no form of up to {} items keeps the error within {} (the least upper limit is {best:.3})",
                        sizes.last().copied().unwrap_or(0),
                        settings.error
                    ),
                    "give more persons, which narrows the limit, or allow a larger --error",
                );
            };
            // The fewest between the last size that fails and the first that holds.
            let (mut low, mut high) = (if at == 0 { 1 } else { sizes[at - 1] }, sizes[at]);
            while high - low > 1 + high / 20 {
                let middle = (low + high) / 2;
                measure(&mut measured, &[method, Method::Random], middle)?;
                if within(&measured, middle) { high = middle } else { low = middle }
            }
            high
        }
    };
    measured.sort_by_key(|candidate| (candidate.items, candidate.method));
    let maker = Maker::new(&whole, (0..whole.persons()).collect(), &table.bases, method.needs_curves())?;
    let form = maker.form(method, size, settings.seed)?;
    let stated = measured.iter().find(|c| c.method == method && c.items == size).cloned();
    let Some(stated) = stated else {
        return nothing(format!("the form of {size} items was not measured"), "please report this");
    };
    let file = FormFile::new(&table, &read.marks, &kept, &form, stated);

    let mut made = Made::new(out)?;
    made.put_json("form.json", &file)?;
    made.put("items.jsonl", &record::shard(&file.items)?)?;
    if let Some(samples) = file.lm_eval() {
        made.put_json("samples.json", &samples)?;
    }
    made.put("errors.csv", &say::errors(&measured))?;
    let figure = draw::figure(&measured, method);
    if let Some(figure) = &figure {
        made.put_figure("errors", figure)?;
    }
    let sources: Vec<PathBuf> = read.sources.iter().map(|source| source.path.clone()).collect();
    let aside = read.notes.iter().map(|note| (note.reason.to_string(), note.count)).collect();
    let manifest = manifest("short", settings, &sources, &made, settings.seed, begin, whole.persons() as u64, aside);
    made.put_json("manifest.json", &manifest)?;
    let found = Shortened {
        persons: whole.persons(),
        bases: stated_bases(&table),
        whole: kept.len(),
        asked: settings.error,
        form: file,
        measured,
        notes,
        files: Vec::new(),
        text: String::new(),
    };
    let mut sheet = say::sheet(&found, figure.as_ref());
    let text = report::sheet_text(&sheet);
    sheet.manifest = Some(manifest);
    made.put("short.html", report::sheet_page(&sheet).as_bytes())?;
    Ok(Shortened { text, files: made.into_files(), ..found })
}

fn stated_bases(table: &Table) -> usize {
    table.bases.iter().collect::<std::collections::BTreeSet<_>>().len()
}

fn nothing<T>(problem: impl Into<String>, hint: impl Into<String>) -> Result<T> {
    Err(Error::Nothing { problem: problem.into(), hint: hint.into() })
}

/// The items that everybody met, as a table without gaps.
fn complete(table: &Table) -> Result<(Whole, Vec<usize>, Vec<String>)> {
    let kept = table.common();
    let mut notes = Vec::new();
    if kept.len() < 3 {
        let least = (0..table.names.len()).min_by_key(|&person| table.row(person).iter().flatten().count());
        let who = least.map_or_else(String::new, |person| {
            let met = table.row(person).iter().flatten().count();
            format!("; {} met the fewest, {met} of {}", table.names[person], table.items.len())
        });
        return nothing(
            format!("{} items were met by all {} persons{who}", kept.len(), table.names.len()),
            "a short form is learned from persons who sat the whole exam: leave the others out with --only NAME,NAME",
        );
    }
    if kept.len() < table.items.len() {
        notes.push(format!(
            "{} of {} items were not met by everybody and are left out; the whole exam means the other {}.",
            table.items.len() - kept.len(),
            table.items.len(),
            kept.len()
        ));
    }
    let share = |person: usize, item: usize| table.row(person)[item].unwrap_or_default();
    let shares = (0..table.names.len()).flat_map(|person| kept.iter().map(move |&item| share(person, item))).collect();
    let points: Vec<f64> = kept.iter().map(|&item| table.points[item]).collect();
    Ok((Whole::new(shares, &points)?, kept, notes))
}

fn choose_method(asked: Option<Method>, whole: &Whole) -> Result<Method> {
    match asked {
        Some(method) if method.needs_curves() && !whole.calibrates() => nothing(
            format!("--method {} fits curves, and some scores are no whole points", method.name()),
            "take random, stratified or anchor",
        ),
        Some(method) => Ok(method),
        None if whole.calibrates() => Ok(Method::Mixed),
        None => Ok(Method::Anchor),
    }
}

/// Sizes to measure: around the one that is asked for, or rising until the error is small enough.
fn sizes(asked: Option<usize>, items: usize) -> Vec<usize> {
    let most = items - 1;
    let mut sizes: Vec<usize> = match asked {
        Some(k) => vec![k / 4, k / 2, k, 2 * k],
        None => {
            (0..).map(|at| (4.0 * 1.5_f64.powi(at)) as usize).take_while(|size| *size < most).chain([most]).collect()
        }
    };
    sizes.retain(|size| (2..=most).contains(size) || Some(*size) == asked);
    sizes.dedup();
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_its_name() {
        assert_eq!(METHODS.map(|name| method(name).map(Method::name)), METHODS.map(Some));
        assert_eq!(method("other"), None);
    }

    #[test]
    fn sizes_rise_and_hold_what_was_asked_for() {
        assert_eq!(sizes(Some(20), 100), [5, 10, 20, 40]);
        assert_eq!(sizes(Some(1), 3), [1, 2]);
        let rising = sizes(None, 50);
        assert!(rising[0] == 4 && rising.is_sorted() && rising.last() == Some(&49), "{rising:?}");
        assert_eq!(sizes(None, 3), [2]);
    }
}
