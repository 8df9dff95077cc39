//! What is in this file? Tensors, architecture, tokenizer, chat template, adapters.
//!
//! [`Checkpoint::open`] reads a GGUF file, a Hugging Face folder or a small `.npz`; engines ask it
//! for [`Matrix`]es by [`Part`], never by a file's own names. [`Adapter`] reads and writes PEFT
//! folders; [`export_hf`] and [`export_gguf`] write a model that other programs load.
//! [`Checkpoint::fresh`] is an untrained model, with an [`Architecture::pico`] and a
//! [`Tokenizer::learned`] of its own.
//!
//! Invariants: rows of q and k are always in Hugging Face (rotate-half) order; a control token is
//! never read out of user text; a damaged file is a typed error that names file and tensor, never a
//! panic; files are memory-mapped, so they must not be changed while a [`Checkpoint`] of them lives.

mod adapter;
mod architecture;
mod chat;
mod checkpoint;
mod error;
mod fresh;
mod gguf;
mod glass;
mod huggingface;
mod learned;
mod matrix;
mod part;
mod pico;
mod random;
mod shards;
mod tokenizer;
mod turn;

pub use adapter::{Adapter, Pair};
pub use architecture::{Architecture, Family, Rope, Scaling};
pub use checkpoint::Checkpoint;
pub use error::{Error, Result};
pub use gguf::{Encoding, export_gguf};
pub use huggingface::export_hf;
pub use matrix::{BLOCK, Matrix, Q4_1_BYTES, Q8_0_BYTES, Storage};
pub use part::{Part, Projection};
pub use tokenizer::{Stream, Tokenizer};
pub use turn::Turn;
