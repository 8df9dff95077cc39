//! L(N, D) = E + A/N^α + B/D^β by least squares.

use serde::{Deserialize, Serialize};

use crate::solver::{self, Limits};
use crate::{Error, Result, linear};

/// What a loss becomes with size and data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PowerLaw {
    /// E, the limit.
    pub limit: f64,
    /// ln A.
    pub log_a: f64,
    /// α, the exponent of parameters.
    pub alpha: f64,
    /// ln B.
    pub log_b: f64,
    /// β, the exponent of training tokens.
    pub beta: f64,
}

/// A size and a number of training tokens, or a loss, that a law can take: finite and above 0.
pub(crate) fn positive(what: &'static str, values: &[f64]) -> Result<()> {
    match values.iter().position(|x| !x.is_finite() || *x <= 0.0) {
        Some(m) => Err(Error::NotPositive { what, model: format!("model {m}"), value: values[m] }),
        None => Ok(()),
    }
}

/// Lists of one entry a model, and at least `least` of them.
pub(crate) fn same_length(what: &'static str, lists: &[&[f64]], least: usize) -> Result<()> {
    let expected = lists[0].len();
    if let Some(list) = lists.iter().find(|list| list.len() != expected) {
        return Err(Error::Length { what, got: list.len(), expected });
    }
    if expected < least {
        let problem = format!("{expected} models for a law with {least} numbers");
        return Err(Error::Data { problem, hint: "give more models" });
    }
    Ok(())
}

impl PowerLaw {
    /// The loss at N parameters and D tokens.
    pub fn at(&self, n: f64, d: f64) -> f64 {
        self.limit + (self.log_a - self.alpha * n.ln()).exp() + (self.log_b - self.beta * d.ln()).exp()
    }

    /// Least squares over models; E of any sign, A and B above 0, exponents from 0.01 to 3.
    pub fn fit(n: &[f64], d: &[f64], loss: &[f64]) -> Result<Self> {
        Self::fit_weighted(n, d, loss, &vec![1.0; loss.len()], f64::NEG_INFINITY)
    }

    /// The same with a weight a model — models of weight 0 take no part — and a lower limit of E.
    pub(crate) fn fit_weighted(n: &[f64], d: &[f64], loss: &[f64], weights: &[f64], least: f64) -> Result<Self> {
        same_length("the list of sizes, tokens or losses", &[loss, n, d], 5)?;
        positive("number of parameters", n)?;
        positive("number of training tokens", d)?;
        if let Some(m) = loss.iter().position(|x| !x.is_finite()) {
            return Err(Error::NotFinite { what: "loss", model: format!("model {m}"), column: 0, value: loss[m] });
        }
        let used: Vec<usize> = (0..loss.len()).filter(|m| weights[*m] > 0.0).collect();
        if used.len() < 5 {
            let problem = format!("{} different models for a law with five numbers", used.len());
            return Err(Error::Data { problem, hint: "give more models" });
        }
        let mean = |of: &[f64]| used.iter().map(|&m| of[m].ln()).sum::<f64>() / used.len() as f64;
        let (middle_n, middle_d) = (mean(n), mean(d));
        let place = Place { n, d, loss, weights, used: &used, middle_n, middle_d };
        let wide = (f64::NEG_INFINITY, f64::INFINITY);
        let bounds = [(least, f64::INFINITY), wide, wide, (0.01, 3.0), (0.01, 3.0)];
        let grid = [0.15, 0.4, 0.9];
        let starts = grid.iter().flat_map(|alpha| grid.iter().map(move |beta| (*alpha, *beta)));
        let solve = |(alpha, beta)| {
            let start = place.start(alpha, beta);
            let limits = Limits { steps: 300, ..Limits::default() };
            solver::levenberg(&start, &bounds, &[0.0; 5], used.len(), limits, |p, r, j| place.residuals(p, r, j))
        };
        let Some(found) = solver::best(starts.map(solve)) else {
            let problem = "no start gives a finite sum of squares".to_string();
            return Err(Error::Data { problem, hint: "look at sizes and losses for absurd values" });
        };
        let p = found.at;
        let (log_a, log_b) = (p[1] + p[3] * middle_n, p[2] + p[4] * middle_d);
        Ok(Self { limit: p[0], log_a, alpha: p[3], log_b, beta: p[4] })
    }
}

