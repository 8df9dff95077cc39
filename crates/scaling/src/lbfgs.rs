//! L-BFGS for smooth functions that are no sum of squares.

use std::collections::VecDeque;

/// Pairs of steps that the curvature is remembered by.
const MEMORY: usize = 10;

/// Minimises f from `start`; `evaluate(p, gradient)` gives f and fills its gradient. Ends where no step
/// lowers f, or the gradient is `tolerance` at most. None where f is not finite at the start.
pub(crate) fn minimise(
    start: &[f64],
    steps: usize,
    tolerance: f64,
    mut evaluate: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Option<(Vec<f64>, f64)> {
    let n = start.len();
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let (mut p, mut g) = (start.to_vec(), vec![0.0; n]);
    let mut value = evaluate(&p, &mut g);
    if !value.is_finite() {
        return None;
    }
    let mut memory: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::new();
    for _ in 0..steps {
        if g.iter().all(|g| g.abs() <= tolerance) {
            break;
        }
        let mut direction: Vec<f64> = g.iter().map(|g| -g).collect();
        let mut factors = Vec::with_capacity(memory.len());
        for (s, y) in memory.iter().rev() {
            let factor = dot(s, &direction) / dot(s, y);
            direction.iter_mut().zip(y).for_each(|(d, y)| *d -= factor * y);
            factors.push(factor);
        }
        match memory.back() {
            Some((s, y)) => direction.iter_mut().for_each(|d| *d *= dot(s, y) / dot(y, y)),
            // Nothing is known of the scale yet: a first step of length 0.1 at most.
            None => {
                let length = dot(&g, &g).sqrt();
                direction.iter_mut().for_each(|d| *d *= (0.1 / length).min(1.0));
            }
        }
        for ((s, y), factor) in memory.iter().zip(factors.iter().rev()) {
            let back = dot(y, &direction) / dot(s, y);
            direction.iter_mut().zip(s).for_each(|(d, s)| *d += (factor - back) * s);
        }
        // A step that satisfies the weak Wolfe conditions, by bisection: far enough down, and the slope
        // flat enough that the remembered curvature is positive.
        let slope = dot(&g, &direction);
        if slope >= 0.0 {
            memory.clear();
            steepest(&mut direction, &g);
        }
        let slope = dot(&g, &direction);
        let (mut low, mut high, mut length) = (0.0, f64::INFINITY, 1.0);
        let mut found = None;
        for _ in 0..40 {
            let trial: Vec<f64> = p.iter().zip(&direction).map(|(p, d)| p + length * d).collect();
            let mut gradient = vec![0.0; n];
            let next = evaluate(&trial, &mut gradient);
            if !next.is_finite() || next > value + 1e-4 * length * slope {
                high = length;
            } else {
                let enough = dot(&gradient, &direction) >= 0.9 * slope;
                found = Some((trial, gradient, next));
                if enough {
                    break;
                }
                low = length;
            }
            length = if high.is_finite() { (low + high) / 2.0 } else { 2.0 * low };
        }
        let Some((next, gradient, lower)) = found else { break };
        let s: Vec<f64> = next.iter().zip(&p).map(|(a, b)| a - b).collect();
        let y: Vec<f64> = gradient.iter().zip(&g).map(|(a, b)| a - b).collect();
        if dot(&s, &y) > 1e-300 {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back((s, y));
        }
        let same = value - lower <= 1e-15 * value.abs();
        (p, g, value) = (next, gradient, lower);
        if same {
            break;
        }
    }
    Some((p, value))
}

/// Steepest descent, where the memory points uphill.
fn steepest(direction: &mut [f64], gradient: &[f64]) {
    direction.iter_mut().zip(gradient).for_each(|(d, g)| *d = -g);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_end_of_a_bent_valley() {
        let valley = |p: &[f64], g: &mut [f64]| {
            let (a, b) = (1.0 - p[0], p[1] - p[0] * p[0]);
            g.copy_from_slice(&[-2.0 * a - 400.0 * p[0] * b, 200.0 * b]);
            a * a + 100.0 * b * b
        };
        let (at, value) = minimise(&[-1.2, 1.0], 500, 1e-10, valley).expect("finite");
        assert!(value < 1e-15 && (at[0] - 1.0).abs() < 1e-7, "{at:?} {value}");
        assert!(minimise(&[f64::NAN, 1.0], 500, 1e-10, valley).is_none());
    }
}
