use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, Discrete, DiscreteCDF};

/// McNemar's test of the items that changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Wrong before and right after.
    pub gained: usize,
    /// Right before and wrong after.
    pub lost: usize,
    /// Two-sided exact p: min(1, 2 · P(X ≤ min(gained, lost))), X ~ Binomial(gained + lost, ½).
    pub exact: f64,
    /// Two-sided mid-p: the exact one less P(X = min), which comes nearer to its nominal level
    /// (Fagerland, Lydersen and Laake 2013).
    pub mid: f64,
}

/// Tests whether gains and losses are equally likely. Items count as independent here; with several
/// items a fact the clustered interval of [`crate::Estimate`] is the one to go by.
pub fn mcnemar(gained: usize, lost: usize) -> McNemar {
    let changed = (gained + lost) as u64;
    let less = gained.min(lost) as u64;
    let (exact, mid) = match Binomial::new(0.5, changed) {
        Ok(binomial) if changed > 0 => {
            let (cumulative, point) = (binomial.cdf(less), binomial.pmf(less));
            ((2.0 * cumulative).min(1.0), (2.0 * cumulative - point).min(1.0))
        }
        _ => (1.0, 1.0),
    };
    McNemar { gained, lost, exact, mid }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::golden;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn both_p_values_equal_statsmodels_and_scipy() {
        for case in golden()["mcnemar"].as_array().expect("cases") {
            let number = |name: &str| case[name].as_f64().expect("number");
            let test = mcnemar(number("gained") as usize, number("lost") as usize);
            for (got, name) in [(test.exact, "exact"), (test.mid, "mid")] {
                let want = number(name);
                assert!((got - want).abs() <= 1e-9 * want.max(1e-12), "{name} of {case}: {got}");
            }
        }
        assert_eq!(mcnemar(0, 0).mid, 1.0);
    }

    #[test]
    fn mid_p_errs_in_about_one_of_twenty_exams() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let exams = 4_000;
        let mut rejected = 0;
        for _ in 0..exams {
            let (mut gained, mut lost) = (0, 0);
            for _ in 0..200 {
                let p = rng.random::<f64>();
                match (rng.random::<f64>() < p, rng.random::<f64>() < p) {
                    (false, true) => gained += 1,
                    (true, false) => lost += 1,
                    _ => {}
                }
            }
            rejected += usize::from(mcnemar(gained, lost).mid < 0.05);
        }
        let share = rejected as f64 / exams as f64;
        assert!((0.03..=0.07).contains(&share), "{share}");
    }
}
