//! Here is a run, give me one page that a person likes to read.
//!
//! [`render`] draws a [`Report`] as one HTML file, [`text`] says the same in a dozen lines for the
//! terminal; [`render_lab`] and [`lab_text`] do so for a [`Lab`], where strategies are compared. A [`Paper`] is one exam, sat before and after, with the answers that changed.
//!
//! Invariants: the file needs nothing else and asks for nothing: no script, no request, a content
//! security policy that forbids both. Whatever a model or a document wrote is escaped and isolated,
//! so that markup in it is shown as text. No figure stands without n, an interval and a denominator;
//! a stage whose records do not add up is called out.

mod content;
mod example;
mod headline;
mod lab;
mod number;
mod page;
mod plot;
mod section;
mod text;

pub use content::{Cost, DocumentLine, Flow, Report};
pub use example::{Example, Paper};
pub use headline::{headline, verdict};
pub use lab::{Claim, Lab, LabRow, Ruling, lab_text, render_lab};
pub use page::render;
pub use text::text;
