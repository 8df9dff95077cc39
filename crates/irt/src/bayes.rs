//! Small samples: posteriors instead of maxima.
//!
//! With seven or eight models as persons, maximum likelihood says too much. Here persons, items and the
//! spreads of both are drawn from their joint posterior by Hamiltonian Monte Carlo:
//! P(1) = σ(a_j (θ_i − b_j)), θ ~ N(0, 1), b_j ~ N(m, s²), ln a_j ~ N(0, t²), with weak priors on m, ln s
//! and ln t. The Rasch model has one a for all.

use std::sync::atomic::{AtomicUsize, Ordering};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Error, Responses, Result};

/// Settings of the chains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bayes {
    /// A slope an item, or one for all.
    pub slopes: bool,
    /// Chains, 2 or more.
    pub chains: usize,
    /// Draws of each chain before they count; the step length is fitted in them.
    pub warmup: usize,
    /// Draws of each chain that count.
    pub draws: usize,
    /// Seed.
    pub seed: u64,
}

impl Default for Bayes {
    fn default() -> Self {
        Self { slopes: false, chains: 4, warmup: 500, draws: 1000, seed: 0 }
    }
}

/// What the draws say of one number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Posterior {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub deviation: f64,
    /// 95 % of the draws lie between these.
    pub interval: (f64, f64),
    /// Gelman and Rubin's R̂ over halves of chains; near 1 where chains agree.
    pub r_hat: f64,
}

/// A posterior of everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Posteriors {
    /// θ of each person.
    pub abilities: Vec<Posterior>,
    /// b of each item.
    pub difficulties: Vec<Posterior>,
    /// a of each item; one for all without `slopes`.
    pub slopes: Vec<Posterior>,
    /// Largest R̂ of all.
    pub worst_r_hat: f64,
    /// Share of proposals that were taken.
    pub acceptance: f64,
}

/// Places of the numbers in a chain's state.
struct Shape {
    persons: usize,
    items: usize,
    slopes: usize,
    /// (person, item, right).
    cells: Vec<(usize, usize, f64)>,
}

impl Bayes {
    /// Draws the posterior of items with two categories. All-right and all-wrong rows and columns are
    /// fine here: priors keep them finite. `goes_on` hears how many draws of how many are made, by all chains,
    /// and ends the fit by saying no.
    pub fn fit(&self, responses: &Responses, goes_on: impl Fn(usize, usize) -> bool + Sync) -> Result<Posteriors> {
        if self.chains < 2 || self.draws < 10 || self.warmup < 10 {
            let problem = "must be at least 2, with 10 draws and 10 before them".into();
            return Err(Error::Setting { setting: "chains", problem });
        }
        if let Some(item) = (0..responses.items()).find(|&item| responses.categories(item) > 2) {
            let problem = format!("item {item} has more than two categories");
            return Err(Error::Data { problem, hint: "mark it right and wrong, or fit by Mml" });
        }
        if responses.is_empty() {
            return Err(Error::Data { problem: "there are no responses".into(), hint: "give at least one" });
        }
        let cells = (0..responses.persons())
            .flat_map(|person| responses.of(person).map(move |(item, score)| (person, item, score as f64)));
        let shape = Shape {
            persons: responses.persons(),
            items: responses.items(),
            slopes: if self.slopes { responses.items() } else { 1 },
            cells: cells.collect(),
        };
        let (made, all) = (AtomicUsize::new(0), self.chains * (self.warmup + self.draws));
        let next = || if goes_on(made.fetch_add(1, Ordering::Relaxed) + 1, all) { Ok(()) } else { Err(Error::Stopped) };
        let chains: Vec<(Vec<Vec<f64>>, f64)> = (0..self.chains)
            .into_par_iter()
            .map(|chain| self.chain(&shape, chain as u64, next))
            .collect::<Result<_>>()?;
        let acceptance = chains.iter().map(|(_, rate)| rate).sum::<f64>() / self.chains as f64;
        let of = |place: usize, f: fn(f64) -> f64| {
            summary(
                &chains
                    .iter()
                    .map(|(draws, _)| draws.iter().map(|draw| f(draw[place])).collect())
                    .collect::<Vec<Vec<f64>>>(),
            )
        };
        let same = |x: f64| x;
        let abilities: Vec<Posterior> = (0..shape.persons).map(|i| of(i, same)).collect();
        let difficulties: Vec<Posterior> = (0..shape.items).map(|j| of(shape.persons + j, same)).collect();
        let slopes: Vec<Posterior> = (0..shape.slopes).map(|j| of(shape.persons + shape.items + j, f64::exp)).collect();
        let worst_r_hat = abilities.iter().chain(&difficulties).chain(&slopes).map(|p| p.r_hat).fold(1.0, f64::max);
        Ok(Posteriors { abilities, difficulties, slopes, worst_r_hat, acceptance })
    }

