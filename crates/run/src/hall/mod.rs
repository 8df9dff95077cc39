//! The examination hall: what answers prove of models, and what losses say of what they can do.

pub mod adaptive;
pub mod compare;
pub mod grade;
pub mod irt;
pub(crate) mod manifest;
pub mod scaling;
pub mod score;
pub mod short;
