//! Rotary positions, and the change of layout that goes with them.
//!
//! The projection writes a row a token: all query heads, all key heads, all value heads. Attention
//! wants, for each key-value head apart, its query heads together (tokens × group · dim), its keys
//! and its values (tokens × dim), because then the query heads of a group are one matrix. The
//! rotation touches every element anyway, so it moves them as well.
//!
//! With h = dim / 2 and φ = position · frequency_i:
//! (xᵢ, xᵢ₊ₕ) → (xᵢ cos φ − xᵢ₊ₕ sin φ, xᵢ₊ₕ cos φ + xᵢ sin φ). The gradient turns back by the same angle.

use rayon::prelude::*;

use super::ROWS;
use super::wide::wide;

/// Sizes of the heads.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Key-value heads.
    pub kv: usize,
    /// Query heads for each key-value head.
    pub group: usize,
    /// Coordinates of a head.
    pub dim: usize,
}

impl Heads {
    /// Length of a row of queries, keys and values.
    pub fn row(self) -> usize {
        self.kv * (self.group + 2) * self.dim
    }
    /// Length of a row of queries alone.
    pub fn queries(self) -> usize {
        self.kv * self.group * self.dim
    }
}

/// cos φ and sin φ for positions from 0: two tables of positions × dim / 2.
pub struct Angles {
    cosine: Vec<f32>,
    sine: Vec<f32>,
    half: usize,
}

impl Angles {
    /// Tables for `positions` positions; `frequencies` are radians a position, dim / 2 of them.
    pub fn new(frequencies: &[f32], positions: usize) -> Self {
        let angle = |position: usize, frequency: f32| position as f64 * f64::from(frequency);
        let table = |f: fn(f64) -> f64| {
            (0..positions).flat_map(|p| frequencies.iter().map(move |&w| f(angle(p, w)) as f32)).collect()
        };
        Self { cosine: table(f64::cos), sine: table(f64::sin), half: frequencies.len() }
    }

    fn at(&self, position: u32) -> (&[f32], &[f32]) {
        let range = position as usize * self.half..(position as usize + 1) * self.half;
        (&self.cosine[range.clone()], &self.sine[range])
    }
}

#[inline(always)]
fn turn<const BACK: bool>(from: &[f32], to: &mut [f32], (cosine, sine): (&[f32], &[f32])) {
    let half = cosine.len();
    let (from_low, from_high) = from.split_at(half);
    let (to_low, to_high) = to.split_at_mut(half);
    for i in 0..half {
        let (low, high, c) = (from_low[i], from_high[i], cosine[i]);
        let s = if BACK { -sine[i] } else { sine[i] };
        to_low[i] = low * c - high * s;
        to_high[i] = high * c + low * s;
    }
}

wide! {
    /// One token's heads, each `dim` long, turned.
    fn turn_heads(from: &[f32], to: &mut [f32], dim: usize, cosine: &[f32], sine: &[f32]) {
        for (from, to) in from.chunks_exact(dim).zip(to.chunks_exact_mut(dim)) {
            turn::<false>(from, to, (cosine, sine));
        }
    }
}

wide! {
    /// One token's heads, each `dim` long, turned back.
    fn turn_heads_back(from: &[f32], to: &mut [f32], dim: usize, cosine: &[f32], sine: &[f32]) {
        for (from, to) in from.chunks_exact(dim).zip(to.chunks_exact_mut(dim)) {
            turn::<true>(from, to, (cosine, sine));
        }
    }
}

/// Queries, keys and values by key-value head: kv × tokens × (group · dim, dim, dim).
pub struct ByHead {
    /// kv × capacity × group · dim.
    pub q: Vec<f32>,
    /// kv × capacity × dim.
    pub k: Vec<f32>,
    /// kv × capacity × dim.
    pub v: Vec<f32>,
    /// Tokens that there is room for.
    pub capacity: usize,
}

impl ByHead {
    /// Room for `capacity` tokens.
    pub fn new(heads: Heads, capacity: usize) -> Self {
        let size = heads.kv * capacity * heads.dim;
        Self { q: vec![0.0; size * heads.group], k: vec![0.0; size], v: vec![0.0; size], capacity }
    }
}

