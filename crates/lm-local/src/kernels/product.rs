use std::ops::Range;

use super::activations::{Activations, Octet};
use super::isa::{Isa, Lanes, Results, Strip};
use super::math;
use super::packed::{Layout, Line, Packed};
use crate::pool::Shared;

/// What becomes of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// It is the result.
    Store,
    /// It is added to what stands there (the residual stream).
    Add,
    /// Pairs of tiles are gate and up: SiLU(gate) · up is the result.
    Gate,
}

/// Both matrices of an adapter for one matrix of the model.
pub(crate) struct Pair {
    /// Rank, rounded up to whole lines.
    pub rank: usize,
    /// A: for each sixteen ranks, for each input of the packed row, one line.
    pub a: Vec<Line>,
    /// scale · B: for each tile of outputs, for each rank, one line.
    pub b: Vec<Line>,
}

/// What an adapter adds to the parts of one packed matrix.
pub(crate) struct Delta {
    pub parts: Vec<Option<Pair>>,
}

/// The adapters of a step's rows, at one matrix.
#[derive(Clone, Copy)]
pub(crate) struct LowRank<'a> {
    /// For each row its adapter's part, if it has one.
    pub rows: &'a [Option<&'a Delta>],
    /// A·x for (row, part), `stride` values each.
    pub inner: &'a Shared<f32>,
    pub stride: usize,
}

/// Most parts of a packed matrix: q, k and v.
pub(crate) const PARTS: usize = 3;

/// y = W·x (+ bias) (+ scale·B·(A·x)), then [`Finish`].
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub weights: &'a Packed,
    pub input: &'a Activations,
    pub octets: &'a [Octet],
    /// Which of them are computed: the first, and how many on the next one is.
    pub turn: (usize, usize),
    /// One value for each output of the tiles.
    pub bias: Option<&'a [f32]>,
    pub low: Option<LowRank<'a>>,
    pub finish: Finish,
    /// Rows of `stride` values; tile t stands at column 16·t, of a gate pair p at 16·p.
    pub to: &'a Shared<f32>,
    pub stride: usize,
}

impl Product<'_> {
    /// Units of work: pairs of tiles.
    pub fn units(&self) -> usize {
        self.weights.tiles.len().div_ceil(2)
    }
}

macro_rules! by_rows {
    ($isa:ident, $kernel:ident, $tiles:literal, $rows:expr, $($argument:expr),*) => {
        match $rows {
            1 => $isa::$kernel::<$tiles, 1>($($argument),*),
            2 => $isa::$kernel::<$tiles, 2>($($argument),*),
            3 => $isa::$kernel::<$tiles, 3>($($argument),*),
            4 => $isa::$kernel::<$tiles, 4>($($argument),*),
            5 => $isa::$kernel::<$tiles, 5>($($argument),*),
            6 => $isa::$kernel::<$tiles, 6>($($argument),*),
            7 => $isa::$kernel::<$tiles, 7>($($argument),*),
            _ => $isa::$kernel::<$tiles, 8>($($argument),*),
        }
    };
}

