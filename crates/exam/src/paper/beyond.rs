use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::statistics::ByCluster;

/// A mean difference in nats, by item, with Student's 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Beyond {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Lower 95 % limit.
    pub low: f64,
    /// Upper limit.
    pub high: f64,
    /// Items.
    pub n: usize,
}

impl Beyond {
    /// None below two items.
    pub(crate) fn of(differences: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values = ByCluster::independent(differences);
        let (standard_error, mean, n) = (values.standard_error()?, values.mean(), values.n());
        let reach = StudentsT::new(0.0, 1.0, n as f64 - 1.0).ok()?.inverse_cdf(0.975) * standard_error;
        Some(Self { mean, standard_error, low: mean - reach, high: mean + reach, n })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_students() {
        // By hand: mean 2, s = 1, SE = 1/√3, t(0.975, 2) = 4.302653.
        let found = Beyond::of([1.0, 2.0, 3.0]).expect("three");
        assert!((found.high - (2.0 + 4.302_653 / 3.0_f64.sqrt())).abs() < 1e-5 && found.n == 3, "{found:?}");
        assert_eq!(Beyond::of([1.0]), None);
    }
}
