//! Here is an OpenAI-compatible address, talk to it.
//!
//! [`HttpModel`] is a [`lm::LanguageModel`] behind `/v1/chat/completions` (conversations) and
//! `/v1/completions` (raw text, and scoring where the server echoes). It takes several addresses
//! that serve the same model and sends each request to the healthy one with the fewest under way.
//!
//! Invariants: every request ends within a bounded time and number of attempts; the key stands in no
//! error, log, name or cache, and goes only to https or the loopback; what the server cannot do is
//! [`lm::Error::Unsupported`], never a guess; an answer in the request cache is given again byte for
//! byte, since a remote server promises no reproducible tokens.

mod address;
mod cache;
mod config;
mod endpoint;
mod error;
mod exchange;
mod meter;
mod model;
mod probe;
mod retry;
mod sse;
mod wire;

#[cfg(test)]
mod tests;

pub use config::{Budget, Config, Price, Retry, Timeouts};
pub use error::{Error, Result};
pub use meter::Spent;
pub use model::HttpModel;
