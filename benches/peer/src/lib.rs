//! Our engine beside llama.cpp, on the same weights, the same text and the same machine.
//!
//! `tokens` makes golden vectors, `logits` compares numbers, `speed` compares time.

pub mod llama;
pub mod numbers;
pub mod probe;
pub mod text;
