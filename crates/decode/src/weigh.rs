//! Numbers that scores become: mean and deviation, softmax, draws.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Mean and population standard deviation; zeros for nothing. Equal values give exactly that value
/// and exactly 0, so that a threshold of μ − kσ never prunes one of them by rounding.
pub(crate) fn mean_deviation(values: &[f64]) -> (f64, f64) {
    let Some(first) = values.first() else { return (0.0, 0.0) };
    let n = values.len() as f64;
    let mean = first + values.iter().map(|v| v - first).sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

/// softmax(v / τ): p_i = exp((v_i − max v) / τ) / Σ. The largest value is subtracted first, so
/// nothing overflows however small τ is.
pub(crate) fn softmax(values: &[f64], temperature: f64) -> Vec<f64> {
    let largest = values.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
    let weights: Vec<f64> = values.iter().map(|v| ((v - largest) / temperature).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|w| w / total).collect()
}

/// Draws `count` places without replacement, each in proportion to its probability among those that
/// are left; where nothing but zeros is left, the lowest place. In the order of the draws.
pub(crate) fn draw(probabilities: &[f64], count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut left: Vec<usize> = (0..probabilities.len()).collect();
    let mut drawn = Vec::new();
    while drawn.len() < count && !left.is_empty() {
        let total: f64 = left.iter().map(|i| probabilities[*i]).sum();
        let mut rest = rng.random::<f64>() * total;
        let mut at = None;
        for (place, i) in left.iter().enumerate() {
            let p = probabilities[*i];
            if p > 0.0 {
                // The last place that has a chance takes what rounding leaves over.
                at = Some(place);
                rest -= p;
                if rest < 0.0 {
                    break;
                }
            }
        }
        drawn.push(left.remove(at.unwrap_or(0)));
    }
    drawn
}

/// The place of the largest value; the first among equals.
pub(crate) fn largest(values: &[f64]) -> Option<usize> {
    (0..values.len()).reduce(|best, i| if values[i] > values[best] { i } else { best })
}

/// All places, the largest value first; equal ones in order.
pub(crate) fn ranked(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]).then(a.cmp(b)));
    order
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn equal_values_have_no_deviation_at_all() {
        for value in [-0.1, -1.0 / 3.0, -7.123456789] {
            for n in 1..40 {
                assert_eq!(mean_deviation(&vec![value; n]), (value, 0.0));
            }
        }
        let (mean, deviation) = mean_deviation(&[-1.0, -3.0]);
        assert_eq!((mean, deviation), (-2.0, 1.0));
    }

    #[test]
    fn softmax_sums_to_one_where_plain_exponentials_overflow_or_vanish() {
        for values in [vec![1e6, 1e6 - 1.0], vec![-1e6, -1e6 + 1.0], vec![0.0; 7], vec![-0.3]] {
            for temperature in [1e-3, 0.1, 0.6, 1.0] {
                let p = softmax(&values, temperature);
                assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{p:?}");
                assert_eq!(largest(&p), largest(&values), "the better is never the less probable");
            }
        }
        let p = softmax(&[0.0, 0.6], 0.6);
        assert!((p[1] / p[0] - 1f64.exp()).abs() < 1e-12);
    }

    #[test]
    fn draws_follow_the_probabilities_and_never_repeat() {
        let p = [0.5, 0.3, 0.2, 0.0];
        let mut first = [0f64; 4];
        let mut second_after_first = 0f64;
        let n = 20_000;
        for seed in 0..n {
            let drawn = draw(&p, 4, &mut ChaCha8Rng::seed_from_u64(seed));
            let mut sorted = drawn.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
            assert_eq!(drawn[3], 3, "what has no chance comes last");
            first[drawn[0]] += 1.0 / n as f64;
            second_after_first += f64::from(u8::from(drawn[0] == 0 && drawn[1] == 1)) / n as f64;
        }
        for (share, p) in first.iter().zip(p) {
            assert!((share - p).abs() < 0.015, "{first:?}");
        }
        assert!((second_after_first - 0.5 * 0.6).abs() < 0.015, "{second_after_first}");
    }
}
