//! Here is a recipe: carry it out.
//!
//! A [`Recipe`] becomes stages; a stage is a [`Plan`] of shards; a shard's work is pure in
//! (plan, shard) and appears on disk whole or not at all. Finished shards are never repeated, so
//! the same command after Ctrl-C, a kill or a full disk continues where it stood. This is the only
//! wiring: no other room knows which engine stands behind a model.
//!
//! Entry points: [`evolve`] (the whole flow), [`synthesise`], [`sit`], [`learn_sft`], [`learn_prefer`],
//! [`learn_pretrain`],
//! [`practise`], [`estimate`], [`lab`](lab::lab) (decoding strategies held against each other).

mod carry;
mod error;
mod estimate;
mod event;
mod evolve;
mod folder;
pub mod hall;
pub mod lab;
pub mod models;
mod plan;
mod practise;
mod pretrain;
pub mod pull;
mod recipe;
mod salience;
mod stages;
mod verbs;

pub use error::{Error, Result};
pub use estimate::{Estimate, StageEstimate, estimate};
pub use event::{Event, Watch};
pub use evolve::{Evolved, evolve, open_report};
pub use folder::RunFolder;
pub use plan::{Plan, Record, ShardReport};
pub use practise::{Asked, GuardConfig, Keep, PractiseRecipe, Practised, Practising, kept, practise};
pub use pretrain::{Pretraining, learn_pretrain};
pub use recipe::{ExamRecipe, Recipe};
pub use verbs::{Examined, Preferring, Synthesised, learn_prefer, learn_sft, sit, synthesise};
