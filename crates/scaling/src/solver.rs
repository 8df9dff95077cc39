//! Levenberg–Marquardt for a handful to a few hundred unknowns, with bounds and a ridge.

use crate::linear;

/// What the solver may spend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub steps: usize,
    /// Relative decrease of the cost below which it stops.
    pub tolerance: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 500, tolerance: 1e-13 }
    }
}

/// Where the solver ended.
#[derive(Debug, Clone)]
pub(crate) struct Solution {
    pub at: Vec<f64>,
    /// Σ r² + Σ ridge · p².
    pub cost: f64,
    pub steps: usize,
    pub converged: bool,
}

/// Minimises Σ_i r_i(p)² + Σ_j ridge_j p_j² from `start`, each p_j within its bounds.
///
/// `evaluate(p, r, jacobian)` fills `rows` residuals and, where asked for, ∂r_i/∂p_j row by row. A
/// parameter on its bound that would be pushed outwards is held for that step. None where the cost at
/// the start is not finite.
pub(crate) fn levenberg(
    start: &[f64],
    bounds: &[(f64, f64)],
    ridge: &[f64],
    rows: usize,
    limits: Limits,
    mut evaluate: impl FnMut(&[f64], &mut [f64], Option<&mut [f64]>),
) -> Option<Solution> {
    let n = start.len();
    let mut p: Vec<f64> = start.iter().zip(bounds).map(|(x, (low, high))| x.clamp(*low, *high)).collect();
    let (mut r, mut trial_r, mut jacobian) = (vec![0.0; rows], vec![0.0; rows], vec![0.0; rows * n]);
    let cost_of = |p: &[f64], r: &[f64]| -> f64 {
        r.iter().map(|r| r * r).sum::<f64>() + p.iter().zip(ridge).map(|(p, l)| l * p * p).sum::<f64>()
    };
    evaluate(&p, &mut r, Some(&mut jacobian));
    let mut cost = cost_of(&p, &r);
    if !cost.is_finite() {
        return None;
    }
    let (mut mu, mut steps, mut converged, mut idle) = (1e-3, 0, false, 0);
    while steps < limits.steps && !converged {
        steps += 1;
        let mut gradient: Vec<f64> = p.iter().zip(ridge).map(|(p, l)| l * p).collect();
        let mut normal = vec![0.0; n * n];
        for (row, r) in jacobian.chunks_exact(n).zip(&r) {
            for (i, &x) in row.iter().enumerate() {
                if x != 0.0 {
                    gradient[i] += x * r;
                    normal[i * n..i * n + i + 1].iter_mut().zip(row).for_each(|(to, y)| *to += x * y);
                }
            }
        }
        let held: Vec<bool> = (0..n)
            .map(|i| (p[i] <= bounds[i].0 && gradient[i] > 0.0) || (p[i] >= bounds[i].1 && gradient[i] < 0.0))
            .collect();
        for i in 0..n {
            normal[i * n + i] += ridge[i];
            for j in 0..i {
                if held[i] || held[j] {
                    normal[i * n + j] = 0.0;
                }
                normal[j * n + i] = normal[i * n + j];
            }
        }
        let top = (0..n).map(|i| normal[i * n + i]).fold(0.0, f64::max);
        let mut moved = false;
        for _ in 0..30 {
            let mut damped = normal.clone();
            (0..n).for_each(|i| damped[i * n + i] += mu * (normal[i * n + i] + 1e-9 * top) + 1e-300);
            let mut step: Vec<f64> = gradient.iter().zip(&held).map(|(g, held)| if *held { 0.0 } else { -g }).collect();
            if linear::solve(&damped, &mut step) {
                let trial: Vec<f64> = (0..n).map(|i| (p[i] + step[i]).clamp(bounds[i].0, bounds[i].1)).collect();
                evaluate(&trial, &mut trial_r, None);
                let next = cost_of(&trial, &trial_r);
                if next < cost {
                    // Two small gains in a row: one alone may be a step that the damping made small.
                    idle = if cost - next <= limits.tolerance * cost { idle + 1 } else { 0 };
                    converged = idle >= 2;
                    (p, cost, moved) = (trial, next, true);
                    break;
                }
            }
            mu *= 4.0;
        }
        if !moved {
            // No downhill step at any damping: the cost is flat to working precision.
            converged = true;
            break;
        }
        mu = (mu / 3.0).max(1e-12);
        evaluate(&p, &mut r, Some(&mut jacobian));
    }
    Some(Solution { at: p, cost, steps, converged })
}

/// The best of several starts; the first of equals.
pub(crate) fn best(solutions: impl IntoIterator<Item = Option<Solution>>) -> Option<Solution> {
    solutions.into_iter().flatten().reduce(|best, next| if next.cost < best.cost { next } else { best })
}

#[cfg(test)]
pub(crate) fn check_jacobian(
    at: &[f64],
    rows: usize,
    mut evaluate: impl FnMut(&[f64], &mut [f64], Option<&mut [f64]>),
) {
    let n = at.len();
    let (mut r, mut jacobian) = (vec![0.0; rows], vec![0.0; rows * n]);
    evaluate(at, &mut r, Some(&mut jacobian));
    for j in 0..n {
        let h = 1e-6 * at[j].abs().max(1e-2);
        let (mut up, mut down) = (vec![0.0; rows], vec![0.0; rows]);
        let mut moved = at.to_vec();
        moved[j] = at[j] + h;
        evaluate(&moved, &mut up, None);
        moved[j] = at[j] - h;
        evaluate(&moved, &mut down, None);
        for i in 0..rows {
            let (numeric, analytic) = ((up[i] - down[i]) / (2.0 * h), jacobian[i * n + j]);
            assert!(
                (numeric - analytic).abs() <= 1e-6 * (1.0 + numeric.abs().max(analytic.abs())),
                "row {i}, parameter {j}: {analytic} where differences say {numeric}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_walks_down_a_bent_valley_and_stops_at_a_bound() {
        let valley = |p: &[f64], r: &mut [f64], j: Option<&mut [f64]>| {
            r.copy_from_slice(&[10.0 * (p[1] - p[0] * p[0]), 1.0 - p[0]]);
            if let Some(j) = j {
                j.copy_from_slice(&[-20.0 * p[0], 10.0, -1.0, 0.0]);
            }
        };
        check_jacobian(&[-1.2, 1.0], 2, valley);
        let free = [(f64::NEG_INFINITY, f64::INFINITY); 2];
        let found = levenberg(&[-1.2, 1.0], &free, &[0.0; 2], 2, Limits::default(), valley).expect("finite");
        assert!(found.converged && found.cost < 1e-20, "{found:?}");
        let bounded = [(f64::NEG_INFINITY, 0.5), free[0]];
        let found = levenberg(&[-1.2, 1.0], &bounded, &[0.0; 2], 2, Limits::default(), valley).expect("finite");
        assert!((found.at[0] - 0.5).abs() < 1e-12 && (found.at[1] - 0.25).abs() < 1e-6, "{found:?}");
    }
}
