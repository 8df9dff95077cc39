//! What will a bigger model be able to do? Salience vectors and the laws.
//!
//! Losses of models on validation tokens ([`Losses`]) and accuracies on a task ([`Target`]) go in; out
//! come a weight for each token and a sigmoid ([`Salience`]), by which the accuracy of a model follows
//! from its losses, or ([`Prepared::forecast`]) from its size before it is trained.
//!
//! The usual way: [`Prepared::new`] once for a matrix of losses, [`splits`] for what is held out,
//! [`Prepared::choose`] for λ inside the training set, [`Prepared::fit`], [`Salience::predict`],
//! [`Prepared::bands`], then [`evaluate`] and [`judge`]. [`baselines`] holds what it must beat.
//!
//! Invariants: pure mathematics, that knows no model, no tokenizer and no file but a matrix of losses.
//! Test models never touch a fit: every function takes the training models by index. The number of
//! threads changes no byte. No number of tokens × tokens is ever formed. Input that cannot be fitted is
//! a typed error that names the model or the column.

mod bands;
pub mod baselines;
mod bootstrap;
mod choose;
mod config;
mod curve;
mod error;
pub mod evaluate;
mod forecast;
mod gram;
mod law;
mod lbfgs;
mod linear;
mod losses;
mod multiplicative;
mod prepared;
mod salience;
mod solver;
pub mod splits;
mod target;
mod verdict;

pub use bands::Bands;
pub use bootstrap::{Bootstrap, Interval};
pub use choose::Choice;
pub use config::{Config, Form};
pub use curve::{Curve, Level, sigmoid};
pub use error::{Error, Result};
pub use forecast::{Forecast, Ladder};
pub use law::PowerLaw;
pub use losses::{Losses, Writer};
pub use prepared::Prepared;
pub use salience::{Salience, TopToken};
pub use splits::Split;
pub use target::Target;
pub use verdict::{Reason, Verdict, judge, judge_pooled};
