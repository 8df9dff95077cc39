//! Here is a seed, give me problems with worked steps and a verifier.
//!
//! [`generate`] makes problems of seven kinds ([`Kind`]) and nine difficulties, small enough that a
//! decoder of half a million parameters, reading characters, learns them: each step is one short
//! line, the last line is `Answer: X`, and every character stands in [`ALPHABET`].
//! [`Problem::verify`] marks any text that answers one. [`public`] asks
//! the questions of public sets in the same way, with answers that are written out and marked.
//!
//! Invariants: a problem's own solution verifies and no other answer does; which split a question
//! belongs to is decided by a hash of its text alone ([`Split::of`]), so that splits never overlap,
//! whatever the seeds; the questions that one call gives are distinct; the same arguments give the
//! same bytes, and the first `k` of `n` problems are the `k` problems; a problem of the exam split
//! never becomes a training sample ([`Problem::sample`]).
//!
//! The room knows no model.

mod answer;
mod arithmetic;
mod chain;
mod error;
mod generate;
mod hops;
mod kind;
mod lookup;
mod problem;
mod programs;
pub mod public;
mod records;
mod rules;
mod split;
mod strings;
mod words;

pub use answer::{answer, same};
pub use error::{Error, Result};
pub use generate::generate;
pub use kind::Kind;
pub use problem::Problem;
pub use split::Split;

/// Every character that a prompt or a solution can hold, in the order of their codes.
pub const ALPHABET: &str = "\n *+,-.0123456789:;=>?AQabcdefghijklmnopqrstuvwxyz";

/// The highest difficulty; the lowest is 1.
pub const HARDEST: u8 = 9;
