//! learn
pub mod ops;
