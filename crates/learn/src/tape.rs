use crate::layout::Layout;
use crate::ops::head::CHUNK;
use crate::ops::rope::{ByHead, Heads};
use weights::Architecture;

/// Everything that a forward pass keeps for the backward pass, and the scratch of both: allocated
/// once and re-used by every row, because the first touch of memory is slow.
///
/// Norms, SwiGLU outputs and attention probabilities are not kept but computed again.
pub struct Tape {
    pub(crate) blocks: Vec<Kept>,
    /// Output of the last block, tokens × width.
    pub(crate) x: Vec<f32>,
    pub(crate) scratch: Scratch,
    /// Tokens that there is room for.
    pub capacity: usize,
}

/// What one block keeps; sizes in numbers a token.
pub(crate) struct Kept {
    /// Input of the block: width.
    pub x: Vec<f32>,
    /// Factor of the first norm: 1.
    pub inverse: Vec<f32>,
    /// s · x Aᵀ of the four inputs.
    pub u: [Vec<f32>; 4],
    /// Rotated queries and keys, values.
    pub by_head: ByHead,
    /// Queries and keys before their norms, where the model has such.
    pub raw: Vec<f32>,
    /// Factors of these norms.
    pub head_inverse: Vec<f32>,
    /// Attention's output: heads · dim.
    pub attention: Vec<f32>,
    /// Logarithms of attention's sums: heads.
    pub log_sums: Vec<f32>,
    /// After attention: width.
    pub middle: Vec<f32>,
    /// Factor of the second norm: 1.
    pub middle_inverse: Vec<f32>,
    /// Gate and up: 2 · hidden; the backward pass turns it into its gradient.
    pub gate_up: Vec<f32>,
}

/// Buffers whose content does not outlive a block.
pub(crate) struct Scratch {
    pub normed: Vec<f32>,
    pub rows: Vec<f32>,
    pub hidden: Vec<f32>,
    pub dx: Vec<f32>,
    pub d_normed: Vec<f32>,
    pub d_attention: Vec<f32>,
    pub d_by_head: ByHead,
    pub partial: Vec<f32>,
    pub e: Vec<f32>,
    pub logits: Vec<f32>,
    pub targets: Vec<u32>,
    pub losses: Vec<f32>,
    pub inverse: Vec<f32>,
    pub gathered: Vec<f32>,
    pub d_gathered: Vec<f32>,
}

impl Tape {
    /// Room for rows of up to `capacity` tokens.
    pub fn new(architecture: &Architecture, layout: &Layout, capacity: usize) -> Self {
        let a = architecture;
        let heads = Heads { kv: a.kv_heads, group: a.heads / a.kv_heads, dim: a.head_dim };
        let room = |numbers: usize| vec![0f32; capacity * numbers];
        let normed_heads = if a.qk_norm { a.heads + a.kv_heads } else { 0 };
        let kept = |ranks: &[crate::ops::linear::LowRank; 4]| Kept {
            x: room(a.width),
            inverse: room(1),
            u: [0, 1, 2, 3].map(|i| room(ranks[i].ranks())),
            by_head: ByHead::new(heads, capacity),
            raw: room(normed_heads * a.head_dim),
            head_inverse: room(normed_heads),
            attention: room(heads.queries()),
            log_sums: room(a.heads),
            middle: room(a.width),
            middle_inverse: room(1),
            gate_up: room(2 * a.hidden),
        };
        Self {
            blocks: layout.blocks.iter().map(kept).collect(),
            x: room(a.width),
            capacity,
            scratch: Scratch {
                normed: room(a.width),
                rows: room(heads.row()),
                hidden: room(a.hidden),
                dx: room(a.width),
                d_normed: room(a.width),
                d_attention: room(heads.queries()),
                d_by_head: ByHead::new(heads, capacity),
                partial: Vec::new(),
                e: room(layout.ranks()),
                logits: vec![0.0; CHUNK.min(capacity) * a.vocab],
                targets: Vec::with_capacity(capacity),
                losses: room(1),
                inverse: room(1),
                gathered: room(a.width),
                d_gathered: room(a.width),
            },
        }
    }
}
