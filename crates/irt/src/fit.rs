//! Does the model describe the responses? Residuals of items and persons.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Ability, Fit, Responses};

/// Mean squares of standardised residuals; 1 is what the model expects.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeanSquare {
    /// Σ z² / n: sensitive to surprises far from the person's level.
    pub outfit: f64,
    /// Outfit as a standard normal deviate (Wilson–Hilferty).
    pub outfit_t: f64,
    /// Σ w z² / Σ w, weighted by variance: sensitive to surprises near the person's level.
    pub infit: f64,
    /// Infit as a standard normal deviate.
    pub infit_t: f64,
    /// Responses that it rests on.
    pub n: usize,
}

/// Sums from which the mean squares follow.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    n: usize,
    z2: f64,
    /// Σ kurtosis / variance².
    z4: f64,
    residual2: f64,
    variance: f64,
    /// Σ (kurtosis − variance²).
    spread: f64,
}

impl Sums {
    /// A response x whose expectation, variance and fourth moment are known.
    fn add(&mut self, x: f64, [mean, variance, fourth]: [f64; 3]) {
        if variance <= 1e-12 {
            return;
        }
        let square = (x - mean).powi(2);
        self.n += 1;
        self.z2 += square / variance;
        self.z4 += fourth / (variance * variance);
        self.residual2 += square;
        self.variance += variance;
        self.spread += fourth - variance * variance;
    }

    fn plus(mut self, other: Self) -> Self {
        self.n += other.n;
        self.z2 += other.z2;
        self.z4 += other.z4;
        self.residual2 += other.residual2;
        self.variance += other.variance;
        self.spread += other.spread;
        self
    }

    fn done(&self) -> Option<MeanSquare> {
        if self.n < 2 {
            return None;
        }
        let n = self.n as f64;
        // t = (ms^{1/3} − 1)(3/q) + q/3, with q² the model's variance of the mean square.
        let deviate = |ms: f64, variance: f64| {
            let q = variance.max(1e-12).sqrt();
            (ms.cbrt() - 1.0) * 3.0 / q + q / 3.0
        };
        let (outfit, infit) = (self.z2 / n, self.residual2 / self.variance);
        Some(MeanSquare {
            outfit,
            outfit_t: deviate(outfit, self.z4 / (n * n) - 1.0 / n),
            infit,
            infit_t: deviate(infit, self.spread / (self.variance * self.variance)),
            n: self.n,
        })
    }
}

impl Fit {
    /// Expectation, variance and fourth central moment of an item's score at θ.
    fn moments(&self, item: usize, theta: f64) -> [f64; 3] {
        let at = self.along(item, theta);
        let moment = |power: i32, centre: f64| -> f64 {
            at.iter().enumerate().map(|(k, at)| (k as f64 - centre).powi(power) * at[0]).sum()
        };
        let mean = moment(1, 0.0);
        [mean, moment(2, mean), moment(4, mean)]
    }

    /// Mean squares of items; none for items with fewer than two responses of persons whose ability is
    /// known.
    pub fn item_fit(&self, responses: &Responses, abilities: &[Option<Ability>]) -> Vec<Option<MeanSquare>> {
        const SHARE: usize = 4096;
        let shares: Vec<Vec<Sums>> = (0..responses.persons().div_ceil(SHARE))
            .into_par_iter()
            .map(|share| {
                let mut sums = vec![Sums::default(); responses.items()];
                let first = share * SHARE;
                for (at, ability) in abilities[first..].iter().take(SHARE).enumerate() {
                    let (person, Some(ability)) = (first + at, ability) else { continue };
                    for (item, score) in responses.of(person) {
                        sums[item].add(score as f64, self.moments(item, ability.theta));
                    }
                }
                sums
            })
            .collect();
        let add = |mut all: Vec<Sums>, share: Vec<Sums>| {
            all.iter_mut().zip(share).for_each(|(to, more)| *to = to.plus(more));
            all
        };
        let all = shares.into_iter().fold(vec![Sums::default(); responses.items()], add);
        all.iter().map(Sums::done).collect()
    }

    /// Mean squares of persons.
    pub fn person_fit(&self, responses: &Responses, abilities: &[Option<Ability>]) -> Vec<Option<MeanSquare>> {
        (0..responses.persons())
            .into_par_iter()
            .map(|person| {
                let ability = abilities[person]?;
                let mut sums = Sums::default();
                responses
                    .of(person)
                    .for_each(|(item, score)| sums.add(score as f64, self.moments(item, ability.theta)));
                sums.done()
            })
            .collect()
    }

