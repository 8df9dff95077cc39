//! Who got what for which item?
//!
//! [`Marks`] is the one table of an examination: persons (a model, with its settings, is a person),
//! items, graders and scores, with gaps. Everything that examines reads it, whatever harness wrote the
//! log that it came from: [`read`] knows lm-evaluation-harness, Inspect, HELM, OpenCompass, CSV,
//! Parquet, JSON lines and Lyceum's own answers.
//!
//! Invariants: a score is finite and lies in 0..=max of its item; every row names a person and an item
//! of the table. Nothing is dropped in silence: what does not become a mark is a [`Note`].

mod column;
mod config;
mod duplicates;
mod error;
mod format;
mod intake;
mod json;
mod long;
mod metric;
mod note;
mod read;
mod readers;
mod records;
mod sitting;
mod table;
mod write;

pub use config::{Duplicates, Options};
pub use error::{Error, Result};
pub use format::Format;
pub use metric::METRICS;
pub use note::Note;
pub use read::{Read, Source, read};
pub use table::{Cell, Item, Marks, Person, Row};
