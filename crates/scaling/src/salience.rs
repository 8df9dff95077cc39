//! The capability salience vector: a weight for each token, learnt with the sigmoid from weighted loss
//! to accuracy.

use serde::{Deserialize, Serialize};

use crate::curve::{Logistic, sigmoid};
use crate::multiplicative::{self, Multiplicative};
use crate::{Config, Curve, Error, Form, Losses, Prepared, Result, Target};

/// ŷ_m = γ + (c − γ) σ(offset − Σ_t slopes_t L_{m,t}): a·β and a·w_t, so that a capability which hangs
/// on nothing has slopes of 0 and no division by them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Salience {
    /// The task.
    pub task: String,
    /// The form of the weights.
    pub form: Form,
    /// λ that it was fitted with.
    pub lambda: f64,
    /// a·β.
    pub offset: f64,
    /// a = Σ slopes.
    pub slope: f64,
    /// a·w_t in log-odds a nat, a column each.
    pub slopes: Vec<f64>,
    /// γ, chance.
    pub floor: f64,
    /// c, the ceiling.
    pub ceiling: f64,
    /// Models that it was fitted to.
    pub models: usize,
    /// Σ (ŷ − y)²/se² + penalty.
    pub cost: f64,
    /// Root mean square of ŷ − y over the fitted models.
    pub rmse: f64,
    /// Steps of the solver.
    pub steps: usize,
    /// Whether the cost had stopped falling.
    pub converged: bool,
}

impl Salience {
    /// Predicted accuracy of every model of losses with the same columns.
    pub fn predict(&self, losses: &Losses) -> Vec<f64> {
        losses.weighted(&self.slopes).iter().map(|sum| self.accuracy(*sum)).collect()
    }

    /// Predicted accuracy where Σ slopes·L is known.
    pub fn accuracy(&self, sum: f64) -> f64 {
        self.floor + (self.ceiling - self.floor) * sigmoid(self.offset - sum)
    }

    /// w_t = slopes_t / a, Σ w = 1; none where the curve is flat, a capability that these losses do not
    /// tell of.
    pub fn weights(&self) -> Option<Vec<f64>> {
        let size: f64 = self.slopes.iter().map(|s| s.abs()).sum();
        (self.slope.abs() > 1e-9 * size).then(|| self.slopes.iter().map(|s| s / self.slope).collect())
    }

    /// The curve over the weighted loss C = Σ w L; none where it is flat.
    pub fn curve(&self) -> Option<Curve> {
        self.weights()?;
        let (floor, ceiling) = (self.floor, self.ceiling);
        Some(Curve { slope: self.slope, midpoint: self.offset / self.slope, floor, ceiling })
    }

    /// The same vector over the columns that were grouped by `labels` into `grouped`: each of a group's
    /// columns carries its share of the group's weight.
    pub fn untied(&self, labels: &[u32], grouped: &Losses) -> Result<Self> {
        let groups = grouped.columns();
        if self.slopes.len() != groups {
            return Err(Error::Length { what: "the salience vector", got: self.slopes.len(), expected: groups });
        }
        if let Some(label) = labels.iter().find(|label| **label as usize >= groups) {
            let problem = format!("label {label} stands for none of {groups} groups");
            return Err(Error::Data { problem, hint: "give the labels that the losses were grouped by" });
        }
        let each: Vec<f64> = self.slopes.iter().zip(grouped.counts()).map(|(s, n)| s / n).collect();
        Ok(Self { slopes: labels.iter().map(|label| each[*label as usize]).collect(), ..self.clone() })
    }

    /// The `k` columns that move the prediction most, by |slope_t · spread_t|, spread being the standard
    /// deviation of the column's loss over the models; the first of equals first.
    pub fn top(&self, losses: &Losses, k: usize) -> Vec<TopToken> {
        let models = losses.models() as f64;
        let (means, mut squares) = (losses.column_means(), vec![0.0; losses.columns()]);
        for m in 0..losses.models() {
            squares.iter_mut().zip(losses.row(m)).zip(&means).for_each(|((to, x), mean)| {
                *to += (f64::from(*x) - mean).powi(2);
            });
        }
        let one = |(column, (slope, square)): (usize, (&f64, &f64))| {
            let spread = (square / models).sqrt();
            TopToken { column, slope: *slope, spread, effect: slope * spread }
        };
        let mut all: Vec<TopToken> = self.slopes.iter().zip(&squares).enumerate().map(one).collect();
        let rank = |a: &TopToken, b: &TopToken| b.effect.abs().total_cmp(&a.effect.abs()).then(a.column.cmp(&b.column));
        if k < all.len() {
            all.select_nth_unstable_by(k, rank);
            all.truncate(k);
        }
        all.sort_by(rank);
        all
    }
}