    /// Draws of one chain, and the share of proposals taken.
    fn chain(&self, shape: &Shape, chain: u64, next: impl Fn() -> Result<()>) -> Result<(Vec<Vec<f64>>, f64)> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed.wrapping_mul(1_000_003).wrapping_add(chain));
        let mut normal = move || {
            let (u, v): (f64, f64) = (random.random(), random.random());
            ((-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos(), random.random::<f64>())
        };
        let n = shape.persons + shape.items + shape.slopes + 3;
        let mut x: Vec<f64> = (0..n).map(|_| 0.3 * normal().0).collect();
        let mut gradient = vec![0.0; n];
        let mut log_density = shape.log_density(&x, &mut gradient);
        // Dual averaging (Hoffman and Gelman 2014) towards 80 % of proposals taken.
        let (mut step, mut average, mut error) = (0.1_f64, 0.0, 0.0);
        let (mut draws, mut taken) = (Vec::with_capacity(self.draws), 0.0);
        for t in 0..self.warmup + self.draws {
            let length = if t < self.warmup { step } else { f64::exp(average) };
            let momentum: Vec<f64> = (0..n).map(|_| normal().0).collect();
            // A path of about 1.5 units, of a random number of steps so that no orbit closes.
            let steps = ((1.5 / length) * (0.5 + normal().1)).ceil().clamp(1.0, 200.0) as usize;
            let (mut place, mut speed, mut slope) = (x.clone(), momentum.clone(), gradient.clone());
            let mut reached = log_density;
            for _ in 0..steps {
                (0..n).for_each(|i| speed[i] += 0.5 * length * slope[i]);
                (0..n).for_each(|i| place[i] += length * speed[i]);
                reached = shape.log_density(&place, &mut slope);
                (0..n).for_each(|i| speed[i] += 0.5 * length * slope[i]);
            }
            let energy = |speed: &[f64]| 0.5 * speed.iter().map(|v| v * v).sum::<f64>();
            let change = reached - energy(&speed) - log_density + energy(&momentum);
            let chance = if change.is_finite() { change.exp().min(1.0) } else { 0.0 };
            if normal().1 < chance {
                x = place;
            }
            // Both moves leave the likelihood alone and cross the posterior's two long ridges, along which
            // paths of one length creep where items are many and persons few.
            shape.shift(&mut x, normal().0);
            let (by, luck) = normal();
            shape.stretch(&mut x, by, luck);
            log_density = shape.log_density(&x, &mut gradient);
            if t < self.warmup {
                let m = t as f64 + 1.0;
                error = (1.0 - 1.0 / (m + 10.0)) * error + (0.8 - chance) / (m + 10.0);
                let log_step = (10.0_f64 * 0.1).ln() - m.sqrt() / 0.05 * error;
                let weight = m.powf(-0.75);
                average = weight * log_step + (1.0 - weight) * average;
                step = log_step.exp().clamp(1e-4, 2.0);
            } else {
                taken += chance;
                draws.push(x.clone());
            }
            next()?;
        }
        Ok((draws, taken / self.draws as f64))
    }
}

