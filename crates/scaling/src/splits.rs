//! Which models are learnt from and which are predicted.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Two sets of models, by index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// What is held out, in words.
    pub name: String,
    /// Models to learn from.
    pub train: Vec<usize>,
    /// Models to predict.
    pub test: Vec<usize>,
}

impl Split {
    fn checked(self) -> Result<Self> {
        if self.train.is_empty() || self.test.is_empty() {
            let problem = format!(
                "split {} leaves {} models to learn from and {} to predict",
                self.name,
                self.train.len(),
                self.test.len()
            );
            return Err(Error::Data { problem, hint: "hold out something that some models have and others have not" });
        }
        Ok(self)
    }
}

/// `folds` random parts of equal size (±1) of the models in `among`, each held out once.
pub fn random(among: &[usize], folds: usize, seed: u64) -> Result<Vec<Split>> {
    if folds < 2 || folds > among.len() {
        let problem = format!("is {folds} for {} models; give 2 to that many", among.len());
        return Err(Error::Setting { setting: "folds", problem });
    }
    let mut order = among.to_vec();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let fold = |k: usize| {
        let of = |keep: &dyn Fn(usize) -> bool| {
            let mut some: Vec<usize> = (0..order.len()).filter(|i| keep(i % folds)).map(|i| order[i]).collect();
            some.sort_unstable();
            some
        };
        Split { name: format!("random part {k}"), train: of(&|f| f != k), test: of(&|f| f == k) }.checked()
    };
    (0..folds).map(fold).collect()
}

/// Holds out the models with one label: a training distribution, a family. Only models in `among` are
/// taken.
pub fn hold_out<L: PartialEq + std::fmt::Display>(labels: &[L], among: &[usize], value: &L) -> Result<Split> {
    let (test, train) = among.iter().partition(|m| labels[**m] == *value);
    Split { name: format!("without {value}"), train, test }.checked()
}

/// Holds out each label among the models once.
pub fn leave_one_out<L: Ord + std::fmt::Display>(labels: &[L], among: &[usize]) -> Result<Vec<Split>> {
    let mut values: Vec<&L> = among.iter().map(|m| &labels[*m]).collect();
    values.sort();
    values.dedup();
    values.into_iter().map(|value| hold_out(labels, among, value)).collect()
}

/// Holds out the models larger than `limit`: extrapolation.
pub fn larger(sizes: &[f64], among: &[usize], limit: f64) -> Result<Split> {
    let (test, train) = among.iter().partition(|m| sizes[**m] > limit);
    Split { name: format!("larger than {limit:.1e}"), train, test }.checked()
}

/// Extrapolation inside a training set: for every size but the `least` smallest, learns from all
/// smaller models and predicts those of that size.
pub fn growing(sizes: &[f64], among: &[usize], least: usize) -> Result<Vec<Split>> {
    let mut steps: Vec<f64> = among.iter().map(|m| sizes[*m]).collect();
    steps.sort_by(f64::total_cmp);
    steps.dedup();
    if least == 0 || steps.len() <= least {
        let problem = format!("is {least} for {} sizes", steps.len());
        return Err(Error::Setting { setting: "least", problem });
    }
    let upto = |size: f64| {
        let within: Vec<usize> = among.iter().copied().filter(|m| sizes[*m] <= size).collect();
        let (test, train) = within.iter().partition(|m| sizes[**m] == size);
        Split { name: format!("up to {size:.1e}"), train, test }.checked()
    };
    steps[least..].iter().map(|size| upto(*size)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_held_out_once() {
        let among = [0, 2, 3, 5, 7, 8, 9];
        for splits in [
            random(&among, 3, 1).expect("three"),
            leave_one_out(&["a", "b", "a", "c", "", "b", "", "a", "c", "b"], &among).expect("labels"),
        ] {
            let mut tested: Vec<usize> = splits.iter().flat_map(|s| s.test.clone()).collect();
            tested.sort_unstable();
            assert_eq!(tested, among);
            for split in &splits {
                assert_eq!(split.train.len() + split.test.len(), among.len());
                assert!(split.train.iter().all(|m| !split.test.contains(m)));
            }
        }
        assert_eq!(random(&among, 3, 1).expect("three"), random(&among, 3, 1).expect("three"));
        assert!(random(&among, 8, 1).is_err() && leave_one_out(&["a"; 10], &among).is_err());
    }

    #[test]
    fn sizes_grow() {
        let sizes = [1.0, 1.0, 2.0, 3.0, 3.0, 9.0];
        let all = [0, 1, 2, 3, 4, 5];
        let splits = growing(&sizes, &all, 2).expect("four sizes");
        assert_eq!((splits[0].train.clone(), splits[0].test.clone()), (vec![0, 1, 2], vec![3, 4]));
        assert_eq!((splits[1].train.len(), splits[1].test.clone()), (5, vec![5]));
        assert_eq!(larger(&sizes, &all, 2.5).expect("some").test, [3, 4, 5]);
        assert!(larger(&sizes, &all, 10.0).is_err());
    }
}
