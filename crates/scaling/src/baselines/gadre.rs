//! Language models scale reliably with over-training and on downstream tasks (Gadre et al., 2024).

use serde::{Deserialize, Serialize};

use crate::law::{positive, same_length};
use crate::solver::{self, Limits};
use crate::{Error, Result};

/// L = α N^b + β 6^{b/2} (M N)^b + E with M = D/N tokens a parameter: one exponent for parameters and
/// tokens, so that over-training at a fixed M keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossLaw {
    /// α.
    pub alpha: f64,
    /// β.
    pub beta: f64,
    /// b, below 0.
    pub exponent: f64,
    /// E.
    pub limit: f64,
}

impl LossLaw {
    /// Least squares over models.
    pub fn fit(n: &[f64], d: &[f64], loss: &[f64]) -> Result<Self> {
        same_length("the list of sizes, tokens or losses", &[loss, n, d], 4)?;
        positive("number of parameters", n)?;
        positive("number of training tokens", d)?;
        positive("loss", loss)?;
        let mean = |of: &[f64]| of.iter().map(|x| x.ln()).sum::<f64>() / of.len() as f64;
        let (middle_n, middle_d) = (mean(n), mean(d));
        let place = |p: &[f64], r: &mut [f64], j: Option<&mut [f64]>| {
            loss_residuals(p, n, d, loss, (middle_n, middle_d), r, j);
        };
        let wide = (f64::NEG_INFINITY, f64::INFINITY);
        let bounds = [wide, wide, (-3.0, -0.001), wide];
        let least = loss.iter().copied().fold(f64::INFINITY, f64::min);
        let starts = [-0.1, -0.25, -0.6].into_iter().flat_map(|b| [0.3, 0.8].map(|share| (b, share)));
        let solve = |(exponent, share): (f64, f64)| {
            let rest = (least * (1.0 - share)).ln();
            let start = [rest, rest, exponent, share * least];
            let limits = Limits { steps: 5000, ..Limits::default() };
            solver::levenberg(&start, &bounds, &[0.0; 4], loss.len(), limits, place)
        };
        let found = solver::best(starts.map(solve)).ok_or_else(no_start)?;
        let [u, v, exponent, limit] = [found.at[0], found.at[1], found.at[2], found.at[3]];
        let alpha = (u - exponent * middle_n).exp();
        let beta = (v - exponent * (middle_d + 0.5 * 6_f64.ln())).exp();
        Ok(Self { alpha, beta, exponent, limit })
    }

    /// The loss at N parameters and D tokens.
    pub fn predict(&self, n: f64, d: f64) -> f64 {
        let b = self.exponent;
        self.alpha * n.powf(b) + self.beta * 6_f64.powf(b / 2.0) * d.powf(b) + self.limit
    }
}

fn no_start() -> Error {
    let problem = "no start gives a finite sum of squares".to_string();
    Error::Data { problem, hint: "look at sizes, losses and errors for absurd values" }
}

/// p = ln of the two terms at the mean of ln N and ln D, then b and E.
fn loss_residuals(
    p: &[f64],
    n: &[f64],
    d: &[f64],
    loss: &[f64],
    (middle_n, middle_d): (f64, f64),
    r: &mut [f64],
    mut jacobian: Option<&mut [f64]>,
) {
    for m in 0..loss.len() {
        let (x, z) = (n[m].ln() - middle_n, d[m].ln() - middle_d);
        let (by_n, by_d) = ((p[0] + p[2] * x).exp(), (p[1] + p[2] * z).exp());
        r[m] = by_n + by_d + p[3] - loss[m];
        if let Some(j) = jacobian.as_deref_mut() {
            j[m * 4..(m + 1) * 4].copy_from_slice(&[by_n, by_d, x * by_n + z * by_d, 1.0]);
        }
    }
}

/// Err = ε − k e^{−γL}.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ErrorLaw {
    /// k.
    pub k: f64,
    /// γ, above 0.
    pub gamma: f64,
    /// ε, the error of a model that knows nothing.
    pub epsilon: f64,
}