impl Shape {
    /// Moves θ, b and m together by a draw from its conditional distribution, which is normal: the likelihood
    /// and b − m do not change.
    fn shift(&self, x: &mut [f64], normal: f64) {
        let top = self.persons + self.items + self.slopes;
        let precision = self.persons as f64 + 0.25;
        let sum = x[..self.persons].iter().sum::<f64>() + 0.25 * x[top];
        let by = -sum / precision + normal / precision.sqrt();
        x[..self.persons + self.items].iter_mut().for_each(|value| *value += by);
        x[top] += by;
    }

    /// Proposes θ, b, m and s times c = e^u, and a divided by it: the likelihood does not change, and neither does
    /// (b − m) / s. The volume grows by c for each person and for m; that of b cancels against s.
    fn stretch(&self, x: &mut [f64], normal: f64, luck: f64) {
        let (a, top) = (self.persons + self.items, self.persons + self.items + self.slopes);
        let u = normal / (2.0 * self.persons as f64).sqrt();
        let prior = |x: &[f64]| {
            let squares = |range: std::ops::Range<usize>| x[range].iter().map(|v| v * v).sum::<f64>();
            -0.5 * (squares(0..self.persons)
                + squares(a..top) * (-2.0 * x[top + 2]).exp()
                + 0.25 * x[top] * x[top]
                + x[top + 1] * x[top + 1])
        };
        let mut moved = x.to_vec();
        moved[..a].iter_mut().for_each(|value| *value *= u.exp());
        moved[a..top].iter_mut().for_each(|value| *value -= u);
        moved[top] *= u.exp();
        moved[top + 1] += u;
        if luck.ln() < prior(&moved) - prior(x) + (self.persons as f64 + 1.0) * u {
            x.copy_from_slice(&moved);
        }
    }

    /// Logarithm of the posterior's density less a constant, and its gradient. The state is θ, b, ln a,
    /// then m, ln s, ln t.
    fn log_density(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let (b, a, top) = (self.persons, self.persons + self.items, self.persons + self.items + self.slopes);
        let slopes: Vec<f64> = x[a..top].iter().map(|ln| ln.exp()).collect();
        let mut sum = 0.0;
        // ln Π (1 + e^−|z|) instead of a logarithm for each cell: a product of 512 stays below 2^512.
        for cells in self.cells.chunks(512) {
            let mut product = 1.0;
            for &(person, item, right) in cells {
                let own = if self.slopes == 1 { 0 } else { item };
                let slope = slopes[own];
                let z = slope * (x[person] - x[b + item]);
                let e = (-z.abs()).exp();
                sum += right * z - z.max(0.0);
                product *= 1.0 + e;
                let off = right - if z > 0.0 { 1.0 } else { e } / (1.0 + e);
                gradient[person] += off * slope;
                gradient[b + item] -= off * slope;
                gradient[a + own] += off * z;
            }
            sum -= product.ln();
        }
        for i in 0..self.persons {
            sum -= 0.5 * x[i] * x[i];
            gradient[i] -= x[i];
        }
        let (m, ln_s, ln_t) = (x[top], x[top + 1], x[top + 2]);
        let mut spread =
            |range: std::ops::Range<usize>, mean: f64, ln_deviation: f64, place: usize, mean_place: Option<usize>| {
                let precision = (-2.0 * ln_deviation).exp();
                for i in range {
                    let far = x[i] - mean;
                    sum -= 0.5 * far * far * precision + ln_deviation;
                    gradient[i] -= far * precision;
                    gradient[place] += far * far * precision - 1.0;
                    if let Some(at) = mean_place {
                        gradient[at] += far * precision;
                    }
                }
            };
        spread(b..a, m, ln_s, top + 1, Some(top));
        spread(a..top, 0.0, ln_t, top + 2, None);
        // m ~ N(0, 2²), ln s ~ N(0, 1), ln t ~ N(−1, 0.5²).
        for (at, mean, deviation) in [(top, 0.0, 2.0), (top + 1, 0.0, 1.0), (top + 2, -1.0, 0.5)] {
            let far = x[at] - mean;
            sum -= 0.5 * far * far / (deviation * deviation);
            gradient[at] -= far / (deviation * deviation);
        }
        sum
    }
}

