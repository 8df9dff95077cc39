//! `lyceum irt`: what do these logs prove about persons and items?

mod calibration;
mod choice;
mod differ;
mod fitted;
mod graders;
mod measure;
mod paper;
mod pictures;
mod proper;
mod record;
mod sheet;
mod tables;

use std::path::{Path, PathBuf};

use ::irt::Estimator;
use exam::gaokao::Source;
use exam::scored::{Scored, Whole};
use marks::Marks;
use serde::Serialize;

pub use self::calibration::{Calibrated, Calibration};
pub use self::choice::{Choice, Method};
pub use self::record::{Analysis, DifLine, ItemLine, PersonLine, RaterLine};
use super::manifest::{Made, manifest};
use crate::{Error, Event, Result, Watch};

/// What is asked of the logs.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// How logs are read.
    pub read: marks::Options,
    /// The model of responses.
    pub model: Choice,
    /// How it is fitted; none for what the data ask for.
    pub method: Option<Method>,
    /// `COLUMN=ref:focal` or `COLUMN`, a column of the persons: group, base, date or name.
    pub dif: Option<String>,
    /// A calibration whose items stay as they are.
    pub anchor: Option<PathBuf>,
    /// Whether the paper's questions are asked too.
    pub paper: bool,
    /// Where difficulty comes from in the paper's mode.
    pub difficulty: Source,
    /// Judgements which of two items is harder: a CSV file with the columns first, second, points.
    pub judgements: Option<PathBuf>,
    /// Whether the slope of the paper's curve is fitted.
    pub free_slope: bool,
    /// Classes of scores that are no whole steps.
    pub levels: usize,
    /// Pictures as `svg`, `png` or both.
    pub figures: Vec<String>,
    /// The person whose KIDMAP is drawn; none for the least expected one.
    pub kidmap: Option<String>,
    /// Seed.
    pub seed: u64,
}

/// What was found, and where it lies.
#[derive(Debug, Serialize)]
pub struct Examination {
    /// The figures.
    pub analysis: Analysis,
    /// The page.
    pub page: PathBuf,
    /// Everything that was written.
    pub files: Vec<PathBuf>,
    /// The same in lines for a terminal.
    #[serde(skip)]
    pub text: String,
}

/// Reads logs, fits, and writes `items.csv`, `persons.csv`, `fit.json`, `analysis.json`, figures and the
/// page `irt.html` into `out`.
pub fn irt(paths: &[PathBuf], settings: &Settings, out: &Path, watch: &Watch) -> Result<Examination> {
    let begin = std::time::Instant::now();
    let anchor = settings.anchor.as_deref().map(Calibration::read).transpose()?;
    let read = marks::read(paths, &settings.read)?;
    for note in &read.notes {
        watch.tell(Event::Note { text: note.to_string() });
    }
    let marks = &read.marks;
    let stage = |name: &str| watch.tell(Event::Stage { stage: name.into(), shards: 1, done: 0 });
    stage("fit");
    let plan = choice::choose(marks, settings, anchor.as_ref())?;
    let whole = Whole {
        binary: plan.binary,
        levels: settings.levels,
        keep_alike: plan.method == Method::Bayes,
        known: anchor.as_ref().map(Calibration::cuts).unwrap_or_default(),
    };
    let scored = Scored::new(marks, &whole)?;
    enough(marks, &scored)?;
    let fitted = fitted::fit(marks, &scored, &plan, anchor.as_ref(), settings.seed, watch)?;
    watch.check()?;
    stage("measure");
    let mut analysis = measure::measure(marks, &scored, &plan, &fitted);
    analysis.reading = read.notes.iter().map(ToString::to_string).collect();
    if let Some(asked) = &settings.dif {
        analysis.dif = Some(differ::differ(marks, &scored, asked)?);
    }
    if marks.graders().len() > 1 || plan.facets {
        analysis.graders = graders::graders(marks, &scored, plan.facets)?;
    }
    if plan.planes > 0 {
        analysis.planes = Some(fitted::planes(marks, &scored, &fitted, plan.planes)?);
    }
    analysis.proper = proper::answer(marks, &scored, &fitted, &analysis, settings.seed);
    if settings.paper {
        stage("paper");
        analysis.paper = Some(paper::paper(marks, settings)?);
    }
    watch.check()?;
    stage("write");
    write(paths, settings, &scored, &fitted, analysis, out, begin)
}

