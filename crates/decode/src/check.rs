//! The ranges that settings share. A problem is said as text; [`crate::Strategy::validate`] adds
//! which strategy it belongs to.

pub(crate) type Checked = Result<(), String>;

/// A temperature of draws from the model: 0 takes the most probable token.
pub(crate) fn temperature(name: &str, value: f32) -> Checked {
    if value.is_finite() && (0.0..=100.0).contains(&value) {
        return Ok(());
    }
    Err(format!("`{name}` must lie in [0, 100]"))
}

/// A temperature that scores are divided by.
pub(crate) fn positive(name: &str, value: f64) -> Checked {
    if value.is_finite() && value > 0.0 { Ok(()) } else { Err(format!("`{name}` must be finite and above 0")) }
}

/// A count in a range.
pub(crate) fn count(name: &str, value: usize, low: usize, high: usize) -> Checked {
    if (low..=high).contains(&value) { Ok(()) } else { Err(format!("`{name}` must lie between {low} and {high}")) }
}

/// A share.
pub(crate) fn share(name: &str, value: f64) -> Checked {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(format!("`{name}` must lie in [0, 1]")) }
}
