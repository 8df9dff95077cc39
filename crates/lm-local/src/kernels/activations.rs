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

/// Up to eight neighbouring rows, which a kernel takes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Octet {
    pub first: usize,
    pub count: usize,
}

impl Octet {
    /// Its rows.
    pub fn rows(self) -> std::ops::Range<usize> {
        self.first..self.first + self.count
    }

    /// `rows` rows in as few octets of about equal size as can be dealt out evenly to `threads`.
    pub fn split(rows: usize, threads: usize) -> Vec<Self> {
        let octets = rows.div_ceil(8).next_multiple_of(threads).min(rows);
        let first = |i: usize| i * rows / octets;
        (0..octets).map(|i| Self { first: first(i), count: first(i + 1) - first(i) }).collect()
    }
}

/// Rows of activations in the form that the kernels read, an octet together.
///
/// Block b of octet o stands at `o · stride + b`, whatever the width of the rows, so that threads may
/// work on rows of different widths at a time; one form is in use, by the precision of the model.
pub(crate) struct Activations {
    /// Whether the f32 form is the one in use.
    pub exact: bool,
    /// Blocks of the widest rows.
    pub stride: usize,
    pub codes: Shared<Block>,
    /// `[input][row]`, 32 inputs.
    pub plain: Shared<[f32; 256]>,
}

impl Activations {
    /// Room for `octets` octets of up to `stride` blocks.
    pub fn new(octets: usize, stride: usize, exact: bool) -> Self {
        let count = octets * stride;
        let (codes, plain) = if exact { (0, count) } else { (count, 0) };
        Self { exact, stride, codes: Shared::new(Block::zeroed(), codes), plain: Shared::new([0.0; 256], plain) }
    }
}
