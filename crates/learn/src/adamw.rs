use rayon::prelude::*;

use crate::Course;

/// Numbers in one unit of parallel work; fixed, so that the norm's sum has one order.
const BLOCK: usize = 1 << 14;

/// The moments of AdamW over the flat vector of parameters.
///
/// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g²,
/// p ← p − rate · (m̂ / (√v̂ + ε) + decay · p), with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ).
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW {
    /// First moment.
    pub first: Vec<f32>,
    /// Second moment.
    pub second: Vec<f32>,
}

/// Euclidean norm, in f64.
pub fn norm(vector: &[f32]) -> f64 {
    let square = |block: &[f32]| block.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
    let sums: Vec<f64> = vector.par_chunks(BLOCK).map(square).collect();
    sums.iter().sum::<f64>().sqrt()
}

impl AdamW {
    /// Moments of zero.
    pub fn new(length: usize) -> Self {
        Self { first: vec![0.0; length], second: vec![0.0; length] }
    }

    /// One step, number `step` from 1, with `shrink` · gradient; the first `decayed` parameters decay.
    pub fn step(
        &mut self,
        (parameters, decayed): (&mut [f32], usize),
        (gradient, shrink): (&[f32], f64),
        rate: f64,
        step: u64,
        course: &Course,
    ) {
        let power = |beta: f64| 1.0 - beta.powi(step.min(1 << 30) as i32);
        let (beta1, beta2) = (course.beta1 as f32, course.beta2 as f32);
        let (rest1, rest2) = ((1.0 - course.beta1) as f32, (1.0 - course.beta2) as f32);
        let pace = (rate / power(course.beta1)) as f32;
        let correction = (1.0 / power(course.beta2)).sqrt() as f32;
        let (epsilon, keep, shrink) = (course.epsilon as f32, (1.0 - rate * course.weight_decay) as f32, shrink as f32);
        (
            parameters.par_chunks_mut(BLOCK),
            gradient.par_chunks(BLOCK),
            self.first.par_chunks_mut(BLOCK),
            self.second.par_chunks_mut(BLOCK),
        )
            .into_par_iter()
            .enumerate()
            .for_each(|(block, (p, g, m, v))| {
                let border = decayed.saturating_sub(block * BLOCK).min(p.len());
                let mut part = |at: std::ops::Range<usize>, keep: f32| {
                    let (g, m, v) = (&g[at.clone()], &mut m[at.clone()], &mut v[at.clone()]);
                    for (((p, &g), m), v) in p[at].iter_mut().zip(g).zip(m).zip(v) {
                        let g = g * shrink;
                        *m = beta1 * *m + rest1 * g;
                        *v = beta2 * *v + rest2 * g * g;
                        *p = keep * *p - pace * *m / (v.sqrt() * correction + epsilon);
                    }
                };
                part(0..border, keep);
                part(border..g.len(), 1.0);
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_definition() {
        let course = crate::SftConfig { weight_decay: 0.1, ..crate::SftConfig::default() }.course(1);
        let (mut p, mut adam) = (vec![1.0f32, -2.0, 3.0], AdamW::new(3));
        let (mut exact, mut m, mut v) = ([1.0f64, -2.0, 3.0], [0f64; 3], [0f64; 3]);
        for step in 1..=20u64 {
            let g: Vec<f32> = exact.iter().map(|&x| (x as f32).sin() * step as f32).collect();
            for i in 0..3 {
                let g = 0.5 * f64::from(g[i]);
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let (mh, vh) = (m[i] / (1.0 - 0.9f64.powi(step as i32)), v[i] / (1.0 - 0.999f64.powi(step as i32)));
                // The third number does not decay.
                let decay = if i < 2 { 0.1 } else { 0.0 };
                exact[i] -= 0.01 * (mh / (vh.sqrt() + 1e-8) + decay * exact[i]);
            }
            adam.step((&mut p, 2), (&g, 0.5), 0.01, step, &course);
            for i in 0..3 {
                assert!((f64::from(p[i]) - exact[i]).abs() < 1e-5, "step {step}: {} {}", p[i], exact[i]);
            }
        }
    }

    #[test]
    fn the_norm_is_euclidean() {
        assert!((norm(&vec![0.5; 40_000]) - 100.0).abs() < 1e-9);
    }
}
