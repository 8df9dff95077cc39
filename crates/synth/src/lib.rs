//! Here is a document; give me samples.
//!
//! The pipeline works with a model of any size, because rules find the facts and word the
//! questions, and the model only adds wordings and checks: [`facts`] proposes what is really in the
//! text, [`select`] takes as many as the budget allows and gives each to a bank, [`word`] makes the
//! training samples and the one exam item of each fact.
//!
//! Invariants, each held by a test: an answer stands verbatim in the cited sentence; an item's frame
//! is never one that training uses; item and training question share no run of eight words; with
//! subject and answer masked, at most half of an item's words occur in any one training wording of
//! its fact; items of the exam bank do not depend on the model; whatever is not delivered is a
//! [`record::Drop`] with a reason; the result for a fact depends on (fact, bank, config, seed, model)
//! alone, so any slicing of the facts gives the same records.

mod config;
#[cfg(test)]
mod corpus;
mod error;
mod facts;
mod frames;
mod model;
mod number;
mod phrase;
mod question;
mod review;
mod rules;
mod select;
mod separate;
mod verb;
mod word;
mod words;

pub use config::Config;
pub use error::{Error, Result};
pub use facts::facts;
pub use review::review;
pub use select::{Coverage, Selection, select};
pub use separate::{Overlap, overlaps};
pub use word::{Count, Synthesis, word};