fn write(
    paths: &[PathBuf],
    settings: &Settings,
    scored: &Scored,
    fitted: &fitted::Fitted,
    analysis: Analysis,
    out: &Path,
    begin: std::time::Instant,
) -> Result<Examination> {
    let mut made = Made::new(out)?;
    made.put("items.csv", tables::items(&analysis).as_bytes())?;
    made.put("persons.csv", tables::persons(&analysis).as_bytes())?;
    made.put_json("fit.json", &Calibration::new(scored, fitted, &analysis))?;
    made.put_json("analysis.json", &analysis)?;
    let pictures = pictures::pictures(scored, fitted, &analysis, settings.kidmap.as_deref())?;
    for picture in &pictures {
        for format in &settings.figures {
            match format.as_str() {
                "png" => made.put(&format!("{}.png", picture.name), &picture.png()?)?,
                _ => made.put(&format!("{}.svg", picture.name), picture.svg().as_bytes())?,
            }
        }
    }
    let sources: Vec<PathBuf> = paths.iter().chain(&settings.anchor).chain(&settings.judgements).cloned().collect();
    let aside = analysis.aside.iter().map(|aside| aside.responses as u64).sum();
    let dropped = [("set aside".to_string(), aside)].into();
    let manifest = manifest("irt", settings, &sources, &made, settings.seed, begin, analysis.responses as u64, dropped);
    made.put_json("manifest.json", &manifest)?;
    let sheet = sheet::sheet(&analysis, &pictures, manifest);
    made.put("irt.html", report::sheet_page(&sheet).as_bytes())?;
    let text = sheet::text(&analysis);
    Ok(Examination { analysis, page: out.join("irt.html"), files: made.into_files(), text })
}

/// Refuses what gives no scale, and says what can be said all the same.
fn enough(marks: &Marks, scored: &Scored) -> Result<()> {
    let (persons, items) = (scored.responses.persons(), scored.responses.items());
    let reasons: Vec<String> =
        scored.aside.iter().take(4).map(|a| format!("{} {:?}: {}", a.what, a.name, a.why)).collect();
    let more = scored.aside.len().saturating_sub(4);
    let aside = match reasons.is_empty() {
        true => String::new(),
        false => format!(
            "; set aside: {}{}",
            reasons.join("; "),
            if more > 0 { format!("; and {more} more") } else { String::new() }
        ),
    };
    if persons < 2 {
        return Err(Error::Nothing {
            problem: format!("{persons} of {} persons can be compared{aside}", marks.persons().len()),
            hint: "give the logs of two persons or more who met common items, or known items by --anchor".into(),
        });
    }
    if items < 2 {
        let means: Vec<String> = marks
            .cells()
            .iter()
            .fold(std::collections::BTreeMap::<u32, (f64, usize)>::new(), |mut sums, cell| {
                let (sum, n) = sums.entry(cell.item).or_default();
                (*sum, *n) = (*sum + cell.score / marks.items()[cell.item as usize].max, *n + 1);
                sums
            })
            .iter()
            .take(3)
            .map(|(item, (sum, n))| {
                let (low, high) = exam::wilson(sum / *n as f64, *n);
                format!(
                    "item {:?} has a mean of {:.1} % ({n} persons, 95 % interval {:.1} to {:.1} %)",
                    marks.items()[*item as usize].id,
                    100.0 * sum / *n as f64,
                    100.0 * low,
                    100.0 * high
                )
            })
            .collect();
        return Err(Error::Nothing {
            problem: format!(
                "{items} of {} items can be placed on a scale{aside}; all that can be said: {}",
                marks.items().len(),
                means.join(", ")
            ),
            hint: "a scale needs two items that some persons got right and others wrong; --method bayes bears items \
                   that all answered alike"
                .into(),
        });
    }
    Ok(())
}

/// How abilities are told where the posterior mean cannot be had.
fn posterior(fitted: &fitted::Fitted, scored: &Scored) -> Estimator {
    let whole = |item: usize| scored.responses.categories(item) == fitted.fit.items[item].difficulties.len() + 1;
    // A known item may have steps that nobody of this sitting reached.
    if (0..scored.responses.items()).all(whole) { Estimator::Eap } else { Estimator::Map }
}
