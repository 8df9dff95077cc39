use serde::{Deserialize, Serialize};

/// Chance that at least one of k attempts is right, from n attempts of which c were: the unbiased
/// estimate 1 − C(n − c, k) / C(n, k) (Chen and others 2021). None where n < k or k = 0.
pub fn pass_at_k(n: usize, c: usize, k: usize) -> Option<f64> {
    if k == 0 || n < k || c > n {
        return None;
    }
    // C(n − c, k) / C(n, k) = Π_{i < c} (n − k − i) / (n − i), 0 once k wrong ones cannot be had.
    let wrong = (0..c).map(|i| n.saturating_sub(k + i) as f64 / (n - i) as f64).product::<f64>();
    Some(1.0 - wrong)
}

/// What of the uncertainty of a mean score is chance in attempts, and what is choice of items.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Attempts {
    /// Items.
    pub items: usize,
    /// Attempts in all.
    pub attempts: usize,
    /// Mean over items of the mean of their attempts.
    pub mean: f64,
    /// Its standard error, items being a sample; attempts are part of it.
    pub standard_error: f64,
    /// The part of it that more attempts at the same items would take away:
    /// √(Σ_i s_i² / n_i) / items, with s_i² pooled over the items that have several attempts.
    pub of_attempts: f64,
    /// Variance of attempts at an item, pooled.
    pub within: f64,
    /// Variance of the items' true means: variance of their means less what attempts put into it, at
    /// least 0.
    pub between: f64,
}

/// Splits the variance of repeated attempts, item by item. None below two items, or where no item has
/// two attempts.
pub fn attempts<'a>(items: impl IntoIterator<Item = &'a [f64]>) -> Option<Attempts> {
    let items: Vec<&[f64]> = items.into_iter().filter(|scores| !scores.is_empty()).collect();
    let count = items.len() as f64;
    let mean_of = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
    let means: Vec<f64> = items.iter().map(|scores| mean_of(scores)).collect();
    let (mut squares, mut freedom) = (0.0, 0.0);
    for (scores, mean) in items.iter().zip(&means) {
        squares += scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>();
        freedom += scores.len() as f64 - 1.0;
    }
    if items.len() < 2 || freedom == 0.0 {
        return None;
    }
    let within = squares / freedom;
    let mean = means.iter().sum::<f64>() / count;
    let spread = means.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let chance = items.iter().map(|scores| within / scores.len() as f64).sum::<f64>() / count;
    Some(Attempts {
        items: items.len(),
        attempts: items.iter().map(|scores| scores.len()).sum(),
        mean,
        standard_error: (spread / count).sqrt(),
        of_attempts: (chance / count).sqrt(),
        within,
        between: (spread - chance).max(0.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn pass_at_k_is_the_share_of_draws_that_hold_a_right_one() {
        assert_eq!(pass_at_k(5, 0, 2), Some(0.0));
        assert_eq!(pass_at_k(5, 4, 2), Some(1.0));
        // 1 − C(3,2)/C(5,2) = 0.7.
        assert!((pass_at_k(5, 2, 2).expect("enough") - 0.7).abs() < 1e-12);
        assert!((pass_at_k(10, 3, 1).expect("enough") - 0.3).abs() < 1e-12);
        assert_eq!((pass_at_k(2, 1, 3), pass_at_k(2, 1, 0)), (None, None));
        // Unbiased: the mean over binomial counts is 1 − (1 − p)^k.
        let (p, n, k) = (0.2_f64, 6_usize, 3_usize);
        let choose = |c: usize| (0..c).map(|i| (n - i) as f64 / (i + 1) as f64).product::<f64>();
        let chance = |c: usize| choose(c) * p.powi(c as i32) * (1.0 - p).powi((n - c) as i32);
        let mean: f64 = (0..=n).map(|c| chance(c) * pass_at_k(n, c, k).expect("enough")).sum();
        assert!((mean - (1.0 - 0.8_f64.powi(3))).abs() < 1e-12, "{mean}");
    }

    #[test]
    fn both_variances_come_back() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(2);
        // Chances of 0.2 or 0.8: between 0.09, within 0.16.
        let scores: Vec<Vec<f64>> = (0..4000)
            .map(|item| {
                let chance = if item % 2 == 0 { 0.2 } else { 0.8 };
                (0..2 + item % 4).map(|_| f64::from(u8::from(random.random::<f64>() < chance))).collect()
            })
            .collect();
        let found = attempts(scores.iter().map(Vec::as_slice)).expect("several");
        assert!((found.within - 0.16).abs() < 0.005 && (found.between - 0.09).abs() < 0.01, "{found:?}");
        assert!(found.of_attempts < found.standard_error);
        assert!(attempts([[1.0].as_slice(), &[0.0]]).is_none());
        assert!(attempts([[1.0, 0.0].as_slice()]).is_none());
    }
}