/// Computes some units. Each pair of tiles is read once for all rows and stays in the first cache.
///
/// # Safety
/// As [`Lanes`]; `span` is disjoint from that of other threads, and nobody writes the input.
#[inline(always)]
pub(super) unsafe fn product<I: Isa>(task: &Product<'_>, span: Range<usize>) {
    let weights = task.weights;
    let tiles = weights.tiles.len();
    let mut out = Results([[0.0; 32]; 8]);
    for unit in span.clone() {
        let count = (tiles - unit * 2).min(2);
        let lines = weights.lines(unit * 2..unit * 2 + count);
        let (first, every) = task.turn;
        let passes = (task.octets.len() - first).div_ceil(every);
        for pass in 0..passes {
            let at = first + pass * every;
            let Octet { first, count: rows } = task.octets[at];
            let strip = Strip {
                tiles: lines.as_ptr().cast(),
                stride: weights.tile_lines() * 64,
                blocks: weights.blocks,
                ahead: pass == 0 && unit + 1 < span.end,
            };
            // SAFETY: the strip is a slice of the matrix, the activations hold `rows` rows of
            // `blocks` blocks, and the path's features are there by contract.
            unsafe {
                match (weights.layout, count) {
                    (Layout::Q8, 2) => {
                        by_rows!(I, q8, 2, rows, strip, task.input.codes.at(at * task.input.stride), &mut out)
                    }
                    (Layout::Q8, _) => {
                        by_rows!(I, q8, 1, rows, strip, task.input.codes.at(at * task.input.stride), &mut out)
                    }
                    (Layout::Q4, 2) => {
                        by_rows!(I, q4, 2, rows, strip, task.input.codes.at(at * task.input.stride), &mut out)
                    }
                    (Layout::Q4, _) => {
                        by_rows!(I, q4, 1, rows, strip, task.input.codes.at(at * task.input.stride), &mut out)
                    }
                    (Layout::F32, 2) => {
                        by_rows!(I, f32, 2, rows, strip, task.input.plain.at(at * task.input.stride), &mut out)
                    }
                    (Layout::F32, _) => {
                        by_rows!(I, f32, 1, rows, strip, task.input.plain.at(at * task.input.stride), &mut out)
                    }
                }
                for (r, values) in out.0[..rows].iter().enumerate() {
                    end::<I>(task, unit, count, first + r, values);
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn end<I: Isa>(task: &Product<'_>, unit: usize, count: usize, row: usize, values: &[f32; 32]) {
    unsafe {
        let mut v = [I::V::load(values.as_ptr()), I::V::load(values.as_ptr().add(16))];
        for (t, v) in v.iter_mut().enumerate().take(count) {
            let tile = unit * 2 + t;
            if let Some(bias) = task.bias {
                *v = v.add(I::V::load(bias[tile * 16..tile * 16 + 16].as_ptr()));
            }
            if let Some(low) = &task.low
                && let Some(delta) = low.rows[row]
            {
                let (part, within) = task.weights.tiles[tile];
                if let Some(pair) = &delta.parts[part] {
                    let lines = &pair.b[within * pair.rank..(within + 1) * pair.rank];
                    let inner =
                        low.inner.slice((row * PARTS + part) * low.stride..(row * PARTS + part + 1) * low.stride);
                    *v = v.add(combine::<I>(lines, &inner[..pair.rank]));
                }
            }
        }
        match task.finish {
            Finish::Store => {
                for (t, v) in v.iter().enumerate().take(count) {
                    v.store(task.to.at(row * task.stride + (unit * 2 + t) * 16));
                }
            }
            Finish::Add => {
                for (t, v) in v.iter().enumerate().take(count) {
                    let to = task.to.at(row * task.stride + (unit * 2 + t) * 16);
                    I::V::load(to).add(*v).store(to);
                }
            }
            Finish::Gate => math::silu(v[0]).mul(v[1]).store(task.to.at(row * task.stride + unit * 16)),
        }
    }
}

/// Σ over i of x_i · line_i, in four chains so that additions don't wait for each other.
#[inline(always)]
unsafe fn combine<I: Isa>(lines: &[Line], x: &[f32]) -> I::V {
    unsafe {
        let mut sums = [I::V::splat(0.0); 4];
        for (lines, x) in lines.chunks_exact(4).zip(x.chunks_exact(4)) {
            for i in 0..4 {
                sums[i] = I::V::load(lines[i].0.as_ptr().cast()).fma(I::V::splat(x[i]), sums[i]);
            }
        }
        sums[0].add(sums[1]).add(sums[2].add(sums[3]))
    }
}

/// A·x for the rows that have an adapter; a unit is a row.
#[derive(Clone, Copy)]
pub(crate) struct Inner<'a> {
    pub low: LowRank<'a>,
    /// Rows as numbers, `width` values each, a multiple of 32, `stride` apart.
    pub from: &'a Shared<f32>,
    pub stride: usize,
    pub width: usize,
}

/// Computes some units.
///
/// # Safety
/// As [`product`].
#[inline(always)]
pub(super) unsafe fn inner<I: Isa>(task: &Inner<'_>, span: Range<usize>) {
    for row in span {
        let Some(delta) = task.low.rows[row] else { continue };
        // SAFETY: rows are `width` long and written in an earlier phase; units are disjoint.
        unsafe {
            let x = task.from.slice(row * task.stride..row * task.stride + task.width);
            for (part, pair) in delta.parts.iter().enumerate() {
                let Some(pair) = pair else { continue };
                for (tile, lines) in pair.a.chunks_exact(task.width).enumerate() {
                    let to = (row * PARTS + part) * task.low.stride + tile * 16;
                    combine::<I>(lines, x).store(task.low.inner.at(to));
                }
            }
        }
    }
}