impl ErrorLaw {
    /// Least squares over models; `error` is 1 − accuracy, of a task or the mean of many.
    pub fn fit(loss: &[f64], error: &[f64]) -> Result<Self> {
        same_length("the list of losses or errors", &[error, loss], 3)?;
        positive("loss", loss)?;
        if let Some(m) = error.iter().position(|e| !(0.0..=1.0).contains(e)) {
            let (task, model) = ("the task".to_string(), format!("model {m}"));
            return Err(Error::Accuracy { task, model, value: 1.0 - error[m] });
        }
        let place = |p: &[f64], r: &mut [f64], j: Option<&mut [f64]>| error_residuals(p, loss, error, r, j);
        let wide = (f64::NEG_INFINITY, f64::INFINITY);
        let bounds = [wide, (1e-3, 50.0), wide];
        let most = error.iter().copied().fold(0.0, f64::max);
        let least = loss.iter().copied().fold(f64::INFINITY, f64::min);
        let lowest = error.iter().copied().fold(1.0, f64::min);
        let solve = |gamma: f64| {
            let start = [(most - lowest).max(0.01) * (gamma * least).exp(), gamma, most];
            let limits = Limits { steps: 5000, ..Limits::default() };
            solver::levenberg(&start, &bounds, &[0.0; 3], loss.len(), limits, place)
        };
        let found = solver::best([0.3, 1.0, 3.0].map(solve)).ok_or_else(no_start)?;
        Ok(Self { k: found.at[0], gamma: found.at[1], epsilon: found.at[2] })
    }

    /// The error at this loss.
    pub fn predict(&self, loss: f64) -> f64 {
        self.epsilon - self.k * (-self.gamma * loss).exp()
    }
}

fn error_residuals(p: &[f64], loss: &[f64], error: &[f64], r: &mut [f64], mut jacobian: Option<&mut [f64]>) {
    for m in 0..loss.len() {
        let fall = (-p[1] * loss[m]).exp();
        r[m] = p[2] - p[0] * fall - error[m];
        if let Some(j) = jacobian.as_deref_mut() {
            j[m * 3..(m + 1) * 3].copy_from_slice(&[-fall, p[0] * loss[m] * fall, 1.0]);
        }
    }
}

/// Both laws one after the other: size → loss → accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gadre {
    /// Size → loss.
    pub loss: LossLaw,
    /// Loss → error.
    pub error: ErrorLaw,
}

impl Gadre {
    /// Fits both laws to the same models.
    pub fn fit(n: &[f64], d: &[f64], loss: &[f64], accuracy: &[f64]) -> Result<Self> {
        let errors: Vec<f64> = accuracy.iter().map(|y| 1.0 - y).collect();
        Ok(Self { loss: LossLaw::fit(n, d, loss)?, error: ErrorLaw::fit(loss, &errors)? })
    }

    /// The accuracy of a model that nobody has trained.
    pub fn predict(&self, n: f64, d: f64) -> f64 {
        1.0 - self.error.predict(self.loss.predict(n, d))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_agree_with_differences() {
        let (n, d, loss) = ([1e7, 8e7, 1.5e8, 4e8], [2e8, 1.6e9, 3e9, 1e11], [5.0, 4.0, 3.5, 3.0]);
        solver::check_jacobian(&[0.2, 0.4, -0.3, 1.6], 4, |p, r, j| {
            loss_residuals(p, &n, &d, &loss, (18.0, 22.0), r, j)
        });
        solver::check_jacobian(&[1.2, 0.9, 0.76], 4, |p, r, j| error_residuals(p, &loss, &[0.7, 0.6, 0.5, 0.5], r, j));
    }

    #[test]
    fn absurd_input_is_named() {
        assert!(matches!(LossLaw::fit(&[1e7; 3], &[1e9; 3], &[3.0; 3]), Err(Error::Data { .. })));
        assert!(matches!(LossLaw::fit(&[f64::NAN; 4], &[1e9; 4], &[3.0; 4]), Err(Error::NotPositive { .. })));
        assert!(matches!(ErrorLaw::fit(&[3.0; 4], &[0.5, 0.5, 1.5, 0.5]), Err(Error::Accuracy { .. })));
        // All alike: nothing to fit, but no panic and a finite answer.
        let law = LossLaw::fit(&[1e7; 4], &[1e9; 4], &[3.0; 4]).expect("fits");
        assert!((law.predict(1e7, 1e9) - 3.0).abs() < 1e-6, "{law:?}");
    }
}
