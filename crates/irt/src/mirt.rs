//! Several abilities at once: the compensatory two-parameter model,
//! P(1) = σ(Σ_d a_d θ_d + d), θ ~ N(0, I).

use rayon::prelude::*;

use crate::mml::{Rows, Table, solve};
use crate::{Error, Model, Quadrature, Responses, Result};

/// Settings of a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Mirt {
    /// Which slopes of which item are free: items × abilities. See [`Mirt::exploratory`].
    pub free: Vec<Vec<bool>>,
    /// Points along each ability, 5 to 61; the grid has this to the power of the abilities.
    pub points: usize,
    /// Steps of EM at most.
    pub steps: usize,
    /// The fit ends when no number moves by more.
    pub tolerance: f64,
}

/// An item's slopes and intercept.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// a, one an ability.
    pub slopes: Vec<f64>,
    /// d.
    pub intercept: f64,
}

impl Plane {
    /// MDISC = |a|: slope in the steepest direction.
    pub fn discrimination(&self) -> f64 {
        self.slopes.iter().map(|a| a * a).sum::<f64>().sqrt()
    }

    /// MDIFF = −d / |a|: difficulty along that direction.
    pub fn difficulty(&self) -> f64 {
        -self.intercept / self.discrimination()
    }
}

/// A fitted test.
#[derive(Debug, Clone)]
pub struct Planes {
    /// Item by item.
    pub items: Vec<Plane>,
    /// Posterior means of each person's abilities.
    pub persons: Vec<Vec<f64>>,
    /// Marginal log-likelihood.
    pub log_likelihood: f64,
    /// Free numbers.
    pub parameters: usize,
    /// Steps of EM.
    pub steps: usize,
    /// Whether the tolerance was reached.
    pub converged: bool,
}

impl Mirt {
    /// Every slope free, but for the triangle that fixes the rotation: item k has no slopes beyond
    /// ability k.
    pub fn exploratory(items: usize, abilities: usize) -> Self {
        let free = (0..items).map(|item| (0..abilities).map(|d| d <= item).collect()).collect();
        Self { free, points: if abilities > 2 { 11 } else { 21 }, steps: 1000, tolerance: 1e-4 }
    }

    /// Fits items with two categories.
    pub fn fit(&self, responses: &Responses) -> Result<Planes> {
        let items = responses.items();
        let abilities = self.free.first().map_or(0, Vec::len);
        if self.free.len() != items || abilities == 0 || self.free.iter().any(|row| row.len() != abilities) {
            let problem = format!("must be a table of {items} items by at least one ability");
            return Err(Error::Setting { setting: "free", problem });
        }
        if !(5..=61).contains(&self.points) || self.points.pow(abilities as u32) > 1 << 17 {
            let problem = "must lie between 5 and 61, and give a grid of at most 131,072 points".into();
            return Err(Error::Setting { setting: "points", problem });
        }
        for (item, counts) in responses.counts().iter().enumerate() {
            if counts.len() != 2 || counts.contains(&0) {
                return Err(Error::Data {
                    problem: format!("item {item} does not have both a right and a wrong answer"),
                    hint: "leave it out",
                });
            }
        }
        let line = Quadrature::normal(self.points);
        let grid: Vec<(Vec<f64>, f64)> = (0..self.points.pow(abilities as u32))
            .map(|at| {
                let place = |d: usize| at / self.points.pow(d as u32) % self.points;
                let theta = (0..abilities).map(|d| line.nodes[place(d)]).collect();
                (theta, (0..abilities).map(|d| line.weights[place(d)]).product())
            })
            .collect();
        // Far corners carry no weight, and leaving them out saves most of the grid.
        let grid: Vec<(Vec<f64>, f64)> = grid.into_iter().filter(|(_, weight)| *weight > 1e-9).collect();
        let rows = Rows::new(responses, Model::TwoPl);
        let counts = responses.counts();
        let logit = |item: usize| ((counts[item][1] as f64 + 0.5) / (counts[item][0] as f64 + 0.5)).ln();
        // Unequal slopes at the start, because a symmetric start would never leave its saddle.
        let start = |item: usize, d: usize| {
            if self.free[item][d] { if item % abilities == d { 1.0 } else { 0.3 } } else { 0.0 }
        };
        let mut planes: Vec<Plane> = (0..items)
            .map(|item| Plane { slopes: (0..abilities).map(|d| start(item, d)).collect(), intercept: logit(item) })
            .collect();
        let (mut steps, mut converged) = (0, false);
        while steps < self.steps && !converged {
            let (first, _) = self.step(&planes, &rows, &grid);
            let (second, reached) = self.step(&first, &rows, &grid);
            steps += 2;
            let moved = zipped(&planes, &first).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            converged = moved < self.tolerance;
            let leapt = leap(&planes, &first, &second);
            let (after, gained) = self.step(&leapt, &rows, &grid);
            planes = if gained.is_finite() && gained >= reached { after } else { second };
        }
        let table = table(&planes, &grid);
        let mut posterior = vec![0.0; grid.len()];
        let mut log_likelihood = 0.0;
        let persons = (0..responses.persons())
            .map(|person| {
                log_likelihood += table.posterior(&Rows::Persons(responses), person, &mut posterior);
                (0..abilities).map(|d| posterior.iter().zip(&grid).map(|(p, (theta, _))| p * theta[d]).sum()).collect()
            })
            .collect();
        let parameters = items + self.free.iter().flatten().filter(|free| **free).count();
        Ok(Planes { items: planes, persons, log_likelihood, parameters, steps, converged })
    }

