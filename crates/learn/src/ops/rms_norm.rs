//! y = g ∘ x / √(mean(x²) + ε), row by row; the gain g is frozen or trained.

use rayon::prelude::*;

use super::ROWS;
use super::wide::{sum_of, wide};

#[inline(always)]
fn normalise(x: &[f32], gain: &[f32], epsilon: f32, y: &mut [f32]) -> f32 {
    let inverse = 1.0 / (sum_of(x, x, |a, b| a * b) / x.len() as f32 + epsilon).sqrt();
    for ((y, &x), &gain) in y.iter_mut().zip(x).zip(gain) {
        *y = gain * (x * inverse);
    }
    inverse
}

/// Adds to `dx` (or sets it where `SET`): inverse · (g∘dy − x̂ · mean(g∘dy∘x̂)), x̂ = x · inverse.
#[inline(always)]
fn differentiate<const SET: bool>(x: &[f32], inverse: f32, gain: &[f32], dy: &[f32], dx: &mut [f32]) {
    let width = x.len();
    let mut scaled = 0f32;
    // Σ g∘dy∘x: `sum_of` takes two slices, so the first product goes through a small buffer.
    for ((x, gain), dy) in x.chunks(64).zip(gain.chunks(64)).zip(dy.chunks(64)) {
        let mut product = [0f32; 64];
        product.iter_mut().zip(gain).zip(dy).for_each(|((product, &gain), &dy)| *product = gain * dy);
        scaled += sum_of(&product[..x.len()], x, |a, b| a * b);
    }
    let mean = scaled * inverse / width as f32;
    for (((dx, &x), &gain), &dy) in dx.iter_mut().zip(x).zip(gain).zip(dy) {
        let change = inverse * (gain * dy - x * inverse * mean);
        *dx = if SET { change } else { *dx + change };
    }
}

wide! {
    fn forward_rows(x: &[f32], gain: &[f32], epsilon: f32, y: &mut [f32], inverse: &mut [f32]) {
        let width = gain.len();
        for ((x, y), inverse) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(inverse) {
            *inverse = normalise(x, gain, epsilon, y);
        }
    }
}

wide! {
    fn again_rows(x: &[f32], inverse: &[f32], gain: &[f32], y: &mut [f32]) {
        let width = gain.len();
        for ((x, y), &inverse) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(inverse) {
            for ((y, &x), &gain) in y.iter_mut().zip(x).zip(gain) {
                *y = gain * (x * inverse);
            }
        }
    }
}

wide! {
    fn backward_rows(x: &[f32], inverse: &[f32], gain: &[f32], dy: &[f32], dx: &mut [f32]) {
        let width = gain.len();
        let rows = x.chunks_exact(width).zip(inverse).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width));
        for (((x, &inverse), dy), dx) in rows {
            differentiate::<false>(x, inverse, gain, dy, dx);
        }
    }
}

/// Normalises each row of `x` (rows × gain.len()) into `y` and keeps 1/√(mean(x²)+ε) in `inverse`.
pub fn forward(x: &[f32], gain: &[f32], epsilon: f32, y: &mut [f32], inverse: &mut [f32]) {
    let block = ROWS * gain.len();
    (x.par_chunks(block), y.par_chunks_mut(block), inverse.par_chunks_mut(ROWS))
        .into_par_iter()
        .for_each(|(x, y, inverse)| forward_rows(x, gain, epsilon, y, inverse));
}

/// Computes y again from `x` and the kept `inverse`, to the same bits as [`forward`].
pub fn again(x: &[f32], inverse: &[f32], gain: &[f32], y: &mut [f32]) {
    let block = ROWS * gain.len();
    (x.par_chunks(block), y.par_chunks_mut(block), inverse.par_chunks(ROWS))
        .into_par_iter()
        .for_each(|(x, y, inverse)| again_rows(x, inverse, gain, y));
}

/// Adds the gradient with respect to `x` to `dx`.
pub fn backward(x: &[f32], inverse: &[f32], gain: &[f32], dy: &[f32], dx: &mut [f32]) {
    let block = ROWS * gain.len();
    (x.par_chunks(block), inverse.par_chunks(ROWS), dy.par_chunks(block), dx.par_chunks_mut(block))
        .into_par_iter()
        .for_each(|(x, inverse, dy, dx)| backward_rows(x, inverse, gain, dy, dx));
}

wide! {
    fn gain_rows(x: &[f32], inverse: &[f32], dy: &[f32], d_gain: &mut [f32]) {
        let width = d_gain.len();
        for ((x, dy), &inverse) in x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(inverse) {
            for ((d, &x), &dy) in d_gain.iter_mut().zip(x).zip(dy) {
                *d += dy * (x * inverse);
            }
        }
    }
}

/// Adds the gradient of the gain, Σ dy ∘ x · inverse over the rows in their order, to `d_gain`.
pub fn backward_gain(x: &[f32], inverse: &[f32], dy: &[f32], d_gain: &mut [f32]) {
    gain_rows(x, inverse, dy, d_gain);
}

/// Norms over the heads of queries and keys (Qwen3), in place. Each row is `stride` long and begins
/// with the query heads, then the key heads, each as long as a gain.
pub struct HeadNorms<'a> {
    /// Length of a row.
    pub stride: usize,
    /// Gain of query heads.
    pub query: &'a [f32],
    /// Gain of key heads.
    pub key: &'a [f32],
    /// Number of query heads.
    pub query_heads: usize,
    /// Number of key heads.
    pub key_heads: usize,
}

