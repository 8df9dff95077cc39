//! Here is a prompt, look ahead, give me the best continuation.
//!
//! A [`Strategy`] says how, a [`Request`] what; the result is a [`Search`]: the answer, and the tree
//! of steps with the reason why each was kept or left, which can be saved and drawn.
//!
//! [`practice`] turns questions without answers into preferences, over the same core.
//!
//! Invariants: a search knows models only by [`lm::LanguageModel`], local or remote. Every draw's
//! seed comes from the place in the tree, never from order, so the same seed gives the same tree for
//! any batch size and thread count. The budget is reserved before a call and never exceeded.
//! Dropping the future drops its requests.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod answer;
mod beam;
mod best_of;
mod check;
mod cluster;
mod error;
mod greedy;
mod judge;
mod ledger;
mod mcts;
mod paths;
mod phi;
pub mod practice;
mod predictive;
mod replay;
mod request;
mod sampling;
mod search;
mod self_consistency;
mod session;
mod steps;
mod stops;
mod strategy;
mod tree;
mod tree_of_thoughts;
mod weigh;

pub use beam::Beam;
pub use best_of::{BestOf, By};
pub use error::{Error, Result};
pub use mcts::{Mcts, Reward};
pub use phi::{Clustering, Phi, Pick};
pub use predictive::Predictive;
pub use replay::Recheck;
pub use request::{Boundary, Request, Scorer, Tools};
pub use sampling::Sampling;
pub use search::search;
pub use self_consistency::SelfConsistency;
pub use strategy::Strategy;
pub use tree::{Cost, Event, Fate, Foresight, Node, Round, SCHEMA, Search, Stopped};
pub use tree_of_thoughts::{Judge, TreeOfThoughts};
