use rayon::prelude::*;

use super::{Expected, Mml, Numbers};
use crate::{Model, Quadrature};

/// Steps of Fisher scoring within one step of EM; EM corrects what they leave.
const SCORING: usize = 2;
/// The longest step of a number, so that a flat item does not run away.
const LONGEST: f64 = 1.0;

/// Gradient and Fisher information of one item by its own numbers (first) and the shared ones.
struct Slope {
    gradient: Vec<f64>,
    information: Vec<f64>,
}

impl Mml {
    /// Numbers that raise Σ r log P (and the priors) from `numbers`.
    pub(super) fn maximise(
        &self,
        expected: &Expected,
        numbers: &Numbers,
        quadrature: &Quadrature,
        fixed: &[bool],
    ) -> Numbers {
        let anchored = fixed.contains(&true);
        let mut numbers = numbers.clone();
        for _ in 0..SCORING {
            let slopes: Vec<Slope> = (0..numbers.own.len())
                .into_par_iter()
                .map(|item| self.slope(expected, &numbers, item, quadrature))
                .collect();
            // Anchors fix what items share, too.
            let shared = numbers.shared.len();
            // (S − Σ Bᵀ A⁻¹ B) x = g_s − Σ Bᵀ A⁻¹ g, then A y = g − B x for each item.
            let mut matrix = vec![0.0; shared * shared];
            let mut right = vec![0.0; shared];
            let mut solved = Vec::with_capacity(slopes.len());
            for slope in &slopes {
                let n = slope.gradient.len();
                let own = n - shared;
                let at = |i: usize, j: usize| slope.information[i * n + j];
                let a: Vec<f64> = (0..own * own).map(|k| at(k / own, k % own)).collect();
                // Columns: the gradient, then B.
                let mut columns = vec![slope.gradient[..own].to_vec()];
                columns.extend((0..shared).map(|s| (0..own).map(|i| at(i, own + s)).collect::<Vec<_>>()));
                columns.iter_mut().for_each(|column| solve(&a, column));
                for s in 0..shared {
                    let b = |t: &[f64]| (0..own).map(|i| at(i, own + s) * t[i]).sum::<f64>();
                    right[s] += slope.gradient[own + s] - b(&columns[0]);
                    for t in 0..shared {
                        matrix[s * shared + t] += at(own + s, own + t) - b(&columns[1 + t]);
                    }
                }
                solved.push(columns);
            }
            solve(&matrix, &mut right);
            if anchored {
                right.fill(0.0);
            }
            for ((own, columns), _) in numbers.own.iter_mut().zip(solved).zip(fixed).filter(|(_, fixed)| !**fixed) {
                for (i, own) in own.iter_mut().enumerate() {
                    let step = columns[0][i] - (0..shared).map(|s| columns[1 + s][i] * right[s]).sum::<f64>();
                    *own += step.clamp(-LONGEST, LONGEST);
                }
            }
            numbers.shared.iter_mut().zip(&right).for_each(|(x, step)| *x += step.clamp(-LONGEST, LONGEST));
        }
        if anchored {
            numbers.population = expected.ability;
            return numbers;
        }
        // Parameter expansion (Liu, Rubin and Wu 1998): mean and deviation of ability are estimated too, and
        // then written into the curves. Without it long tests need hundreds of steps to find their scale.
        let (mean, deviation) = expected.ability;
        for own in &mut numbers.own {
            let slope = numbers.shared.first().copied().unwrap_or(own[0]);
            self.model.rescale(own, slope, mean, deviation);
        }
        if let Some(slope) = numbers.shared.first_mut() {
            *slope *= deviation;
        }
        numbers
    }

    /// Gradient of Σ r log P and the priors by all own numbers, then the shared ones.
    pub(super) fn gradient(&self, expected: &Expected, numbers: &Numbers, quadrature: &Quadrature) -> Vec<f64> {
        let shared = numbers.shared.len();
        let slopes: Vec<Slope> = (0..numbers.own.len())
            .into_par_iter()
            .map(|item| self.slope(expected, numbers, item, quadrature))
            .collect();
        let mut gradient = Vec::new();
        let mut common = vec![0.0; shared];
        for slope in slopes {
            let own = slope.gradient.len() - shared;
            gradient.extend_from_slice(&slope.gradient[..own]);
            common.iter_mut().zip(&slope.gradient[own..]).for_each(|(to, g)| *to += g);
        }
        gradient.extend(common);
        gradient
    }

