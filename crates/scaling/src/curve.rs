//! The sigmoid between a loss and an accuracy, and its least-squares fit to one or many features.

use serde::{Deserialize, Serialize};

use crate::solver::{self, Limits, Solution};
use crate::{Error, Result, linear};

/// 1 / (1 + e^{−z}), without overflow.
pub fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 { 1.0 / (1.0 + (-z).exp()) } else { z.exp() / (1.0 + z.exp()) }
}

/// A level of the curve: chance or ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Known, 0 to 1.
    Fixed(f64),
    /// Estimated, between 0 and 1.
    Free,
    /// Estimated, between two limits from −1 to 2: a floor below 0 or a ceiling above 1 is no accuracy,
    /// but lets the part of the curve in between be straighter.
    Between(f64, f64),
}

impl Level {
    pub(crate) fn bounds(self) -> (f64, f64) {
        match self {
            Self::Fixed(level) => (level, level),
            Self::Free => (0.0, 1.0),
            Self::Between(low, high) => (low, high),
        }
    }

    pub(crate) fn is_free(self) -> bool {
        !matches!(self, Self::Fixed(_))
    }

    pub(crate) fn check(floor: Self, ceiling: Self) -> Result<()> {
        let (low, high) = (floor.bounds(), ceiling.bounds());
        let good = |level: Self, (low, high): (f64, f64)| match level {
            Self::Between(..) => low >= -1.0 && high <= 2.0 && low < high,
            _ => low >= 0.0 && high <= 1.0,
        };
        if good(floor, low) && good(ceiling, high) && low.0 < high.1 {
            return Ok(());
        }
        let problem =
            format!("{floor:?} and {ceiling:?} are no chance and ceiling: give levels from 0 to 1, chance below");
        Err(Error::Setting { setting: "floor, ceiling", problem })
    }
}

/// ŷ(x) = γ + (c − γ) σ(a (β − x)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// a, per unit of x; above 0 where less loss means more ability.
    pub slope: f64,
    /// β, where the curve is half way up.
    pub midpoint: f64,
    /// γ, chance.
    pub floor: f64,
    /// c, the ceiling.
    pub ceiling: f64,
}

impl Curve {
    /// The accuracy at x.
    pub fn at(&self, x: f64) -> f64 {
        self.floor + (self.ceiling - self.floor) * sigmoid(self.slope * (self.midpoint - x))
    }

    /// Least squares over models: Σ (ŷ − y)² / se², with se = 1 where none is given.
    pub fn fit(x: &[f64], y: &[f64], errors: Option<&[f64]>, floor: Level, ceiling: Level) -> Result<Self> {
        let scale = scales(y, errors)?;
        let fit = Logistic::fit(x, 1, y, &scale, &[0.0], floor, ceiling, None)?;
        let slope = fit.coefficients[0];
        // A flat curve has no middle; its height is kept in the levels.
        if slope.abs() < 1e-12 {
            let height = fit.at(&x[..1]);
            return Ok(Self { slope: 0.0, midpoint: 0.0, floor: height, ceiling: height });
        }
        Ok(Self { slope, midpoint: fit.offset / slope, floor: fit.floor, ceiling: fit.ceiling })
    }
}

/// 1/se of every model.
pub(crate) fn scales(y: &[f64], errors: Option<&[f64]>) -> Result<Vec<f64>> {
    let Some(errors) = errors else { return Ok(vec![1.0; y.len()]) };
    if errors.len() != y.len() {
        return Err(Error::Length { what: "the list of standard errors", got: errors.len(), expected: y.len() });
    }
    let one = |(i, e): (usize, &f64)| {
        let good = e.is_finite() && *e > 0.0;
        let model = || format!("model {i}");
        good.then(|| 1.0 / e).ok_or_else(|| Error::NotPositive { what: "standard error", model: model(), value: *e })
    };
    errors.iter().enumerate().map(one).collect()
}

/// ŷ = γ + (c − γ) σ(offset − Σ_k coefficient_k f_k).
#[derive(Debug, Clone)]
pub(crate) struct Logistic {
    pub offset: f64,
    pub coefficients: Vec<f64>,
    pub floor: f64,
    pub ceiling: f64,
    pub cost: f64,
    pub steps: usize,
    pub converged: bool,
}

impl Logistic {
    /// The accuracy of a model with these features.
    pub fn at(&self, features: &[f64]) -> f64 {
        let sum: f64 = self.coefficients.iter().zip(features).map(|(c, f)| c * f).sum();
        self.floor + (self.ceiling - self.floor) * sigmoid(self.offset - sum)
    }

