use serde::{Deserialize, Serialize};

use crate::check::{self, Checked};

/// Predictive decoding (Ma et al. 2024): foresight alone. Each step is drawn from softmax(F/τ), F
/// being the mean log-probability of one continuation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Predictive {
    /// M: paths that are kept, 1 to 256.
    pub beams: usize,
    /// N: steps that each draws, 1 to 256.
    pub rollouts: usize,
    /// Steps that are looked ahead from, 1 to 1000; then each path is completed at once.
    pub max_steps: usize,
    /// τ, above 0.
    pub tau: f64,
    /// Logits are divided by it when a step is drawn, in [0, 100].
    pub step_temperature: f32,
    /// The same when looking ahead.
    pub foresight_temperature: f32,
    /// The same when the paths are completed.
    pub final_temperature: f32,
    /// Tokens that a look ahead may take, 0 for the rest of the path.
    pub foresight_tokens: usize,
}

impl Default for Predictive {
    fn default() -> Self {
        Self {
            beams: 4,
            rollouts: 4,
            max_steps: 8,
            tau: 0.1,
            step_temperature: 0.6,
            foresight_temperature: 1.0,
            final_temperature: 1.0,
            foresight_tokens: 0,
        }
    }
}

impl Predictive {
    pub(crate) fn validate(&self) -> Checked {
        check::count("beams", self.beams, 1, 256)?;
        check::count("rollouts", self.rollouts, 1, 256)?;
        check::count("max_steps", self.max_steps, 1, 1000)?;
        check::positive("tau", self.tau)?;
        check::temperature("step_temperature", self.step_temperature)?;
        check::temperature("foresight_temperature", self.foresight_temperature)?;
        check::temperature("final_temperature", self.final_temperature)
    }
}
