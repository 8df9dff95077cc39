//! Losses with the one product that every fit of signed weights needs.
//!
//! Signed weights enter as z = offset − a·mean_m − Σ_t V_t L_{m,t} with V = a(w − w0), Σ V = 0. Under the
//! penalty λ‖V‖² the best V is a combination of the models' losses, each less its mean: the damped step
//! (JᵀJ + μI)⁻¹Jᵀr = Jᵀ(JJᵀ + μI)⁻¹r never leaves that span. So K = X Xᵀ is computed once (M²T), its
//! eigenvectors give coordinates in which ‖V‖ = ‖c‖, and every fit — starts, λ, folds, bootstrap — runs
//! over at most M of them (M³ a step). With fewer columns than models the same coordinates come from
//! XᵀX: the primal.

use crate::gram::gram;
use crate::{Losses, linear};

/// Losses, ready to be fitted to any task on any subset of the models.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// The losses.
    pub losses: &'a Losses,
    pub(crate) means: Vec<f64>,
    /// Mean loss, then the coordinates; `rank` + 1 numbers a model.
    pub(crate) features: Vec<f64>,
    pub(crate) rank: usize,
    /// Σ_t o_t V_t of each coordinate, o the columns' mean deviations, which the coordinates leave out:
    /// Σ slopes·L = a·mean + (features + shifts)·c.
    pub(crate) shifts: Vec<f64>,
    /// Mean squared spread Σ_t n_t x² of a model: the scale on which λ is chosen.
    pub(crate) spread: f64,
    basis: Basis,
}

/// How coordinates become weights.
#[derive(Debug)]
enum Basis {
    /// columns × rank: V_t = √n_t Σ_k q_tk c_k.
    Primal(Vec<f64>),
    /// models × rank: V_t = n_t Σ_m α_m (L_mt − mean_m), α = basis · c.
    Dual(Vec<f64>),
}

impl<'a> Prepared<'a> {
    /// Computes K; the only costly step with millions of tokens.
    pub fn new(losses: &'a Losses) -> Self {
        Self::with(losses, losses.columns() > losses.models())
    }

    fn with(losses: &'a Losses, dual: bool) -> Self {
        let (models, columns) = (losses.models(), losses.columns());
        let (means, counts) = (losses.means(), losses.counts());
        let (size, product, noise) = if dual {
            (models, gram(losses, &means, true, |t| counts[t]), 1e-7)
        } else {
            (columns, small_product(losses, &means), 1e-12)
        };
        let spread = (0..size).map(|i| product[i * size + i]).sum::<f64>() / models as f64;
        let (values, vectors) = linear::eigen(&product, size);
        // What lies below the rounding errors of the product is no direction.
        let rank = values.iter().take_while(|v| **v > noise * values[0] && **v > 1e-12).count();
        let column = |k: usize| (0..size).map(move |i| i * size + k);
        let mut features = vec![0.0; models * (rank + 1)];
        let mut basis = vec![0.0; size * rank];
        for m in 0..models {
            features[m * (rank + 1)] = means[m];
        }
        for k in 0..rank {
            let root = values[k].sqrt();
            for (i, at) in column(k).enumerate() {
                basis[i * rank + k] = if dual { vectors[at] / root } else { vectors[at] };
            }
            if dual {
                // K ones = 0, so Σ α = 0; what rounding leaves is taken out.
                let mean = (0..models).map(|i| basis[i * rank + k]).sum::<f64>() / models as f64;
                (0..models).for_each(|i| basis[i * rank + k] -= mean);
            }
            for m in 0..models {
                features[m * (rank + 1) + 1 + k] = if dual { vectors[m * size + k] * root } else { 0.0 };
            }
        }
        if !dual {
            for m in 0..models {
                let x = centred(losses, &means, m);
                for k in 0..rank {
                    features[m * (rank + 1) + 1 + k] = x.iter().enumerate().map(|(t, x)| x * basis[t * rank + k]).sum();
                }
            }
            // Column means only shift the offset; without them the coordinates are smaller numbers.
            for k in 1..=rank {
                let at = |m: usize| m * (rank + 1) + k;
                let mean = (0..models).map(|m| features[at(m)]).sum::<f64>() / models as f64;
                (0..models).for_each(|m| features[at(m)] -= mean);
            }
        }
        let mut across = vec![0.0; columns];
        losses.combine(&vec![1.0 / models as f64; models], 0.0, &mut across);
        let mean = means.iter().sum::<f64>() / models as f64;
        let scaled: Vec<f64> = across.iter().zip(counts).map(|(o, n)| n * (o - mean)).collect();
        let parts: Vec<f64> = if dual {
            let sum: f64 = scaled.iter().sum();
            losses.weighted(&scaled).iter().zip(&means).map(|(all, mean)| all - mean * sum).collect()
        } else {
            scaled.iter().zip(counts).map(|(x, n)| x / n.sqrt()).collect()
        };
        let shift = |k: usize| parts.iter().enumerate().map(|(i, x)| x * basis[i * rank + k]).sum();
        let shifts = (0..rank).map(shift).collect();
        let basis = if dual { Basis::Dual(basis) } else { Basis::Primal(basis) };
        Self { losses, means, features, rank, shifts, spread, basis }
    }

