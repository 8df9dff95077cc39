//! How far can a judge be trusted? Its marks against those of people.
//!
//! [`calibrate`] measures agreement of each judge with the mean of the human marks, beside the agreement of
//! the people among themselves, which is what a judge can reach at best; severity of all graders on one scale
//! by a many-facet Rasch model; and whether anybody became milder or stricter on the way.
//!
//! Invariants: blank answers are left out, because all graders give them 0 and agreement would be bought
//! cheaply. Marks are shares of what the item gives. Intervals draw whole clusters of answers (of one item,
//! or of one passage), since answers to one item are not independent.

mod agreement;
mod severity;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

pub use agreement::{Agreement, Interval};
pub use severity::{Drift, Severity, SeverityLine};

use crate::grade::{Mark, Script};
use crate::paper::Paper;
use crate::{Error, Result};

/// Judges held against people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Answers that a person and another grader marked.
    pub answers: usize,
    /// Items that they answer.
    pub items: usize,
    /// Answers without text, left out.
    pub blank: usize,
    /// Marks in which a grader failed; they are gaps here.
    pub failed: usize,
    /// The people.
    pub humans: Vec<String>,
    /// Each judge with the mean of the people.
    pub judges: Vec<Agreement>,
    /// The people with each other, two by two.
    pub people: Vec<Agreement>,
    /// Krippendorff's α of all graders on the interval scale.
    pub alpha: Option<Interval>,
    /// Severity of all graders; absent where the model cannot be fitted, with the reason in `severity_fails`.
    pub severity: Option<Severity>,
    /// Why there is no severity.
    pub severity_fails: Option<String>,
}

/// Marks in a rectangle with gaps: answers by graders.
pub(crate) struct Grid {
    /// Names of the graders, people first.
    pub graders: Vec<String>,
    /// How many of them are people.
    pub humans: usize,
    /// For each answer its cluster and its marks.
    pub answers: Vec<(usize, Marked)>,
}

/// For each grader the share of the points and the place in the order of marking.
type Marked = Vec<Option<(f64, usize)>>;

