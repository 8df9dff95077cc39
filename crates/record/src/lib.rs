//! What passes between stages, and how it is stored.
//!
//! Every stage reads records and writes records. A record is one line of JSON in a shard file
//! ([`shard`]); every artefact has a [`Manifest`]; randomness is derived from
//! (seed, stage, record id) by [`seed::derive`], never from worker, batch or order.
//!
//! Invariants: a shard appears under its final name only when it is whole and on disk; a line that
//! does not parse is an error that names file and line; every dropped record has a [`Drop`] with a
//! reason, so that *N asked = N delivered + drops*.

mod document;
mod error;
mod exam;
mod guard;
mod manifest;
mod preference;
mod sample;
pub mod seed;
pub mod shard;

pub use document::{Chunk, Citation, Document, Format, Sentence};
pub use error::{Error, Result};
pub use exam::{Bank, Item, Mode, Response};
pub use guard::Guard;
pub use manifest::{Input, Manifest, Usage};
pub use preference::{Answer, Preference, PreferenceStep};
pub use sample::{Drop, Fact, FactKind, Message, Role, Sample, TrainStep};
