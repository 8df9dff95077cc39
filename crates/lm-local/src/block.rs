use weights::{Architecture, Checkpoint, Part, Projection};

use crate::kernels::{Activations, Attention, Order, PARTS, Packed};
use crate::pool::Shared;
use crate::{Config, Precision, Result};

/// The weights of one decoder block, repacked.
pub(crate) struct Block {
    pub attention_norm: Vec<f32>,
    pub qkv: Packed,
    /// One value for each output of `qkv`'s tiles.
    pub bias: Option<Vec<f32>>,
    /// Query's and key's.
    pub head_norms: Option<(Vec<f32>, Vec<f32>)>,
    pub output: Packed,
    pub feed_forward_norm: Vec<f32>,
    pub gate_up: Packed,
    pub down: Packed,
}

impl Block {
    /// Reads block `n`.
    pub fn new(checkpoint: &Checkpoint, n: usize, exact: bool) -> Result<Self> {
        let a = &checkpoint.architecture;
        let matrix = |projection| checkpoint.matrix(Part::Projection(n, projection));
        let pack = |projection| Ok::<_, weights::Error>(Packed::new(&[&matrix(projection)?], Order::Sequence, exact));
        let qkv = [matrix(Projection::Q)?, matrix(Projection::K)?, matrix(Projection::V)?];
        let bias = match a.qkv_bias {
            false => None,
            true => {
                let mut bias = Vec::new();
                for projection in [Projection::Q, Projection::K, Projection::V] {
                    bias.extend(checkpoint.matrix(Part::Bias(n, projection))?.into_f32());
                    bias.resize(bias.len().next_multiple_of(16), 0.0);
                }
                Some(bias)
            }
        };
        let head_norms = match a.qk_norm {
            false => None,
            true => Some((
                checkpoint.matrix(Part::QueryNorm(n))?.into_f32(),
                checkpoint.matrix(Part::KeyNorm(n))?.into_f32(),
            )),
        };
        Ok(Self {
            attention_norm: norm(checkpoint, Part::AttentionNorm(n))?,
            qkv: Packed::new(&[&qkv[0], &qkv[1], &qkv[2]], Order::Sequence, exact),
            bias,
            head_norms,
            output: pack(Projection::O)?,
            feed_forward_norm: norm(checkpoint, Part::FeedForwardNorm(n))?,
            gate_up: Packed::new(&[&matrix(Projection::Gate)?, &matrix(Projection::Up)?], Order::Alternate, exact),
            down: pack(Projection::Down)?,
        })
    }

    /// Where keys and values begin in a row of `qkv`.
    pub fn offsets(&self) -> (usize, usize) {
        let keys = self.qkv.rows[0].next_multiple_of(16);
        (keys, keys + self.qkv.rows[1].next_multiple_of(16))
    }
}

/// A norm's weights, filled up with zeros to whole blocks.
pub(crate) fn norm(checkpoint: &Checkpoint, part: Part) -> Result<Vec<f32>> {
    let mut weight = checkpoint.matrix(part)?.into_f32();
    weight.resize(weight.len().next_multiple_of(32), 0.0);
    Ok(weight)
}

/// What a step writes on its way; allocated once, because first touches of memory are slow.
/// Rows are filled up to whole blocks of 32 with zeros, which nothing ever overwrites.
pub(crate) struct Buffers {
    /// Residual stream.
    pub x: Shared<f32>,
    pub x_stride: usize,
    pub qkv: Shared<f32>,
    pub qkv_stride: usize,
    pub attended: Shared<f32>,
    pub attended_stride: usize,
    pub hidden: Shared<f32>,
    pub hidden_stride: usize,
    pub packed: Activations,
    /// One pack for each thread: few rows are packed by every thread for itself.
    pub own: Vec<Activations>,
    /// Packed rows as numbers; empty until there is an adapter.
    pub plain: Shared<f32>,
    pub plain_stride: usize,
    /// A·x of adapters.
    pub inner: Shared<f32>,
    pub inner_stride: usize,
    pub logits: Shared<f32>,
    pub logits_stride: usize,
    pub scratch: Shared<f32>,
    pub scratch_len: usize,
}

impl Buffers {
    /// Rows of attention that are worked on together: about 24 query vectors.
    pub fn group(a: &Architecture) -> usize {
        (24 * a.kv_heads / a.heads).max(1)
    }

    /// Room for steps of `rows` rows, `logits` of them with logits.
    pub fn new(a: &Architecture, config: &Config, logits: usize, threads: usize) -> Self {
        let rows = config.batch_rows;
        let exact = config.precision == Precision::F32;
        let x_stride = a.width.next_multiple_of(32);
        let (queries, keys) = (a.heads * a.head_dim, a.kv_heads * a.head_dim);
        let qkv_stride = queries.next_multiple_of(16) + 2 * keys.next_multiple_of(16);
        let attended_stride = queries.next_multiple_of(32);
        let hidden_stride = a.hidden.next_multiple_of(32);
        let logits_stride = a.vocab.next_multiple_of(16);
        let widest = x_stride.max(attended_stride).max(hidden_stride);
        let scratch_len = Attention::scratch_len(Self::group(a), a.heads, a.kv_heads, a.head_dim, a.context);
        Self {
            x: Shared::new(0.0, rows * x_stride),
            x_stride,
            qkv: Shared::new(0.0, rows * qkv_stride),
            qkv_stride,
            attended: Shared::new(0.0, rows * attended_stride),
            attended_stride,
            hidden: Shared::new(0.0, rows * hidden_stride),
            hidden_stride,
            packed: Activations::new(rows.div_ceil(8) + threads, widest / 32, exact),
            own: (0..threads).map(|_| Activations::new(1, widest / 32, exact)).collect(),
            plain: Shared::new(0.0, 0),
            plain_stride: widest,
            inner: Shared::new(0.0, 0),
            inner_stride: 0,
            logits: Shared::new(0.0, logits * logits_stride),
            logits_stride,
            scratch: Shared::new(0.0, threads * scratch_len),
            scratch_len,
        }
    }

    /// Makes room for an adapter's values.
    pub fn prepare(&mut self, rank: usize, rows: usize) {
        if rank > self.inner_stride {
            self.inner_stride = rank;
            self.inner = Shared::new(0.0, rows * PARTS * rank);
        }
        if self.plain.len() == 0 {
            self.plain = Shared::new(0.0, rows * self.plain_stride);
        }
    }
}