/// Rotates queries and keys of `rows` (tokens × [`Heads::row`]) and sorts everything by head.
pub fn forward(rows: &[f32], positions: &[u32], angles: &Angles, heads: Heads, to: &mut ByHead) {
    let Heads { kv, group, dim } = heads;
    let (row, tokens, capacity) = (heads.row(), positions.len(), to.capacity);
    (
        to.q.par_chunks_mut(capacity * group * dim),
        to.k.par_chunks_mut(capacity * dim),
        to.v.par_chunks_mut(capacity * dim),
    )
        .into_par_iter()
        .enumerate()
        .for_each(|(head, (q, k, v))| {
            let block = (
                q[..tokens * group * dim].par_chunks_mut(ROWS * group * dim),
                k[..tokens * dim].par_chunks_mut(ROWS * dim),
                v[..tokens * dim].par_chunks_mut(ROWS * dim),
                rows.par_chunks(ROWS * row),
                positions.par_chunks(ROWS),
            );
            block.into_par_iter().for_each(|(q, k, v, rows, positions)| {
                for (t, (row, &position)) in rows.chunks_exact(row).zip(positions).enumerate() {
                    let (cosine, sine) = angles.at(position);
                    let from = &row[head * group * dim..][..group * dim];
                    turn_heads(from, &mut q[t * group * dim..][..group * dim], dim, cosine, sine);
                    let from = &row[(kv * group + head) * dim..][..dim];
                    turn_heads(from, &mut k[t * dim..][..dim], dim, cosine, sine);
                    v[t * dim..][..dim].copy_from_slice(&row[(kv * (group + 1) + head) * dim..][..dim]);
                }
            });
        });
}

/// Turns the gradient by head back into rows of the projection's output.
pub fn backward(by_head: &ByHead, positions: &[u32], angles: &Angles, heads: Heads, rows: &mut [f32]) {
    let Heads { kv, group, dim } = heads;
    let (row, capacity) = (heads.row(), by_head.capacity);
    (rows.par_chunks_mut(ROWS * row), positions.par_chunks(ROWS)).into_par_iter().enumerate().for_each(
        |(block, (rows, positions))| {
            for (t, (row, &position)) in rows.chunks_exact_mut(row).zip(positions).enumerate() {
                let (cosine, sine) = angles.at(position);
                for head in 0..kv {
                    let at = head * capacity + block * ROWS + t;
                    let to = &mut row[head * group * dim..][..group * dim];
                    turn_heads_back(&by_head.q[at * group * dim..][..group * dim], to, dim, cosine, sine);
                    let to = &mut row[(kv * group + head) * dim..][..dim];
                    turn_heads_back(&by_head.k[at * dim..][..dim], to, dim, cosine, sine);
                    let to = &mut row[(kv * (group + 1) + head) * dim..][..dim];
                    to.copy_from_slice(&by_head.v[at * dim..][..dim]);
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check;

    #[test]
    fn gradient_matches_finite_differences() {
        let heads = Heads { kv: 2, group: 3, dim: 4 };
        let positions = [0, 1, 7, 7, 30];
        let angles = Angles::new(&[1.0, 0.1], 31);
        let x = check::noise(1, positions.len() * heads.row());
        let mut to = ByHead::new(heads, 8);
        let dy = ByHead {
            q: check::noise(2, to.q.len()),
            k: check::noise(3, to.k.len()),
            v: check::noise(4, to.v.len()),
            capacity: 8,
        };
        let mut dx = vec![0.0; x.len()];
        backward(&dy, &positions, &angles, heads, &mut dx);
        check::gradient(&x, &dx, |x| {
            forward(x, &positions, &angles, heads, &mut to);
            check::dot(&to.q, &dy.q) + check::dot(&to.k, &dy.k) + check::dot(&to.v, &dy.v)
        });
    }

    #[test]
    fn a_turn_keeps_scores_relative_to_the_distance() {
        let heads = Heads { kv: 1, group: 1, dim: 4 };
        let angles = Angles::new(&[1.0, 0.1], 20);
        let row = check::noise(1, heads.row());
        let rows = row.repeat(2);
        let mut to = ByHead::new(heads, 2);
        let mut score = |positions: [u32; 2]| {
            forward(&rows, &positions, &angles, heads, &mut to);
            check::dot(&to.q[..4], &to.k[4..8])
        };
        assert!((score([5, 2]) - score([17, 14])).abs() < 1e-5);
        assert!((score([5, 2]) - score([5, 4])).abs() > 1e-3);
    }
}
