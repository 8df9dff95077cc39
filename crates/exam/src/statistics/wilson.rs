use super::ByCluster;
use super::student::quantile;

/// The 0.975 quantile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's (1927) 95 % interval (low, high) of a share in [0, 1] seen in `n` independent trials:
/// (p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n). Without a trial it is (0, 1).
pub fn wilson(share: f64, n: usize) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    limits(share, n as f64, Z)
}

/// Wilson's interval at level 1 − `alpha` of a mean of scores in [0, 1] that are clustered and need not
/// be 0 or 1: with as many trials as would give the clustered standard error, n = x̄(1 − x̄) / SE², and
/// Student's quantile for G − 1 degrees of freedom. Where no cluster differs from another there are as
/// many trials as clusters. None below two clusters.
pub fn mean_interval(values: &ByCluster, alpha: f64) -> Option<(f64, f64)> {
    let (mean, error, clusters) = (values.mean().clamp(0.0, 1.0), values.standard_error()?, values.clusters() as f64);
    let trials = if error > 0.0 { mean * (1.0 - mean) / (error * error) } else { clusters };
    Some(limits(mean, trials, quantile(1.0 - alpha / 2.0, clusters - 1.0)))
}

fn limits(share: f64, n: f64, z: f64) -> (f64, f64) {
    let square = z * z / n;
    let centre = share + square / 2.0;
    let reach = z * (share * (1.0 - share) / n + square / (4.0 * n)).sqrt();
    (((centre - reach) / (1.0 + square)).max(0.0), ((centre + reach) / (1.0 + square)).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::golden;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn limits_equal_statsmodels() {
        for case in golden()["wilson"].as_array().expect("cases") {
            let number = |name: &str| case[name].as_f64().expect("number");
            let n = number("n") as usize;
            let (low, high) = wilson(number("right") / n as f64, n);
            assert!((low - number("low")).abs() < 1e-10 && (high - number("high")).abs() < 1e-10, "{case}");
        }
        assert_eq!(wilson(0.0, 0), (0.0, 1.0));
    }

    #[test]
    fn independent_items_and_clustered_ones() {
        let values = (0..200).map(|i| f64::from(u8::from(i % 10 == 0)));
        let found = mean_interval(&ByCluster::independent(values), 0.05).expect("clusters");
        let plain = wilson(0.1, 200);
        assert!((found.0 - plain.0).abs() < 1e-3 && (found.1 - plain.1).abs() < 1e-3, "{found:?} {plain:?}");
        // Each answer four times says no more than once.
        let copies = (0..200).flat_map(|i| [(i, f64::from(u8::from(i % 10 == 0))); 4]);
        let clustered = mean_interval(&ByCluster::new(copies), 0.05).expect("clusters");
        assert!((clustered.0 - found.0).abs() < 1e-9 && (clustered.1 - found.1).abs() < 1e-9);
        let all = mean_interval(&ByCluster::independent([1.0; 50]), 0.05).expect("clusters");
        assert!(all.0 > 0.9 && all.0 < 0.95 && all.1 == 1.0, "{all:?}");
    }

    #[test]
    fn the_interval_covers_shares_near_the_end() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let covered = (0..3000).filter(|_| {
            let values = (0..150).map(|_| f64::from(u8::from(random.random::<f64>() < 0.95)));
            let found = mean_interval(&ByCluster::independent(values), 0.05).expect("clusters");
            found.0 <= 0.95 && 0.95 <= found.1
        });
        let covered = covered.count() as f64 / 3000.0;
        assert!((0.93..0.975).contains(&covered), "{covered}");
    }
}
