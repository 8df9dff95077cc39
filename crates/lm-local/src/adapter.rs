use weights::{Adapter, Architecture, Part, Projection};

use crate::kernels::{Delta, Line, Pair};
use crate::{Error, Result};

/// The matrices that share an input, in the order of a block's computation.
pub(crate) const STAGES: [&[Projection]; 4] = [
    &[Projection::Q, Projection::K, Projection::V],
    &[Projection::O],
    &[Projection::Gate, Projection::Up],
    &[Projection::Down],
];

/// An adapter in the form that the kernels read.
pub(crate) struct Loaded {
    /// For each block, for each stage.
    pub deltas: Vec<[Delta; 4]>,
    /// Rank rounded up to whole lines.
    pub rank: usize,
}

impl Loaded {
    /// Repacks an adapter; refuses shapes that the model does not have.
    pub fn new(name: &str, adapter: &Adapter, architecture: &Architecture) -> Result<Self> {
        let fail = |problem: String| Error::Adapter { name: name.into(), problem };
        if adapter.rank == 0 || !adapter.scale().is_finite() {
            return Err(fail("has no usable rank and alpha; make it anew".into()));
        }
        if let Some((block, _)) = adapter.pairs.keys().find(|(block, _)| *block >= architecture.blocks) {
            return Err(fail(format!("changes block {block}, but the model has {} blocks", architecture.blocks)));
        }
        let rank = adapter.rank.next_multiple_of(16);
        let mut deltas = Vec::with_capacity(architecture.blocks);
        for block in 0..architecture.blocks {
            let mut stages = STAGES.map(|_| Delta { parts: Vec::new() });
            for (stage, projections) in stages.iter_mut().zip(STAGES) {
                for projection in projections {
                    let (rows, cols) = architecture.shape(Part::Projection(block, *projection));
                    let Some(pair) = adapter.pairs.get(&(block, *projection)) else {
                        stage.parts.push(None);
                        continue;
                    };
                    if pair.a.len() != adapter.rank * cols || pair.b.len() != rows * adapter.rank {
                        let place = format!("block {block}, {}", projection.module());
                        return Err(fail(format!("does not fit {place} of {rows} × {cols}; it is of another model")));
                    }
                    stage.parts.push(Some(pack(pair, adapter.rank, adapter.scale(), rows, cols)));
                }
            }
            deltas.push(stages);
        }
        Ok(Self { deltas, rank })
    }
}

fn pack(pair: &weights::Pair, rank: usize, scale: f32, rows: usize, cols: usize) -> Pair {
    let lines = |count: usize, inputs: usize, value: &dyn Fn(usize, usize) -> f32| -> Vec<Line> {
        let mut lines = Vec::with_capacity(count.div_ceil(16) * inputs);
        for tile in 0..count.div_ceil(16) {
            for input in 0..inputs {
                let mut line = Line([0; 64]);
                for lane in 0..(count - tile * 16).min(16) {
                    line.0[lane * 4..][..4].copy_from_slice(&value(tile * 16 + lane, input).to_le_bytes());
                }
                lines.push(line);
            }
        }
        lines
    };
    let padded = rank.next_multiple_of(16);
    let width = cols.next_multiple_of(32);
    let a = lines(rank, width, &|r, i| if i < cols { pair.a[r * cols + i] } else { 0.0 });
    let b = lines(rows, padded, &|o, r| if r < rank { scale * pair.b[o * rank + r] } else { 0.0 });
    Pair { rank: padded, a, b }
}
