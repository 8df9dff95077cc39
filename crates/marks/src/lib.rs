//! Who got what for which item?
//!
//! [`Marks`] is the one table of an examination: persons (a model, with its settings, is a person),
//! items, graders and scores, with gaps. Everything that examines reads it, whatever harness wrote the
//! log that it came from.
//!
//! Invariants: a score is finite and lies in 0..=max of its item; every row names a person and an item
//! of the table. Nothing is dropped in silence.

mod error;
mod table;

pub use error::{Error, Result};
pub use table::{Cell, Item, Marks, Person, Row};
