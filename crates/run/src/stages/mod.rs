//! The stages of the flow, one a file.

mod facts;
mod learn;
mod prefer;
mod read;
mod select;
mod sit;
mod word;

pub(crate) use facts::Facts;
pub(crate) use learn::{Learn, validation};
pub(crate) use prefer::Prefer;
pub(crate) use read::{Read, texts};
pub(crate) use select::Select;
pub(crate) use sit::{Bench, Paper, Sit};
pub(crate) use word::Word;

/// Piece `k` of `items` cut into pieces of `size`.
pub(crate) fn piece<T>(items: &[T], size: usize, k: u32) -> &[T] {
    items.chunks(size).nth(k as usize).unwrap_or_default()
}

/// Into how many pieces of `size` a list falls; an empty list is one empty piece, so that every
/// stage leaves its manifest.
pub(crate) fn pieces(length: usize, size: usize) -> u32 {
    length.div_ceil(size).max(1) as u32
}
