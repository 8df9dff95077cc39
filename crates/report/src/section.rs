//! The parts of the page, in the order in which they are read.

mod cost;
mod examples;
mod exams;
mod practice;
mod sources;
mod training;

pub(crate) use cost::{cost, manifest};
pub(crate) use examples::{changes, examples};
pub(crate) use exams::{exams, one_exam};
pub(crate) use practice::practice;
pub(crate) use sources::sources;
pub(crate) use training::training;

/// Rows that stand open; the rest is folded.
const OPEN_ROWS: usize = 12;
