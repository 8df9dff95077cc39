//! Which passages answer this?
//!
//! [`Lexical`] ranks chunks by BM25; a [`Retriever`] keeps the chunks beside their index and cuts
//! the best sentences out of each hit, which is what an open-book exam or a prompt needs.
//!
//! Invariants: the same chunks and query give the same ranks and scores on every machine; equal
//! scores are ordered by the chunk's position. Headings are part of a chunk's text.
//!
//! The index is our own, some sixty lines: the terms of technical English (`SQLITE_MAX_LENGTH`,
//! `5,417`, `page_size`) need their own tokeniser in any case, choosing sentences needs the weight
//! of each term, and the ready-made crates either keep only hashes of terms and order equal scores
//! by a random map, or bring a whole search engine.

mod config;
mod lexical;
mod passage;
mod terms;

pub use config::Config;
pub use lexical::Lexical;
pub use passage::{Passage, Retriever};
pub use terms::terms;
