use serde::{Deserialize, Serialize};

/// A number with its standard error, and whose it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Whose number it is.
    pub label: String,
    /// The estimate.
    pub value: f64,
    /// Its standard error; 0 or not finite where it is not known, and no interval is drawn then.
    pub error: f64,
}

impl Measure {
    /// A number with its standard error.
    pub fn new(label: impl Into<String>, value: f64, error: f64) -> Self {
        Self { label: label.into(), value, error }
    }

    /// 95 % interval, by the normal distribution.
    pub(crate) fn interval(&self) -> (f64, f64) {
        interval(self.value, self.error)
    }
}

/// 95 % interval, by the normal distribution; the value itself where no error is known.
pub(crate) fn interval(value: f64, error: f64) -> (f64, f64) {
    let half = if error.is_finite() { 1.959_964 * error.max(0.0) } else { 0.0 };
    (value - half, value + half)
}

/// How many were left out, as a sentence, if any.
pub(crate) fn left_out(number: usize, what: &str) -> String {
    match number {
        0 => String::new(),
        n => format!(" {n} of the {what} without a finite estimate {} left out.", if n == 1 { "is" } else { "are" }),
    }
}
