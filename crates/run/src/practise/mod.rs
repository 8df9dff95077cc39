//! Here are questions without answers: practise on them.
//!
//! Two stages: sampling turns questions into preferences, learning turns preferences into an adapter
//! while a guard looks on. What the guard kept is the result, and that may be nothing.

mod config;
mod flow;
mod guard;
mod learning;
mod measure;
mod points;
mod questions;
mod sample;
mod sitting;
mod task;

pub use config::PractiseRecipe;
pub(crate) use flow::{Course, Learner, Material, cost, describe, practise_in};
pub use flow::{Practised, Practising, practise};
pub use guard::{GuardConfig, Keep, kept};
pub(crate) use learning::{Learning, remove};
pub(crate) use measure::Candidate;
pub(crate) use questions::generated;
pub use sample::Asked;
pub(crate) use sample::Sample;
pub(crate) use sitting::Sitting;
pub(crate) use task::Task;
