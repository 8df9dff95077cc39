use serde::{Deserialize, Serialize};

use crate::check::{self, Checked};

/// Beam search over steps: each beam draws some steps, the most probable paths stay.
///
/// A path's score is Σ log p / tokens^α over its tokens, α being `length_power`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Beam {
    /// Paths that are kept, 1 to 256.
    pub width: usize,
    /// Steps that each draws, 1 to 256. Equal texts count once.
    pub branch: usize,
    /// Logits are divided by it when a step is drawn, in [0, 100].
    pub temperature: f32,
    /// α, in [0, 1]: 0 sums log-probabilities, 1 takes their mean.
    pub length_power: f64,
    /// Steps at most, 1 to 10000; then each path is completed at once.
    pub max_steps: usize,
}

impl Default for Beam {
    fn default() -> Self {
        Self { width: 4, branch: 4, temperature: 0.6, length_power: 1.0, max_steps: 64 }
    }
}

impl Beam {
    pub(crate) fn validate(&self) -> Checked {
        check::count("width", self.width, 1, 256)?;
        check::count("branch", self.branch, 1, 256)?;
        check::count("max_steps", self.max_steps, 1, 10_000)?;
        check::temperature("temperature", self.temperature)?;
        check::share("length_power", self.length_power)
    }
}
