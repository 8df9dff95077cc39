//! Here are samples, give me an adapter, or a model from nothing: the one differentiable path.
//!
//! [`sft`] trains low-rank pairs (LoRA) beside the frozen projections of a decoder on the
//! completions of samples and gives back a PEFT adapter; [`prefer`] trains pairs or all weights on
//! answers that are known to be better and worse ([`losses`]); [`pretrain`] trains all weights of a
//! small decoder and gives back a model folder; [`data`] reads files in the formats that people have
//! and [`inspect()`] shows what is learned of them; [`Model`] is
//! the decoder itself, forward and backward. A [`Layout`] says what is trained; everything else is
//! the same code.
//!
//! There is no tensor library here. The graph is fixed, so forward and backward are written by hand
//! over `f32` slices with the `gemm` crate: nothing is allocated in a step (the first touch of memory
//! is slow), nothing computes a gradient of frozen weights, and every sum has a written order.
//!
//! Invariants: every operation is checked against finite differences, and so is the whole model
//! through every pair and every tensor; the same samples, settings and base give the same bytes for any number of
//! threads and after any interruption; packing several samples into a row, or
//! computing what they share once, changes no sample's loss;
//! a number that is not finite is an error that names the step and its samples, or, where a spike guard
//! is on, ends the training at its last good state.

mod adamw;
mod batch;
mod block;
mod case;
mod config;
mod course;
pub mod data;
mod engine;
mod error;
mod example;
mod inspect;
mod layout;
mod look;
pub mod losses;
mod memory;
mod model;
pub mod ops;
mod pack;
mod places;
mod plan;
mod prefer;
mod pretrain;
mod probe;
mod reference;
mod sft;
mod sift;
mod spike;
mod state;
mod tape;
mod train;
mod trie;

pub use adamw::AdamW;
pub use config::{PreferConfig, PretrainConfig, SftConfig};
pub use course::{Course, Schedule};
pub use error::{Error, Result};
pub use example::Example;
pub use inspect::{Inspected, Inspection, View, inspect, learnable};
pub use layout::Layout;
pub use look::{Learned, Look};
pub use losses::Loss;
pub use memory::memory;
pub use model::Model;
pub use pack::{Learned as Target, Row, Sequence, pack};
pub use prefer::{Preferred, prefer};
pub use pretrain::{Pretrained, pretrain};
pub use probe::gflops;
pub use sft::{Trained, evaluate, sft};
pub use spike::Spike;
pub use tape::{Spent, Tape};
pub use train::Stop;