/// A token that a capability hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TopToken {
    /// Its column.
    pub column: usize,
    /// a·w_t, log-odds a nat: above 0 where learning the token helps.
    pub slope: f64,
    /// Standard deviation of its loss over the models, nats.
    pub spread: f64,
    /// slope · spread, log-odds.
    pub effect: f64,
}

/// A fit inside [`Prepared`]'s coordinates, before its weights are written out.
#[derive(Debug, Clone)]
pub(crate) enum State {
    Signed(Logistic),
    Multiplicative(Multiplicative),
}

impl Prepared<'_> {
    /// Fits a task on the models in `train` (indices into the losses).
    pub fn fit(&self, target: &Target, train: &[usize], config: &Config) -> Result<Salience> {
        let state = self.run(target, train, None, config, None)?;
        Ok(self.salience(&state, target, train, config))
    }

    /// Values of λ from next to nothing to next to everything for these losses, smallest first.
    pub fn grid(&self, form: Form, count: usize) -> Vec<f64> {
        let mean = self.means.iter().sum::<f64>() / self.means.len() as f64;
        let variance = self.means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / self.means.len() as f64;
        // (∂ŷ/∂z)² is at most 1/16; a curve that runs over the models' losses has a ≈ 1/sd.
        let (curvature, a2) = (self.spread / 16.0, 1.0 / variance.max(1e-12));
        let size = self.losses.counts().iter().sum::<f64>();
        let (middle, low, high) = match form {
            Form::Signed => (curvature, -7.0, 1.0),
            Form::Simplex => (curvature * a2, -9.0, 1.0),
            Form::Positive => (curvature * a2 / size, -5.0, 2.0),
        };
        let step = (high - low) / (count.max(2) - 1) as f64;
        (0..count).map(|i| middle.max(1e-12) * 10_f64.powf(low + step * i as f64)).collect()
    }

    pub(crate) fn run(
        &self,
        target: &Target,
        train: &[usize],
        multiplicity: Option<&[f64]>,
        config: &Config,
        warm: Option<&State>,
    ) -> Result<State> {
        config.validate()?;
        let scale = target.scales(self.losses, train, multiplicity)?;
        let y = &target.accuracy;
        match config.form {
            Form::Signed => {
                let mut ridge = vec![config.lambda; self.rank + 1];
                ridge[0] = 0.0;
                let warm = warm.and_then(|state| if let State::Signed(fit) = state { Some(fit) } else { None });
                let (floor, ceiling) = (config.floor, config.ceiling);
                let fit = Logistic::fit(&self.features, self.rank + 1, y, &scale, &ridge, floor, ceiling, warm)?;
                Ok(State::Signed(fit))
            }
            Form::Simplex | Form::Positive => {
                let start = match warm {
                    Some(State::Multiplicative(fit)) => fit.clone(),
                    _ => {
                        let (floor, ceiling) = (config.floor, config.ceiling);
                        let curve = Logistic::fit(&self.means, 1, y, &scale, &[0.0], floor, ceiling, None)?;
                        Multiplicative::even(self.losses, &curve)
                    }
                };
                multiplicative::fit(self.losses, y, &scale, config, start).map(State::Multiplicative)
            }
        }
    }

    /// Σ slopes·L of every model, and the offset.
    pub(crate) fn sums(&self, state: &State) -> (Vec<f64>, f64) {
        match state {
            State::Signed(fit) => {
                let along = |f: &[f64], c: &[f64]| -> f64 { f.iter().zip(c).map(|(f, c)| f * c).sum() };
                let shift = along(&self.shifts, &fit.coefficients[1..]);
                let rows = self.features.chunks_exact(self.rank + 1);
                (rows.map(|row| along(row, &fit.coefficients) + shift).collect(), fit.offset + shift)
            }
            State::Multiplicative(fit) => {
                (self.losses.weighted(&fit.weights).iter().map(|c| fit.slope * c).collect(), fit.offset)
            }
        }
    }

    /// Predicted accuracy of every model.
    pub(crate) fn predictions(&self, state: &State) -> Vec<f64> {
        let (sums, offset) = self.sums(state);
        let (floor, ceiling) = state.levels();
        sums.iter().map(|sum| floor + (ceiling - floor) * sigmoid(offset - sum)).collect()
    }

    fn salience(&self, state: &State, target: &Target, train: &[usize], config: &Config) -> Salience {
        let (_, offset) = self.sums(state);
        let even = self.losses.even();
        let (slope, slopes, cost, steps, converged) = match state {
            State::Signed(fit) => {
                let slope = fit.coefficients[0];
                let v = self.deviations(&fit.coefficients[1..]);
                let slopes: Vec<f64> = v.iter().zip(&even).map(|(v, w)| slope * w + v).collect();
                (slope, slopes, fit.cost, fit.steps, fit.converged)
            }
            State::Multiplicative(fit) => {
                let slopes = fit.weights.iter().map(|w| fit.slope * w).collect();
                (fit.slope, slopes, fit.cost, fit.steps, fit.converged)
            }
        };
        let squares: f64 = {
            let predicted = self.predictions(state);
            train.iter().map(|&m| (predicted[m] - target.accuracy[m]).powi(2)).sum()
        };
        let (floor, ceiling) = state.levels();
        Salience {
            task: target.task.clone(),
            form: config.form,
            lambda: config.lambda,
            offset,
            slope,
            slopes,
            floor,
            ceiling,
            models: train.len(),
            cost,
            rmse: (squares / train.len() as f64).sqrt(),
            steps,
            converged,
        }
    }
}

