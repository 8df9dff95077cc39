use bytemuck::{Pod, Zeroable};

use crate::pool::Shared;

/// Eight rows of 32 activations, quantised: a ≈ scale · code, scale = max|a|/127.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Block {
    pub codes: [[i8; 32]; 8],
    pub scale: [f32; 8],
    /// scale · Σ codes, for weights with a minimum.
    pub sum: [f32; 8],
    /// −128 · Σ codes, for weights stored as w/d + 128.
    pub offset: [i32; 8],
    pub pad: [u32; 8],
}

/// Rows of activations in the form that the kernels read, eight rows together ("pack").
///
/// Block b of pack p stands at `p · blocks + b`; one form is in use, by the precision of the model.
pub(crate) struct Activations {
    /// Whether the f32 form is the one in use.
    pub exact: bool,
    pub codes: Shared<Block>,
    /// `[input][row]`, 32 inputs.
    pub plain: Shared<[f32; 256]>,
}

impl Activations {
    /// Room for `rows` rows of `blocks` blocks.
    pub fn new(rows: usize, blocks: usize, exact: bool) -> Self {
        let count = rows.div_ceil(8) * blocks;
        let (codes, plain) = if exact { (0, count) } else { (count, 0) };
        Self { exact, codes: Shared::new(Block::zeroed(), codes), plain: Shared::new([0.0; 256], plain) }
    }
}