fn summary(chains: &[Vec<f64>]) -> Posterior {
    let mut all: Vec<f64> = chains.iter().flatten().copied().collect();
    let mean_of = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let variance_of = |x: &[f64]| {
        let mean = mean_of(x);
        x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (x.len() as f64 - 1.0)
    };
    let halves: Vec<&[f64]> = chains.iter().flat_map(|c| [&c[..c.len() / 2], &c[c.len() / 2..]]).collect();
    let within = halves.iter().map(|h| variance_of(h)).sum::<f64>() / halves.len() as f64;
    let between = variance_of(&halves.iter().map(|h| mean_of(h)).collect::<Vec<_>>());
    let n = halves[0].len() as f64;
    let r_hat = if within > 0.0 { (((n - 1.0) / n * within + between) / within).sqrt() } else { 1.0 };
    let (mean, deviation) = (mean_of(&all), variance_of(&all).sqrt());
    all.sort_by(f64::total_cmp);
    let quantile = |q: f64| all[((q * all.len() as f64) as usize).min(all.len() - 1)];
    Posterior { mean, deviation, interval: (quantile(0.025), quantile(0.975)), r_hat }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fit, Item, Model};

    #[test]
    fn the_gradient_matches_differences() {
        let cells = vec![(0, 0, 1.0), (0, 1, 0.0), (1, 0, 0.0), (1, 1, 1.0), (2, 1, 1.0)];
        for slopes in [1, 2] {
            let shape = Shape { persons: 3, items: 2, slopes, cells: cells.clone() };
            let x: Vec<f64> = (0..3 + 2 + slopes + 3).map(|i| 0.3 * ((i * 5 % 7) as f64 - 3.0)).collect();
            let mut gradient = vec![0.0; x.len()];
            shape.log_density(&x, &mut gradient);
            for i in 0..x.len() {
                let at = |by: f64| {
                    let mut moved = x.clone();
                    moved[i] += by;
                    shape.log_density(&moved, &mut vec![0.0; x.len()])
                };
                let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((difference - gradient[i]).abs() < 1e-6, "number {i}: {difference} {}", gradient[i]);
            }
        }
    }

    #[test]
    fn both_moves_change_the_density_by_their_priors_alone() {
        // Two slopes for two items; θ, b, ln a, m, ln s, ln t.
        let cells = vec![(0, 0, 1.0), (0, 1, 0.0), (1, 0, 0.0), (2, 0, 1.0), (2, 1, 1.0)];
        let shape = Shape { persons: 3, items: 2, slopes: 2, cells };
        let x: Vec<f64> = (0..10).map(|i| 0.4 * (f64::from(i * 3 % 10) - 4.0) / 3.0).collect();
        let density = |x: &[f64]| shape.log_density(x, &mut [0.0; 10]);
        let persons = |x: &[f64]| -0.5 * x[..3].iter().map(|v| v * v).sum::<f64>() - x[7] * x[7] / 8.0;
        let mut shifted = x.clone();
        shape.shift(&mut shifted, 0.7);
        let by = shifted[7] - x[7];
        assert!((0..5).all(|i| (shifted[i] - x[i] - by).abs() < 1e-12) && by != 0.0);
        assert!((density(&shifted) - density(&x) - (persons(&shifted) - persons(&x))).abs() < 1e-9);
        // A luck of 0 takes every proposal.
        let mut stretched = x.clone();
        shape.stretch(&mut stretched, 0.7, 0.0);
        let u = stretched[8] - x[8];
        assert!((stretched[0] - x[0] * u.exp()).abs() < 1e-12 && u != 0.0);
        let rest = |x: &[f64]| {
            let slopes = (x[5] * x[5] + x[6] * x[6]) * (-2.0 * x[9]).exp();
            persons(x) - 0.5 * slopes - 0.5 * x[8] * x[8]
        };
        // The density of b falls by u for each item, which is what its volume grows by.
        let expected = rest(&stretched) - rest(&x) - 2.0 * u;
        assert!((density(&stretched) - density(&x) - expected).abs() < 1e-9);
    }

    #[test]
    fn who_waits_hears_of_every_draw_and_may_end_the_fit() {
        let item = Item { slope: 1.0, difficulties: vec![0.0], lower: 0.0, upper: 1.0 };
        let truth = Fit::known(Model::Rasch, vec![item; 5]).expect("a test");
        let given = truth.simulate(&[-1.0, 0.0, 1.0], 5).expect("responses");
        let chains = Bayes { chains: 2, warmup: 10, draws: 20, ..Bayes::default() };
        let heard = AtomicUsize::new(0);
        let told = |_, all| heard.fetch_add(1, Ordering::Relaxed) < all;
        assert!(chains.fit(&given, told).is_ok());
        assert_eq!(heard.into_inner(), 60);
        assert_eq!(chains.fit(&given, |done, _| done < 30), Err(Error::Stopped));
    }

    #[test]
    fn chains_agree_where_items_are_many_and_persons_few() {
        let items: Vec<Item> = (0..300)
            .map(|i| Item { slope: 1.0, difficulties: vec![-2.0 + f64::from(i) / 75.0], lower: 0.0, upper: 1.0 })
            .collect();
        let truth = Fit::known(Model::Rasch, items).expect("a test");
        let abilities: Vec<f64> = (0..11).map(|i| 0.1 * f64::from(i) - 0.5).collect();
        let given = truth.simulate(&abilities, 5).expect("responses");
        let found = Bayes { warmup: 150, draws: 250, ..Bayes::default() }.fit(&given, |_, _| true).expect("draws");
        assert!(found.worst_r_hat < 1.15, "{}", found.worst_r_hat);
    }

    #[test]
    fn eight_persons_get_honest_intervals() {
        let items: Vec<Item> = (0..30)
            .map(|i| Item { slope: 1.0, difficulties: vec![-2.0 + 4.0 * f64::from(i) / 29.0], lower: 0.0, upper: 1.0 })
            .collect();
        let truth = Fit::known(Model::Rasch, items).expect("a test");
        let abilities = [-1.4, -0.9, -0.4, -0.1, 0.2, 0.5, 0.9, 1.6];
        let (mut held, mut all) = (0, 0);
        for seed in 0..6 {
            let given = truth.simulate(&abilities, 70 + seed).expect("responses");
            let found =
                Bayes { seed, warmup: 300, draws: 400, ..Bayes::default() }.fit(&given, |_, _| true).expect("draws");
            assert!(found.worst_r_hat < 1.1, "{}", found.worst_r_hat);
            assert!((0.6..0.99).contains(&found.acceptance), "{}", found.acceptance);
            for (p, truth) in found.abilities.iter().zip(abilities) {
                held += usize::from(p.interval.0 <= truth && truth <= p.interval.1);
                all += 1;
            }
            for (p, item) in found.difficulties.iter().zip(&truth.items) {
                held += usize::from(p.interval.0 <= item.difficulties[0] && item.difficulties[0] <= p.interval.1);
                all += 1;
            }
        }
        let share = held as f64 / all as f64;
        assert!((0.9..=1.0).contains(&share), "{share}");
    }
}
