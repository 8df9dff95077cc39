//! Intervals by drawing models anew, whole families at a time.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How an interval is bootstrapped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bootstrap {
    /// How many times the data are drawn anew.
    pub replicates: usize,
    /// Share of the distribution that lies between the limits, above 0 and below 1.
    pub level: f64,
    /// Where the draws begin.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { replicates: 400, level: 0.95, seed: 0 }
    }
}

impl Bootstrap {
    /// The first setting that lies outside its range.
    pub fn validate(&self) -> Result<()> {
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(Error::Setting {
                setting: "level",
                problem: format!("is {}; give a share like 0.95", self.level),
            });
        }
        if self.replicates < 20 {
            let problem = format!("is {}; limits need at least 20", self.replicates);
            return Err(Error::Setting { setting: "replicates", problem });
        }
        Ok(())
    }

    /// Draws the labels of these models with replacement, as many as there are, and gives how often
    /// each model comes in.
    pub(crate) fn draw(&self, replicate: usize, clusters: &Clusters) -> Vec<f64> {
        // Each replicate has a stream of its own, so that their order does not matter.
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(replicate as u64 + 1);
        let mut times = vec![0.0; clusters.count];
        (0..clusters.count).for_each(|_| times[random.random_range(0..clusters.count)] += 1.0);
        clusters.of.iter().map(|&c| times[c]).collect()
    }

    /// A generator for whatever else a replicate draws.
    pub(crate) fn random(&self, replicate: usize) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ 0x5851_f42d_4c95_7f2d);
        random.set_stream(replicate as u64 + 1);
        random
    }

    /// The limits of `level` in these values, which are sorted on the way.
    pub(crate) fn limits(&self, values: &mut [f64]) -> (f64, f64) {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * (values.len() - 1) as f64;
            let (low, part) = (place.floor() as usize, place.fract());
            values[low] + part * (values[(low + 1).min(values.len() - 1)] - values[low])
        };
        (at((1.0 - self.level) / 2.0), at((1.0 + self.level) / 2.0))
    }
}

/// Which family each of some models belongs to, families counted from 0.
#[derive(Debug, Clone)]
pub(crate) struct Clusters {
    pub of: Vec<usize>,
    pub count: usize,
}

impl Clusters {
    /// Families of the models in `among` by their labels.
    pub fn new(labels: &[usize], among: &[usize]) -> Result<Self> {
        if let Some(m) = among.iter().find(|m| **m >= labels.len()) {
            return Err(Error::Length { what: "the list of families", got: labels.len(), expected: m + 1 });
        }
        let mut values: Vec<usize> = among.iter().map(|&m| labels[m]).collect();
        values.sort_unstable();
        values.dedup();
        let place = |label: usize| values.partition_point(|v| *v < label);
        if values.len() < 2 {
            let problem = format!("{} family cannot be drawn from", values.len());
            return Err(Error::Data { problem, hint: "label the models by something that differs, or each by itself" });
        }
        Ok(Self { of: among.iter().map(|&m| place(labels[m])).collect(), count: values.len() })
    }
}

/// A number and its limits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate from all data.
    pub value: f64,
    /// Lower limit.
    pub low: f64,
    /// Upper limit.
    pub high: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_come_as_a_whole() {
        let clusters = Clusters::new(&[7, 7, 3, 9, 3, 9, 9], &[0, 1, 2, 4, 6]).expect("three families");
        assert_eq!((clusters.of.clone(), clusters.count), (vec![1, 1, 0, 0, 2], 3));
        let draws: Vec<Vec<f64>> = (0..50).map(|r| Bootstrap::default().draw(r, &clusters)).collect();
        for times in &draws {
            assert_eq!((times[0], times[2]), (times[1], times[3]));
            assert_eq!(times[0] + times[2] + times[4], 3.0);
        }
        assert!(draws.windows(2).any(|w| w[0] != w[1]));
        assert!(Clusters::new(&[1, 1], &[0, 1]).is_err() && Clusters::new(&[1], &[1]).is_err());
        let mut values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let (low, high) = Bootstrap { level: 0.9, ..Bootstrap::default() }.limits(&mut values);
        assert!((low - 5.0).abs() < 1e-9 && (high - 95.0).abs() < 1e-9, "{low} {high}");
    }
}
