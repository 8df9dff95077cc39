//! Tails of distributions, and what many tests at once ask for.

use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};

/// P(χ²_df ≥ x).
pub fn chi_square(x: f64, df: f64) -> f64 {
    match ChiSquared::new(df) {
        Ok(distribution) if x > 0.0 => distribution.sf(x),
        _ => 1.0,
    }
}

/// P(|Z| ≥ |z|).
pub fn normal_two_sided(z: f64) -> f64 {
    2.0 * Normal::standard().sf(z.abs())
}

/// Benjamini and Hochberg's adjusted p: those at most q are a set with a false-discovery rate of q.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let order = rising(p);
    let mut adjusted = vec![0.0; p.len()];
    let mut least = 1.0_f64;
    for (rank, &at) in order.iter().enumerate().rev() {
        least = least.min(p[at] * p.len() as f64 / (rank + 1) as f64);
        adjusted[at] = least;
    }
    adjusted
}

/// Holm's adjusted p: those at most α are a set in which the chance of any false one is at most α.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![0.0; p.len()];
    let mut most = 0.0_f64;
    for (rank, &at) in rising(p).iter().enumerate() {
        most = most.max((p[at] * (p.len() - rank) as f64).min(1.0));
        adjusted[at] = most;
    }
    adjusted
}

fn rising(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_and_adjustments() {
        assert!((chi_square(3.841_459, 1.0) - 0.05).abs() < 1e-6 && chi_square(0.0, 3.0) == 1.0);
        assert!((normal_two_sided(-1.959_964) - 0.05).abs() < 1e-6);
        let near = |found: Vec<f64>, wanted: [f64; 4]| {
            assert!(found.iter().zip(wanted).all(|(f, w)| (f - w).abs() < 1e-12), "{found:?}");
        };
        near(benjamini_hochberg(&[0.01, 0.04, 0.03, 0.5]), [0.04, 0.16 / 3.0, 0.16 / 3.0, 0.5]);
        near(holm(&[0.01, 0.04, 0.03, 0.5]), [0.04, 0.09, 0.09, 0.5]);
    }
}
