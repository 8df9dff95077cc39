//! How far a prediction may be off: models drawn anew, fitted anew.

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::bootstrap::{Bootstrap, Clusters, Interval};
use crate::{Config, Error, Prepared, Result, Target};

/// Predictions with limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bands {
    /// One for each model of the losses, or for each question to a forecast.
    pub accuracy: Vec<Interval>,
    /// Families that were drawn from; with fewer than five the limits are rough.
    pub families: usize,
    /// Replicates that count.
    pub replicates: usize,
    /// Replicates that could not be fitted, for example since all drawn models are alike.
    pub failed: usize,
}

impl Bands {
    /// Bands from the replicates' predictions, each as long as `values`.
    pub(crate) fn new(values: &[f64], drawn: Vec<Option<Vec<f64>>>, families: usize, by: &Bootstrap) -> Result<Self> {
        let total = drawn.len();
        let drawn: Vec<Vec<f64>> = drawn.into_iter().flatten().collect();
        if drawn.len() < total.div_ceil(2) {
            let problem = format!("{} of {total} draws of families could not be fitted", total - drawn.len());
            return Err(Error::Data { problem, hint: "give more models, or smaller families" });
        }
        let one = |(i, value): (usize, &f64)| {
            let mut column: Vec<f64> = drawn.iter().map(|values| values[i]).collect();
            let (low, high) = by.limits(&mut column);
            Interval { value: *value, low, high }
        };
        let accuracy = values.iter().enumerate().map(one).collect();
        Ok(Self { accuracy, families, replicates: drawn.len(), failed: total - drawn.len() })
    }
}

impl Prepared<'_> {
    /// Bands of every model's predicted accuracy, with families (`families[m]` is model m's label) drawn
    /// with replacement. With `residuals` — errors on models that were left out, such as
    /// [`Choice::residuals`](crate::Choice::residuals) — each draw is put off by one of them, and the
    /// band is where a new model's measured accuracy may lie; without, it is the curve's alone.
    pub fn bands(
        &self,
        target: &Target,
        train: &[usize],
        families: &[usize],
        config: &Config,
        residuals: Option<&[f64]>,
        bootstrap: &Bootstrap,
    ) -> Result<Bands> {
        bootstrap.validate()?;
        let clusters = Clusters::new(families, train)?;
        if residuals.is_some_and(|r| r.is_empty() || r.iter().any(|x| !x.is_finite())) {
            return Err(Error::Data { problem: "residuals are empty or not finite".into(), hint: "leave them out" });
        }
        let point = self.run(target, train, None, config, None)?;
        let values = self.predictions(&point);
        let drawn = (0..bootstrap.replicates)
            .into_par_iter()
            .map(|replicate| {
                let times = bootstrap.draw(replicate, &clusters);
                let state = self.run(target, train, Some(&times), config, Some(&point)).ok()?;
                let mut predicted = self.predictions(&state);
                if let Some(residuals) = residuals {
                    let mut random = bootstrap.random(replicate);
                    for x in &mut predicted {
                        *x = (*x - residuals[random.random_range(0..residuals.len())]).clamp(0.0, 1.0);
                    }
                }
                Some(predicted)
            })
            .collect();
        Bands::new(&values, drawn, clusters.count, bootstrap)
    }
}
