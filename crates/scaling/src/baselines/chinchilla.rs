//! Training compute-optimal large language models (Hoffmann et al., 2022), approach 3.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::law::{positive, same_length};
use crate::{Error, PowerLaw, Result, lbfgs};

/// L = E + A/N^α + B/D^β by the Huber loss (δ = 1e-3) of log-losses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Chinchilla {
    /// The law.
    pub law: PowerLaw,
    /// Σ Huber(log L̂ − log L).
    pub cost: f64,
}

const DELTA: f64 = 1e-3;
/// Starts of the grid that are followed to their end: those with the least cost where they stand.
const FOLLOWED: usize = 48;

impl Chinchilla {
    /// Fits by L-BFGS from the paper's grid of starts, α, β ∈ {0, ½, …, 2}, ln A, ln B ∈ {0, 5, …, 25},
    /// ln E ∈ {−1, −½, …, 1}; of its 4,500 the 48 best are followed.
    pub fn fit(n: &[f64], d: &[f64], loss: &[f64]) -> Result<Self> {
        same_length("the list of sizes, tokens or losses", &[loss, n, d], 5)?;
        positive("number of parameters", n)?;
        positive("number of training tokens", d)?;
        positive("loss", loss)?;
        let logs = |of: &[f64]| -> Vec<f64> { of.iter().map(|x| x.ln()).collect() };
        let (x, z, y) = (logs(n), logs(d), logs(loss));
        let middle = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
        let (middle_n, middle_d) = (middle(&x), middle(&z));
        let data =
            Data { n: x.iter().map(|x| x - middle_n).collect(), d: z.iter().map(|z| z - middle_d).collect(), loss: y };
        let exponents = [0.0, 0.5, 1.0, 1.5, 2.0];
        let factors = [0.0, 5.0, 10.0, 15.0, 20.0, 25.0];
        let mut starts: Vec<(f64, [f64; 5])> = Vec::new();
        for alpha in exponents {
            for beta in exponents {
                for e in [-1.0, -0.5, 0.0, 0.5, 1.0] {
                    for a in factors {
                        for b in factors {
                            let p = [a - alpha * middle_n, b - beta * middle_d, e, alpha, beta];
                            starts.push((data.cost(&p, &mut [0.0; 5]), p));
                        }
                    }
                }
            }
        }
        starts.sort_by(|a, b| a.0.total_cmp(&b.0));
        starts.truncate(FOLLOWED);
        let ends: Vec<Option<(Vec<f64>, f64)>> =
            starts.par_iter().map(|(_, p)| lbfgs::minimise(p, 2000, 1e-12, |p, g| data.cost(p, g))).collect();
        let best = ends.into_iter().flatten().reduce(|best, next| if next.1 < best.1 { next } else { best });
        let Some((p, cost)) = best else {
            let problem = "no start gives a finite cost".to_string();
            return Err(Error::Data { problem, hint: "look at sizes and losses for absurd values" });
        };
        let (log_a, log_b) = (p[0] + p[3] * middle_n, p[1] + p[4] * middle_d);
        Ok(Self { law: PowerLaw { limit: p[2].exp(), log_a, alpha: p[3], log_b, beta: p[4] }, cost })
    }

    /// The loss at N parameters and D tokens.
    pub fn predict(&self, n: f64, d: f64) -> f64 {
        self.law.at(n, d)
    }
}

/// Logs of sizes and tokens counted from their means, and of losses.
struct Data {
    n: Vec<f64>,
    d: Vec<f64>,
    loss: Vec<f64>,
}

impl Data {
    /// p = ln A − α·mean, ln B − β·mean, ln E, α, β; log L̂ is the log of the sum of three exponentials.
    fn cost(&self, p: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let mut cost = 0.0;
        for ((x, z), y) in self.n.iter().zip(&self.d).zip(&self.loss) {
            let terms = [p[0] - p[3] * x, p[1] - p[4] * z, p[2]];
            let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let parts = terms.map(|t| (t - top).exp());
            let sum: f64 = parts.iter().sum();
            let off = top + sum.ln() - y;
            cost += if off.abs() <= DELTA { 0.5 * off * off } else { DELTA * (off.abs() - 0.5 * DELTA) };
            let slope = off.clamp(-DELTA, DELTA);
            let [by_n, by_d, by_e] = parts.map(|part| slope * part / sum);
            for (g, more) in gradient.iter_mut().zip([by_n, by_d, by_e, -x * by_n, -z * by_d]) {
                *g += more;
            }
        }
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_law_is_found_under_outliers() {
        let truth = PowerLaw { limit: 1.69, log_a: 406.4_f64.ln(), alpha: 0.34, log_b: 410.7_f64.ln(), beta: 0.28 };
        let (mut n, mut d, mut loss) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..7 {
            for j in 0..7 {
                n.push(4e7 * 2.5_f64.powi(i));
                d.push(1e9 * 3_f64.powi(j));
                let noise = (f64::from(i * 31 + j * 17) * 0.7).sin() * 5e-4;
                let outlier = if (i, j) == (3, 4) { 0.3 } else { 0.0 };
                loss.push(truth.at(n[n.len() - 1], d[d.len() - 1]) * f64::exp(noise) + outlier);
            }
        }
        let data = Data {
            n: n.iter().map(|x: &f64| x.ln() - 20.0).collect(),
            d: d.iter().map(|x: &f64| x.ln() - 23.0).collect(),
            loss: loss.iter().map(|x: &f64| x.ln()).collect(),
        };
        let p = [0.1, 0.2, 0.5, 0.3, 0.4];
        let mut gradient = [0.0; 5];
        data.cost(&p, &mut gradient);
        for k in 0..5 {
            let [up, down] = [1e-6, -1e-6].map(|h| {
                let mut q = p;
                q[k] += h;
                data.cost(&q, &mut [0.0; 5])
            });
            assert!(((up - down) / 2e-6 - gradient[k]).abs() < 1e-7, "{k}: {} {}", (up - down) / 2e-6, gradient[k]);
        }
        let fit = Chinchilla::fit(&n, &d, &loss).expect("fits");
        assert!((fit.law.limit - 1.69).abs() < 0.02 && (fit.law.alpha - 0.34).abs() < 0.01, "{fit:?}");
        assert!((fit.law.beta - 0.28).abs() < 0.01, "{fit:?}");
        assert!((fit.predict(7e10, 1.4e12) / truth.at(7e10, 1.4e12) - 1.0).abs() < 2e-3);
        loss[0] = f64::NAN;
        assert!(matches!(Chinchilla::fit(&n, &d, &loss), Err(Error::NotPositive { .. })));
    }
}
