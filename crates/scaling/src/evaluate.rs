//! How good predictions are.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::bootstrap::{Bootstrap, Clusters, Interval};
use crate::{Error, Result};

/// Predictions against what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Models.
    pub n: usize,
    /// Mean of |ŷ − y|.
    pub mae: f64,
    /// Median of |ŷ − y|.
    pub median: f64,
    /// Mean of (ŷ − y)².
    pub mse: f64,
    /// 1 − Σ(ŷ − y)²/Σ(y − ȳ)²; none where all measured values are equal. Near chance it says little.
    pub r2: Option<f64>,
    /// Rank correlation; none where predictions or measured values are all equal.
    pub spearman: Option<f64>,
}

fn paired(predicted: &[f64], observed: &[f64]) -> Result<()> {
    if predicted.len() != observed.len() {
        return Err(Error::Length { what: "the list of predictions", got: predicted.len(), expected: observed.len() });
    }
    if observed.is_empty() {
        return Err(Error::Data { problem: "no prediction to evaluate".into(), hint: "hold out at least one model" });
    }
    for (what, values) in [("prediction", predicted), ("accuracy", observed)] {
        if let Some(m) = values.iter().position(|x| !x.is_finite()) {
            return Err(Error::NotFinite { what, model: format!("model {m}"), column: 0, value: values[m] });
        }
    }
    Ok(())
}

/// All measures at once.
pub fn metrics(predicted: &[f64], observed: &[f64]) -> Result<Metrics> {
    paired(predicted, observed)?;
    let n = observed.len();
    let mut off: Vec<f64> = predicted.iter().zip(observed).map(|(p, y)| (p - y).abs()).collect();
    let mae = off.iter().sum::<f64>() / n as f64;
    let squares: f64 = off.iter().map(|x| x * x).sum();
    let mean = observed.iter().sum::<f64>() / n as f64;
    let total: f64 = observed.iter().map(|y| (y - mean).powi(2)).sum();
    let r2 = (total > 1e-15 * n as f64).then(|| 1.0 - squares / total);
    let spearman = correlation(&ranks(predicted), &ranks(observed));
    Ok(Metrics { n, mae, median: median(&mut off), mse: squares / n as f64, r2, spearman })
}

/// The median; values are sorted on the way. NaN of none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// Ranks from 1; equals share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = start as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|&i| ranks[i] = rank);
        start += tied.len();
    }
    ranks
}

fn correlation(x: &[f64], y: &[f64]) -> Option<f64> {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let sum = |f: &dyn Fn(f64, f64) -> f64| x.iter().zip(y).map(|(x, y)| f(x - mx, y - my)).sum::<f64>();
    let (xx, yy, xy) = (sum(&|x, _| x * x), sum(&|_, y| y * y), sum(&|x, y| x * y));
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

/// Share of measured values that lie inside their intervals.
pub fn coverage(intervals: &[Interval], observed: &[f64]) -> Result<f64> {
    let limits: Vec<f64> = intervals.iter().map(|i| i.value).collect();
    paired(&limits, observed)?;
    let inside = intervals.iter().zip(observed).filter(|(i, y)| i.low <= **y && **y <= i.high).count();
    Ok(inside as f64 / observed.len() as f64)
}

/// A measure with its bootstrap limits, families (labels, one a model) drawn with replacement; give each
/// model a label of its own where they are independent. `measure` takes predictions and measured values.
pub fn interval(
    predicted: &[f64],
    observed: &[f64],
    families: &[usize],
    bootstrap: &Bootstrap,
    measure: impl Fn(&[f64], &[f64]) -> f64 + Sync,
) -> Result<Interval> {
    paired(predicted, observed)?;
    bootstrap.validate()?;
    let clusters = Clusters::new(families, &(0..observed.len()).collect::<Vec<_>>())?;
    let again = |replicate: usize| {
        let times = bootstrap.draw(replicate, &clusters);
        let repeat = |of: &[f64]| -> Vec<f64> {
            of.iter().zip(&times).flat_map(|(x, t)| std::iter::repeat_n(*x, *t as usize)).collect()
        };
        measure(&repeat(predicted), &repeat(observed))
    };
    let drawn: Vec<f64> = (0..bootstrap.replicates).into_par_iter().map(again).collect();
    let mut drawn: Vec<f64> = drawn.into_iter().filter(|x| x.is_finite()).collect();
    if drawn.len() < bootstrap.replicates.div_ceil(2) {
        let problem = "the measure has no value in most draws".to_string();
        return Err(Error::Data { problem, hint: "take another measure, or more models" });
    }
    let (low, high) = bootstrap.limits(&mut drawn);
    Ok(Interval { value: measure(predicted, observed), low, high })
}

/// How much better the first predictions are than the second: mean of |second − y| − |first − y|, above 0
/// where the first win, with paired bootstrap limits.
pub fn gain(
    first: &[f64],
    second: &[f64],
    observed: &[f64],
    families: &[usize],
    bootstrap: &Bootstrap,
) -> Result<Interval> {
    paired(first, observed)?;
    paired(second, observed)?;
    let differences: Vec<f64> =
        (0..observed.len()).map(|m| (second[m] - observed[m]).abs() - (first[m] - observed[m]).abs()).collect();
    let mean = |x: &[f64], _: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    interval(&differences, observed, families, bootstrap, mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_by_hand() {
        let m = metrics(&[0.1, 0.4, 0.4, 0.9], &[0.2, 0.4, 0.3, 0.5]).expect("four");
        assert!((m.mae - 0.15).abs() < 1e-12 && (m.median - 0.1).abs() < 1e-12 && (m.mse - 0.045).abs() < 1e-12);
        assert!((m.r2.expect("spread") - (1.0 - 0.18 / 0.05)).abs() < 1e-9);
        assert!((m.spearman.expect("spread") - 4.5 / (4.5_f64 * 5.0).sqrt()).abs() < 1e-9, "{m:?}");
        assert_eq!(metrics(&[0.1, 0.2], &[0.3, 0.3]).expect("two").r2, None);
        assert!(metrics(&[], &[]).is_err() && metrics(&[f64::NAN], &[0.1]).is_err());
        let i = |low, high| Interval { value: 0.5, low, high };
        assert_eq!(coverage(&[i(0.0, 1.0), i(0.4, 0.6)], &[0.2, 0.2]).expect("two"), 0.5);
    }

    #[test]
    fn a_gain_is_seen_and_none_is_not() {
        let y: Vec<f64> = (0..60).map(|i| f64::from(i) / 60.0).collect();
        let near: Vec<f64> = y.iter().enumerate().map(|(i, y)| y + 0.02 * (i as f64).sin()).collect();
        let far: Vec<f64> = y.iter().enumerate().map(|(i, y)| y + 0.1 * (i as f64 * 1.7).cos()).collect();
        let own: Vec<usize> = (0..60).collect();
        let better = gain(&near, &far, &y, &own, &Bootstrap::default()).expect("sixty");
        assert!(better.low > 0.0 && better.low < better.value && better.value < better.high, "{better:?}");
        let other: Vec<f64> = y.iter().enumerate().map(|(i, y)| y + 0.02 * (i as f64 + 2.0).cos()).collect();
        let same = gain(&near, &other, &y, &own, &Bootstrap::default()).expect("sixty");
        assert!(same.low < 0.0 && same.high > 0.0, "{same:?}");
    }
}