    fn slope(&self, expected: &Expected, numbers: &Numbers, item: usize, quadrature: &Quadrature) -> Slope {
        let (own, points) = (&numbers.own[item], quadrature.nodes.len());
        let n = own.len() + numbers.shared.len();
        let end = expected.starts.get(item + 1).copied().unwrap_or(expected.counts.len());
        let categories = (end - expected.starts[item]) / points;
        let (mut p, mut dp) = (vec![0.0; categories], vec![0.0; categories * n]);
        let mut slope = Slope { gradient: vec![0.0; n], information: vec![0.0; n * n] };
        for (q, &theta) in quadrature.nodes.iter().enumerate() {
            let r = |k: usize| expected.of(item, k, points)[q];
            let total: f64 = (0..categories).map(r).sum();
            if total < 1e-12 {
                continue;
            }
            self.model.probabilities(own, &numbers.shared, theta, &mut p, &mut dp);
            for k in 0..categories {
                let (dp, inverse) = (&dp[k * n..(k + 1) * n], 1.0 / p[k].max(1e-300));
                for i in 0..n {
                    slope.gradient[i] += r(k) * inverse * dp[i];
                    for j in 0..n {
                        slope.information[i * n + j] += total * inverse * dp[i] * dp[j];
                    }
                }
            }
        }
        for (i, mean, precision) in self.priors(own) {
            slope.gradient[i] -= precision * mean;
            slope.information[i * n + i] += precision;
        }
        slope
    }

    /// For each number with a normal prior: its place, its distance from the mean, 1/deviation².
    fn priors(&self, own: &[f64]) -> Vec<(usize, f64, f64)> {
        let mut priors = Vec::new();
        let asymptotes = [
            (Model::ThreePl, 2, self.lower_prior),
            (Model::FourPl, 2, self.lower_prior),
            (Model::FourPl, 3, self.upper_prior),
        ];
        for (model, at, prior) in asymptotes {
            if let Some((mean, deviation)) = prior.filter(|_| model == self.model) {
                priors.push((at, own[at] - mean, deviation.powi(-2)));
            }
        }
        let own_slope = !matches!(self.model, Model::Rasch | Model::RatingScale | Model::PartialCredit);
        if let Some((mean, deviation)) = self.slope_prior.filter(|_| own_slope && own[0] > 0.0) {
            // d/da of −(ln a − m)²/2s² is −(ln a − m)/(a s²): the same shape with these two numbers.
            let precision = (own[0] * deviation).powi(-2);
            priors.push((0, (own[0].ln() - mean) * own[0], precision));
        }
        priors
    }

    /// Logarithm of the priors' densities, less constants.
    pub(super) fn prior(&self, numbers: &Numbers) -> f64 {
        let square = |(_, distance, precision): (usize, f64, f64)| -0.5 * distance * distance * precision;
        numbers.own.iter().flat_map(|own| self.priors(own)).map(square).sum()
    }
}

/// Solves A x = b in place of b, A symmetric and positive (rows of n). Where a pivot is nothing, x is 0
/// there.
pub(crate) fn solve(a: &[f64], b: &mut [f64]) {
    let n = b.len();
    let mut l = a.to_vec();
    // LDLᵀ without pivoting.
    for j in 0..n {
        for k in 0..j {
            let d = l[k * n + k];
            l[j * n + j] -= l[j * n + k] * l[j * n + k] * d;
        }
        let d = l[j * n + j];
        for i in j + 1..n {
            let mut sum = a[i * n + j];
            for k in 0..j {
                sum -= l[i * n + k] * l[j * n + k] * l[k * n + k];
            }
            l[i * n + j] = if d.abs() > 1e-300 { sum / d } else { 0.0 };
        }
    }
    for i in 0..n {
        for k in 0..i {
            b[i] -= l[i * n + k] * b[k];
        }
    }
    for i in 0..n {
        let d = l[i * n + i];
        b[i] = if d > 1e-12 { b[i] / d } else { 0.0 };
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            b[i] -= l[k * n + i] * b[k];
        }
    }
}
