//! Output head and cross-entropy in one: loss and gradient of the final hidden rows that carry loss.
//!
//! For a row x with target token c: z = W x, loss = log Σⱼ e^{zⱼ} − z_c, and
//! dx = w · Wᵀ (softmax(z) − e_c), dW = Σ w · (softmax(z) − e_c) xᵀ, w being the row's weight. Rows go in chunks, so
//! logits never exist for all of them.

use rayon::prelude::*;

use super::matrix::{Store, View, ViewMut, multiply};
use super::wide::{exp, sum_of, wide};

/// Rows whose logits exist at one time.
pub const CHUNK: usize = 256;

/// What the backward pass is asked for.
pub struct Wanted<'a> {
    /// Weight of each row's loss.
    pub weights: &'a [f32],
    /// Becomes the gradient of the rows (rows × width).
    pub dx: &'a mut [f32],
    /// Grows by the gradient of W (vocab × width), where W is trained.
    pub dw: Option<&'a mut [f32]>,
}

/// The head, vocab × width.
pub struct Head<'a> {
    /// W, row-major.
    pub weight: &'a [f32],
    /// Rows of W.
    pub vocab: usize,
    /// Columns of W.
    pub width: usize,
    /// Threads of the products.
    pub threads: usize,
}

wide! {
    /// Turns a row of logits into its loss and leaves `weight · (softmax − one-hot)` in its place.
    fn cross_entropy(logits: &mut [f32], target: usize, weight: f32) -> f32 {
        let mut lanes = [f32::NEG_INFINITY; 32];
        let mut chunks = logits.chunks_exact(32);
        for chunk in &mut chunks {
            for i in 0..32 {
                lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
            }
        }
        let most = lanes.iter().chain(chunks.remainder()).fold(f32::NEG_INFINITY, |m, &x| m.max(x));
        let right = logits[target] - most;
        logits.iter_mut().for_each(|z| *z = exp(*z - most));
        // Blocks of the sum are added in f64, so that a vocabulary of 150,000 costs no digits.
        let sum: f64 = logits.chunks(1024).map(|block| f64::from(sum_of(block, block, |a, _| a))).sum();
        let factor = (f64::from(weight) / sum) as f32;
        logits.iter_mut().for_each(|z| *z *= factor);
        logits[target] -= weight;
        (sum.ln() - f64::from(right)) as f32
    }
}

impl Head<'_> {
    /// Losses of the rows of `x` (rows × width) for `targets`, in nats; where `wanted`, also the
    /// gradients of the weighted sum of losses. `logits` is scratch of at least min(rows, [`CHUNK`]) × vocab.
    pub fn losses(
        &self,
        x: &[f32],
        targets: &[u32],
        logits: &mut [f32],
        mut wanted: Option<Wanted<'_>>,
        losses: &mut [f32],
    ) {
        let Self { vocab, width, threads, .. } = *self;
        let matrix = View::new(self.weight, vocab, width);
        let chunks = x.chunks(CHUNK * width).zip(targets.chunks(CHUNK)).zip(losses.chunks_mut(CHUNK));
        for (index, ((x, targets), losses)) in chunks.enumerate() {
            let rows = targets.len();
            let logits = &mut logits[..rows * vocab];
            let x = View::new(x, rows, width);
            multiply(ViewMut::new(logits, rows, vocab), Store::Set, 1.0, x, matrix.transposed(), threads);
            let weights = wanted.as_ref().map(|wanted| &wanted.weights[index * CHUNK..][..rows]);
            (logits.par_chunks_mut(vocab), targets.par_iter(), losses.par_iter_mut())
                .into_par_iter()
                .enumerate()
                .for_each(|(row, (logits, &target, loss))| {
                    *loss = cross_entropy(logits, target as usize, weights.map_or(1.0, |weights| weights[row]));
                });
            if let Some(wanted) = &mut wanted {
                let dx = &mut wanted.dx[index * CHUNK * width..][..rows * width];
                let dz = View::new(logits, rows, vocab);
                multiply(ViewMut::new(dx, rows, width), Store::Set, 1.0, dz, matrix, threads);
                if let Some(dw) = wanted.dw.as_deref_mut() {
                    multiply(ViewMut::new(dw, vocab, width), Store::Add, 1.0, dz.transposed(), x, threads);
                }
            }
        }
    }

    /// The logits themselves (rows × vocab).
    pub fn logits(&self, x: &[f32], logits: &mut [f32]) {
        let rows = x.len() / self.width;
        let matrix = View::new(self.weight, self.vocab, self.width).transposed();
        let x = View::new(x, rows, self.width);
        multiply(ViewMut::new(logits, rows, self.vocab), Store::Set, 1.0, x, matrix, self.threads);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check;

    #[test]
    fn gradient_matches_finite_differences_over_several_chunks() {
        let (rows, width, vocab) = (CHUNK + 3, 3, 41);
        let weight = check::noise(1, vocab * width);
        let x = check::noise(2, rows * width);
        let targets: Vec<u32> = (0..rows as u32).map(|i| i * 7 % vocab as u32).collect();
        let head = Head { weight: &weight, vocab, width, threads: 1 };
        let (mut logits, mut losses, mut dx) = (vec![0.0; CHUNK * vocab], vec![0.0; rows], vec![0.0; x.len()]);
        let mut dw = vec![0.0; weight.len()];
        let weights = check::noise(3, rows);
        let wanted = Wanted { weights: &weights, dx: &mut dx, dw: Some(&mut dw) };
        head.losses(&x, &targets, &mut logits, Some(wanted), &mut losses);
        let plain = |x: &[f32], weight: &[f32], shares: &[f32]| -> f64 {
            // The definition in f64, which also checks the loss itself.
            (0..rows)
                .map(|r| {
                    let z = |j: usize| check::dot(&x[r * width..][..width], &weight[j * width..][..width]);
                    f64::from(shares[r]) * ((0..vocab).map(|j| z(j).exp()).sum::<f64>().ln() - z(targets[r] as usize))
                })
                .sum()
        };
        let ours: f64 = losses.iter().map(|&l| f64::from(l)).sum();
        assert!((ours - plain(&x, &weight, &vec![1.0; rows])).abs() / ours < 1e-6);
        check::gradient(&x, &dx, |x| plain(x, &weight, &weights));
        check::gradient(&weight, &dw, |weight| plain(&x, weight, &weights));
    }

    #[test]
    fn large_logits_neither_overflow_nor_lose_the_loss() {
        let head = Head { weight: &[300.0, -300.0], vocab: 2, width: 1, threads: 1 };
        let (mut logits, mut losses, mut dx) = (vec![0.0; 4], vec![0.0; 2], vec![0.0; 2]);
        let wanted = Wanted { weights: &[1.0, 1.0], dx: &mut dx, dw: None };
        head.losses(&[1.0, 1.0], &[0, 1], &mut logits, Some(wanted), &mut losses);
        assert!(losses[0].abs() < 1e-6 && (losses[1] - 600.0).abs() < 1e-3 && dx.iter().all(|d| d.is_finite()));
    }
}
