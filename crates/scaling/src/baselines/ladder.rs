//! Establishing task scaling laws via compute-efficient model ladders (Bhagia et al., 2024).

use serde::{Deserialize, Serialize};

use super::Chinchilla;
use crate::{Curve, Level, Result};

/// Two steps: L(N, D) = E + A/N^α + B/D^β for the task's loss, then accuracy = a sigmoid of it with both
/// levels free.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OlmoLadder {
    /// Size → loss.
    pub loss: Chinchilla,
    /// Loss → accuracy.
    pub curve: Curve,
}

impl OlmoLadder {
    /// Fits both steps to the same models; `loss` is the task's own where there is one.
    pub fn fit(n: &[f64], d: &[f64], loss: &[f64], accuracy: &[f64]) -> Result<Self> {
        let curve = Curve::fit(loss, accuracy, None, Level::Free, Level::Free)?;
        Ok(Self { loss: Chinchilla::fit(n, d, loss)?, curve })
    }

    /// The accuracy of a model that nobody has trained.
    pub fn predict(&self, n: f64, d: f64) -> f64 {
        self.curve.at(self.loss.predict(n, d))
    }
}
