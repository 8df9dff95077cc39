use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What chance gives where there is nothing to find.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Null {
    /// Mean of the draws.
    pub mean: f64,
    /// 95 % of the draws lie above this.
    pub low: f64,
    /// And below this.
    pub high: f64,
    /// Two-sided p of the observed value: twice the smaller share of draws on its far side, with the
    /// observed one counted among the draws.
    pub p: f64,
    /// Draws.
    pub draws: usize,
}

impl Null {
    /// From draws; none below ten.
    pub fn new(observed: f64, draws: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = draws.iter().copied().filter(|x| x.is_finite()).collect();
        if sorted.len() < 10 {
            return None;
        }
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        // Sums in another order differ by rounding, and are ties.
        let near = 1e-9 * (1.0 + observed.abs());
        let above = sorted.iter().filter(|x| **x >= observed - near).count();
        let below = sorted.iter().filter(|x| **x <= observed + near).count();
        let p = (2.0 * (above.min(below) + 1) as f64 / (n + 1) as f64).min(1.0);
        let at = |q: f64| sorted[((q * n as f64) as usize).min(n - 1)];
        Some(Self { mean: sorted.iter().sum::<f64>() / n as f64, low: at(0.025), high: at(0.975), p, draws: n })
    }
}

/// So many draws, each by its number.
pub(super) fn draw<T: Send>(count: usize, one: impl Fn(usize) -> T + Send + Sync) -> Vec<T> {
    (0..count).into_par_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_is_unlikely_and_a_tie_is_not() {
        let draws: Vec<f64> = (0..99).map(|i| f64::from(i) / 99.0).collect();
        let far = Null::new(2.0, &draws).expect("a null");
        assert!((far.p - 0.02).abs() < 1e-12 && far.low < 0.04 && far.high > 0.94, "{far:?}");
        assert!(Null::new(0.5, &draws).expect("a null").p > 0.9);
        assert_eq!(Null::new(0.3, &[0.3; 20]).expect("a null").p, 1.0);
        assert_eq!(Null::new(0.3, &[0.3; 5]), None);
    }
}
