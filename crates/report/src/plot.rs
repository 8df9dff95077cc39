//! Plots, drawn as SVG. Places along x are per cent of the width, so that a plot fills any screen
//! while its strokes and letters keep their size; colours come from the page's style.

mod bars;
mod curve;
mod dumbbell;

pub(crate) use bars::stacked;
pub(crate) use curve::curve;
pub(crate) use dumbbell::{axis, dumbbell};

/// A share of 1 as a place along x.
fn x(share: f64) -> String {
    format!("{:.2}%", 100.0 * share.clamp(0.0, 1.0))
}
