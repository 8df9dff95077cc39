use serde::{Deserialize, Serialize};

use crate::{Error, Level, Result};

/// Which weights a token may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// w = w0 + v with Σ v = 0: any sign. Penalty λ a² Σ (w_t − w0_t)², a the curve's slope: it stands on
    /// log-odds a nat, so that a steep curve does not come cheaper.
    Signed,
    /// w = softmax: on the simplex. Penalty λ Σ (w_t − w0_t)².
    Simplex,
    /// w ∝ w0 e^θ, normalised: positive. Penalty λ Σ w0_t θ_t², on the logarithms.
    Positive,
}

/// How a salience vector is fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The form of the weights.
    pub form: Form,
    /// γ, chance.
    pub floor: Level,
    /// c, the ceiling.
    pub ceiling: Level,
    /// λ of the penalty, 0 or more; see [`Prepared::grid`](crate::Prepared::grid).
    pub lambda: f64,
    /// Most steps of the forms `simplex` and `positive`.
    pub steps: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { form: Form::Signed, floor: Level::Free, ceiling: Level::Fixed(1.0), lambda: 1e-3, steps: 200 }
    }
}

impl Config {
    /// The first setting that lies outside its range.
    pub fn validate(&self) -> Result<()> {
        Level::check(self.floor, self.ceiling)?;
        if !self.lambda.is_finite() || self.lambda < 0.0 {
            return Err(Error::Setting { setting: "lambda", problem: format!("is {}; give 0 or more", self.lambda) });
        }
        if self.steps == 0 {
            return Err(Error::Setting { setting: "steps", problem: "is 0; give at least 1".into() });
        }
        Ok(())
    }
}
