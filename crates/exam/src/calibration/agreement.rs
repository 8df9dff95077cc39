use irt::raters::{Scale, bland_altman, cohen, icc, krippendorff};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use record::seed;
use serde::{Deserialize, Serialize};

use super::Grid;
use crate::statistics::{ByCluster, Difference, student};

/// Steps of a mark that weighted κ tells apart: tenths of what the item gives.
const TENTHS: f64 = 10.0;
/// Times that clusters are drawn again.
const RESAMPLES: usize = 1000;

/// A coefficient with its 95 % interval by drawing clusters again (percentiles of 1000 draws).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The coefficient.
    pub value: f64,
    /// Lower limit.
    pub low: f64,
    /// Upper limit.
    pub high: f64,
    /// Answers that it rests on.
    pub n: usize,
}

/// Two graders on the answers that both marked; marks are shares of what the item gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// The first: a judge, or a person.
    pub first: String,
    /// The second: a person, or the mean of the people.
    pub second: String,
    /// Answers.
    pub n: usize,
    /// Independent clusters of them.
    pub clusters: usize,
    /// Share of answers with the same mark, to a thousandth of the points.
    pub same: f64,
    /// Cohen's κ over tenths of the points with quadratic weights.
    pub kappa: Option<Interval>,
    /// ICC(2,1): absolute agreement.
    pub absolute: Option<Interval>,
    /// ICC(3,1): consistency, severity aside.
    pub consistency: Option<Interval>,
    /// Mean of first less second with Student's 95 % interval, clustered; below 0 the first is stricter.
    pub bias: Difference,
    /// Limits of agreement (Bland and Altman): 95 % of differences lie between, if they are normal.
    pub limits: (f64, f64),
}

/// A judge with the mean of the people.
pub(super) fn with_people(grid: &Grid, judge: usize, seed: u64) -> Option<Agreement> {
    let second = if grid.humans == 1 { grid.graders[0].clone() } else { format!("mean of {} people", grid.humans) };
    let pairs = grid.answers.iter().filter_map(|(cluster, row)| {
        let people: Vec<f64> = row[..grid.humans].iter().flatten().map(|(share, _)| *share).collect();
        let mean = people.iter().sum::<f64>() / people.len() as f64;
        (!people.is_empty()).then_some((*cluster, (row[judge]?.0, mean)))
    });
    agreement(&grid.graders[judge], &second, pairs.collect(), seed)
}

/// Two graders with each other.
pub(super) fn of_two(grid: &Grid, a: usize, b: usize, seed: u64) -> Option<Agreement> {
    let pairs = grid.answers.iter().filter_map(|(cluster, row)| Some((*cluster, (row[a]?.0, row[b]?.0))));
    agreement(&grid.graders[a], &grid.graders[b], pairs.collect(), seed)
}

/// A measure of pairs of marks.
type Measure<'a> = &'a dyn Fn(&[(f64, f64)]) -> Option<f64>;

fn agreement(first: &str, second: &str, pairs: Vec<(usize, (f64, f64))>, seed: u64) -> Option<Agreement> {
    let name = format!("{first}\n{second}");
    let drawn = |what: &str, of: Measure| interval(&pairs, of, seed::derive(seed, what, &name));
    let tenth = |share: f64| Some((share * TENTHS).round() as usize);
    let kappa = |pairs: &[(f64, f64)]| {
        let (a, b): (Vec<_>, Vec<_>) = pairs.iter().map(|(a, b)| (tenth(*a), tenth(*b))).unzip();
        cohen(&a, &b, true)
    };
    let rows = |pairs: &[(f64, f64)]| icc(&pairs.iter().map(|(a, b)| vec![*a, *b]).collect::<Vec<_>>());
    let differences = ByCluster::new(pairs.iter().map(|(cluster, (a, b))| (*cluster, a - b)));
    let all: Vec<(f64, f64)> = pairs.iter().map(|(_, pair)| *pair).collect();
    let limits = bland_altman(&all)?;
    Some(Agreement {
        first: first.into(),
        second: second.into(),
        n: all.len(),
        clusters: differences.clusters(),
        same: all.iter().filter(|(a, b)| (a - b).abs() < 1e-3).count() as f64 / all.len() as f64,
        kappa: drawn("kappa", &kappa),
        absolute: drawn("absolute", &|pairs| finite(rows(pairs)?.single)),
        consistency: drawn("consistency", &|pairs| finite(rows(pairs)?.consistency)),
        bias: student(&differences, 0.05)?,
        limits: (limits.low, limits.high),
    })
}

