use std::time::Duration;

use crate::layout::Layout;
use crate::ops::head::CHUNK;
use crate::ops::rope::{ByHead, Heads};
use weights::Architecture;

/// Everything that a forward pass keeps for the backward pass, and the scratch of both: allocated
/// once and re-used by every row, because the first touch of memory is slow.
///
/// Norms, SwiGLU outputs and attention probabilities are not kept but computed again. With
/// `recompute` only the inputs of blocks are kept, and the backward pass runs each block a second
/// time: less memory for half as much work again, and the same bits.
pub struct Tape {
    /// Input of each block, then the output of the last one: tokens × width each.
    pub(crate) inputs: Vec<Vec<f32>>,
    /// What blocks keep; of one block at a time where it is computed again.
    pub(crate) blocks: Vec<Kept>,
    pub(crate) scratch: Scratch,
    /// Tokens that there is room for.
    pub capacity: usize,
    /// Whether the backward pass runs blocks a second time.
    pub recompute: bool,
    /// Where the time went since the tape was made.
    pub spent: Spent,
}

/// Time by part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Blocks, forward.
    pub forward: Duration,
    /// Losses, and the gradient of what they are computed from.
    pub head: Duration,
    /// Blocks, backward; where they are computed again, that too.
    pub backward: Duration,
}

/// What one block keeps; sizes in numbers a token.
pub(crate) struct Kept {
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
    pub fn new(architecture: &Architecture, layout: &Layout, capacity: usize, recompute: bool) -> Self {
        Self::build(architecture, layout, capacity, recompute, &mut |numbers| vec![0.0; numbers])
    }

    /// Bytes that such a tape takes.
    pub fn bytes(architecture: &Architecture, layout: &Layout, capacity: usize, recompute: bool) -> u64 {
        let mut numbers = 0;
        // The same table of sizes, but nothing is allocated.
        Self::build(architecture, layout, capacity, recompute, &mut |more| {
            numbers += more as u64;
            Vec::new()
        });
        numbers * size_of::<f32>() as u64
    }

    fn build(
        a: &Architecture,
        layout: &Layout,
        capacity: usize,
        recompute: bool,
        take: &mut dyn FnMut(usize) -> Vec<f32>,
    ) -> Self {
        let heads = Heads { kv: a.kv_heads, group: a.heads / a.kv_heads, dim: a.head_dim };
        let normed_heads = if a.qk_norm { a.heads + a.kv_heads } else { 0 };
        let logits = take(CHUNK.min(capacity) * a.vocab);
        let mut room = |numbers: usize| take(capacity * numbers);
        let by_head = |room: &mut dyn FnMut(usize) -> Vec<f32>| ByHead {
            q: room(heads.queries()),
            k: room(heads.kv * heads.dim),
            v: room(heads.kv * heads.dim),
            capacity,
        };
        let inputs = (0..=a.blocks).map(|_| room(a.width)).collect();
        let kept = |ranks: [usize; 4]| Kept {
            inverse: room(1),
            u: ranks.map(&mut room),
            by_head: by_head(&mut room),
            raw: room(normed_heads * a.head_dim),
            head_inverse: room(normed_heads),
            attention: room(heads.queries()),
            log_sums: room(a.heads),
            middle: room(a.width),
            middle_inverse: room(1),
            gate_up: room(2 * a.hidden),
        };
        // All blocks have pairs of the same ranks.
        let ranks = layout.blocks.iter().map(|ranks| [0, 1, 2, 3].map(|i| ranks[i].ranks()));
        let blocks = ranks.take(if recompute { 1 } else { a.blocks }).map(kept).collect();
        Self {
            inputs,
            blocks,
            capacity,
            recompute,
            spent: Spent::default(),
            scratch: Scratch {
                normed: room(a.width),
                rows: room(heads.row()),
                hidden: room(a.hidden),
                dx: room(a.width),
                d_normed: room(a.width),
                d_attention: room(heads.queries()),
                d_by_head: by_head(&mut room),
                partial: Vec::new(),
                e: room(layout.ranks()),
                logits,
                targets: Vec::new(),
                losses: Vec::new(),
                inverse: room(1),
                gathered: room(a.width),
                d_gathered: room(a.width),
            },
        }
    }
}
