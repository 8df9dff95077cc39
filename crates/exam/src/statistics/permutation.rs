use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::ByCluster;

/// A test by flipping signs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Permutation {
    /// Two-sided p.
    pub p: f64,
    /// Whether all flips were counted; else p is an estimate from `flips` drawn ones.
    pub exact: bool,
    /// Flips drawn; 0 where all were counted.
    pub flips: usize,
}

/// So many clusters that are not 0 have all their flips counted one by one.
const FEW: usize = 14;
/// Sums that are whole multiples of 1/d, with at most so many steps in all, are counted by convolution.
const STEPS: usize = 50_000;

/// Tests whether the differences of two persons are symmetric around 0, the signs of whole clusters
/// being flipped: p is the share of flips whose |Σ s_g| is at least the one seen.
///
/// Exact at any size where the sums are multiples of 1/d with d ≤ 60, as right and wrong give them
/// (one item a cluster: McNemar's exact test), and where few clusters differ from 0; else from `flips`
/// drawn ones, p = (1 + as far) / (1 + flips) (Phipson and Smyth 2010).
pub fn sign_flip(values: &ByCluster, flips: usize, seed: u64) -> Permutation {
    let sums: Vec<f64> = values.sums().iter().map(|sum| sum.abs()).filter(|sum| *sum > 1e-9).collect();
    // Rounding must not make a tie a difference.
    let seen = values.sums().iter().sum::<f64>().abs() - 1e-6;
    if let Some(p) = by_convolution(&sums, seen) {
        return Permutation { p, exact: true, flips: 0 };
    }
    let flipped = |signs: &dyn Fn(usize) -> bool| -> bool {
        let sum: f64 = sums.iter().enumerate().map(|(at, sum)| if signs(at) { -sum } else { *sum }).sum();
        sum.abs() >= seen
    };
    if sums.len() <= FEW {
        let all = 1_usize << sums.len();
        let far = (0..all).filter(|bits| flipped(&|at| bits >> at & 1 == 1)).count();
        return Permutation { p: far as f64 / all as f64, exact: true, flips: 0 };
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut bits = vec![0_u64; sums.len().div_ceil(64)];
    let far = (0..flips).filter(|_| {
        bits.iter_mut().for_each(|word| *word = random.next_u64());
        flipped(&|at| bits[at / 64] >> (at % 64) & 1 == 1)
    });
    let far = far.count();
    Permutation { p: (1 + far) as f64 / (1 + flips) as f64, exact: false, flips }
}

/// The distribution of Σ ± s_g, one cluster after the other, on the grid of which all s_g are multiples.
fn by_convolution(sums: &[f64], seen: f64) -> Option<f64> {
    let whole = |d: f64| sums.iter().all(|sum| (sum * d - (sum * d).round()).abs() < 1e-4);
    let d = (1..=60).map(f64::from).find(|d| whole(*d))?;
    let steps: Vec<usize> = sums.iter().map(|sum| (sum * d).round() as usize).collect();
    let most: usize = steps.iter().sum();
    if most > STEPS || most * sums.len() > 1000 * STEPS {
        return None;
    }
    // What the clusters that were not flipped add up to: Σ ± s = 2 · that − Σ s.
    let mut chances = vec![0.0; most + 1];
    chances[0] = 1.0;
    let mut reached = 0;
    for step in steps {
        for at in (0..=reached).rev() {
            let half = 0.5 * chances[at];
            chances[at] = half;
            chances[at + step] += half;
        }
        reached += step;
    }
    let far = |at: usize| (2.0 * at as f64 - most as f64).abs() / d >= seen;
    Some(chances.iter().enumerate().filter(|(at, _)| far(*at)).map(|(_, p)| p).sum::<f64>().min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcnemar;
    use crate::statistics::simulated::{share, twins};

    #[test]
    fn one_item_a_cluster_is_mcnemars_exact_test() {
        for (gained, lost) in [(10, 4), (0, 8), (3, 3), (124, 90)] {
            let values = std::iter::repeat_n(1.0, gained).chain(std::iter::repeat_n(-1.0, lost)).chain([0.0; 20]);
            let found = sign_flip(&ByCluster::independent(values), 0, 1);
            assert!(found.exact && (found.p - mcnemar(gained, lost).exact).abs() < 1e-10, "{gained} {lost} {found:?}");
        }
        assert_eq!(sign_flip(&ByCluster::independent([0.0; 5]), 0, 1).p, 1.0);
    }

    #[test]
    fn three_ways_agree() {
        // Sums on a grid, and nearly the same ones off every grid.
        let on = [0.5, 0.25, -0.25, 1.0, 0.75, 0.5, -0.5, 1.0, 0.25];
        let counted = sign_flip(&ByCluster::independent(on), 0, 1);
        let off = on.map(|value: f64| value * std::f64::consts::FRAC_1_SQRT_2);
        let listed = sign_flip(&ByCluster::independent(off), 0, 1);
        assert!(counted.exact && listed.exact && (counted.p - listed.p).abs() < 1e-12);
        // More clusters of the same kind: drawn.
        let many: Vec<f64> = (0..3).flat_map(|_| off).collect();
        let whole: Vec<f64> = (0..3).flat_map(|_| on.map(|value| value * 4.0)).collect();
        let drawn = sign_flip(&ByCluster::independent(many), 20_000, 5);
        let exact = sign_flip(&ByCluster::independent(whole), 0, 5);
        assert!(!drawn.exact && exact.exact);
        assert!((drawn.p - exact.p).abs() < 4.0 * (exact.p / 20_000.0).sqrt(), "{drawn:?} {exact:?}");
    }

    #[test]
    fn equal_persons_are_told_apart_in_at_most_one_of_twenty_exams() {
        let level = share(2000, |seed| sign_flip(&twins(40, 3, 0.0, seed), 0, seed).p < 0.05);
        let power = share(300, |seed| sign_flip(&twins(40, 3, 0.2, seed), 0, seed).p < 0.05);
        assert!((0.03..0.07).contains(&level) && power > 0.8, "{level} {power}");
    }
}
