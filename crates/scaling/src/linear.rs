//! Small dense matrices, row by row: what the fits need and no more.

/// A symmetric positive definite matrix as L Lᵀ.
pub(crate) struct Cholesky {
    l: Vec<f64>,
    n: usize,
}

impl Cholesky {
    /// Decomposes A (n × n); none where it is not positive definite to working precision.
    pub fn new(a: &[f64], n: usize) -> Option<Self> {
        let mut l = a.to_vec();
        for i in 0..n {
            for j in 0..=i {
                let (above, row) = l.split_at(i * n);
                let dot = |other: &[f64]| -> f64 { row[..j].iter().zip(other).map(|(x, y)| x * y).sum() };
                if i == j {
                    let pivot = row[i] - dot(row);
                    if pivot.is_nan() || pivot <= 1e-14 * row[i].abs() {
                        return None;
                    }
                    l[i * n + i] = pivot.sqrt();
                } else {
                    l[i * n + j] = (row[j] - dot(&above[j * n..])) / above[j * n + j];
                }
            }
        }
        Some(Self { l, n })
    }

    /// x of A x = b, in the place of b.
    pub fn solve(&self, b: &mut [f64]) {
        let (l, n) = (&self.l, self.n);
        for i in 0..n {
            let sum: f64 = l[i * n..i * n + i].iter().zip(&*b).map(|(l, b)| l * b).sum();
            b[i] = (b[i] - sum) / l[i * n + i];
        }
        for i in (0..n).rev() {
            b[i] /= l[i * n + i];
            let x = b[i];
            b[..i].iter_mut().zip(&l[i * n..]).for_each(|(b, l)| *b -= l * x);
        }
    }
}

/// Solves A x = b, x in the place of b; false where A is not positive definite.
pub(crate) fn solve(a: &[f64], b: &mut [f64]) -> bool {
    Cholesky::new(a, b.len()).map(|a| a.solve(b)).is_some()
}

/// Least squares: min ‖X c − y‖² for X of `columns` columns, by the normal equations with columns scaled
/// to length 1. None where columns depend on each other.
pub(crate) fn least_squares(x: &[f64], columns: usize, y: &[f64]) -> Option<Vec<f64>> {
    let length = |j: usize| x.iter().skip(j).step_by(columns).map(|v| v * v).sum::<f64>().sqrt();
    let scale: Vec<f64> = (0..columns).map(length).collect();
    if scale.iter().any(|s| !s.is_finite() || *s <= 0.0) {
        return None;
    }
    let mut a = vec![0.0; columns * columns];
    let mut b = vec![0.0; columns];
    for (row, y) in x.chunks_exact(columns).zip(y) {
        for i in 0..columns {
            b[i] += row[i] / scale[i] * y;
            for j in 0..columns {
                a[i * columns + j] += row[i] / scale[i] * row[j] / scale[j];
            }
        }
    }
    solve(&a, &mut b).then(|| b.iter().zip(&scale).map(|(b, s)| b / s).collect())
}

/// Eigenvalues, largest first, and eigenvectors (column k of the n × n result belongs to value k) of a
/// symmetric matrix, by cyclic Jacobi rotations.
pub(crate) fn eigen(a: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut a = a.to_vec();
    // Rows of `q` are the eigenvectors while rotating: rows lie together in memory.
    let mut q = vec![0.0; n * n];
    (0..n).for_each(|i| q[i * n + i] = 1.0);
    let size: f64 = a.iter().map(|v| v * v).sum();
    for _ in 0..60 {
        let off: f64 = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i * n + j].powi(2)).sum();
        if off <= 1e-30 * size {
            break;
        }
        for p in 0..n {
            for r in p + 1..n {
                let apr = a[p * n + r];
                if apr.abs() <= 1e-300 {
                    continue;
                }
                let theta = (a[r * n + r] - a[p * n + p]) / (2.0 * apr);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for k in 0..n {
                    let (x, y) = (a[p * n + k], a[r * n + k]);
                    a[p * n + k] = c * x - s * y;
                    a[r * n + k] = s * x + c * y;
                }
                for k in 0..n {
                    let (x, y) = (a[k * n + p], a[k * n + r]);
                    a[k * n + p] = c * x - s * y;
                    a[k * n + r] = s * x + c * y;
                    let (x, y) = (q[p * n + k], q[r * n + k]);
                    q[p * n + k] = c * x - s * y;
                    q[r * n + k] = s * x + c * y;
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j * n + j].total_cmp(&a[i * n + i]));
    let values = order.iter().map(|&i| a[i * n + i]).collect();
    let mut vectors = vec![0.0; n * n];
    for (k, &i) in order.iter().enumerate() {
        (0..n).for_each(|j| vectors[j * n + k] = q[i * n + j]);
    }
    (values, vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved_and_a_singular_one_refused() {
        let a = [4.0, 2.0, 0.5, 2.0, 5.0, 1.0, 0.5, 1.0, 3.0];
        let x = [1.0, -2.0, 0.25];
        let mut b: Vec<f64> = a.chunks(3).map(|row| row.iter().zip(&x).map(|(a, x)| a * x).sum()).collect();
        assert!(solve(&a, &mut b));
        b.iter().zip(&x).for_each(|(b, x)| assert!((b - x).abs() < 1e-14));
        assert!(!solve(&[1.0, 1.0, 1.0, 1.0], &mut [1.0, 2.0]));
        assert!(least_squares(&[1.0, 2.0, 2.0, 4.0, 3.0, 6.0], 2, &[1.0, 2.0, 3.0]).is_none());
    }

    #[test]
    fn eigenvectors_rebuild_the_matrix() {
        let n = 7;
        let a: Vec<f64> =
            (0..n * n).map(|i| ((i / n + i % n) as f64).sin() + f64::from(u8::from(i / n == i % n))).collect();
        let (values, q) = eigen(&a, n);
        assert!(values.windows(2).all(|w| w[0] >= w[1]));
        for i in 0..n {
            for j in 0..n {
                let rebuilt: f64 = (0..n).map(|k| q[i * n + k] * values[k] * q[j * n + k]).sum();
                assert!((rebuilt - a[i * n + j]).abs() < 1e-12);
            }
        }
    }
}
