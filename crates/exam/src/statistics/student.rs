use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::ByCluster;

/// A mean of values in [−1, 1], usually of paired differences, held against 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The mean.
    pub mean: f64,
    /// Its standard error, clustered.
    pub standard_error: f64,
    /// Degrees of freedom.
    pub freedom: f64,
    /// Lower limit at the level that was asked for.
    pub low: f64,
    /// Upper limit.
    pub high: f64,
    /// Two-sided p of a true mean of 0.
    pub p: f64,
    /// Values.
    pub n: usize,
    /// Independent clusters.
    pub clusters: usize,
}

/// Student's t of a clustered mean: t = x̄ / SE with G − 1 degrees of freedom, limits x̄ ± t(1 − α/2) SE,
/// clipped to [−1, 1]. None below two clusters.
///
/// Where no cluster differs from another, SE is 0 and would promise too much. Then the limits reach
/// −ln α / G, the bound on the share of something that was never seen in G clusters, and p is that of G
/// signs which fell alike, 2^{1 − G}.
pub fn student(values: &ByCluster, alpha: f64) -> Option<Difference> {
    let standard_error = values.standard_error()?;
    Some(of(values.mean(), standard_error, values.clusters() as f64 - 1.0, alpha, values.n(), values.clusters()))
}

/// The same of any estimate with this standard error and these degrees of freedom.
pub(crate) fn of(mean: f64, standard_error: f64, freedom: f64, alpha: f64, n: usize, clusters: usize) -> Difference {
    let (reach, p) = if standard_error > 0.0 {
        (quantile(1.0 - alpha / 2.0, freedom) * standard_error, tails(mean / standard_error, freedom))
    } else if mean == 0.0 {
        (-alpha.ln() / clusters as f64, 1.0)
    } else {
        (-alpha.ln() / clusters as f64, 2.0_f64.powf(1.0 - clusters as f64))
    };
    let (low, high) = ((mean - reach).max(-1.0), (mean + reach).min(1.0));
    Difference { mean, standard_error, freedom, low, high, p, n, clusters }
}

/// Quantile of Student's t; infinite without a degree of freedom.
pub(crate) fn quantile(share: f64, freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(share))
}

fn tails(t: f64, freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(1.0, |distribution| (2.0 * distribution.sf(t.abs())).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::simulated::{share, twins};

    #[test]
    fn known_values() {
        // Mean 0.5, SE √(1/12), t = √3 with 3 degrees of freedom: p = 0.1817, reach 3.1824 SE.
        let found = student(&ByCluster::independent([1.0, 1.0, 0.0, 0.0]), 0.05).expect("clusters");
        assert!((found.standard_error - (1.0_f64 / 12.0).sqrt()).abs() < 1e-12);
        assert!((found.p - 0.181_69).abs() < 1e-4 && (found.low + 0.418_69).abs() < 1e-4, "{found:?}");
        assert_eq!(found.high, 1.0);
        let alike = student(&ByCluster::independent([0.25; 10]), 0.05).expect("clusters");
        assert!((alike.p - 2.0_f64.powi(-9)).abs() < 1e-12 && alike.low < 0.0 && alike.high < 0.56);
        assert!(student(&ByCluster::independent([0.3]), 0.05).is_none());
    }

    #[test]
    fn equal_persons_are_told_apart_in_one_of_twenty_exams_and_others_more_often() {
        let p = |seed, better| student(&twins(40, 3, better, seed), 0.05).expect("clusters").p;
        let level = share(2000, |seed| p(seed, 0.0) < 0.05);
        let power = share(300, |seed| p(seed, 0.2) < 0.05);
        // 2,000 exams: a standard error of 0.005.
        assert!((0.03..0.07).contains(&level) && power > 0.8, "{level} {power}");
        let covered = share(2000, |seed| {
            let found = student(&twins(40, 3, 0.1, seed), 0.05).expect("clusters");
            found.low <= 0.1 && 0.1 <= found.high
        });
        assert!((0.93..0.97).contains(&covered), "{covered}");
    }
}