impl HeadNorms<'_> {
    fn heads(&self) -> usize {
        self.query_heads + self.key_heads
    }

    fn gain(&self, head: usize) -> &[f32] {
        if head < self.query_heads { self.query } else { self.key }
    }

    /// The untouched values go to `raw` (tokens × heads · dim), the factors to `inverse` (tokens × heads).
    pub fn forward(&self, rows: &mut [f32], epsilon: f32, raw: &mut [f32], inverse: &mut [f32]) {
        let (dim, heads) = (self.query.len(), self.heads());
        (rows.par_chunks_mut(self.stride), raw.par_chunks_mut(heads * dim), inverse.par_chunks_mut(heads))
            .into_par_iter()
            .for_each(|(row, raw, inverse)| {
                raw.copy_from_slice(&row[..heads * dim]);
                for (head, inverse) in inverse.iter_mut().enumerate() {
                    let at = head * dim..(head + 1) * dim;
                    *inverse = normalise(&raw[at.clone()], self.gain(head), epsilon, &mut row[at]);
                }
            });
    }

    /// Adds the gradients of the two gains to `d_gains` (query, then key). Goes before
    /// [`HeadNorms::backward`], which replaces what stands in `rows`.
    pub fn backward_gains(&self, rows: &[f32], raw: &[f32], inverse: &[f32], d_gains: &mut [f32]) {
        let (dim, heads) = (self.query.len(), self.heads());
        let (d_query, d_key) = d_gains.split_at_mut(dim);
        let tokens = rows.chunks_exact(self.stride).zip(raw.chunks_exact(heads * dim)).zip(inverse.chunks_exact(heads));
        for ((row, raw), inverse) in tokens {
            let (queries, keys) = inverse.split_at(self.query_heads);
            let middle = self.query_heads * dim;
            gain_rows(&raw[..middle], queries, &row[..middle], d_query);
            gain_rows(&raw[middle..], keys, &row[middle..heads * dim], d_key);
        }
    }

    /// Turns the gradient with respect to the normalised heads, in `rows`, into that of the raw ones.
    pub fn backward(&self, rows: &mut [f32], raw: &[f32], inverse: &[f32]) {
        let (dim, heads) = (self.query.len(), self.heads());
        (rows.par_chunks_mut(self.stride), raw.par_chunks(heads * dim), inverse.par_chunks(heads))
            .into_par_iter()
            .for_each(|(row, raw, inverse)| {
                let mut gradient = vec![0f32; dim];
                for (head, &inverse) in inverse.iter().enumerate() {
                    let at = head * dim..(head + 1) * dim;
                    gradient.copy_from_slice(&row[at.clone()]);
                    differentiate::<true>(&raw[at.clone()], inverse, self.gain(head), &gradient, &mut row[at]);
                }
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check;

    #[test]
    fn gradient_matches_finite_differences() {
        let (rows, width) = (3, 70);
        let (x, gain, dy) = (check::noise(1, rows * width), check::noise(2, width), check::noise(3, rows * width));
        let (mut y, mut inverse) = (vec![0.0; rows * width], vec![0.0; rows]);
        forward(&x, &gain, 1e-5, &mut y, &mut inverse);
        let mut repeated = vec![0.0; rows * width];
        again(&x, &inverse, &gain, &mut repeated);
        assert_eq!(y, repeated);
        let mut dx = vec![0.0; rows * width];
        backward(&x, &inverse, &gain, &dy, &mut dx);
        let mut d_gain = vec![0.0; width];
        backward_gain(&x, &inverse, &dy, &mut d_gain);
        check::gradient(&gain, &d_gain, |gain| {
            forward(&x, gain, 1e-5, &mut y, &mut inverse);
            check::dot(&y, &dy)
        });
        check::gradient(&x, &dx, |x| {
            forward(x, &gain, 1e-5, &mut y, &mut inverse);
            check::dot(&y, &dy)
        });
    }

    #[test]
    fn gradient_of_head_norms_matches_finite_differences() {
        let (tokens, stride, dim) = (2, 40, 8);
        let x = check::noise(4, tokens * stride);
        let (query, key, dy) = (check::noise(5, dim), check::noise(6, dim), check::noise(7, tokens * stride));
        let (mut raw, mut inverse) = (vec![0.0; tokens * 3 * dim], vec![0.0; tokens * 3]);
        let norms = HeadNorms { stride, query: &query, key: &key, query_heads: 2, key_heads: 1 };
        let run = |x: &[f32], raw: &mut Vec<f32>, inverse: &mut Vec<f32>| {
            let mut y = x.to_vec();
            norms.forward(&mut y, 1e-5, raw, inverse);
            y
        };
        run(&x, &mut raw, &mut inverse);
        let mut dx = dy.clone();
        norms.backward(&mut dx, &raw, &inverse);
        let (mut a, mut b) = (raw.clone(), inverse.clone());
        check::gradient(&x, &dx, |x| check::dot(&run(x, &mut a, &mut b), &dy));
        let mut d_gains = vec![0.0; 2 * dim];
        norms.backward_gains(&dy, &raw, &inverse, &mut d_gains);
        let gains = [query.clone(), key.clone()].concat();
        check::gradient(&gains, &d_gains, |gains| {
            let norms = HeadNorms { stride, query: &gains[..dim], key: &gains[dim..], query_heads: 2, key_heads: 1 };
            let mut y = x.clone();
            norms.forward(&mut y, 1e-5, &mut a, &mut b);
            check::dot(&y, &dy)
        });
    }
}