    /// V of these coordinates.
    pub(crate) fn deviations(&self, coordinates: &[f64]) -> Vec<f64> {
        let rank = self.rank;
        let along = |row: &[f64]| -> f64 { row.iter().zip(coordinates).map(|(b, c)| b * c).sum() };
        let counts = self.losses.counts();
        match &self.basis {
            Basis::Primal(q) => (0..counts.len()).map(|t| counts[t].sqrt() * along(&q[t * rank..][..rank])).collect(),
            Basis::Dual(basis) => {
                let alpha: Vec<f64> = (0..self.means.len()).map(|m| along(&basis[m * rank..][..rank])).collect();
                let mut v = vec![0.0; counts.len()];
                self.losses.combine(&alpha, 0.0, &mut v);
                let shift: f64 = alpha.iter().zip(&self.means).map(|(a, m)| a * m).sum();
                v.iter_mut().zip(counts).for_each(|(v, n)| *v = n * (*v - shift));
                v
            }
        }
    }
}

/// √n_t (L_{m,t} − mean_m).
fn centred(losses: &Losses, means: &[f64], model: usize) -> Vec<f64> {
    let row = losses.row(model).iter().zip(losses.counts());
    row.map(|(x, n)| n.sqrt() * (f64::from(*x) - means[model])).collect()
}

/// XᵀX, columns × columns, over models less the columns' means.
fn small_product(losses: &Losses, means: &[f64]) -> Vec<f64> {
    let columns = losses.columns();
    let mut rows: Vec<Vec<f64>> = (0..losses.models()).map(|m| centred(losses, means, m)).collect();
    for t in 0..columns {
        let mean = rows.iter().map(|row| row[t]).sum::<f64>() / rows.len() as f64;
        rows.iter_mut().for_each(|row| row[t] -= mean);
    }
    let mut product = vec![0.0; columns * columns];
    for row in &rows {
        for i in 0..columns {
            (0..columns).for_each(|j| product[i * columns + j] += row[i] * row[j]);
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Target};

    /// Losses with structure: size, two kinds of token, noise.
    fn losses(models: usize, columns: usize) -> Losses {
        let value = |m: usize, t: usize| {
            let size = m as f64 / models as f64;
            let noise = ((m * 7919 + t * 104_729) % 1009) as f64 / 1009.0 - 0.5;
            2.0 + (t as f64 * 0.77).sin() - size * (1.0 + 0.5 * (t as f64).cos()) + 0.1 * noise
        };
        let values = (0..models).flat_map(|m| (0..columns).map(move |t| value(m, t) as f32)).collect();
        Losses::new(models, columns, values).expect("finite")
    }

    #[test]
    fn the_dual_and_the_primal_find_the_same_weights() {
        let all = losses(24, 30);
        let labels: Vec<u32> = (0..30).map(|t| t % 11).collect();
        for losses in [losses(24, 17), all.grouped(&labels).expect("labels fit"), all] {
            let y: Vec<f64> = (0..24).map(|m| 0.3 + 0.5 / (1.0 + (2.0 - f64::from(m) / 5.0).exp())).collect();
            let target = Target::new("t", y);
            let train: Vec<usize> = (0..20).collect();
            let config = Config { lambda: 1e-3, ..Config::default() };
            let [a, b] =
                [true, false].map(|dual| Prepared::with(&losses, dual).fit(&target, &train, &config).expect("fits"));
            assert!((a.cost - b.cost).abs() < 1e-5 * a.cost, "{} {}", a.cost, b.cost);
            let sum: f64 = a.slopes.iter().sum();
            let size = a.slopes.iter().fold(0.0, |m: f64, w| m.max(w.abs()));
            assert!((sum - a.slope).abs() < 1e-6 * size, "Σ v = 0: {sum} {}", a.slope);
            for (x, y) in a.slopes.iter().zip(&b.slopes) {
                assert!((x - y).abs() < 2e-3 * size, "{x} {y}");
            }
            for (x, y) in a.predict(&losses).iter().zip(b.predict(&losses)) {
                assert!((x - y).abs() < 1e-4, "{x} {y}");
            }
        }
    }
}
