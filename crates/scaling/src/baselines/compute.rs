use serde::{Deserialize, Serialize};

use super::log_compute;
use crate::law::{positive, same_length};
use crate::{Curve, Level, Result};

/// Compute → accuracy: a sigmoid over log₁₀(6ND).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Compute {
    /// The sigmoid; its slope is below 0, since more compute helps.
    pub curve: Curve,
}

impl Compute {
    /// Least squares over models of `n` parameters and `d` training tokens.
    pub fn fit(n: &[f64], d: &[f64], accuracy: &[f64], floor: Level, ceiling: Level) -> Result<Self> {
        same_length("the list of sizes, tokens or accuracies", &[accuracy, n, d], 3)?;
        positive("number of parameters", n)?;
        positive("number of training tokens", d)?;
        let x: Vec<f64> = n.iter().zip(d).map(|(n, d)| log_compute(*n, *d)).collect();
        Ok(Self { curve: Curve::fit(&x, accuracy, None, floor, ceiling)? })
    }

    /// The accuracy of a model of this size.
    pub fn predict(&self, n: f64, d: f64) -> f64 {
        self.curve.at(log_compute(n, d))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_compute_helps() {
        let truth = Curve { slope: -1.5, midpoint: 20.0, floor: 0.25, ceiling: 1.0 };
        let n: Vec<f64> = (0..12).map(|i| 1e7 * 2_f64.powi(i)).collect();
        let d: Vec<f64> = n.iter().map(|n| 20.0 * n).collect();
        let y: Vec<f64> = n.iter().zip(&d).map(|(n, d)| truth.at(log_compute(*n, *d))).collect();
        let fit = Compute::fit(&n, &d, &y, Level::Fixed(0.25), Level::Fixed(1.0)).expect("fits");
        assert!(
            (fit.curve.slope + 1.5).abs() < 1e-5
                && (fit.predict(1e11, 2e12) - truth.at(log_compute(1e11, 2e12))).abs() < 1e-6
        );
        assert!(Compute::fit(&n, &[0.0; 12], &y, Level::Free, Level::Free).is_err());
    }
}
