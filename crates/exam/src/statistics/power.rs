use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, Normal};

use super::ByCluster;
use super::student::{quantile, student};

/// Chance that a two-sided t test at level `alpha` tells a true mean of `effect` from 0, given the
/// standard error and the degrees of freedom: 1 − F(t) + F(−t) of the noncentral t distribution with
/// noncentrality effect / SE, t = t(1 − α/2).
pub fn power(effect: f64, standard_error: f64, freedom: f64, alpha: f64) -> f64 {
    if standard_error <= 0.0 {
        return if effect == 0.0 { alpha } else { 1.0 };
    }
    let (t, shift) = (quantile(1.0 - alpha / 2.0, freedom), effect / standard_error);
    // T = (Z + δ) / S with S = √(χ² / ν), whose density is proportional to s^{ν−1} e^{−ν s² / 2}.
    let (normal, points) = (Normal::standard(), 600);
    let reach = 9.0 / (2.0 * freedom).sqrt();
    let (low, high) = ((1.0 - reach).max(1e-9), 1.0 + reach);
    let (mut sum, mut weights) = (0.0, 0.0);
    for point in 0..points {
        let s = low + (high - low) * (point as f64 + 0.5) / points as f64;
        let weight = ((freedom - 1.0) * s.ln() - 0.5 * freedom * (s * s - 1.0)).exp();
        weights += weight;
        sum += weight * (normal.sf(t * s - shift) + normal.cdf(-t * s - shift));
    }
    sum / weights
}

/// Minimum detectable effect: the least true mean that is told from 0 in a share `chance` of exams of
/// this size. Infinite where no effect up to 1,000 standard errors is.
pub fn detectable(standard_error: f64, freedom: f64, alpha: f64, chance: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1000.0 * standard_error);
    if power(high, standard_error, freedom, alpha) < chance {
        return f64::INFINITY;
    }
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        if power(middle, standard_error, freedom, alpha) < chance { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// How many clusters of the same kind tell a true mean of `effect` from 0 in a share `chance` of exams:
/// the standard error falls with the root of their number. None where a million are too few.
pub fn needed(values: &ByCluster, effect: f64, alpha: f64, chance: f64) -> Option<usize> {
    let (error, g) = (values.standard_error()?, values.clusters() as f64);
    let enough =
        |clusters: usize| power(effect, error * (g / clusters as f64).sqrt(), clusters as f64 - 1.0, alpha) >= chance;
    let (mut low, mut high) = (2, 1_000_000);
    if !enough(high) {
        return None;
    }
    while low < high {
        let middle = (low + high) / 2;
        if enough(middle) { high = middle } else { low = middle + 1 }
    }
    Some(low)
}

/// Checks [`power`] by simulation: share of `exams` in which clusters drawn again from the ones seen,
/// their mean moved to `effect`, are told from 0. Its standard error is √(p(1 − p) / exams).
pub fn simulated_power(values: &ByCluster, effect: f64, alpha: f64, exams: usize, seed: u64) -> f64 {
    let mean = values.mean();
    let moved: Vec<(f64, f64)> =
        values.sums().iter().zip(values.counts()).map(|(sum, count)| (sum + (effect - mean) * count, *count)).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let told = (0..exams).filter(|_| {
        let (sums, counts) = (0..moved.len()).map(|_| moved[random.random_range(0..moved.len())]).unzip();
        student(&ByCluster { sums, counts }, alpha).is_some_and(|found| found.p < alpha)
    });
    told.count() as f64 / exams.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::golden;
    use crate::statistics::simulated::{share, twins};

    #[test]
    fn power_equals_scipy() {
        for case in golden()["power"].as_array().expect("cases") {
            let number = |name: &str| case[name].as_f64().expect("number");
            let found = power(number("effect"), number("error"), number("freedom"), number("alpha"));
            assert!((found - number("power")).abs() < 1e-5, "{found} against {case}");
        }
    }

    #[test]
    fn the_detectable_effect_is_detected_as_often_as_it_says() {
        let seen = twins(80, 2, 0.0, 4);
        let error = seen.standard_error().expect("clusters");
        let effect = detectable(error, 79.0, 0.05, 0.8);
        assert!((2.8..2.9).contains(&(effect / error)), "{}", effect / error);
        let simulated = simulated_power(&seen, effect, 0.05, 2000, 1);
        assert!((simulated - 0.8).abs() < 0.04, "{simulated}");
        // And in fresh exams with that truth, not only in the one seen drawn again. Its error is an
        // estimate, so it may be off by a little more.
        let fresh = share(500, |seed| student(&twins(80, 2, effect, seed), 0.05).is_some_and(|found| found.p < 0.05));
        assert!((fresh - 0.8).abs() < 0.12, "{fresh}");
        assert!((70..=90).contains(&needed(&seen, effect, 0.05, 0.8).expect("enough")));
        assert_eq!(needed(&seen, 0.0, 0.05, 0.8), None);
        // One degree of freedom: the quantile alone is 12.7.
        assert!((1.5..1.8).contains(&detectable(0.1, 1.0, 0.05, 0.8)));
    }
}
