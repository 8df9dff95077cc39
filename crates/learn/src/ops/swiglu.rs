//! h = silu(gate) ∘ up, silu(g) = g · σ(g).

use rayon::prelude::*;

use super::ROWS;
use super::wide::{exp, wide};

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

wide! {
    fn forward_rows(rows: &[f32], h: &mut [f32], hidden: usize) {
        for (row, h) in rows.chunks_exact(2 * hidden).zip(h.chunks_exact_mut(hidden)) {
            let (gate, up) = row.split_at(hidden);
            for ((h, &gate), &up) in h.iter_mut().zip(gate).zip(up) {
                *h = gate * sigmoid(gate) * up;
            }
        }
    }
}

/// Numbers that are copied aside: a loop over three slices that are all written is no vector code.
const LANES: usize = 32;

wide! {
    fn backward_rows(rows: &mut [f32], dh: &mut [f32], hidden: usize) {
        for (row, dh) in rows.chunks_exact_mut(2 * hidden).zip(dh.chunks_exact_mut(hidden)) {
            let (gate, up) = row.split_at_mut(hidden);
            for ((gate, up), dh) in gate.chunks_mut(LANES).zip(up.chunks_mut(LANES)).zip(dh.chunks_mut(LANES)) {
                let (mut g, mut u, mut d, count) = ([0f32; LANES], [0f32; LANES], [0f32; LANES], gate.len());
                g[..count].copy_from_slice(gate);
                u[..count].copy_from_slice(up);
                d[..count].copy_from_slice(dh);
                for i in 0..LANES {
                    let s = sigmoid(g[i]);
                    let silu = g[i] * s;
                    let (to_gate, to_up, h) = (d[i] * u[i] * (s + silu * (1.0 - s)), d[i] * silu, silu * u[i]);
                    (g[i], u[i], d[i]) = (to_gate, to_up, h);
                }
                gate.copy_from_slice(&g[..count]);
                up.copy_from_slice(&u[..count]);
                dh.copy_from_slice(&d[..count]);
            }
        }
    }
}

/// `gate_up` holds rows of gate then up (tokens × 2·hidden); `h` is tokens × hidden.
pub fn forward(gate_up: &[f32], h: &mut [f32], hidden: usize) {
    (gate_up.par_chunks(ROWS * 2 * hidden), h.par_chunks_mut(ROWS * hidden))
        .into_par_iter()
        .for_each(|(rows, h)| forward_rows(rows, h, hidden));
}

/// In: `gate_up` as in [`forward`], `dh` the gradient of h. Out, in their place: the gradient of gate
/// and up, and h itself, which the low-rank weight gradient of the next projection needs.
pub fn backward(gate_up: &mut [f32], dh: &mut [f32], hidden: usize) {
    (gate_up.par_chunks_mut(ROWS * 2 * hidden), dh.par_chunks_mut(ROWS * hidden))
        .into_par_iter()
        .for_each(|(rows, dh)| backward_rows(rows, dh, hidden));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check;

    #[test]
    fn gradient_matches_finite_differences() {
        let (tokens, hidden) = (3, 37);
        let x: Vec<f32> = check::noise(1, tokens * 2 * hidden).iter().map(|x| x * 3.0).collect();
        let dy = check::noise(2, tokens * hidden);
        let mut h = vec![0.0; tokens * hidden];
        forward(&x, &mut h, hidden);
        let (mut dx, mut again) = (x.clone(), dy.clone());
        backward(&mut dx, &mut again, hidden);
        assert_eq!(h, again);
        check::gradient(&x, &dx, |x| {
            forward(x, &mut h, hidden);
            check::dot(&h, &dy)
        });
    }
}