/// Krippendorff's α of all graders, to a hundredth of the points.
pub(super) fn alpha(grid: &Grid, seed: u64) -> Option<Interval> {
    let rows: Vec<(usize, Vec<f64>)> = grid
        .answers
        .iter()
        .map(|(cluster, row)| (*cluster, row.iter().flatten().map(|(share, _)| (share * 100.0).round()).collect()))
        .collect();
    interval(&rows, &|rows: &[Vec<f64>]| krippendorff(rows, Scale::Interval), seed::derive(seed, "alpha", ""))
}

/// No variation leaves 0 / 0.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// A coefficient with percentile limits over draws of whole clusters; draws without variation give none and
/// are drawn over. None where the coefficient is, or there is one cluster only.
fn interval<T: Clone>(rows: &[(usize, T)], of: &dyn Fn(&[T]) -> Option<f64>, seed: u64) -> Option<Interval> {
    let count = rows.iter().map(|(cluster, _)| cluster + 1).max()?;
    let mut clusters: Vec<Vec<T>> = vec![Vec::new(); count];
    rows.iter().for_each(|(cluster, row)| clusters[*cluster].push(row.clone()));
    clusters.retain(|cluster| !cluster.is_empty());
    let all: Vec<T> = rows.iter().map(|(_, row)| row.clone()).collect();
    let value = of(&all)?;
    if clusters.len() < 2 {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let sample: Vec<T> =
                (0..clusters.len()).flat_map(|_| clusters[random.random_range(0..clusters.len())].clone()).collect();
            of(&sample)
        })
        .collect();
    if drawn.len() < RESAMPLES / 2 {
        return None;
    }
    drawn.sort_by(f64::total_cmp);
    let quantile = |share: f64| drawn[((drawn.len() - 1) as f64 * share).round() as usize];
    Some(Interval { value, low: quantile(0.025), high: quantile(0.975), n: all.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_those_of_the_textbook() {
        // Shrout and Fleiss 1979, table 2, first two judges: of [9 2] [6 1] [8 4] [7 1] [10 5] [6 2] by hand:
        // differences 7 5 4 6 5 4, mean 5.1667.
        let marks = [(9.0, 2.0), (6.0, 1.0), (8.0, 4.0), (7.0, 1.0), (10.0, 5.0), (6.0, 2.0)];
        let pairs: Vec<(usize, (f64, f64))> =
            marks.iter().enumerate().map(|(at, (a, b))| (at, (a / 10.0, b / 10.0))).collect();
        let found = agreement("a", "b", pairs.clone(), 1).expect("agreement");
        assert!((found.bias.mean - 0.516_666_7).abs() < 1e-6 && found.same == 0.0);
        // s of the differences is 1.169045; ±1.96 s.
        assert!((found.limits.0 - (0.516_666_7 - 0.196 * 1.169_045)).abs() < 1e-5, "{:?}", found.limits);
        let rows: Vec<Vec<f64>> = marks.iter().map(|(a, b)| vec![*a, *b]).collect();
        let whole = icc(&rows).expect("icc");
        let absolute = found.absolute.expect("absolute");
        assert!((absolute.value - whole.single).abs() < 1e-12 && absolute.low <= absolute.value);
        let same: Vec<_> = pairs.iter().map(|(c, (a, _))| (*c, (*a, *a))).collect();
        let same = agreement("a", "a", same, 1).expect("agreement");
        assert_eq!((same.same, same.kappa.map(|k| k.value), same.kappa.map(|k| k.low)), (1.0, Some(1.0), Some(1.0)));
    }

    #[test]
    fn no_variation_and_one_cluster_have_no_coefficient() {
        let flat: Vec<_> = (0..5).map(|at| (at, (0.5, 0.5))).collect();
        let found = agreement("a", "b", flat, 1).expect("a bias");
        assert!(found.kappa.is_none() && found.absolute.is_none());
        let one: Vec<_> = (0..5).map(|at| (0, (f64::from(at) / 5.0, 0.5))).collect();
        assert!(agreement("a", "b", one, 1).is_none());
    }

    /// The share of intervals that hold the true consistency, 0.8; percentile intervals of 60 answers are a
    /// little narrow.
    #[test]
    fn intervals_cover() {
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let mut normal = move || {
            let (u, v): (f64, f64) = (random.random(), random.random());
            (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        };
        let covered = (0..100)
            .filter(|round| {
                let pairs: Vec<(usize, (f64, f64))> = (0..60)
                    .map(|at| {
                        let truth = normal();
                        (at, (truth + 0.5 * normal(), truth + 0.5 * normal()))
                    })
                    .collect();
                let rows = |pairs: &[(f64, f64)]| icc(&pairs.iter().map(|(a, b)| vec![*a, *b]).collect::<Vec<_>>());
                let found = interval(&pairs, &|pairs| finite(rows(pairs)?.consistency), *round).expect("an interval");
                found.low <= 0.8 && 0.8 <= found.high
            })
            .count();
        assert!((86..=99).contains(&covered), "{covered} of 100");
    }
}
