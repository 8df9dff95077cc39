//! `lyceum compare`: who is better, by how much, and who cannot be told apart?

mod draw;
mod record;
mod say;
mod table;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use exam::statistics::simulated_power;
use exam::{Pairing, Standings};
use serde::Serialize;

pub use self::record::{Compared, GroupLine, PersonLine, PowerCheck};
pub(super) use self::say::csv;
pub(super) use self::table::Table;
use super::manifest::{Made, manifest};
use crate::{Error, Event, Result, Watch};

/// More persons than this make more pairs than anybody reads.
const MOST: usize = 300;

/// What several attempts at an item count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Count {
    /// The mean share of points over attempts.
    Mean,
    /// The share of attempts that got all points.
    Full,
    /// Chance that one of so many attempts gets all points, without bias.
    Pass(usize),
}

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let problem = || format!("{text:?} is not `mean`, `full` or `pass@K` with K from 1");
        match text {
            "mean" => Ok(Self::Mean),
            "full" => Ok(Self::Full),
            _ => match text.strip_prefix("pass@").and_then(|k| k.parse().ok()) {
                Some(k) if k > 0 => Ok(Self::Pass(k)),
                _ => Err(problem()),
            },
        }
    }
}

/// What is asked of the logs.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// How logs are read.
    pub read: marks::Options,
    /// The person whom all are held against; none for the one with the highest score.
    pub baseline: Option<String>,
    /// The persons to compare; empty for all.
    pub only: Vec<String>,
    /// Whether subjects are compared one by one, too.
    pub by_subject: bool,
    /// What attempts count.
    pub count: Count,
    /// Level, resamples, seed.
    pub pairing: Pairing,
}

/// Reads logs, compares all persons pair by pair, and writes `pairs.csv`, `persons.csv`, `compare.json`,
/// the figures and the page `compare.html` into `out`.
pub fn compare(paths: &[PathBuf], settings: &Settings, out: &Path, watch: &Watch) -> Result<Compared> {
    let begin = std::time::Instant::now();
    check(settings)?;
    let read = marks::read(paths, &settings.read)?;
    for note in &read.notes {
        watch.tell(Event::Note { text: note.to_string() });
    }
    let table = Table::new(&read.marks, &settings.only, settings.count)?;
    enough(&table)?;
    let standings = exam::pairs(&[table.scores()], &settings.pairing).remove(0);
    watch.check()?;
    if standings.pairs.iter().all(|pair| pair.difference.is_none()) {
        return Err(Error::Nothing {
            problem: "no two persons met two common items (or two common clusters of items)".into(),
            hint: "items are paired by id: check that the logs are of the same task and that ids agree".into(),
        });
    }
    let baseline = match &settings.baseline {
        None => standings.persons[0].person,
        Some(name) => table.place(name)?,
    };
    let subjects: Vec<(String, Table)> = if settings.by_subject { table.by_subject(&read.marks) } else { Vec::new() };
    let scores: Vec<_> = subjects.iter().map(|(_, table)| table.scores()).collect();
    let subjects: Vec<(String, Standings)> =
        subjects.iter().map(|(name, _)| name.clone()).zip(exam::pairs(&scores, &settings.pairing)).collect();
    watch.check()?;
    let power = power_check(&table, &standings, baseline, &settings.pairing);
    let notes = read.notes.iter().map(ToString::to_string).chain(table.notes()).collect();
    let compared = Compared::new(&table, standings, subjects, baseline, power, notes, settings);

    let mut made = Made::new(out)?;
    made.put("pairs.csv", &say::pairs(&compared))?;
    made.put("persons.csv", &say::persons(&compared))?;
    made.put_json("compare.json", &compared)?;
    let figures = draw::figures(&compared);
    for (name, figure) in &figures {
        made.put_figure(name, figure)?;
    }
    let sources: Vec<PathBuf> = read.sources.iter().map(|source| source.path.clone()).collect();
    let aside = read.notes.iter().map(|note| (note.reason.to_string(), note.count)).collect();
    let manifest = manifest("compare", settings, &sources, &made, settings.pairing.seed, begin, table.met(), aside);
    made.put_json("manifest.json", &manifest)?;
    let mut sheet = say::sheet(&compared, &figures);
    let text = say::text(&sheet);
    sheet.manifest = Some(manifest);
    made.put("compare.html", report::sheet_page(&sheet).as_bytes())?;
    Ok(Compared { text, files: made.into_files(), ..compared })
}

fn check(settings: &Settings) -> Result<()> {
    let wrong = |field: &str, problem: &str| {
        Err(Error::Nothing { problem: format!("--{field} {problem}"), hint: "see `lyceum compare --help`".into() })
    };
    if !(settings.pairing.alpha > 0.0 && settings.pairing.alpha < 0.5) {
        return wrong("alpha", "must lie between 0 and 0.5");
    }
    if (1..100).contains(&settings.pairing.resamples) {
        return wrong("resamples", "must be 0 (no resampling) or at least 100");
    }
    Ok(())
}

fn enough(table: &Table) -> Result<()> {
    let n = table.names.len();
    if n < 2 {
        let who = table.names.first().map(String::as_str).unwrap_or("nobody");
        return Err(Error::Nothing {
            problem: format!("a comparison needs two persons, and the logs hold {n}: {who}"),
            hint: "give the logs of two models or more; a person is a model with its settings, by name".into(),
        });
    }
    if n > MOST {
        return Err(Error::Nothing {
            problem: format!("{n} persons make {} pairs", n * (n - 1) / 2),
            hint: format!("choose at most {MOST} of them with --only NAME,NAME"),
        });
    }
    Ok(())
}

/// Simulated power at the minimum detectable effect of the closest rival of the baseline: does the
/// formula hold for differences as lumpy as these?
fn power_check(table: &Table, standings: &Standings, baseline: usize, settings: &Pairing) -> Option<PowerCheck> {
    if settings.resamples == 0 {
        return None;
    }
    let rivals = standings.pairs.iter().filter(|pair| [pair.first, pair.second].contains(&baseline));
    let closest = rivals
        .filter_map(|pair| Some((pair, pair.difference?.mean.abs(), pair.detectable?)))
        .min_by(|a, b| a.1.total_cmp(&b.1))?;
    let (pair, _, effect) = closest;
    let values = table.differences(pair.first, pair.second);
    let simulated = simulated_power(&values, effect, settings.alpha, settings.resamples, settings.seed);
    let exams = settings.resamples;
    let standard_error = (simulated * (1.0 - simulated) / exams as f64).sqrt();
    Some(PowerCheck { first: pair.first, second: pair.second, effect, simulated, standard_error, exams })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_words() {
        assert_eq!("mean".parse(), Ok(Count::Mean));
        assert_eq!("pass@4".parse(), Ok(Count::Pass(4)));
        for wrong in ["pass@0", "pass", "pass@x", "best"] {
            assert!(wrong.parse::<Count>().is_err(), "{wrong}");
        }
    }
}
