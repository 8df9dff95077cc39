use irt::facets::{Element, Mark, Settings, all_equal, drifted, fit};
use irt::significance::holm;
use serde::{Deserialize, Serialize};

use super::Grid;

/// Levels that the model tells apart: quarters of what the item gives.
const QUARTERS: f64 = 4.0;

/// Severity of graders by a many-facet Rasch model: P(k) ∝ exp Σ_{v≤k} (θ_answer − δ_grader − τ_v), the
/// answer being what is measured and k the quarter of its points that it got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Severity {
    /// One line a grader, people first.
    pub lines: Vec<SeverityLine>,
    /// p of the hypothesis that all are equally severe.
    pub equal: f64,
    /// Change of each grader from the first half of what they marked to the second, beside the others; graders with
    /// fewer than two marks in a half are left out.
    pub drift: Vec<Drift>,
    /// Answers.
    pub answers: usize,
    /// Levels that were used; others are joined with the one below.
    pub levels: usize,
    /// Whether the fit converged.
    pub converged: bool,
}

/// A grader's severity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeverityLine {
    /// The grader.
    pub grader: String,
    /// Whether it is a person.
    pub human: bool,
    /// Marks.
    pub n: usize,
    /// δ in logits, centred on 0; higher is stricter.
    pub severity: f64,
    /// Its standard error, other graders being known.
    pub error: f64,
    /// Mean square of residuals weighted by variance; 1 is expected, above it the grader is erratic.
    pub infit: f64,
    /// Unweighted.
    pub outfit: f64,
    /// Mean share of the points of the marks given.
    pub mean: f64,
    /// Share of the points that an average answer would get from this grader.
    pub fair: f64,
}

/// How a grader's severity changed on the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// The grader.
    pub grader: String,
    /// Marks in the first half and in the second.
    pub n: (usize, usize),
    /// Severity in the second half less that in the first, in logits; below 0 the grader became milder.
    pub change: f64,
    /// Its standard error.
    pub error: f64,
    /// Two-sided p of no change.
    pub p: f64,
    /// The same, adjusted by Holm for the number of graders.
    pub holm: f64,
}

/// Fits severity and drift.
pub(super) fn severity(grid: &Grid) -> irt::Result<Severity> {
    let graders = grid.graders.len();
    let mut marks = Vec::new();
    let mut levels: Vec<f64> = Vec::new();
    let quarter = |share: f64| (share * QUARTERS).round();
    for (_, row) in &grid.answers {
        levels.extend(row.iter().flatten().map(|(share, _)| quarter(*share)));
    }
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    for (answer, (_, row)) in grid.answers.iter().enumerate() {
        for (grader, mark) in row.iter().enumerate() {
            let Some((share, _)) = mark else { continue };
            let score = levels.partition_point(|level| *level < quarter(*share)) as u8;
            marks.push(Mark { person: answer as u32, elements: vec![grader as u32], score });
        }
    }
    let settings = Settings::default();
    let whole = fit(&marks, grid.answers.len(), &[graders], &settings)?;
    let line = |(grader, element): (usize, &Element)| SeverityLine {
        grader: grid.graders[grader].clone(),
        human: grader < grid.humans,
        n: element.n,
        severity: element.severity,
        error: element.error,
        infit: element.infit,
        outfit: element.outfit,
        mean: mean(grid, grader),
        fair: between(&levels, element.fair) / QUARTERS,
    };
    Ok(Severity {
        lines: whole.facets[0].iter().enumerate().map(line).collect(),
        equal: all_equal(&whole.facets[0]),
        drift: drift(grid, &marks, &settings),
        answers: grid.answers.len(),
        levels: levels.len(),
        converged: whole.converged,
    })
}

/// Each grader in turn is taken for two, one for each half of what they marked, beside all others as they are. So
/// change is told from change of the answers, but it is change against the others: where all mark in one order, what
/// one does shows in the rest with the opposite sign.
fn drift(grid: &Grid, marks: &[Mark], settings: &Settings) -> Vec<Drift> {
    let graders = grid.graders.len();
    let of = |grader: usize| -> Option<Drift> {
        let from = middle(grid, grader);
        let late = |mark: &Mark| {
            let place = grid.answers[mark.person as usize].1[grader].map(|(_, place)| place);
            mark.elements[0] as usize == grader && place >= Some(from)
        };
        let mut halved = marks.to_vec();
        halved.iter_mut().filter(|mark| late(mark)).for_each(|mark| mark.elements[0] = graders as u32);
        let fitted = fit(&halved, grid.answers.len(), &[graders + 1], settings).ok()?;
        let (first, second) = (&fitted.facets[0][grader], &fitted.facets[0][graders]);
        let (_, p) = drifted(first, second);
        let (n, error) = ((first.n, second.n), first.error.hypot(second.error));
        let known = n.0 >= 2 && n.1 >= 2 && error.is_finite();
        let change = second.severity - first.severity;
        known.then(|| Drift { grader: grid.graders[grader].clone(), n, change, error, p, holm: p })
    };
    let mut drift: Vec<Drift> = (0..graders).filter_map(of).collect();
    let adjusted = holm(&drift.iter().map(|drift| drift.p).collect::<Vec<_>>());
    drift.iter_mut().zip(adjusted).for_each(|(drift, p)| drift.holm = p);
    drift
}

/// Mean share of the points that a grader gave.
fn mean(grid: &Grid, grader: usize) -> f64 {
    let shares: Vec<f64> = grid.answers.iter().filter_map(|(_, row)| Some(row[grader]?.0)).collect();
    shares.iter().sum::<f64>() / shares.len() as f64
}

/// The place at which the second half of a grader's marks begins.
fn middle(grid: &Grid, grader: usize) -> usize {
    let mut places: Vec<usize> = grid.answers.iter().filter_map(|(_, row)| Some(row[grader]?.1)).collect();
    places.sort_unstable();
    places.get(places.len() / 2).copied().unwrap_or(0)
}

/// The level at a place between two, in proportion.
fn between(levels: &[f64], place: f64) -> f64 {
    let low = (place.floor().max(0.0) as usize).min(levels.len() - 1);
    let high = (low + 1).min(levels.len() - 1);
    levels[low] + (place - low as f64) * (levels[high] - levels[low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_levels_are_closed_up() {
        // Marks of 0 and 1 alone: two levels, four quarters apart.
        let row = |a: f64, b: f64, at: usize| (at, vec![Some((a, at)), Some((b, at))]);
        let answers: Vec<_> = (0..40).map(|at| row(f64::from(at as u8 % 2), f64::from(at as u8 % 4 / 3), at)).collect();
        let grid = Grid { graders: vec!["a".into(), "b".into()], humans: 1, answers };
        let found = severity(&grid).expect("fitted");
        assert_eq!((found.levels, found.answers), (2, 40));
        // a gives half of the points, b a quarter.
        assert!(found.lines[0].severity < found.lines[1].severity);
        assert!(found.lines[0].fair > found.lines[1].fair && found.lines[0].fair <= 1.0);
        assert_eq!((between(&[0.0, 4.0], 0.5), between(&[0.0, 1.0, 4.0], 1.5), between(&[2.0], 0.0)), (2.0, 2.5, 2.0));
    }
}
