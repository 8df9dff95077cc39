//! The parts of the page, in the order in which they are read.

mod cost;
mod examples;
mod exams;
mod sources;
mod training;

pub(crate) use cost::{cost, manifest};
pub(crate) use examples::examples;
pub(crate) use exams::exams;
pub(crate) use sources::sources;
pub(crate) use training::training;

/// Rows that stand open; the rest is folded.
const OPEN_ROWS: usize = 12;
