//! λ, chosen inside the training set: by leaving out one family, or the largest size, at a time.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Config, Error, Prepared, Result, Split, Target};

/// What leaving models out says of λ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The λ with the least error on models that were left out.
    pub lambda: f64,
    /// The values that were tried, smallest first.
    pub grid: Vec<f64>,
    /// Mean absolute error of each, over tasks and left-out models.
    pub errors: Vec<f64>,
    /// ŷ − y at the chosen λ for each task, fold after fold: how far predictions of unseen families go
    /// astray. [`Prepared::bands`] draws from them.
    pub residuals: Vec<Vec<f64>>,
    /// Whether the best value stands at an end of the grid, so that a wider one may do better.
    pub at_end: bool,
}

impl Prepared<'_> {
    /// Tries every λ of `grid` on every fold for all tasks together, and takes the one with the least
    /// mean absolute error on the folds' test models. Tasks that share a λ choose it more steadily than
    /// one alone. The folds must lie inside the training set of what is predicted afterwards.
    pub fn choose(&self, targets: &[Target], folds: &[Split], config: &Config, grid: &[f64]) -> Result<Choice> {
        let mut grid = grid.to_vec();
        grid.sort_by(f64::total_cmp);
        if grid.is_empty() || grid.iter().any(|l| !l.is_finite() || *l < 0.0) {
            return Err(Error::Setting { setting: "grid", problem: "must hold values of 0 or more".into() });
        }
        if targets.is_empty() || folds.is_empty() {
            let problem = format!("{} tasks and {} folds choose no λ", targets.len(), folds.len());
            return Err(Error::Data { problem, hint: "give at least one of each" });
        }
        let jobs: Vec<(&Target, &Split)> = targets.iter().flat_map(|t| folds.iter().map(move |f| (t, f))).collect();
        // Residuals of each job: λ × test models.
        let tried: Vec<Vec<Vec<f64>>> = jobs
            .par_iter()
            .map(|(target, fold)| {
                // Test models of a fold are looked at like training models.
                target.scales(self.losses, &fold.test, None)?;
                // From the smoothest to the roughest, each begun where the last one ended.
                let (mut path, mut warm) = (Vec::new(), None);
                for lambda in grid.iter().rev() {
                    let config = Config { lambda: *lambda, ..config.clone() };
                    let state = self.run(target, &fold.train, None, &config, warm.as_ref())?;
                    let predicted = self.predictions(&state);
                    path.push(fold.test.iter().map(|&m| predicted[m] - target.accuracy[m]).collect());
                    warm = Some(state);
                }
                path.reverse();
                Ok(path)
            })
            .collect::<Result<_>>()?;
        let count: usize = jobs.iter().map(|(_, fold)| fold.test.len()).sum();
        let error = |l: usize| {
            let sum: f64 = tried.iter().flat_map(|path| &path[l]).map(|r: &f64| r.abs()).sum();
            sum / count as f64
        };
        let errors: Vec<f64> = (0..grid.len()).map(error).collect();
        // Of equals the largest, which is the simplest.
        let best = (0..grid.len()).rev().min_by(|&a, &b| errors[a].total_cmp(&errors[b])).unwrap_or(0);
        let residuals = tried.chunks(folds.len()).map(|of| of.iter().flat_map(|path| path[best].clone()).collect());
        let residuals = residuals.collect();
        let at_end = grid.len() > 1 && (best == 0 || best + 1 == grid.len());
        Ok(Choice { lambda: grid[best], grid, errors, residuals, at_end })
    }
}
