//! Here are weights, give me tokens: a decoder for the Llama family on the processor.
//!
//! [`LocalModel::load`] repacks a checkpoint and starts one scheduler thread; callers ask through
//! [`lm::LanguageModel`] as if for one prompt, and the scheduler puts the rows of all requests into
//! common steps. Common prefixes are computed and stored once (`tree.rs`); adapters are added and
//! removed at run time, and rows of one step may have different ones.
//!
//! Data flow: request → `scheduler` (admission, worst-case memory) → `plan` (which positions a step
//! computes) → `forward` (the step, on all threads of `pool`, by `kernels`) → `read` (what its logits
//! say, by `sampling` and `text`) → answer.
//!
//! Invariants: a completion depends on (weights, prompt, sampling, seed, kernels) alone, never on
//! other requests, order, batch or number of threads, because every number of a row is summed in an
//! order of its own; log-probabilities are of the raw logits; memory for keys and values is bounded
//! and a request begins only when its worst case fits, so nothing waits for itself; a request whose
//! future was dropped gives back its place before the next step. `unsafe` stands in `kernels` and
//! `pool` only.

mod adapter;
mod block;
mod clock;
mod config;
mod error;
mod forward;
mod guide;
mod kernels;
mod model;
mod plan;
mod pool;
mod read;
mod request;
mod sampling;
mod scheduler;
mod text;
mod tree;

pub use clock::{Spent, Stage};
pub use config::{Config, Precision};
pub use error::{Error, Result};
pub use kernels::Kernels;
pub use model::{LocalModel, Statistics};