/// The data, with ln N and ln D counted from their means: p = E, ln A − α·mean, ln B − β·mean, α, β.
struct Place<'a> {
    n: &'a [f64],
    d: &'a [f64],
    loss: &'a [f64],
    weights: &'a [f64],
    used: &'a [usize],
    middle_n: f64,
    middle_d: f64,
}

impl Place<'_> {
    /// E, A, B by regression for given exponents.
    fn start(&self, alpha: f64, beta: f64) -> [f64; 5] {
        let terms = |m: usize| {
            let by_n = (-alpha * (self.n[m].ln() - self.middle_n)).exp();
            [1.0, by_n, (-beta * (self.d[m].ln() - self.middle_d)).exp()]
        };
        let x: Vec<f64> = self.used.iter().flat_map(|&m| terms(m)).collect();
        let y: Vec<f64> = self.used.iter().map(|&m| self.loss[m]).collect();
        let (low, high) = y.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), y| (l.min(*y), h.max(*y)));
        let tiny = 0.05 * (high - low).max(1e-9);
        let fit = linear::least_squares(&x, 3, &y).unwrap_or(vec![low, tiny, tiny]);
        [fit[0], fit[1].max(tiny).ln(), fit[2].max(tiny).ln(), alpha, beta]
    }

    fn residuals(&self, p: &[f64], r: &mut [f64], mut jacobian: Option<&mut [f64]>) {
        for (i, &m) in self.used.iter().enumerate() {
            let (x, z) = (self.n[m].ln() - self.middle_n, self.d[m].ln() - self.middle_d);
            let (by_n, by_d) = ((p[1] - p[3] * x).exp(), (p[2] - p[4] * z).exp());
            let root = self.weights[m].sqrt();
            r[i] = root * (p[0] + by_n + by_d - self.loss[m]);
            if let Some(j) = jacobian.as_deref_mut() {
                let row = [1.0, by_n, by_d, -x * by_n, -z * by_d];
                j[i * 5..(i + 1) * 5].iter_mut().zip(row).for_each(|(to, x)| *to = root * x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_agree_and_a_law_is_found_again() {
        let truth = PowerLaw { limit: 1.7, log_a: 6.0, alpha: 0.34, log_b: 6.1, beta: 0.28 };
        let (mut n, mut d) = (Vec::new(), Vec::new());
        for i in 0..5 {
            for j in 0..5 {
                n.push(1e7 * 4_f64.powi(i));
                d.push(1e8 * 5_f64.powi(j));
            }
        }
        let loss: Vec<f64> = n.iter().zip(&d).map(|(n, d)| truth.at(*n, *d)).collect();
        let used: Vec<usize> = (0..25).collect();
        let weights: Vec<f64> = (0..25).map(|i| 1.0 + f64::from(i % 3)).collect();
        let place = Place { n: &n, d: &d, loss: &loss, weights: &weights, used: &used, middle_n: 18.0, middle_d: 21.0 };
        solver::check_jacobian(&[1.5, -0.3, 0.2, 0.4, 0.3], 25, |p, r, j| place.residuals(p, r, j));
        let fit = PowerLaw::fit(&n, &d, &loss).expect("fits");
        for (a, b) in [(fit.limit, 1.7), (fit.alpha, 0.34), (fit.beta, 0.28), (fit.log_a, 6.0), (fit.log_b, 6.1)] {
            assert!((a - b).abs() < 1e-3 * b, "{fit:?}");
        }
        assert!((fit.at(7e10, 1e12) - truth.at(7e10, 1e12)).abs() < 1e-5);
        assert!(matches!(PowerLaw::fit(&n[..4], &d[..4], &loss[..4]), Err(Error::Data { .. })));
        d[3] = -1.0;
        assert!(matches!(PowerLaw::fit(&n, &d, &loss), Err(Error::NotPositive { .. })));
    }
}
