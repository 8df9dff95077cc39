use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::mml::{Rows, Table};
use crate::{Fit, Quadrature, Responses};

/// How a person's ability is estimated from the responses, items being known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Estimator {
    /// Maximum likelihood; none for the lowest and the highest possible scores.
    Mle,
    /// Mode of the posterior under the population's normal distribution.
    Map,
    /// Mean of the posterior under it.
    Eap,
    /// Warm's weighted likelihood: maximum likelihood without its first-order bias; always finite.
    Wle,
}

/// A person's place on the scale.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ability {
    /// θ.
    pub theta: f64,
    /// Its standard error; for the two posterior estimators the posterior's deviation.
    pub error: f64,
}

/// Ability is sought between −this and this.
const FAR: f64 = 12.0;

impl Fit {
    /// Abilities of all persons; none where the estimator has no finite value, or nothing was answered
    /// and there is no prior.
    pub fn abilities(&self, responses: &Responses, estimator: Estimator) -> Vec<Option<Ability>> {
        let categories: Vec<usize> = (0..responses.items()).map(|item| responses.categories(item)).collect();
        if estimator == Estimator::Eap {
            let steps: usize = categories.iter().map(|n| n - 1).sum();
            let quadrature = Quadrature::for_length(steps as f64).moved(self.population.0, self.population.1);
            let table = Table::new(self.model, &categories, &self.numbers, &quadrature);
            let rows = Rows::Persons(responses);
            return (0..responses.persons())
                .into_par_iter()
                .map_init(
                    || vec![0.0; quadrature.nodes.len()],
                    |posterior, person| {
                        table.posterior(&rows, person, posterior);
                        let mean: f64 = posterior.iter().zip(&quadrature.nodes).map(|(p, x)| p * x).sum();
                        let square: f64 =
                            posterior.iter().zip(&quadrature.nodes).map(|(p, x)| p * (x - mean).powi(2)).sum();
                        Some(Ability { theta: mean, error: square.sqrt() })
                    },
                )
                .collect();
        }
        (0..responses.persons())
            .into_par_iter()
            .map(|person| {
                let given: Vec<(usize, usize)> = responses.of(person).collect();
                self.ability(&given, estimator)
            })
            .collect()
    }

    /// Ability from (item, score) by any estimator but the posterior mean.
    pub(crate) fn ability(&self, given: &[(usize, usize)], estimator: Estimator) -> Option<Ability> {
        if given.is_empty() && estimator != Estimator::Map {
            return None;
        }
        let (mean, deviation) = self.population;
        let prior = if estimator == Estimator::Map { deviation.powi(-2) } else { 0.0 };
        let slope = |theta: f64| {
            let at = self.score(given, theta);
            let warm = if estimator == Estimator::Wle { at.bias / (2.0 * at.information) } else { 0.0 };
            at.slope + warm - prior * (theta - mean)
        };
        let (mut low, mut high) = (-FAR, FAR);
        // Where the slope does not change its sign there is no maximum inside.
        if !(slope(low) > 0.0 && slope(high) < 0.0) {
            return None;
        }
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if slope(middle) > 0.0 { low = middle } else { high = middle }
        }
        let theta = 0.5 * (low + high);
        let error = (self.score(given, theta).information + prior).powf(-0.5);
        Some(Ability { theta, error })
    }

    fn score(&self, given: &[(usize, usize)], theta: f64) -> Score {
        let mut sum = Score::default();
        for &(item, score) in given {
            let at = self.along(item, theta);
            sum.slope += at[score][1] / at[score][0];
            for [p, first, second] in at {
                sum.information += first * first / p;
                sum.bias += first * second / p;
            }
        }
        sum
    }

    /// Probabilities of an item's categories at θ, with two derivatives.
    pub(crate) fn along(&self, item: usize, theta: f64) -> Vec<[f64; 3]> {
        let mut out = vec![[0.0; 3]; self.items[item].difficulties.len() + 1];
        self.model.along(&self.numbers.own[item], &self.numbers.shared, theta, &mut out);
        out
    }

    /// Expected score of an item at θ.
    pub fn expected(&self, item: usize, theta: f64) -> f64 {
        self.along(item, theta).iter().enumerate().map(|(k, at)| k as f64 * at[0]).sum()
    }

    /// Fisher information of an item at θ: Σ P′² / P.
    pub fn information(&self, item: usize, theta: f64) -> f64 {
        self.along(item, theta).iter().map(|[p, first, _]| first * first / p).sum()
    }

    /// Share of the variance of estimates that is variance of ability: 1 − mean error² / variance.
    /// For posterior means: variance / (variance + mean error²).
    pub fn reliability(abilities: &[Option<Ability>], estimator: Estimator) -> Option<f64> {
        let known: Vec<Ability> = abilities.iter().flatten().copied().collect();
        let n = known.len() as f64;
        if known.len() < 2 {
            return None;
        }
        let mean = known.iter().map(|a| a.theta).sum::<f64>() / n;
        let variance = known.iter().map(|a| (a.theta - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let error = known.iter().map(|a| a.error.powi(2)).sum::<f64>() / n;
        Some(match estimator {
            Estimator::Eap | Estimator::Map => variance / (variance + error),
            Estimator::Mle | Estimator::Wle => (1.0 - error / variance).max(0.0),
        })
    }
}

/// Separation G = √(R / (1 − R)) of a reliability R: spread of ability in units of error.
pub fn separation(reliability: f64) -> f64 {
    (reliability / (1.0 - reliability)).sqrt()
}

#[derive(Default)]
struct Score {
    slope: f64,
    information: f64,
    /// Σ P′ P″ / P.
    bias: f64,
}
