//! Exams whose truth is known, for the tests of this folder.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::ByCluster;

/// Differences of two persons who are right or wrong on `clusters` times `size` items. Difficulties
/// are anywhere; which of both is better at a cluster's items is shared by these; the first is better
/// by `better` on average, exactly.
pub(crate) fn twins(clusters: usize, size: usize, better: f64, seed: u64) -> ByCluster {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut values = Vec::with_capacity(clusters * size);
    for cluster in 0..clusters {
        // Chances stay within [0, 1], so that the mean difference is what was asked for.
        let middle = 0.3 + 0.4 * random.random::<f64>();
        let lean = 0.2 * (2.0 * random.random::<f64>() - 1.0);
        for _ in 0..size {
            let mut right = |chance: f64| f64::from(u8::from(random.random::<f64>() < chance));
            let (first, second) = (middle + (lean + better) / 2.0, middle - (lean + better) / 2.0);
            values.push((cluster, right(first) - right(second)));
        }
    }
    ByCluster::new(values)
}

/// Share of the seeds 0 to `count` for which something holds.
pub(crate) fn share(count: u64, holds: impl Fn(u64) -> bool) -> f64 {
    (0..count).filter(|seed| holds(*seed)).count() as f64 / count as f64
}
