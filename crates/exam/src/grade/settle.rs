use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Mark, Script, addresses_marker};
use crate::paper::Paper;

/// The one score of a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// Code of the script.
    pub code: String,
    /// Id of the item.
    pub item: String,
    /// Who wrote the answer.
    pub person: String,
    /// Number of the attempt.
    pub attempt: u16,
    /// Points, 0 to the item's most.
    pub points: f64,
    /// The most that the item gives.
    pub most: f64,
    /// Marks that were given.
    pub marks: usize,
    /// Graders who failed.
    pub failed: usize,
    /// Greatest less least first mark, as a share of the item's points.
    pub spread: f64,
    /// How the points came about.
    pub basis: Basis,
    /// Whether the answer speaks to whoever marks it, so that somebody should look.
    pub addresses_marker: bool,
}

/// How a score came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// There was no answer: 0.
    Blank,
    /// The rule alone.
    Rule,
    /// Mean of the marks.
    Mean,
    /// The graders differed, a further one marked: mean of the closest two of all marks.
    ClosestTwo,
    /// The graders differed and nobody marked again: mean of the marks.
    Discrepant,
    /// Every grader failed: 0.
    Unmarked,
}

/// Greatest less least of the first marks as a share of what the item gives; 0 below two marks.
pub fn spread(marks: &[&Mark], most: f64) -> f64 {
    let points = || marks.iter().filter(|mark| !mark.further).filter_map(|mark| mark.points);
    let (low, high) = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(p), high.max(p)));
    if high > low { (high - low) / most } else { 0.0 }
}

/// Codes of the scripts whose first marks differ by more than `threshold` of the item's points.
pub fn discrepant(paper: &Paper, scripts: &[Script], marks: &[Mark], threshold: f64) -> Vec<String> {
    let by_code = by_code(marks);
    let wide = |script: &&Script| {
        let own = by_code.get(script.code.as_str()).map(Vec::as_slice).unwrap_or_default();
        let most = paper.item(&script.item).map_or(1.0, |item| item.points);
        spread(own, most) > threshold + 1e-9
    };
    scripts.iter().filter(wide).map(|script| script.code.clone()).collect()
}

/// Settles every script, in their order: the mean of its marks; where first marks differ by more than
/// `threshold` of the item's points, the mean of the closest two of all marks, the further ones among them.
/// Where several pairs are equally close, the mean of their means. A script without any mark counts as 0.
pub fn settle(paper: &Paper, scripts: &[Script], marks: &[Mark], threshold: f64) -> Vec<Settled> {
    let by_code = by_code(marks);
    let one = |script: &Script| {
        let own = by_code.get(script.code.as_str()).map(Vec::as_slice).unwrap_or_default();
        let most = paper.item(&script.item).map_or(1.0, |item| item.points);
        let points: Vec<f64> = own.iter().filter_map(|mark| mark.points).collect();
        let first: Vec<&&Mark> = own.iter().filter(|mark| !mark.further && mark.points.is_some()).collect();
        let spread = spread(own, most);
        let wide = spread > threshold + 1e-9;
        let mean = |points: &[f64]| points.iter().sum::<f64>() / points.len() as f64;
        let (value, basis) = if script.is_blank() {
            (0.0, Basis::Blank)
        } else if points.is_empty() {
            (0.0, Basis::Unmarked)
        } else if wide && points.len() > first.len() {
            (closest_two(&points), Basis::ClosestTwo)
        } else if wide {
            (mean(&points), Basis::Discrepant)
        } else if first.iter().all(|mark| mark.grader == "rule") {
            (mean(&points), Basis::Rule)
        } else {
            (mean(&points), Basis::Mean)
        };
        Settled {
            code: script.code.clone(),
            item: script.item.clone(),
            person: script.person.clone(),
            attempt: script.attempt,
            points: value,
            most,
            marks: points.len(),
            failed: own.iter().filter(|mark| mark.points.is_none()).count(),
            spread,
            basis,
            addresses_marker: addresses_marker(&script.text),
        }
    };
    scripts.iter().map(one).collect()
}

