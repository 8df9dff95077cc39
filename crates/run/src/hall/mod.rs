//! The examination hall: what answers prove of models, and what losses say of what they can do.

pub mod scaling;
pub mod score;
pub mod adaptive;
pub mod compare;
pub mod irt;
mod manifest;
pub mod short;
