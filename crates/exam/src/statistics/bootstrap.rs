use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use super::ByCluster;

/// Which limits a bootstrap gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Limits {
    /// Bias-corrected and accelerated.
    Bca,
    /// Plain quantiles, where bias or acceleration cannot be told: all means lie on one side, or all
    /// clusters are alike.
    Percentile,
}

/// Means of clusters drawn again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Lower limit.
    pub low: f64,
    /// Upper limit.
    pub high: f64,
    /// Standard deviation of the means.
    pub standard_error: f64,
    /// How often clusters were drawn again.
    pub resamples: usize,
    /// Which limits these are.
    pub limits: Limits,
}

/// Interval of a mean by drawing whole clusters again, with replacement (Efron 1987). None below two
/// clusters or ten resamples.
///
/// z₀ = Φ⁻¹(share of means below the one seen, ties by half), a = Σ u_g³ / 6 (Σ u_g²)^{3/2} with
/// u_g = x̄₍.₎ − x̄₍₋g₎ from leaving clusters out; limits are the quantiles of the means at
/// Φ(z₀ + (z₀ + z) / (1 − a (z₀ + z))) for z = Φ⁻¹(α/2) and Φ⁻¹(1 − α/2).
pub fn bootstrap(values: &ByCluster, resamples: usize, alpha: f64, seed: u64) -> Option<Bootstrap> {
    let (g, n) = (values.clusters(), values.counts().iter().sum::<f64>());
    if g < 2 || resamples < 10 {
        return None;
    }
    let pairs: Vec<(f64, f64)> = values.sums().iter().copied().zip(values.counts().iter().copied()).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut means: Vec<f64> = (0..resamples)
        .map(|_| {
            let (mut sum, mut count) = (0.0, 0.0);
            for _ in 0..g {
                let (s, c) = pairs[random.random_range(0..g)];
                sum += s;
                count += c;
            }
            sum / count
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let b = resamples as f64;
    let centre = means.iter().sum::<f64>() / b;
    let standard_error = (means.iter().map(|mean| (mean - centre).powi(2)).sum::<f64>() / (b - 1.0)).sqrt();

    let normal = Normal::standard();
    let seen = values.mean();
    let below = means.partition_point(|mean| *mean < seen - 1e-12);
    let ties = means.partition_point(|mean| *mean <= seen + 1e-12) - below;
    let z0 = normal.inverse_cdf((below as f64 + 0.5 * ties as f64) / b);
    let total: f64 = values.sums().iter().sum();
    let without: Vec<f64> = pairs.iter().map(|(s, c)| (total - s) / (n - c)).collect();
    let middle = without.iter().sum::<f64>() / g as f64;
    let moment = |power: i32| without.iter().map(|mean| (middle - mean).powi(power)).sum::<f64>();
    let acceleration = moment(3) / (6.0 * moment(2).powf(1.5));
    let corrected = |z: f64| normal.cdf(z0 + (z0 + z) / (1.0 - acceleration * (z0 + z)));
    let z = normal.inverse_cdf(1.0 - alpha / 2.0);
    let (limits, low, high) = if z0.is_finite() && acceleration.is_finite() {
        (Limits::Bca, corrected(-z), corrected(z))
    } else {
        (Limits::Percentile, alpha / 2.0, 1.0 - alpha / 2.0)
    };
    Some(Bootstrap { low: quantile(&means, low), high: quantile(&means, high), standard_error, resamples, limits })
}

/// Quantile of sorted values, between two of them in proportion.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (low, part) = (at.floor() as usize, at.fract());
    sorted[low] + part * (sorted[(low + 1).min(sorted.len() - 1)] - sorted[low])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::golden;
    use crate::statistics::simulated::{share, twins};

    #[test]
    fn limits_equal_scipy() {
        for case in golden()["bootstrap"].as_array().expect("cases") {
            let values: Vec<f64> = serde_json::from_value(case["values"].clone()).expect("values");
            let found = bootstrap(&ByCluster::independent(values), 40_000, 0.05, 3).expect("clusters");
            assert_eq!(found.limits, Limits::Bca);
            for (name, got) in [("low", found.low), ("high", found.high)] {
                let want = case[name].as_f64().expect("number");
                // Both draw: a tenth of a standard error is their common noise.
                assert!((got - want).abs() < 0.1 * found.standard_error, "{name}: {got} against {want}");
            }
        }
    }

    #[test]
    fn alike_clusters_have_quantiles_and_one_cluster_has_nothing() {
        let alike = bootstrap(&ByCluster::independent([0.2; 9]), 100, 0.05, 1).expect("clusters");
        assert!(alike.limits == Limits::Percentile && (alike.low - 0.2).abs() < 1e-12, "{alike:?}");
        assert!(bootstrap(&ByCluster::independent([0.2]), 100, 0.05, 1).is_none());
    }

    #[test]
    fn the_interval_covers() {
        let covered = share(1000, |seed| {
            let found = bootstrap(&twins(60, 2, 0.1, seed), 500, 0.05, seed).expect("clusters");
            found.low <= 0.1 && 0.1 <= found.high
        });
        assert!((0.92..0.97).contains(&covered), "{covered}");
    }
}