    /// l_z* of each person (Snijders 2001, for any categories by Sinharay 2016): the standardised
    /// log-likelihood of the responses, corrected for θ being estimated by weighted likelihood, so
    /// that it is standard normal for a person who answers as the model says. Far below 0 is a person
    /// whose responses do not belong together. None without an ability.
    pub fn l_z(&self, responses: &Responses, abilities: &[Option<Ability>]) -> Vec<Option<f64>> {
        (0..responses.persons())
            .into_par_iter()
            .map(|person| {
                let theta = abilities[person]?.theta;
                let given: Vec<(Vec<[f64; 3]>, usize)> =
                    responses.of(person).map(|(item, score)| (self.along(item, theta), score)).collect();
                // c = Σ Cov(ln P, P′/P) / I takes out what the estimate of θ takes up; and at the
                // weighted-likelihood estimate Σ P′/P = −J / 2I.
                let (mut covariance, mut information, mut bias) = (0.0, 0.0, 0.0);
                for (at, _) in &given {
                    for [p, first, second] in at {
                        covariance += first * p.ln();
                        information += first * first / p;
                        bias += first * second / p;
                    }
                }
                if information <= 0.0 {
                    return None;
                }
                let c = covariance / information;
                let (mut centred, mut variance) = (0.0, 0.0);
                for (at, score) in &given {
                    let mean: f64 = at.iter().map(|[p, ..]| p * p.ln()).sum();
                    centred += at[*score][0].ln() - mean;
                    variance += at.iter().map(|[p, first, _]| p * (p.ln() - mean - c * first / p).powi(2)).sum::<f64>();
                }
                let corrected = centred + c * bias / (2.0 * information);
                (variance > 1e-12).then(|| corrected / variance.sqrt())
            })
            .collect()
    }

    /// Principal components of the standardised residuals (the contrasts of Rasch software): eigenvalues in
    /// units of items, with each item's loading, largest first. A first contrast well above what
    /// simulated data of the same shape give (about 1.4 to 2 for most tests) speaks for a second
    /// dimension. Pairs that nobody met together count as uncorrelated.
    pub fn contrasts(
        &self,
        responses: &Responses,
        abilities: &[Option<Ability>],
        count: usize,
    ) -> Vec<(f64, Vec<f64>)> {
        let items = responses.items();
        let mut matrix = vec![0.0; items * items];
        (0..items).for_each(|item| matrix[item * items + item] = 1.0);
        for (a, b, correlation) in self.q3(responses, abilities) {
            let value = correlation.unwrap_or(0.0);
            (matrix[a * items + b], matrix[b * items + a]) = (value, value);
        }
        let mut found = Vec::new();
        for contrast in 0..count.min(items) {
            // Power iteration, what was found being taken out; a start that leans on no item alone.
            let mut vector: Vec<f64> = (0..items).map(|i| 1.0 + ((i * 7 + contrast * 3) % 5) as f64).collect();
            let mut value = 0.0;
            for _ in 0..500 {
                let next: Vec<f64> = (0..items)
                    .map(|i| matrix[i * items..(i + 1) * items].iter().zip(&vector).map(|(m, v)| m * v).sum())
                    .collect();
                let length = next.iter().map(|x: &f64| x * x).sum::<f64>().sqrt();
                let moved = next.iter().zip(&vector).map(|(n, v)| (n / length - v).abs()).fold(0.0, f64::max);
                vector = next.into_iter().map(|x| x / length).collect();
                value = length;
                if moved < 1e-10 {
                    break;
                }
            }
            for i in 0..items {
                for j in 0..items {
                    matrix[i * items + j] -= value * vector[i] * vector[j];
                }
            }
            found.push((value, vector.iter().map(|v| v * value.sqrt()).collect()));
        }
        found
    }

    /// Yen's Q3: correlations of residuals of pairs of items over persons who met both; near
    /// −1/(items − 1) where items depend on ability alone. Row by row, upper triangle; none for pairs
    /// with fewer than three common persons.
    pub fn q3(&self, responses: &Responses, abilities: &[Option<Ability>]) -> Vec<(usize, usize, Option<f64>)> {
        let items = responses.items();
        // n, Σx, Σy, Σx², Σy², Σxy of every pair.
        let mut sums = vec![[0.0_f64; 6]; items * (items - 1) / 2];
        let at = |a: usize, b: usize| a * (2 * items - a - 1) / 2 + b - a - 1;
        let mut own: Vec<(usize, f64)> = Vec::new();
        for (person, ability) in abilities.iter().enumerate() {
            let Some(ability) = ability else { continue };
            own.clear();
            own.extend(
                responses.of(person).map(|(item, score)| (item, score as f64 - self.expected(item, ability.theta))),
            );
            for (i, &(a, x)) in own.iter().enumerate() {
                for &(b, y) in &own[i + 1..] {
                    let sums = &mut sums[at(a, b)];
                    for (to, more) in sums.iter_mut().zip([1.0, x, y, x * x, y * y, x * y]) {
                        *to += more;
                    }
                }
            }
        }
        let mut out = Vec::with_capacity(sums.len());
        for a in 0..items {
            for b in a + 1..items {
                let [n, x, y, xx, yy, xy] = sums[at(a, b)];
                let (vx, vy, c) = (xx - x * x / n, yy - y * y / n, xy - x * y / n);
                out.push((a, b, (n >= 3.0 && vx > 0.0 && vy > 0.0).then(|| c / (vx * vy).sqrt())));
            }
        }
        out
    }
}
