use rayon::prelude::*;

use super::{Numbers, Rows};
use crate::{Model, Quadrature};

/// Sets of rows that are summed apart and then added in order; fixed, so that the order of sums is.
const SHARES: usize = 32;

/// What the E step finds.
pub(crate) struct Expected {
    /// Expected count of each category of each item at each point: point fastest.
    pub counts: Vec<f64>,
    /// Where an item's counts begin.
    pub starts: Vec<usize>,
    /// Mean and standard deviation of ability over all persons' posteriors.
    pub ability: (f64, f64),
    /// Marginal log-likelihood.
    pub log_likelihood: f64,
}

impl Expected {
    pub fn new(
        model: Model,
        categories: &[usize],
        rows: &Rows<'_>,
        numbers: &Numbers,
        quadrature: &Quadrature,
    ) -> Self {
        let points = quadrature.nodes.len();
        let table = Table::new(model, categories, numbers, quadrature);
        let share = rows.len().div_ceil(SHARES).max(1);
        let shares: Vec<(Vec<f64>, Vec<f64>, f64)> = (0..rows.len().div_ceil(share))
            .into_par_iter()
            .map(|at| {
                let (mut counts, mut mass) = (vec![0.0; table.logs.len()], vec![0.0; points]);
                let mut posterior = vec![0.0; points];
                let mut sum = 0.0;
                for row in at * share..((at + 1) * share).min(rows.len()) {
                    let weight = rows.weight(row);
                    sum += weight * table.posterior(rows, row, &mut posterior);
                    posterior.iter_mut().for_each(|p| *p *= weight);
                    mass.iter_mut().zip(&posterior).for_each(|(to, p)| *to += p);
                    rows.cells(row, |item, category, part| {
                        let to = &mut counts[table.starts[item] + category * points..][..points];
                        to.iter_mut().zip(&posterior).for_each(|(to, p)| *to += part * p);
                    });
                }
                (counts, mass, sum)
            })
            .collect();
        let mut shares = shares.into_iter();
        let (mut counts, mut mass, mut log_likelihood) = shares.next().unwrap_or_default();
        for (more, more_mass, sum) in shares {
            counts.iter_mut().zip(more).for_each(|(to, more)| *to += more);
            mass.iter_mut().zip(more_mass).for_each(|(to, more)| *to += more);
            log_likelihood += sum;
        }
        let total: f64 = mass.iter().sum();
        let moment =
            |f: &dyn Fn(f64) -> f64| mass.iter().zip(&quadrature.nodes).map(|(m, x)| m * f(*x)).sum::<f64>() / total;
        let mean = moment(&|x| x);
        let deviation = moment(&|x| (x - mean).powi(2)).sqrt();
        Self { counts, starts: table.starts, ability: (mean, deviation), log_likelihood }
    }

    /// Counts of a category of an item at all points.
    pub fn of(&self, item: usize, category: usize, points: usize) -> &[f64] {
        &self.counts[self.starts[item] + category * points..][..points]
    }
}

/// log P of every category of every item at every point.
pub(crate) struct Table {
    pub logs: Vec<f64>,
    pub starts: Vec<usize>,
    pub log_weights: Vec<f64>,
}

impl Table {
    pub fn new(model: Model, categories: &[usize], numbers: &Numbers, quadrature: &Quadrature) -> Self {
        let points = quadrature.nodes.len();
        let mut starts = Vec::with_capacity(categories.len());
        let mut end = 0;
        for n in categories {
            starts.push(end);
            end += n * points;
        }
        let mut logs = vec![0.0; end];
        let mut pieces: Vec<&mut [f64]> = Vec::with_capacity(categories.len());
        let mut rest = &mut logs[..];
        for n in categories {
            let (piece, more) = rest.split_at_mut(n * points);
            pieces.push(piece);
            rest = more;
        }
        pieces.into_par_iter().zip(&numbers.own).for_each(|(piece, own)| {
            let n = piece.len() / points;
            let mut p = vec![0.0; n];
            let mut dp = vec![0.0; n * (own.len() + numbers.shared.len())];
            for (q, &theta) in quadrature.nodes.iter().enumerate() {
                model.probabilities(own, &numbers.shared, theta, &mut p, &mut dp);
                for (k, p) in p.iter().enumerate() {
                    piece[k * points + q] = p.max(f64::MIN_POSITIVE).ln();
                }
            }
        });
        Self { logs, starts, log_weights: quadrature.weights.iter().map(|w| w.ln()).collect() }
    }

    /// Posterior of a row's persons over the points; returns their mean log-likelihood.
    pub fn posterior(&self, rows: &Rows<'_>, row: usize, posterior: &mut [f64]) -> f64 {
        let points = posterior.len();
        posterior.copy_from_slice(&self.log_weights);
        rows.cells(row, |item, category, part| {
            let logs = &self.logs[self.starts[item] + category * points..][..points];
            posterior.iter_mut().zip(logs).for_each(|(to, log)| *to += part * log);
        });
        let most = posterior.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        posterior.iter_mut().for_each(|p| *p = (*p - most).exp());
        let sum: f64 = posterior.iter().sum();
        posterior.iter_mut().for_each(|p| *p /= sum);
        most + sum.ln()
    }
}
