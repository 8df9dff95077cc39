//! Here is a run, give me one page that a person likes to read.
//!
//! [`render`] draws a [`Report`] as one HTML file, [`text`] says the same in a dozen lines for the
//! terminal; [`render_lab`] and [`lab_text`] do so for a [`Lab`], where strategies are compared, and
//! [`render_practice`] and [`practice_text`] for a [`Practice`]. A
//! [`Learning`] holds ways of learning against each other, a [`Collapse`] drives one too far. A [`Paper`] is one exam, sat before and after, with the answers that changed.
//! A [`Sheet`] is the page of an examination that the measuring verbs fill in: [`sheet_page`], [`sheet_text`].
//!
//! Invariants: the file needs nothing else and asks for nothing: no script, no request, a content
//! security policy that forbids both. Whatever a model or a document wrote is escaped and isolated,
//! so that markup in it is shown as text. No figure stands without n, an interval and a denominator;
//! a stage whose records do not add up is called out.

mod collapse;
mod content;
mod example;
mod headline;
mod lab;
mod learning;
mod number;
mod page;
mod plot;
mod practice;
mod section;
pub mod sheet;
mod text;

pub use collapse::{Collapse, CollapseCourse, CollapsePoint, collapse_text, render_collapse};
pub use content::{Cost, DocumentLine, Flow, Report};
pub use example::{Example, Growth, Paper};
pub use headline::{headline, verdict};
pub use lab::{Claim, Lab, LabRow, Ruling, lab_text, render_lab};
pub use learning::{Finding, Learning, LearningClaim, LearningRow, Standing, learning_text, render_learning};
pub use page::render;
pub use practice::{Pair, Practice, practice_text, render_practice};
pub use sheet::{Section, Sheet, Table, sheet_page, sheet_text};
pub use text::text;
