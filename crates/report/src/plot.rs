//! Plots, drawn as SVG. Places along x are per cent of the width, so that a plot fills any screen
//! while its strokes and letters keep their size; colours come from the page's style.

mod bars;
mod course;
mod curve;
mod dumbbell;
mod gains;
mod track;

pub(crate) use bars::stacked;
pub(crate) use course::course;
pub(crate) use curve::curve;
pub(crate) use dumbbell::{axis, dumbbell};
pub(crate) use gains::{gain_axis, gains};
pub(crate) use track::track;

/// A share of 1 as a place along x.
fn x(share: f64) -> String {
    format!("{:.2}%", 100.0 * share.clamp(0.0, 1.0))
}
