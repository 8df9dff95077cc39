//! The statistics that a comparison needs, one method a file. Quantiles and the binomial come from
//! `statrs`, adjustments for many tests from `irt::significance`.

mod attempts;
mod bootstrap;
mod by_cluster;
mod cluster;
mod mcnemar;
mod multiway;
mod permutation;
mod power;
#[cfg(test)]
mod simulated;
mod student;
mod ties;
mod wilson;

pub use attempts::{Attempts, attempts, pass_at_k};
pub use bootstrap::{Bootstrap, Limits, bootstrap};
pub use by_cluster::ByCluster;
pub use cluster::{Estimate, clustered_mean};
pub use mcnemar::{McNemar, mcnemar};
pub use multiway::{Score, groups, multiway};
pub use permutation::{Permutation, sign_flip};
pub use power::{detectable, needed, power, simulated_power};
pub use student::{Difference, student};
pub use ties::{letters, tied};
pub use wilson::{mean_interval, wilson};

/// Reference values from scipy and statsmodels; `goldens/make.py` makes the file.
#[cfg(test)]
pub(crate) fn golden() -> serde_json::Value {
    serde_json::from_str(include_str!("../goldens/statistics.json")).expect("the golden file is JSON")
}
