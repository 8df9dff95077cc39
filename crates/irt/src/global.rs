//! Does the model as a whole describe the responses? Tests with known distributions.

use serde::{Deserialize, Serialize};

use crate::mml::invert;
use crate::significance::chi_square;
use crate::{Error, Fit, Quadrature, Responses, Result, cml};

/// A statistic that is χ² distributed if the model is right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// Its value.
    pub statistic: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// Probability of a larger value if the model is right.
    pub p: f64,
}

impl Test {
    fn new(statistic: f64, df: f64) -> Self {
        Self { statistic, df, p: chi_square(statistic, df) }
    }
}

/// Andersen's likelihood-ratio test (1973) of the Rasch and partial credit models: are difficulties the
/// same in groups of persons? 2 (Σ_g ln L_g − ln L) by conditional likelihood. `group` numbers each
/// person's group from 0; see [`by_raw_score`]. An item that a group answers all alike cannot be
/// compared, and is an error that says so.
pub fn andersen(responses: &Responses, group: &[usize]) -> Result<Test> {
    let groups = group.iter().max().map_or(0, |most| most + 1);
    if groups < 2 {
        return Err(Error::Data { problem: "there is one group only".into(), hint: "give at least two" });
    }
    let all = cml(responses, 1e-8, 2000)?;
    let mut sum = 0.0;
    for wanted in 0..groups {
        sum += cml(&responses.select(|person| group[person] == wanted), 1e-8, 2000)?.log_likelihood;
    }
    let steps: usize = all.difficulties.iter().map(Vec::len).sum();
    Ok(Test::new(2.0 * (sum - all.log_likelihood), ((groups - 1) * (steps - 1)) as f64))
}

/// Groups for [`andersen`]: raw scores at most the median, and above it. The lowest and the highest possible
/// scores say nothing about items and do not count for the median.
pub fn by_raw_score(responses: &Responses) -> Vec<usize> {
    let raw: Vec<usize> = (0..responses.persons()).map(|person| responses.raw(person)).collect();
    let most = |person: usize| responses.of(person).map(|(item, _)| responses.categories(item) - 1).sum::<usize>();
    let mut sorted: Vec<usize> =
        raw.iter().enumerate().filter(|(person, raw)| (1..most(*person)).contains(*raw)).map(|(_, raw)| *raw).collect();
    sorted.sort_unstable();
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
    // A median that is the greatest would leave one group empty.
    let cut = if sorted.last() == Some(&median) { median - 1 } else { median };
    raw.iter().map(|&raw| usize::from(raw > cut)).collect()
}

impl Fit {
    /// S-X² of each item (Orlando and Thissen 2000; Kang and Chen 2008): observed against expected
    /// shares of each category among persons of equal raw score. Persons with gaps are left out; score
    /// groups are joined with their neighbour until every expected count is at least 1. None where no
    /// degree of freedom is left.
    pub fn s_x2(&self, responses: &Responses) -> Vec<Option<Test>> {
        let items = responses.items();
        let quadrature = Quadrature::normal(61).moved(self.population.0, self.population.1);
        let complete: Vec<usize> =
            (0..responses.persons()).filter(|&person| responses.of(person).len() == items).collect();
        let steps: Vec<usize> = (0..items).map(|item| responses.categories(item) - 1).collect();
        let most: usize = steps.iter().sum();
        // Observed counts: score × category.
        let mut seen: Vec<Vec<Vec<f64>>> = steps.iter().map(|m| vec![vec![0.0; m + 1]; most + 1]).collect();
        for &person in &complete {
            let raw = responses.raw(person);
            responses.of(person).for_each(|(item, score)| seen[item][raw][score] += 1.0);
        }
        let mut expected: Vec<Vec<Vec<f64>>> = steps.iter().map(|m| vec![vec![0.0; m + 1]; most + 1]).collect();
        for (theta, weight) in quadrature.nodes.iter().zip(&quadrature.weights) {
            let p: Vec<Vec<f64>> =
                (0..items).map(|item| self.along(item, *theta).iter().map(|at| at[0]).collect()).collect();
            for (item, rest) in without_each(&p).into_iter().enumerate() {
                for (category, p) in p[item].iter().enumerate() {
                    for (score, rest) in rest.iter().enumerate() {
                        expected[item][score + category][category] += weight * p * rest;
                    }
                }
            }
        }
        (0..items)
            .map(|item| {
                let m = steps[item];
                let shared = self.numbers.shared.len() as f64 / items as f64;
                let parameters = self.numbers.own[item].len() as f64 + shared;
                // Rows of (expected shares, observed counts), joined until all cells are large enough.
                let mut rows: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
                let mut open: Option<(Vec<f64>, Vec<f64>)> = None;
                for score in 1..most {
                    let n: f64 = seen[item][score].iter().sum();
                    let total: f64 = expected[item][score].iter().sum();
                    let counts = expected[item][score].iter().map(|e| n * e / total.max(1e-300)).collect::<Vec<_>>();
                    let (e, o) = open.get_or_insert_with(|| (vec![0.0; m + 1], vec![0.0; m + 1]));
                    e.iter_mut().zip(counts).for_each(|(to, more)| *to += more);
                    o.iter_mut().zip(&seen[item][score]).for_each(|(to, more)| *to += more);
                    if e.iter().all(|e| *e >= 1.0) {
                        rows.extend(open.take());
                    }
                }
                if let (Some((e, o)), Some((last_e, last_o))) = (open, rows.last_mut()) {
                    last_e.iter_mut().zip(e).for_each(|(to, more)| *to += more);
                    last_o.iter_mut().zip(o).for_each(|(to, more)| *to += more);
                }
                let statistic = rows.iter().flat_map(|(e, o)| e.iter().zip(o)).map(|(e, o)| (o - e).powi(2) / e).sum();
                let df = (rows.len() * m) as f64 - parameters;
                (df >= 1.0).then(|| Test::new(statistic, df))
            })
            .collect()
    }

