//! Scaling laws for predicting downstream performance in LLMs (Chen et al., 2024): FLOPs → loss →
//! performance.

use serde::{Deserialize, Serialize};

use super::log_compute;
use crate::law::{positive, same_length};
use crate::{Error, Result, linear};

/// ln L = a + b log₁₀ C, then accuracy = c + s·L over the models that are above chance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Flp {
    /// a, b of the loss.
    pub loss: [f64; 2],
    /// c, s of the accuracy.
    pub accuracy: [f64; 2],
    /// Models above chance, that the second step rests on.
    pub above_chance: usize,
}

impl Flp {
    /// Two regressions. Models within 0.01 of `chance` or below tell nothing of the second and are left
    /// out of it; at least two must remain.
    pub fn fit(n: &[f64], d: &[f64], loss: &[f64], accuracy: &[f64], chance: f64) -> Result<Self> {
        same_length("the list of sizes, tokens, losses or accuracies", &[accuracy, n, d, loss], 3)?;
        positive("number of parameters", n)?;
        positive("number of training tokens", d)?;
        positive("loss", loss)?;
        if let Some(m) = accuracy.iter().position(|y| !(0.0..=1.0).contains(y)) {
            let (task, model) = ("the task".to_string(), format!("model {m}"));
            return Err(Error::Accuracy { task, model, value: accuracy[m] });
        }
        let x: Vec<f64> = n.iter().zip(d).flat_map(|(n, d)| [1.0, log_compute(*n, *d)]).collect();
        let logs: Vec<f64> = loss.iter().map(|l| l.ln()).collect();
        let above: Vec<usize> = (0..loss.len()).filter(|&m| accuracy[m] > chance + 0.01).collect();
        let features: Vec<f64> = above.iter().flat_map(|&m| [1.0, loss[m]]).collect();
        let heights: Vec<f64> = above.iter().map(|&m| accuracy[m]).collect();
        let line = |x: &[f64], y: &[f64], what: &str| {
            let fit = linear::least_squares(x, 2, y).filter(|_| y.len() >= 2);
            fit.map(|fit| [fit[0], fit[1]]).ok_or_else(|| Error::Data {
                problem: format!("{} models that differ are too few for a line from {what}", y.len()),
                hint: "give models of different sizes, two of them above chance",
            })
        };
        Ok(Self {
            loss: line(&x, &logs, "compute to loss")?,
            accuracy: line(&features, &heights, "loss to accuracy")?,
            above_chance: above.len(),
        })
    }

    /// The accuracy of a model that nobody has trained, within 0 and 1.
    pub fn predict(&self, n: f64, d: f64) -> f64 {
        let loss = (self.loss[0] + self.loss[1] * log_compute(n, d)).exp();
        (self.accuracy[0] + self.accuracy[1] * loss).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lines() {
        let n: Vec<f64> = (0..8).map(|i| 1e7 * 2_f64.powi(i)).collect();
        let d: Vec<f64> = n.iter().map(|n| 20.0 * n).collect();
        let truth = Flp { loss: [3.0, -0.1], accuracy: [1.2, -0.25], above_chance: 8 };
        let loss: Vec<f64> = n.iter().zip(&d).map(|(n, d)| (3.0 - 0.1 * log_compute(*n, *d)).exp()).collect();
        let y: Vec<f64> = loss.iter().map(|l| (1.2 - 0.25 * l).max(0.25)).collect();
        let fit = Flp::fit(&n, &d, &loss, &y, 0.25).expect("fits");
        assert!(fit.above_chance < 8 && (fit.predict(1e11, 1e12) - truth.predict(1e11, 1e12)).abs() < 1e-9, "{fit:?}");
        assert!(matches!(Flp::fit(&n, &d, &loss, &[0.25; 8], 0.25), Err(Error::Data { .. })));
    }
}