    /// One step of EM; also the log-likelihood before it.
    fn step(&self, planes: &[Plane], rows: &Rows<'_>, grid: &[(Vec<f64>, f64)]) -> (Vec<Plane>, f64) {
        let (table, points) = (table(planes, grid), grid.len());
        const SHARES: usize = 16;
        let share = rows.len().div_ceil(SHARES).max(1);
        let shares: Vec<(Vec<f64>, f64)> = (0..rows.len().div_ceil(share))
            .into_par_iter()
            .map(|at| {
                let (mut counts, mut posterior, mut sum) =
                    (vec![0.0; planes.len() * 2 * points], vec![0.0; points], 0.0);
                for row in at * share..((at + 1) * share).min(rows.len()) {
                    let weight = rows.weight(row);
                    sum += weight * table.posterior(rows, row, &mut posterior);
                    rows.cells(row, |item, category, part| {
                        let to = &mut counts[(item * 2 + category) * points..][..points];
                        to.iter_mut().zip(&posterior).for_each(|(to, p)| *to += weight * part * p);
                    });
                }
                (counts, sum)
            })
            .collect();
        let mut shares = shares.into_iter();
        let (mut counts, mut log_likelihood) = shares.next().unwrap_or_default();
        for (more, sum) in shares {
            counts.iter_mut().zip(more).for_each(|(to, more)| *to += more);
            log_likelihood += sum;
        }
        let next = planes.par_iter().enumerate().map(|(item, plane)| {
            let mut plane = plane.clone();
            for _ in 0..2 {
                self.score(item, &mut plane, &counts[item * 2 * points..][..2 * points], grid);
            }
            plane
        });
        (next.collect(), log_likelihood)
    }

    /// One step of Fisher scoring of one item.
    fn score(&self, item: usize, plane: &mut Plane, counts: &[f64], grid: &[(Vec<f64>, f64)]) {
        let free: Vec<usize> = (0..plane.slopes.len()).filter(|&d| self.free[item][d]).collect();
        let n = free.len() + 1;
        let (mut gradient, mut information) = (vec![0.0; n], vec![0.0; n * n]);
        let (wrong, right) = counts.split_at(grid.len());
        for ((theta, _), (wrong, right)) in grid.iter().zip(wrong.iter().zip(right)) {
            let z: f64 = plane.slopes.iter().zip(theta).map(|(a, t)| a * t).sum::<f64>() + plane.intercept;
            let p = crate::model::sigmoid(z);
            let (off, weight) = (right - (wrong + right) * p, (wrong + right) * p * (1.0 - p));
            let x = |i: usize| if i < free.len() { theta[free[i]] } else { 1.0 };
            for i in 0..n {
                gradient[i] += off * x(i);
                for j in 0..n {
                    information[i * n + j] += weight * x(i) * x(j);
                }
            }
        }
        solve(&information, &mut gradient);
        for (i, &d) in free.iter().enumerate() {
            plane.slopes[d] += gradient[i].clamp(-1.0, 1.0);
        }
        plane.intercept += gradient[n - 1].clamp(-1.0, 1.0);
    }
}

fn table(planes: &[Plane], grid: &[(Vec<f64>, f64)]) -> Table {
    let points = grid.len();
    let mut logs = vec![0.0; planes.len() * 2 * points];
    logs.par_chunks_mut(2 * points).zip(planes).for_each(|(piece, plane)| {
        let (wrong, right) = piece.split_at_mut(points);
        for ((theta, _), (wrong, right)) in grid.iter().zip(wrong.iter_mut().zip(right)) {
            let z: f64 = plane.slopes.iter().zip(theta).map(|(a, t)| a * t).sum::<f64>() + plane.intercept;
            // ln σ(z) without overflow.
            let log = |z: f64| z.min(0.0) - (-z.abs()).exp().ln_1p();
            (*right, *wrong) = (log(z), log(-z));
        }
    });
    let starts = (0..planes.len()).map(|item| item * 2 * points).collect();
    Table { logs, starts, log_weights: grid.iter().map(|(_, w)| w.ln()).collect() }
}

fn zipped<'a>(a: &'a [Plane], b: &'a [Plane]) -> impl Iterator<Item = (f64, f64)> + 'a {
    let all = |planes: &'a [Plane]| planes.iter().flat_map(|p| p.slopes.iter().copied().chain([p.intercept]));
    all(a).zip(all(b))
}

fn leap(x0: &[Plane], x1: &[Plane], x2: &[Plane]) -> Vec<Plane> {
    let r: f64 = zipped(x0, x1).map(|(a, b)| (b - a).powi(2)).sum();
    let v: f64 = zipped(x0, x1).zip(zipped(x1, x2)).map(|((a, b), (_, c))| (c - 2.0 * b + a).powi(2)).sum();
    let alpha = if v > 0.0 { (-(r / v).sqrt()).clamp(-30.0, -1.0) } else { -1.0 };
    let one = |a: f64, b: f64, c: f64| a - 2.0 * alpha * (b - a) + alpha * alpha * (c - 2.0 * b + a);
    (0..x0.len())
        .map(|i| Plane {
            slopes: (0..x0[i].slopes.len()).map(|d| one(x0[i].slopes[d], x1[i].slopes[d], x2[i].slopes[d])).collect(),
            intercept: one(x0[i].intercept, x1[i].intercept, x2[i].intercept),
        })
        .collect()
}
