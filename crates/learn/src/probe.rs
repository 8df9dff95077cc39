use std::time::Instant;

use crate::ops::matrix::{Store, View, ViewMut, multiply};

/// Matrix speed of this machine in 10⁹ f32 operations a second, on `threads` threads (0 takes all
/// processors): the best of a few products of 512 × 512 × 512.
pub fn gflops(threads: usize) -> f64 {
    const N: usize = 512;
    let threads = if threads == 0 { std::thread::available_parallelism().map_or(1, |n| n.get()) } else { threads };
    let (left, right) = (vec![0.5f32; N * N], vec![0.25f32; N * N]);
    let mut product = vec![0f32; N * N];
    let mut best = f64::INFINITY;
    for _ in 0..8 {
        let begin = Instant::now();
        let to = ViewMut::new(&mut product, N, N);
        multiply(to, Store::Set, 1.0, View::new(&left, N, N), View::new(&right, N, N), threads);
        best = best.min(begin.elapsed().as_secs_f64());
    }
    2.0 * (N * N * N) as f64 / best / 1e9
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_machine_has_a_speed() {
        let gflops = super::gflops(1);
        assert!(gflops.is_finite() && gflops > 0.1, "{gflops}");
    }
}