fn by_code(marks: &[Mark]) -> BTreeMap<&str, Vec<&Mark>> {
    let mut by_code: BTreeMap<&str, Vec<&Mark>> = BTreeMap::new();
    marks.iter().for_each(|mark| by_code.entry(&mark.code).or_default().push(mark));
    by_code
}

/// Mean of the two points that lie closest together; of equally close pairs the mean of all.
fn closest_two(points: &[f64]) -> f64 {
    let mut points = points.to_vec();
    points.sort_by(f64::total_cmp);
    let gap = |pair: &[f64]| pair[1] - pair[0];
    let least = points.windows(2).map(gap).fold(f64::INFINITY, f64::min);
    let closest: Vec<f64> =
        points.windows(2).filter(|pair| gap(pair) <= least + 1e-9).map(|p| (p[0] + p[1]) / 2.0).collect();
    if closest.is_empty() { points[0] } else { closest.iter().sum::<f64>() / closest.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grade::example::{answer, paper};
    use crate::grade::scripts;

    #[test]
    fn closest_two_by_hand() {
        assert_eq!(closest_two(&[0.0, 5.0, 6.0]), 5.5);
        assert_eq!(closest_two(&[10.0, 0.0, 5.0]), 5.0);
        assert_eq!(closest_two(&[3.0, 3.0, 8.0, 8.0]), 5.5);
        assert_eq!(closest_two(&[2.0]), 2.0);
    }

    #[test]
    fn means_discrepancies_failures_and_blanks_are_settled() {
        let paper = paper();
        let answers = [answer("ann", "3", "gravity"), answer("ann", "2", "42 m"), answer("ann", "1", "B")];
        let all = scripts(&paper, &answers, 1);
        let script = |item: &str| all.iter().find(|s| s.item == item).expect("a script");
        let mark = |item: &str, grader: &str, points: f64| Mark::new(script(item), grader, 0, points, "");
        let settled = |marks: &[Mark], item: &str| {
            let settled = settle(&paper, &all, marks, 0.25);
            settled.into_iter().find(|s| s.item == item).expect("settled")
        };
        let marks = vec![mark("3", "a", 4.0), mark("3", "b", 5.0), mark("3", "c", 4.5)];
        let found = settled(&marks, "3");
        assert_eq!((found.points, found.basis, found.marks), (4.5, Basis::Mean, 3));
        // A quarter of six is 1.5, which is not more than a quarter.
        let edge = [mark("3", "a", 4.0), mark("3", "b", 5.5)];
        assert_eq!((settled(&edge, "3").basis, discrepant(&paper, &all, &edge, 0.25).len()), (Basis::Mean, 0));
        let mut wide = vec![mark("3", "a", 1.0), mark("3", "b", 6.0), mark("3", "c", 4.0)];
        assert_eq!(discrepant(&paper, &all, &wide, 0.25), [script("3").code.clone()]);
        let found = settled(&wide, "3");
        assert_eq!((found.basis, found.spread), (Basis::Discrepant, 5.0 / 6.0));
        assert!((found.points - 11.0 / 3.0).abs() < 1e-12);
        wide.push(Mark { further: true, ..mark("3", "d", 4.5) });
        let found = settled(&wide, "3");
        assert_eq!((found.points, found.basis, found.marks), (4.25, Basis::ClosestTwo, 4));
        let failed = [Mark::failed(script("3"), "a", 0, "rubbish"), mark("3", "b", 2.0)];
        assert_eq!((settled(&failed, "3").points, settled(&failed, "3").failed), (2.0, 1));
        assert_eq!(settled(&failed[..1], "3").basis, Basis::Unmarked);
        assert_eq!(settled(&[mark("1", "rule", 4.0)], "1").basis, Basis::Rule);
        let nothing = scripts(&paper, &[answer("ann", "1", "")], 1);
        assert!(settle(&paper, &nothing, &[], 0.25).iter().all(|s| s.basis == Basis::Blank && s.points == 0.0));
    }
}
