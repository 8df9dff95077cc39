use std::ops::Range;

use super::activations::{Activations, Block, Octet};
use super::isa::{Isa, Lanes};
use crate::pool::Shared;

/// RMSNorm: x / √(mean(x²) + eps) · weight.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    /// As long as the packed row, zeros at the end.
    pub weight: &'a [f32],
    pub eps: f32,
    /// Number of real values, over which the mean is taken.
    pub width: usize,
}

/// Rows to be put into the kernels' form, normalised on the way if asked.
#[derive(Clone, Copy)]
pub(crate) struct Pack<'a> {
    /// Rows of `stride` values, of which the first `blocks · 32` are taken.
    pub from: &'a Shared<f32>,
    pub stride: usize,
    pub octets: &'a [Octet],
    /// Which rows are taken; all in order without it.
    pub index: Option<&'a [u32]>,
    pub norm: Option<Norm<'a>>,
    pub blocks: usize,
    pub to: &'a Activations,
    /// The same rows as numbers, for adapters, and how far apart they stand: always as far, so that
    /// threads may work on rows of different widths at a time.
    pub copy: Option<(&'a Shared<f32>, usize)>,
}

impl Pack<'_> {
    /// Units of work: blocks of octets.
    pub fn units(&self) -> usize {
        self.octets.len() * self.blocks
    }
}

/// Packs some units.
///
/// # Safety
/// As [`Lanes`]; `span` is disjoint from that of other threads, and nobody writes `from`.
#[inline(always)]
pub(super) unsafe fn pack<I: Isa>(task: &Pack<'_>, span: Range<usize>) {
    let mut unit = span.start;
    while unit < span.end {
        let at = unit / task.blocks;
        let octet = task.octets[at];
        let first = unit % task.blocks;
        let last = (first + span.end - unit).min(task.blocks);
        for r in 0..octet.count {
            let row = octet.first + r;
            let source = task.index.map_or(row, |index| index[row] as usize);
            let from = task.from.at(source * task.stride).cast_const();
            // SAFETY: rows are `stride` long, which is at least `blocks · 32`; units are disjoint.
            unsafe {
                let factor = match task.norm {
                    Some(norm) => factor::<I>(from, task.blocks, norm),
                    None => 1.0,
                };
                for b in first..last {
                    let mut v = [I::V::load(from.add(b * 32)), I::V::load(from.add(b * 32 + 16))];
                    if let Some(norm) = task.norm {
                        for (i, v) in v.iter_mut().enumerate() {
                            let weight = I::V::load(norm.weight[b * 32 + i * 16..].as_ptr());
                            *v = v.mul(I::V::splat(factor)).mul(weight);
                        }
                    }
                    if let Some((copy, stride)) = task.copy {
                        v[0].store(copy.at(row * stride + b * 32));
                        v[1].store(copy.at(row * stride + b * 32 + 16));
                    }
                    let to = at * task.to.stride + b;
                    if task.to.exact {
                        let mut values = [0f32; 32];
                        v[0].store(values.as_mut_ptr());
                        v[1].store(values.as_mut_ptr().add(16));
                        let to = task.to.plain.at(to).cast::<f32>();
                        for (i, value) in values.into_iter().enumerate() {
                            *to.add(i * 8 + r) = value;
                        }
                    } else {
                        quantise::<I>(v, r, task.to.codes.at(to));
                    }
                }
            }
        }
        unit += last - first;
    }
}

#[inline(always)]
unsafe fn factor<I: Isa>(from: *const f32, blocks: usize, norm: Norm<'_>) -> f32 {
    unsafe {
        let mut squares = I::V::splat(0.0);
        for i in 0..blocks * 2 {
            let v = I::V::load(from.add(i * 16));
            squares = v.fma(v, squares);
        }
        1.0 / (squares.sum() / norm.width as f32 + norm.eps).sqrt()
    }
}

#[inline(always)]
unsafe fn quantise<I: Isa>(v: [I::V; 2], r: usize, to: *mut Block) {
    unsafe {
        let zero = I::V::splat(0.0);
        let most = v[0].max(zero.sub(v[0])).max(v[1].max(zero.sub(v[1]))).largest();
        let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
        let mut codes = v;
        for code in &mut codes {
            *code = code.mul(I::V::splat(inverse)).round().max(I::V::splat(-127.0)).min(I::V::splat(127.0));
        }
        let block = &mut *to;
        codes[0].store_i8(block.codes[r].as_mut_ptr());
        codes[1].store_i8(block.codes[r].as_mut_ptr().add(16));
        // The codes are small integers, so their sum in f32 is exact. A NaN or an infinity would
        // vanish in codes; 0 · a brings it into the sum, and through it into the result.
        let odd = v[0].fma(zero, v[1].mul(zero));
        let sum = codes[0].add(codes[1]).add(odd).sum();
        let scale = if sum.is_nan() { f32::NAN } else { most / 127.0 };
        block.scale[r] = scale;
        block.sum[r] = scale * sum;
        block.offset[r] = -128 * sum as i32;
    }
}
