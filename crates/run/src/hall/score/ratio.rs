use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A total over a total, such as nats a token, with the standard error of drawing texts anew.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Σ numerator / Σ denominator.
    pub value: f64,
    /// Clustered by text; none of a single one.
    pub standard_error: Option<f64>,
    /// 95 % limits.
    pub limits: Option<(f64, f64)>,
    /// Σ denominator.
    pub n: f64,
    /// Texts.
    pub texts: usize,
}

impl Ratio {
    /// R = Σ x / Σ n over texts, SE² = G / (G − 1) · Σ (x_g − R n_g)² / (Σ n)², t with G − 1.
    pub fn new(texts: &[(f64, f64)]) -> Self {
        let (x, n) = texts.iter().fold((0.0, 0.0), |(x, n), text| (x + text.0, n + text.1));
        let (value, g) = (x / n, texts.len() as f64);
        let squares: f64 = texts.iter().map(|(x, n)| (x - value * n).powi(2)).sum();
        let t = StudentsT::new(0.0, 1.0, g - 1.0).ok();
        let standard_error = t.map(|_| (g / (g - 1.0) * squares).sqrt() / n);
        let reach = t.zip(standard_error).map(|(t, error)| t.inverse_cdf(0.975) * error);
        let limits = reach.map(|reach| (value - reach, value + reach));
        Self { value, standard_error, limits, n, texts: texts.len() }
    }

    /// The same in another unit.
    pub fn times(self, factor: f64) -> Self {
        Self {
            value: self.value * factor,
            standard_error: self.standard_error.map(|error| error * factor),
            limits: self.limits.map(|(low, high)| (low * factor, high * factor)),
            ..self
        }
    }

    /// e to its power; the standard error by the slope there, the limits by themselves.
    pub fn exp(self) -> Self {
        let value = self.value.exp();
        Self {
            value,
            standard_error: self.standard_error.map(|error| error * value),
            limits: self.limits.map(|(low, high)| (low.exp(), high.exp())),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_equal_length_give_the_error_of_their_mean() {
        let ratio = Ratio::new(&[(20.0, 10.0), (30.0, 10.0), (40.0, 10.0)]);
        // Means 2, 3, 4: deviation 1, over √3; t(0.975, 2) = 4.303.
        assert_eq!((ratio.value, ratio.n, ratio.texts), (3.0, 30.0, 3));
        assert!((ratio.standard_error.expect("three") - 1.0 / 3f64.sqrt()).abs() < 1e-12);
        let (low, high) = ratio.limits.expect("three");
        assert!((low - (3.0 - 4.302_65 / 3f64.sqrt())).abs() < 1e-4 && (low + high - 6.0).abs() < 1e-12);
        assert!((ratio.times(2.0).exp().value - 6f64.exp()).abs() < 1e-9);
        let one = Ratio::new(&[(3.0, 2.0)]);
        assert_eq!((one.value, one.standard_error, one.limits), (1.5, None, None));
    }
}