    /// Minimises Σ_m scale_m² (ŷ_m − y_m)² + Σ_k ridge_k coefficient_k² over `columns` features a
    /// model. Without a `warm` start several are tried: slopes along the first feature, and where no
    /// ridge stands the regression of log-odds on all.
    #[expect(
        clippy::too_many_arguments,
        reason = "one least-squares problem: its data, its penalty, its levels, its start"
    )]
    pub fn fit(
        features: &[f64],
        columns: usize,
        y: &[f64],
        scale: &[f64],
        ridge: &[f64],
        floor: Level,
        ceiling: Level,
        warm: Option<&Self>,
    ) -> Result<Self> {
        Level::check(floor, ceiling)?;
        let used: Vec<usize> = (0..y.len()).filter(|&m| scale[m] != 0.0).collect();
        for &m in &used {
            let model = || format!("model {m}");
            if let Some(column) = features[m * columns..(m + 1) * columns].iter().position(|x| !x.is_finite()) {
                let value = features[m * columns + column];
                return Err(Error::NotFinite { what: "feature", model: model(), column, value });
            }
            if !(0.0..=1.0).contains(&y[m]) {
                return Err(Error::Accuracy { task: "the task".into(), model: model(), value: y[m] });
            }
        }
        let free = ridge.iter().filter(|r| **r == 0.0).count().min(2) + 1;
        if used.len() < free.max(2) {
            let problem = format!("{} models for a sigmoid", used.len());
            return Err(Error::Data { problem, hint: "give at least three models that were trained differently" });
        }
        let along = |k: usize| used.iter().map(move |&m| features[m * columns + k]);
        let (low, high) = along(0).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
        if high - low <= 1e-9 * high.abs().max(low.abs()) {
            let problem = format!("what the accuracy shall follow from is {low} for all {} models", used.len());
            return Err(Error::Data { problem, hint: "give models of different losses" });
        }
        let starts = match warm {
            Some(warm) => {
                let mut start = vec![warm.offset];
                start.extend(&warm.coefficients);
                start.extend([warm.floor, warm.ceiling]);
                vec![start]
            }
            None => starts(features, columns, y, &used, ridge, floor, ceiling),
        };
        let mut bounds = vec![(f64::NEG_INFINITY, f64::INFINITY); columns + 1];
        bounds.extend([floor.bounds(), ceiling.bounds()]);
        let mut penalty = vec![0.0; columns + 3];
        penalty[1..=columns].copy_from_slice(ridge);
        let solve = |start: &Vec<f64>| {
            let evaluate = |p: &[f64], r: &mut [f64], j: Option<&mut [f64]>| {
                residuals(p, features, columns, y, scale, &used, r, j);
            };
            solver::levenberg(start, &bounds, &penalty, used.len(), Limits::default(), evaluate)
        };
        let Some(found) = solver::best(starts.iter().map(solve)) else {
            let problem = "no start gives a finite sum of squares".to_string();
            return Err(Error::Data { problem, hint: "look at the losses for absurd values" });
        };
        let Solution { at, cost, steps, converged } = found;
        Ok(Self {
            offset: at[0],
            coefficients: at[1..=columns].to_vec(),
            floor: at[columns + 1],
            ceiling: at[columns + 2],
            cost,
            steps,
            converged,
        })
    }
}

/// Places to start from; p = offset, coefficients, floor, ceiling.
fn starts(
    features: &[f64],
    columns: usize,
    y: &[f64],
    used: &[usize],
    ridge: &[f64],
    floor: Level,
    ceiling: Level,
) -> Vec<Vec<f64>> {
    let n = used.len() as f64;
    let mean = used.iter().map(|&m| features[m * columns]).sum::<f64>() / n;
    let sd = (used.iter().map(|&m| (features[m * columns] - mean).powi(2)).sum::<f64>() / n).sqrt();
    let average = used.iter().map(|&m| y[m]).sum::<f64>() / n;
    let least = used.iter().map(|&m| y[m]).fold(1.0, f64::min);
    let most = used.iter().map(|&m| y[m]).fold(0.0, f64::max);
    let floors =
        if floor.is_free() { vec![0.0_f64.max(floor.bounds().0), 0.98 * least] } else { vec![floor.bounds().0] };
    let ceilings = if ceiling.is_free() {
        vec![1.0_f64.min(ceiling.bounds().1), most + 0.05 * (1.0 - most)]
    } else {
        vec![ceiling.bounds().0]
    };
    let mut starts = Vec::new();
    for &low in &floors {
        for &high in ceilings.iter().filter(|high| **high > low) {
            let logit = |y: f64| {
                let share = ((y - low) / (high - low)).clamp(0.02, 0.98);
                (share / (1.0 - share)).ln()
            };
            for steep in [0.5, 1.5, 4.0] {
                let mut start = vec![0.0; columns + 3];
                start[1] = steep / sd;
                start[0] = logit(average) + start[1] * mean;
                (start[columns + 1], start[columns + 2]) = (low, high);
                starts.push(start);
            }
            if ridge.iter().all(|r| *r == 0.0) {
                let row =
                    |&m: &usize| std::iter::once(1.0).chain(features[m * columns..][..columns].iter().map(|f| -f));
                let x: Vec<f64> = used.iter().flat_map(row).collect();
                let log_odds: Vec<f64> = used.iter().map(|&m| logit(y[m])).collect();
                if let Some(mut start) = linear::least_squares(&x, columns + 1, &log_odds) {
                    start.extend([low, high]);
                    starts.push(start);
                }
            }
        }
    }
    starts
}

