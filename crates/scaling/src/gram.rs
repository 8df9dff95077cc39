//! K = Σ_t d_t x_t x_tᵀ over millions of tokens: the one product that the dual needs, cost M²T, M × M
//! numbers kept.

use rayon::prelude::*;

use crate::Losses;

/// Tokens whose products are summed in single precision before the sum goes on in double.
const PANEL: usize = 512;
/// Shares of tokens whose sums are kept apart: a fixed number, so that the sum does not depend on how
/// many threads there are.
const SHARES: usize = 64;
const LANES: usize = 16;
/// Rows a side of a tile of products.
const TILE: usize = 4;

/// K_{ij} = Σ_t d_t (L_{i,t} − centre_i − o_t)(L_{j,t} − centre_j − o_t) over all models i, j; o_t is the
/// column's mean of L − centre where `across`, else 0.
pub(crate) fn gram(losses: &Losses, centres: &[f64], across: bool, d: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
    let (models, columns) = (losses.models(), losses.columns());
    let share = columns.div_ceil(SHARES).next_multiple_of(PANEL);
    let sums: Vec<Vec<f64>> = (0..columns.div_ceil(share))
        .into_par_iter()
        .map(|at| {
            let rows = models.next_multiple_of(TILE);
            let mut panel = vec![0.0_f32; rows * PANEL];
            let mut sum = vec![0.0; rows * rows];
            for start in (at * share..columns.min((at + 1) * share)).step_by(PANEL) {
                let length = PANEL.min(columns - start);
                fill(losses, centres, across, start, length, &d, &mut panel);
                add_products(&panel, rows, &mut sum);
            }
            sum
        })
        .collect();
    let rows = models.next_multiple_of(TILE);
    let mut k = vec![0.0; models * models];
    for i in 0..models {
        for j in 0..=i {
            let sum: f64 = sums.iter().map(|share| share[i * rows + j]).sum();
            (k[i * models + j], k[j * models + i]) = (sum, sum);
        }
    }
    k
}

/// √d_t (L_{m,t} − centre_m − o_t) of the tokens from `start`, zeros after `length`.
fn fill(
    losses: &Losses,
    centres: &[f64],
    across: bool,
    start: usize,
    length: usize,
    d: &impl Fn(usize) -> f64,
    panel: &mut [f32],
) {
    let mut scale = [0.0_f32; PANEL];
    let mut offset = [0.0_f32; PANEL];
    (0..length).for_each(|t| scale[t] = d(start + t).sqrt() as f32);
    let models = losses.models();
    for (m, row) in panel.chunks_exact_mut(PANEL).take(models).enumerate() {
        let from = &losses.row(m)[start..start + length];
        let centre = centres[m] as f32;
        row.iter_mut().zip(from).for_each(|(to, x)| *to = x - centre);
        row[length..].fill(0.0);
        offset.iter_mut().zip(&*row).for_each(|(o, x)| *o += x);
    }
    let share = if across { 1.0 / models as f32 } else { 0.0 };
    for row in panel.chunks_exact_mut(PANEL).take(models) {
        for ((x, o), s) in row.iter_mut().zip(&offset).zip(&scale) {
            *x = (*x - o * share) * s;
        }
    }
}

/// Adds the products of all pairs of rows, lower triangle of tiles.
fn add_products(panel: &[f32], rows: usize, sum: &mut [f64]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the feature is there.
        return unsafe { add_products_wide(panel, rows, sum) };
    }
    add_products_plain(panel, rows, sum);
}

/// The same sums in the same order (multiply, then add, lane by lane), compiled for wider registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn add_products_wide(panel: &[f32], rows: usize, sum: &mut [f64]) {
    add_products_plain(panel, rows, sum);
}

#[inline(always)]
fn add_products_plain(panel: &[f32], rows: usize, sum: &mut [f64]) {
    let line = |i: usize| panel[i * PANEL..(i + 1) * PANEL].as_chunks::<LANES>().0;
    for i in (0..rows).step_by(TILE) {
        let left: [&[[f32; LANES]]; TILE] = std::array::from_fn(|k| line(i + k));
        for j in (0..=i).step_by(TILE) {
            let right: [&[[f32; LANES]]; TILE] = std::array::from_fn(|k| line(j + k));
            let mut lanes = [[[0.0_f32; LANES]; TILE]; TILE];
            for at in 0..PANEL / LANES {
                let b: [[f32; LANES]; TILE] = std::array::from_fn(|k| right[k][at]);
                for (a, lanes) in left.iter().zip(&mut lanes) {
                    let a = a[at];
                    for (b, lanes) in b.iter().zip(lanes) {
                        for l in 0..LANES {
                            lanes[l] += a[l] * b[l];
                        }
                    }
                }
            }
            for (p, lanes) in lanes.iter().enumerate() {
                for (q, lanes) in lanes.iter().enumerate() {
                    sum[(i + p) * rows + j + q] += folded(lanes);
                }
            }
        }
    }
}

/// The sum of the lanes: halves are added twice as they are, the rest in double precision.
#[inline(always)]
fn folded(lanes: &[f32; LANES]) -> f64 {
    let half: [f32; LANES / 2] = std::array::from_fn(|l| lanes[l] + lanes[l + LANES / 2]);
    let quarter: [f32; LANES / 4] = std::array::from_fn(|l| half[l] + half[l + LANES / 4]);
    quarter.iter().map(|x| f64::from(*x)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_double_precision() {
        let (models, columns) = (7, 1031);
        let values: Vec<f32> = (0..models * columns).map(|i| 3.0 + ((i * i % 997) as f32 * 0.1).sin()).collect();
        let losses = Losses::new(models, columns, values).expect("finite");
        let d = |t: usize| 0.5 + (t % 3) as f64;
        let means = losses.means();
        for across in [false, true] {
            let k = gram(&losses, &means, across, d);
            let x = |m: usize, t: usize| f64::from(losses.row(m)[t]) - means[m];
            let o = |t: usize| if across { (0..models).map(|m| x(m, t)).sum::<f64>() / models as f64 } else { 0.0 };
            for i in 0..models {
                for j in 0..models {
                    let exact: f64 = (0..columns).map(|t| d(t) * (x(i, t) - o(t)) * (x(j, t) - o(t))).sum();
                    let got = k[i * models + j];
                    assert!((got - exact).abs() < 1e-5 * k[i * models + i], "{i} {j}: {got} {exact}");
                }
            }
        }
        let panel: Vec<f32> = (0..8 * PANEL).map(|i| (i as f32 * 0.37).sin()).collect();
        let (mut plain, mut quick) = (vec![0.0; 64], vec![0.0; 64]);
        add_products_plain(&panel, 8, &mut plain);
        add_products(&panel, 8, &mut quick);
        assert_eq!(plain, quick, "the kernel's width changes no byte");
    }
}
