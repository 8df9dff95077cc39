use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::ByCluster;

/// A test by flipping signs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Permutation {
    /// Two-sided p: the share of flips at least as far from 0 as what was seen.
    pub p: f64,
    /// The same with flips just as far counted by half, which comes nearer to the nominal level where there
    /// are few different sums; p where flips were drawn or nothing differs.
    pub mid: f64,
    /// Whether all flips were counted; else p is an estimate from `flips` drawn ones.
    pub exact: bool,
    /// Flips drawn; 0 where all were counted.
    pub flips: usize,
}

/// So many clusters that are not 0 have all their flips counted one by one.
const FEW: usize = 14;
/// Sums that are whole multiples of 1/d, with at most so many steps in all, are counted by convolution.
const STEPS: usize = 50_000;
/// Sums that differ by less are equal.
const ROUNDING: f64 = 1e-6;

/// Tests whether the differences of two persons are symmetric around 0, the signs of whole clusters
/// being flipped: p is the share of flips whose |Σ s_g| is at least the one seen.
///
/// Exact at any size where the sums are multiples of 1/d with d ≤ 60, as right and wrong give them
/// (one item a cluster: McNemar's exact test), and where few clusters differ from 0; else from `flips`
/// drawn ones, p = (1 + at least as far) / (1 + flips) (Phipson and Smyth 2010).
pub fn sign_flip(values: &ByCluster, flips: usize, seed: u64) -> Permutation {
    let sums: Vec<f64> = values.sums().iter().map(|sum| sum.abs()).filter(|sum| *sum > 1e-9).collect();
    let seen = values.sums().iter().sum::<f64>().abs();
    let exact = |(further, as_far): (f64, f64)| {
        let p = (further + as_far).min(1.0);
        Permutation { p, mid: if sums.is_empty() { 1.0 } else { further + as_far / 2.0 }, exact: true, flips: 0 }
    };
    if let Some(shares) = by_convolution(&sums, seen) {
        return exact(shares);
    }
    let flipped = |signs: &dyn Fn(usize) -> bool| -> f64 {
        sums.iter().enumerate().map(|(at, sum)| if signs(at) { -sum } else { *sum }).sum::<f64>().abs()
    };
    if sums.len() <= FEW {
        let all = 1_usize << sums.len();
        let flips = (0..all).map(|bits| flipped(&|at| bits >> at & 1 == 1));
        let counts = flips.fold((0.0, 0.0), |counts, sum| tally(counts, sum - seen, 1.0));
        return exact((counts.0 / all as f64, counts.1 / all as f64));
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut bits = vec![0_u64; sums.len().div_ceil(64)];
    let far = (0..flips).filter(|_| {
        bits.iter_mut().for_each(|word| *word = random.next_u64());
        flipped(&|at| bits[at / 64] >> (at % 64) & 1 == 1) >= seen - ROUNDING
    });
    let p = (1 + far.count()) as f64 / (1 + flips) as f64;
    Permutation { p, mid: p, exact: false, flips }
}

/// Adds to what lies further than the sum that was seen, or to what lies as far.
fn tally((further, as_far): (f64, f64), beyond: f64, weight: f64) -> (f64, f64) {
    if beyond > ROUNDING {
        (further + weight, as_far)
    } else if beyond >= -ROUNDING {
        (further, as_far + weight)
    } else {
        (further, as_far)
    }
}

/// The distribution of Σ ± s_g, one cluster after the other, on the grid of which all s_g are multiples.
fn by_convolution(sums: &[f64], seen: f64) -> Option<(f64, f64)> {
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
    let beyond = |at: usize| (2.0 * at as f64 - most as f64).abs() / d - seen;
    Some(chances.iter().enumerate().fold((0.0, 0.0), |shares, (at, p)| tally(shares, beyond(at), *p)))
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
            let wanted = mcnemar(gained, lost);
            assert!(found.exact && (found.p - wanted.exact).abs() < 1e-10, "{gained} {lost} {found:?}");
            // Where both are equal, every flip is at least as far, and McNemar's mid-p counts 0 twice.
            assert!(gained == lost || (found.mid - wanted.mid).abs() < 1e-10, "{gained} {lost} {found:?}");
        }
        let nothing = sign_flip(&ByCluster::independent([0.0; 5]), 0, 1);
        assert_eq!((nothing.p, nothing.mid), (1.0, 1.0));
    }

    #[test]
    fn three_ways_agree() {
        // Sums on a grid, and nearly the same ones off every grid.
        let on = [0.5, 0.25, -0.25, 1.0, 0.75, 0.5, -0.5, 1.0, 0.25];
        let counted = sign_flip(&ByCluster::independent(on), 0, 1);
        let off = on.map(|value: f64| value * std::f64::consts::FRAC_1_SQRT_2);
        let listed = sign_flip(&ByCluster::independent(off), 0, 1);
        assert!(counted.exact && listed.exact && (counted.p - listed.p).abs() < 1e-12);
        assert!((counted.mid - listed.mid).abs() < 1e-12 && counted.mid < counted.p);
        // More clusters of the same kind: drawn.
        let many: Vec<f64> = (0..3).flat_map(|_| off).collect();
        let whole: Vec<f64> = (0..3).flat_map(|_| on.map(|value| value * 4.0)).collect();
        let drawn = sign_flip(&ByCluster::independent(many), 20_000, 5);
        let exact = sign_flip(&ByCluster::independent(whole), 0, 5);
        assert!(!drawn.exact && exact.exact);
        assert!((drawn.p - exact.p).abs() < 4.0 * (exact.p / 20_000.0).sqrt(), "{drawn:?} {exact:?}");
    }

    #[test]
    fn equal_persons_are_told_apart_in_one_of_twenty_exams() {
        let level = share(2000, |seed| sign_flip(&twins(40, 1, 0.0, seed), 0, seed).mid < 0.05);
        let strict = share(2000, |seed| sign_flip(&twins(40, 1, 0.0, seed), 0, seed).p < 0.05);
        let power = share(300, |seed| sign_flip(&twins(40, 3, 0.2, seed), 0, seed).p < 0.05);
        assert!((0.03..0.07).contains(&level) && strict < level && power > 0.8, "{level} {strict} {power}");
    }
}