/// scale (ŷ − y) of the used models and its derivatives.
#[expect(clippy::too_many_arguments, reason = "the same problem as above, unpacked once a step")]
fn residuals(
    p: &[f64],
    features: &[f64],
    columns: usize,
    y: &[f64],
    scale: &[f64],
    used: &[usize],
    r: &mut [f64],
    mut jacobian: Option<&mut [f64]>,
) {
    let (floor, ceiling) = (p[columns + 1], p[columns + 2]);
    for (i, &m) in used.iter().enumerate() {
        let f = &features[m * columns..(m + 1) * columns];
        let s = sigmoid(p[0] - p[1..=columns].iter().zip(f).map(|(c, f)| c * f).sum::<f64>());
        r[i] = scale[m] * (floor + (ceiling - floor) * s - y[m]);
        if let Some(jacobian) = jacobian.as_deref_mut() {
            let row = &mut jacobian[i * (columns + 3)..(i + 1) * (columns + 3)];
            let by_z = scale[m] * (ceiling - floor) * s * (1.0 - s);
            row[0] = by_z;
            row[1..=columns].iter_mut().zip(f).for_each(|(to, f)| *to = -by_z * f);
            row[columns + 1] = scale[m] * (1.0 - s);
            row[columns + 2] = scale[m] * s;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_agree_with_differences() {
        let features: Vec<f64> = (0..10).map(|i| (i as f64 * 0.9).sin()).collect();
        let (y, scale, used) = ([0.3, 0.4, 0.9, 0.5, 0.6], [1.0, 2.0, 0.0, 1.5, 1.0], [0, 1, 3, 4]);
        solver::check_jacobian(&[0.3, 1.2, -0.7, 0.25, 0.9], used.len(), |p, r, j| {
            residuals(p, &features, 2, &y, &scale, &used, r, j);
        });
    }

    #[test]
    fn a_curve_is_found_again() {
        let truth = Curve { slope: 2.5, midpoint: 3.1, floor: 0.25, ceiling: 0.9 };
        let x: Vec<f64> = (0..30).map(|i| 1.5 + 0.12 * f64::from(i)).collect();
        let y: Vec<f64> = x.iter().map(|x| truth.at(*x)).collect();
        let fit = Curve::fit(&x, &y, None, Level::Free, Level::Free).expect("fits");
        for (a, b) in [(fit.slope, 2.5), (fit.midpoint, 3.1), (fit.floor, 0.25), (fit.ceiling, 0.9)] {
            assert!((a - b).abs() < 1e-5, "{fit:?}");
        }
        let fit = Curve::fit(&x, &y, Some(&[0.02; 30]), Level::Fixed(0.25), Level::Fixed(0.9)).expect("fits");
        assert!((fit.slope - 2.5).abs() < 1e-6 && fit.floor == 0.25 && fit.ceiling == 0.9, "{fit:?}");
    }

    #[test]
    fn what_cannot_be_fitted_is_named() {
        let fit = |x: &[f64], y: &[f64]| Curve::fit(x, y, None, Level::Fixed(0.0), Level::Fixed(1.0));
        assert!(matches!(fit(&[1.0], &[0.5]), Err(Error::Data { .. })));
        assert!(matches!(fit(&[2.0; 4], &[0.5; 4]), Err(Error::Data { .. })));
        assert!(matches!(fit(&[1.0, f64::NAN, 3.0], &[0.5; 3]), Err(Error::NotFinite { .. })));
        let outside = fit(&[1.0, 2.0, 3.0], &[0.5, 1.2, 0.1]).expect_err("an accuracy above 1");
        assert!(outside.to_string().contains("model 1"), "{outside}");
        // An accuracy that never changes is a flat curve, not a failure.
        let flat = fit(&[1.0, 2.0, 3.0, 4.0], &[0.4; 4]).expect("fits");
        assert!((flat.at(2.5) - 0.4).abs() < 1e-6, "{flat:?}");
        assert!(Curve::fit(&[1.0, 2.0, 3.0], &[0.5; 3], None, Level::Fixed(0.9), Level::Fixed(0.5)).is_err());
    }
}