/// Holds the judges' marks against those of the people, who are named in `humans`; without a judge, the people
/// against each other.
pub fn calibrate(
    paper: &Paper,
    scripts: &[Script],
    marks: &[Mark],
    humans: &[String],
    seed: u64,
) -> Result<Calibration> {
    let names: BTreeSet<&str> = marks.iter().map(|mark| mark.grader.as_str()).collect();
    let (people, judges): (Vec<&str>, Vec<&str>) =
        names.into_iter().partition(|name| humans.iter().any(|human| human == name));
    if people.is_empty() || people.len() + judges.len() < 2 {
        let missing = if people.is_empty() { "marks by people" } else { "marks by a second grader" };
        return Err(Error::Uncalibrated { missing });
    }
    let by_code: HashMap<&str, Vec<&Mark>> = marks.iter().fold(HashMap::new(), |mut all, mark| {
        all.entry(mark.code.as_str()).or_insert_with(Vec::new).push(mark);
        all
    });
    let graders: Vec<String> = people.iter().chain(&judges).map(|name| name.to_string()).collect();
    let mut clusters: BTreeMap<&str, usize> = BTreeMap::new();
    let mut items: BTreeSet<&str> = BTreeSet::new();
    let mut grid = Grid { graders, humans: people.len(), answers: Vec::new() };
    for script in scripts.iter().filter(|script| !script.is_blank()) {
        let Some(item) = paper.item(&script.item) else { continue };
        let own = by_code.get(script.code.as_str()).map(Vec::as_slice).unwrap_or_default();
        let mark = |name: &String| {
            let mark = own.iter().find(|mark| mark.grader == *name)?;
            Some((mark.points? / item.points, mark.place))
        };
        let row: Marked = grid.graders.iter().map(mark).collect();
        if row[..grid.humans].iter().all(Option::is_none) || row.iter().flatten().count() < 2 {
            continue;
        }
        let count = clusters.len();
        let cluster = *clusters.entry(item.cluster.as_deref().unwrap_or(&item.id)).or_insert(count);
        items.insert(&item.id);
        grid.answers.push((cluster, row));
    }
    if grid.answers.len() < 2 {
        return Err(Error::Uncalibrated { missing: "two answers that a person and another grader marked" });
    }
    let (severity, severity_fails) = match severity::severity(&grid) {
        Ok(severity) => (Some(severity), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let people = (0..grid.humans).flat_map(|a| (a + 1..grid.humans).map(move |b| (a, b)));
    Ok(Calibration {
        answers: grid.answers.len(),
        items: items.len(),
        blank: scripts.iter().filter(|script| script.is_blank()).count(),
        failed: marks.iter().filter(|mark| mark.points.is_none()).count(),
        humans: grid.graders[..grid.humans].to_vec(),
        judges: (grid.humans..grid.graders.len()).filter_map(|at| agreement::with_people(&grid, at, seed)).collect(),
        people: people.filter_map(|(a, b)| agreement::of_two(&grid, a, b, seed)).collect(),
        alpha: agreement::alpha(&grid, seed),
        severity,
        severity_fails,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grade::example::{answer, paper};
    use crate::grade::scripts;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn item_marks(persons: usize) -> (Paper, Vec<Script>) {
        let paper = paper();
        let answers: Vec<_> = (0..persons)
            .flat_map(|p| ["1", "2", "3"].map(|item| answer(&format!("p{p:03}"), item, "some text")))
            .collect();
        let scripts = scripts(&paper, &answers, 1);
        (paper, scripts)
    }

    /// Two people without bias, a judge that gives less by so many shares, and one that rolls dice; a judge
    /// that softens by so many shares over the second half.
    fn marks(paper: &Paper, scripts: &[Script], harsh: f64, softens: f64) -> Vec<Mark> {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut marks = Vec::new();
        for (at, script) in scripts.iter().enumerate().filter(|(_, s)| !s.is_blank()) {
            let most = paper.item(&script.item).expect("an item").points;
            let truth: f64 = random.random();
            // Each marks in an order of their own: 7, 11 … have no factor in common with the number of scripts.
            let place = |step: usize| at * step % scripts.len();
            let mut give = |name: &str, step: usize, shift: f64, noise: f64| {
                let share = (truth + shift + noise * (random.random::<f64>() - 0.5)).clamp(0.0, 1.0);
                marks.push(Mark::new(script, name, place(step), share * most, ""));
            };
            give("green", 7, 0.0, 0.2);
            give("blue", 11, 0.0, 0.2);
            give("judge", 13, -harsh, 0.2);
            give("soft", 17, if place(17) * 2 >= scripts.len() { softens } else { 0.0 }, 0.2);
            let share: f64 = random.random();
            marks.push(Mark::new(script, "dice", place(19), share * most, ""));
        }
        marks
    }

    #[test]
    fn a_harsh_judge_dice_and_drift_are_told_apart() {
        let (paper, scripts) = item_marks(80);
        let marks = marks(&paper, &scripts, 0.2, 0.25);
        let found = calibrate(&paper, &scripts, &marks, &["green".into(), "blue".into()], 3).expect("calibrated");
        assert_eq!((found.answers, found.items, found.people.len(), found.judges.len()), (240, 3, 1, 3));
        let judge = |name: &str| found.judges.iter().find(|j| j.first == name).expect("a judge");
        let (harsh, dice) = (judge("judge"), judge("dice"));
        assert!((harsh.bias.mean + 0.2).abs() < 0.05, "{harsh:?}");
        let value = |interval: &Option<Interval>| interval.as_ref().expect("an interval").value;
        // A constant severity leaves consistency as it is and lowers absolute agreement.
        assert!(value(&harsh.consistency) > 0.9 && value(&harsh.absolute) < value(&harsh.consistency) - 0.05);
        assert!(value(&dice.absolute).abs() < 0.15 && value(&found.people[0].absolute) > 0.9);
        let severity = found.severity.expect("fitted");
        let line = |name: &str| severity.lines.iter().find(|l| l.grader == name).expect("a line");
        assert!(line("judge").severity > line("green").severity + 4.0 * line("judge").error);
        assert!(line("judge").fair < line("green").fair - 0.1 && line("dice").infit > 1.5, "{severity:?}");
        assert!(severity.equal < 1e-6 && line("green").human && !line("judge").human);
        let drift = |name: &str| severity.drift.iter().find(|d| d.grader == name).expect("a drift");
        assert!(drift("soft").change < -0.5 && drift("soft").holm < 0.01, "{severity:?}");
        assert!(drift("judge").holm > 0.05 && drift("green").holm > 0.05, "{severity:?}");
    }

    #[test]
    fn a_judge_like_the_people_is_not_said_to_differ() {
        let (paper, scripts) = item_marks(40);
        let mut marks = marks(&paper, &scripts, 0.0, 0.0);
        marks.retain(|mark| mark.grader != "dice");
        let found = calibrate(&paper, &scripts, &marks, &["green".into(), "blue".into()], 3).expect("calibrated");
        let severity = found.severity.expect("fitted");
        assert!(severity.equal > 0.01, "{severity:?}");
        assert!(found.judges.iter().all(|j| j.bias.low <= 0.0 && j.bias.high >= 0.0), "{:?}", found.judges);
        assert!(found.alpha.expect("α").value > 0.9);
    }

    #[test]
    fn what_is_missing_is_said() {
        let (paper, scripts) = item_marks(2);
        let marks = marks(&paper, &scripts, 0.0, 0.0);
        let error = calibrate(&paper, &scripts, &marks, &["nobody".into()], 3).expect_err("no people").to_string();
        assert!(error.contains("people"), "{error}");
        let only: Vec<Mark> = marks.iter().filter(|m| m.grader == "green").cloned().collect();
        let error = calibrate(&paper, &scripts, &only, &["green".into()], 3).expect_err("nobody else").to_string();
        assert!(error.contains("second grader"), "{error}");
        let two: Vec<Mark> = marks.iter().filter(|m| m.grader == "green" || m.grader == "blue").cloned().collect();
        let people = calibrate(&paper, &scripts, &two, &["green".into(), "blue".into()], 3).expect("two people");
        assert_eq!((people.people.len(), people.judges.len()), (1, 0));
    }
}