impl State {
    pub(crate) fn levels(&self) -> (f64, f64) {
        match self {
            Self::Signed(fit) => (fit.floor, fit.ceiling),
            Self::Multiplicative(fit) => (fit.floor, fit.ceiling),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses() -> Losses {
        let value = |m: usize, t: usize| 3.0 - 0.1 * m as f32 * (t % 3) as f32 + 0.05 * ((m * 7 + t * 11) % 13) as f32;
        Losses::new(12, 20, (0..12).flat_map(|m| (0..20).map(move |t| value(m, t))).collect()).expect("finite")
    }

    #[test]
    fn tied_weights_are_those_of_their_tokens() {
        let losses = losses();
        let labels: Vec<u32> = (0..20).map(|t| if t < 5 { 0 } else { 1 + t % 3 }).collect();
        let grouped = losses.grouped(&labels).expect("labels fit");
        let target = Target::new("t", (0..12).map(|m| 0.3 + 0.05 * f64::from(m)).collect());
        let train: Vec<usize> = (0..12).collect();
        for form in [Form::Signed, Form::Simplex, Form::Positive] {
            let config = Config { form, ..Config::default() };
            let tied = Prepared::new(&grouped).fit(&target, &train, &config).expect("fits");
            let each = tied.untied(&labels, &grouped).expect("labels fit");
            assert!((each.slopes[5] - each.slopes[8]).abs() < 1e-15 && each.slopes.len() == 20);
            for (a, b) in tied.predict(&grouped).iter().zip(each.predict(&losses)) {
                assert!((a - b).abs() < 1e-6, "{form:?}: {a} {b}");
            }
            let sum: f64 = each.weights().expect("a slope").iter().sum();
            let curve = each.curve().expect("a slope");
            assert!((sum - 1.0).abs() < 1e-9);
            let c: f64 =
                losses.row(3).iter().zip(each.weights().expect("a slope")).map(|(l, w)| f64::from(*l) * w).sum();
            assert!((curve.at(c) - each.predict(&losses)[3]).abs() < 1e-9);
        }
        assert!(
            Prepared::new(&grouped)
                .fit(&target, &train, &Config::default())
                .expect("fits")
                .untied(&[9], &grouped)
                .is_err()
        );
    }

    #[test]
    fn top_tokens_are_those_that_move_the_prediction() {
        let losses = losses();
        let target = Target::new("t", (0..12).map(|m| 0.3 + 0.05 * f64::from(m)).collect());
        let fit = Prepared::new(&losses).fit(&target, &(0..12).collect::<Vec<_>>(), &Config::default()).expect("fits");
        let all = fit.top(&losses, 99);
        assert_eq!(all.len(), 20);
        assert!(all.windows(2).all(|w| w[0].effect.abs() >= w[1].effect.abs()));
        assert_eq!(fit.top(&losses, 4), all[..4]);
        let first = all[0];
        assert_eq!(first.effect, fit.slopes[first.column] * first.spread);
        assert!(fit.top(&losses, 0).is_empty());
    }
}
