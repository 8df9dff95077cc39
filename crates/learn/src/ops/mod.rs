//! The operations of the differentiable path: one a file, each with its forward pass, its backward
//! pass and a gradient check against finite differences.
//!
//! Matrices are row-major `f32` slices, a row a token. Elementwise work is split into fixed blocks
//! of rows and every sum has a fixed order, so the bits do not depend on the number of threads.

pub mod attention;
pub mod head;
pub mod linear;
pub mod matrix;
pub mod rms_norm;
pub mod rope;
pub mod segments;
pub mod swiglu;
mod wide;

/// Tokens in one unit of parallel elementwise work.
pub(crate) const ROWS: usize = 16;

#[cfg(test)]
pub(crate) mod check {
    use rand::{RngExt, SeedableRng};

    /// Uniform numbers in [-1, 1), the same for the same seed.
    pub fn noise(seed: u64, length: usize) -> Vec<f32> {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..length).map(|_| random.random_range(-1.0f32..1.0)).collect()
    }

    /// Σ aᵢ bᵢ in f64: the scalar that gradient checks differentiate, b being its gradient.
    pub fn dot(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    }

    /// Compares `gradient` with central differences of `scalar` in every input.
    ///
    /// The step 1e-2 balances rounding of f32 (about 1e-7 / step) against curvature (step²); both stay
    /// below the tolerance for the smooth functions checked here with inputs of order one.
    pub fn gradient(input: &[f32], gradient: &[f32], mut scalar: impl FnMut(&[f32]) -> f64) {
        assert_eq!(input.len(), gradient.len());
        let scale = gradient.iter().fold(0f64, |m, &g| m.max(f64::from(g).abs())).max(1e-3);
        let mut moved = input.to_vec();
        for (i, &claimed) in gradient.iter().enumerate() {
            let step = 1e-2f32;
            moved[i] = input[i] + step;
            let above = scalar(&moved);
            let high = f64::from(moved[i]);
            moved[i] = input[i] - step;
            let below = scalar(&moved);
            let measured = (above - below) / (high - f64::from(moved[i]));
            moved[i] = input[i];
            let error = (measured - f64::from(claimed)).abs() / scale;
            assert!(error < 2e-3, "gradient {i}: backward says {claimed}, differences say {measured}");
        }
    }
}