    /// M2 (Maydeu-Olivares and Joe 2005) of items with two categories: quadratic form of the residuals of
    /// all single and paired shares, over persons without gaps. Also RMSEA₂ = √(max(0, M2 − df) / (n df)).
    pub fn m2(&self, responses: &Responses) -> Result<(Test, f64)> {
        let items = responses.items();
        if !self.model.dichotomous() {
            return Err(Error::Data {
                problem: "M2 is for items with two categories".into(),
                hint: "look at S-X² of each item",
            });
        }
        let complete: Vec<usize> =
            (0..responses.persons()).filter(|&person| responses.of(person).len() == items).collect();
        let n = complete.len() as f64;
        let pairs: Vec<Vec<usize>> = (0..items)
            .map(|a| vec![a])
            .chain((0..items).flat_map(|a| (a + 1..items).map(move |b| vec![a, b])))
            .collect();
        let s = pairs.len();
        let quadrature = Quadrature::normal(61).moved(self.population.0, self.population.1);
        let table = |fit: &Fit| -> Vec<Vec<f64>> {
            quadrature
                .nodes
                .iter()
                .map(|theta| (0..items).map(|item| fit.along(item, *theta)[1][0]).collect())
                .collect()
        };
        let share = |table: &[Vec<f64>], set: &[usize]| -> f64 {
            let product = |p: &Vec<f64>| set.iter().map(|&item| p[item]).product::<f64>();
            table.iter().zip(&quadrature.weights).map(|(p, w)| w * product(p)).sum()
        };
        let base = table(self);
        let model: Vec<f64> = pairs.iter().map(|set| share(&base, set)).collect();
        let mut seen = vec![0.0; s];
        for &person in &complete {
            let right: Vec<bool> = responses.of(person).map(|(_, score)| score == 1).collect();
            pairs.iter().zip(&mut seen).for_each(|(set, to)| *to += f64::from(set.iter().all(|&item| right[item])));
        }
        let residual: Vec<f64> = seen.iter().zip(&model).map(|(seen, model)| seen / n - model).collect();
        let mut covariance = vec![0.0; s * s];
        for i in 0..s {
            for j in 0..=i {
                let mut union = pairs[i].clone();
                union.extend(pairs[j].iter().filter(|item| !pairs[i].contains(item)));
                let value = share(&base, &union) - model[i] * model[j];
                (covariance[i * s + j], covariance[j * s + i]) = (value, value);
            }
        }
        // Derivatives of the shares by every free number.
        let mut columns: Vec<Vec<f64>> = Vec::new();
        let mut derive = |change: &dyn Fn(&mut Fit, f64)| {
            let moved = |by: f64| {
                let mut fit = self.clone();
                change(&mut fit, by);
                let table = table(&fit);
                pairs.iter().map(|set| share(&table, set)).collect::<Vec<_>>()
            };
            let (up, down) = (moved(1e-5), moved(-1e-5));
            columns.push(up.iter().zip(down).map(|(up, down)| (up - down) / 2e-5).collect());
        };
        for item in 0..items {
            for number in 0..self.numbers.own[item].len() {
                derive(&|fit, by| fit.numbers.own[item][number] += by);
            }
        }
        for number in 0..self.numbers.shared.len() {
            derive(&|fit, by| fit.numbers.shared[number] += by);
        }
        let q = columns.len();
        let singular = || Error::Data {
            problem: "the shares do not determine the model".into(),
            hint: "take a simpler model or more items",
        };
        let inverse = invert(&covariance, s).ok_or_else(singular)?;
        let times = |x: &[f64]| -> Vec<f64> {
            (0..s).map(|i| inverse[i * s..(i + 1) * s].iter().zip(x).map(|(a, b)| a * b).sum()).collect()
        };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let solved: Vec<Vec<f64>> = columns.iter().map(|column| times(column)).collect();
        let inner: Vec<f64> = (0..q * q).map(|k| dot(&columns[k / q], &solved[k % q])).collect();
        let inner = invert(&inner, q).ok_or_else(singular)?;
        let projected: Vec<f64> = solved.iter().map(|column| dot(column, &residual)).collect();
        let taken: f64 = (0..q * q).map(|k| projected[k / q] * inner[k] * projected[k % q]).sum();
        let df = s as f64 - q as f64;
        if df < 1.0 {
            return Err(singular());
        }
        let test = Test::new(n * (dot(&residual, &times(&residual)) - taken), df);
        Ok((test, ((test.statistic - df).max(0.0) / (n * df)).sqrt()))
    }
}

/// For each item the distribution of the raw score on all others (Lord and Wingersky 1984).
fn without_each(p: &[Vec<f64>]) -> Vec<Vec<f64>> {
    fn times(a: &[f64], b: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; a.len() + b.len() - 1];
        for (i, x) in a.iter().enumerate() {
            b.iter().enumerate().for_each(|(j, y)| out[i + j] += x * y);
        }
        out
    }
    fn split(p: &[Vec<f64>], outside: Vec<f64>, out: &mut Vec<Vec<f64>>) {
        if p.len() <= 1 {
            out.extend(p.iter().map(|_| outside.clone()));
            return;
        }
        let (left, right) = p.split_at(p.len() / 2);
        let product = |p: &[Vec<f64>]| p.iter().fold(vec![1.0], |product, p| times(&product, p));
        split(left, times(&outside, &product(right)), out);
        split(right, times(&outside, &product(left)), out);
    }
    let mut out = Vec::with_capacity(p.len());
    split(p, vec![1.0], &mut out);
    out
}
