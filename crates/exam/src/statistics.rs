//! The few statistics that a comparison needs. Quantiles and the binomial come from `statrs`.

mod cluster;
mod mcnemar;
mod wilson;

pub use cluster::{Estimate, clustered_mean};
pub use mcnemar::{McNemar, mcnemar};
pub use wilson::wilson;

/// Reference values from scipy and statsmodels; `goldens/make.py` makes the file.
#[cfg(test)]
pub(crate) fn golden() -> serde_json::Value {
    serde_json::from_str(include_str!("../goldens/statistics.json")).expect("the golden file is JSON")
}
