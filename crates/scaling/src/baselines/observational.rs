//! Observational scaling laws (Ruan et al., 2024): abilities of models that exist tell of each other.

use serde::{Deserialize, Serialize};

use crate::curve::Logistic;
use crate::{Error, Level, Result, linear};

/// Principal components of other benchmarks' accuracies, then a sigmoid of the first few. To predict a
/// model it must have sat those other benchmarks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observational {
    /// Mean of each benchmark over the training models.
    means: Vec<f64>,
    /// components × benchmarks, over standardised accuracies: 0 for benchmarks that never differ.
    loadings: Vec<f64>,
    offset: f64,
    coefficients: Vec<f64>,
    floor: f64,
    ceiling: f64,
    /// Share of the benchmarks' variance that each component holds.
    pub explained: Vec<f64>,
}

impl Observational {
    /// `scores`: training models × benchmarks, the target not among them; `accuracy`: of the training
    /// models on the target.
    pub fn fit(
        scores: &[f64],
        benchmarks: usize,
        accuracy: &[f64],
        components: usize,
        floor: Level,
        ceiling: Level,
    ) -> Result<Self> {
        let models = accuracy.len();
        if scores.len() != models * benchmarks {
            return Err(Error::Length {
                what: "the matrix of benchmarks",
                got: scores.len(),
                expected: models * benchmarks,
            });
        }
        if let Some(at) = scores.iter().position(|x| !x.is_finite()) {
            let (model, column) = (format!("model {}", at / benchmarks), at % benchmarks);
            return Err(Error::NotFinite { what: "accuracy", model, column, value: scores[at] });
        }
        if components == 0 || components > benchmarks.min(models.saturating_sub(1)) {
            let problem = format!("is {components} for {models} models and {benchmarks} benchmarks");
            return Err(Error::Setting { setting: "components", problem });
        }
        let column = |b: usize| scores.iter().skip(b).step_by(benchmarks);
        let means: Vec<f64> = (0..benchmarks).map(|b| column(b).sum::<f64>() / models as f64).collect();
        let deviation = |b: usize| (column(b).map(|x| (x - means[b]).powi(2)).sum::<f64>() / models as f64).sqrt();
        let scale: Vec<f64> =
            (0..benchmarks).map(|b| if deviation(b) > 1e-9 { 1.0 / deviation(b) } else { 0.0 }).collect();
        let standard = |m: usize, b: usize| (scores[m * benchmarks + b] - means[b]) * scale[b];
        let mut product = vec![0.0; benchmarks * benchmarks];
        for m in 0..models {
            for i in 0..benchmarks {
                (0..benchmarks).for_each(|j| product[i * benchmarks + j] += standard(m, i) * standard(m, j));
            }
        }
        let (values, vectors) = linear::eigen(&product, benchmarks);
        let total: f64 = values.iter().map(|v| v.max(0.0)).sum();
        if total <= 0.0 {
            let problem = "no benchmark differs between models".to_string();
            return Err(Error::Data { problem, hint: "give other benchmarks or other models" });
        }
        let loading = |k: usize, b: usize| vectors[b * benchmarks + k] * scale[b];
        let loadings = (0..components).flat_map(|k| (0..benchmarks).map(move |b| (k, b))).map(|(k, b)| loading(k, b));
        let mut fit = Self {
            means,
            loadings: loadings.collect(),
            offset: 0.0,
            coefficients: vec![0.0; components],
            floor: 0.0,
            ceiling: 1.0,
            explained: values[..components].iter().map(|v| v.max(0.0) / total).collect(),
        };
        let features: Vec<f64> = scores.chunks_exact(benchmarks).flat_map(|row| fit.components(row)).collect();
        let ones = vec![1.0; models];
        // A breath of ridge keeps components that say nothing at 0 instead of anywhere.
        let ridge = vec![1e-6; components];
        let curve = Logistic::fit(&features, components, accuracy, &ones, &ridge, floor, ceiling, None)?;
        (fit.offset, fit.coefficients, fit.floor, fit.ceiling) =
            (curve.offset, curve.coefficients, curve.floor, curve.ceiling);
        Ok(fit)
    }

    /// The components of a model with these benchmarks.
    fn components(&self, row: &[f64]) -> Vec<f64> {
        let along = |loadings: &[f64]| -> f64 {
            loadings.iter().zip(row).zip(&self.means).map(|((l, x), mean)| l * (x - mean)).sum()
        };
        self.loadings.chunks_exact(self.means.len()).map(along).collect()
    }

    /// The accuracy on the target of a model with these other benchmarks.
    pub fn predict(&self, benchmarks: &[f64]) -> f64 {
        let sum: f64 = self.components(benchmarks).iter().zip(&self.coefficients).map(|(f, c)| f * c).sum();
        self.floor + (self.ceiling - self.floor) * crate::sigmoid(self.offset - sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_ability_is_read_from_other_benchmarks() {
        let ability: Vec<f64> = (0..30).map(|i| -2.0 + f64::from(i) * 0.13).collect();
        let bench = |a: f64, b: usize| match b {
            4 => 0.25,
            _ => crate::sigmoid(a * (0.6 + 0.2 * b as f64) - 0.3 * b as f64),
        };
        let scores: Vec<f64> = ability.iter().flat_map(|a| (0..5).map(move |b| bench(*a, b))).collect();
        let target: Vec<f64> = ability.iter().map(|a| 0.25 + 0.75 * crate::sigmoid(2.0 * a - 1.0)).collect();
        let (floor, ceiling) = (Level::Fixed(0.25), Level::Fixed(1.0));
        let fit = Observational::fit(&scores[..20 * 5], 5, &target[..20], 3, floor, ceiling).expect("fits");
        assert!(fit.explained[0] > 0.8, "{fit:?}");
        // The last ten are further than any that were seen.
        for m in 20..30 {
            let got = fit.predict(&scores[m * 5..(m + 1) * 5]);
            assert!((got - target[m]).abs() < 0.05, "{m}: {got} {}", target[m]);
        }
        assert!(matches!(
            Observational::fit(&[0.5; 20], 5, &[0.1, 0.2, 0.3, 0.4], 2, floor, ceiling),
            Err(Error::Accuracy { .. } | Error::Data { .. })
        ));
        assert!(Observational::fit(&[f64::NAN; 20], 5, &[0.5; 4], 2, floor, ceiling).is_err());
    }
}
