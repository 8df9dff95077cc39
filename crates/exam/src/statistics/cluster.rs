use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean with its uncertainty. All values are in the unit of what was averaged; for a difference
/// of scores they lie in [−1, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error, clustered.
    pub standard_error: f64,
    /// Lower 95 % limit.
    pub low: f64,
    /// Upper 95 % limit.
    pub high: f64,
    /// Values averaged.
    pub n: usize,
    /// Independent clusters.
    pub clusters: usize,
    /// Smallest true mean that would be told from 0 in 80 of 100 such exams, two-sided at 5 %.
    pub detectable: f64,
}

/// Mean of values in [−1, 1] with a standard error clustered by name; `None` below two clusters.
///
/// With n values x in G clusters and the cluster sums S_g = Σ_{i in g} (x_i − x̄):
/// SE² = G / (G − 1) · Σ_g S_g² / n², the sandwich estimator with the small-sample factor (CR1) of
/// a regression on a constant (Liang and Zeger 1986; Cameron and Miller 2015); the interval is x̄ ± t(0.975, G − 1) · SE, and the detectable mean
/// (t(0.975, G − 1) + t(0.8, G − 1)) · SE.
///
/// Where no cluster differs from another, SE is 0 and would promise too much: then limits and
/// detectable mean reach 3 / G, the 95 % bound on the share of something that was never seen in G
/// clusters. Limits are clipped to [−1, 1].
pub fn clustered_mean<'a>(values: impl IntoIterator<Item = (&'a str, f64)>) -> Option<Estimate> {
    let values: Vec<(&str, f64)> = values.into_iter().collect();
    let n = values.len();
    let mean = values.iter().map(|(_, value)| value).sum::<f64>() / n as f64;
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for (cluster, value) in &values {
        *sums.entry(cluster).or_default() += value - mean;
    }
    let clusters = sums.len();
    if clusters < 2 {
        return None;
    }
    let g = clusters as f64;
    let variance = g / (g - 1.0) * sums.values().map(|sum| sum * sum).sum::<f64>() / (n * n) as f64;
    // Sums of equal values leave rounding behind, not variance.
    let standard_error = if variance < 1e-20 { 0.0 } else { variance.sqrt() };
    let t = StudentsT::new(0.0, 1.0, g - 1.0).ok()?;
    let (reach, detectable) = if standard_error == 0.0 {
        (3.0 / g, 3.0 / g)
    } else {
        let quantile = t.inverse_cdf(0.975);
        (quantile * standard_error, (quantile + t.inverse_cdf(0.8)) * standard_error)
    };
    Some(Estimate {
        mean,
        standard_error,
        low: (mean - reach).max(-1.0),
        high: (mean + reach).min(1.0),
        n,
        clusters,
        detectable: detectable.min(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::golden;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn mean_error_and_interval_equal_statsmodels() {
        for case in golden()["clustered"].as_array().expect("cases") {
            let values: Vec<(String, f64)> = serde_json::from_value(case["values"].clone()).expect("values");
            let estimate = clustered_mean(values.iter().map(|(c, v)| (c.as_str(), *v))).expect("two clusters");
            for (name, got) in [
                ("mean", estimate.mean),
                ("standard_error", estimate.standard_error),
                ("low", estimate.low),
                ("high", estimate.high),
                ("detectable", estimate.detectable),
            ] {
                let want = case[name].as_f64().expect("number");
                assert!((got - want).abs() < 1e-8, "{name}: {got} against {want}");
            }
        }
    }

    #[test]
    fn without_variance_the_interval_keeps_a_width() {
        let names: Vec<String> = (0..60).map(|i| i.to_string()).collect();
        let same = clustered_mean(names.iter().map(|n| (n.as_str(), 0.1))).expect("clusters");
        assert_eq!(same.standard_error, 0.0);
        assert!((same.low - 0.05).abs() < 1e-12 && (same.high - 0.15).abs() < 1e-12);
        assert!(clustered_mean([("a", 1.0), ("a", 0.0)]).is_none());
        assert!(clustered_mean([]).is_none());
    }

    /// Two models that are equally good, three correlated items a fact: the interval must leave out
    /// zero in about one of twenty exams. 4,000 exams give ±0.007 of Monte Carlo error.
    #[test]
    fn the_paired_interval_errs_in_one_of_twenty_exams() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let names: Vec<String> = (0..60).map(|i| i.to_string()).collect();
        let mut rejected = 0;
        let exams = 4_000;
        for _ in 0..exams {
            let mut values = Vec::new();
            for name in &names {
                let difficulty = rng.random::<f64>();
                let shift = rng.random::<f64>() - 0.5;
                for _ in 0..3 {
                    let mut right = |p: f64| f64::from(u8::from(rng.random::<f64>() < p.clamp(0.0, 1.0)));
                    // The shift is shared by a fact's items and zero on average.
                    values.push((name.as_str(), right(difficulty + shift) - right(difficulty - shift)));
                }
            }
            let estimate = clustered_mean(values).expect("clusters");
            rejected += usize::from(estimate.low > 0.0 || estimate.high < 0.0);
        }
        let share = rejected as f64 / exams as f64;
        assert!((0.03..=0.07).contains(&share), "{share}");
    }
}
