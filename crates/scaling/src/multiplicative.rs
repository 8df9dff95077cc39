//! Weights that are never negative: w = w0 e^θ / Σ w0 e^θ, fitted step by step.
//!
//! ∂z_m/∂θ_t = −a w_t (L_{m,t} − C_m) changes with w, so every step sums its own K (M²T):
//! (JᵀJ + Λ)⁻¹ = Λ⁻¹ − Λ⁻¹Jᵀ(I + JΛ⁻¹Jᵀ)⁻¹JΛ⁻¹, Λ being the penalty's curvature and the damping, both
//! diagonal. With fewer columns than models the normal equations are solved as they are.

use rayon::prelude::*;

use crate::curve::{Logistic, sigmoid};
use crate::gram::gram;
use crate::linear::Cholesky;
use crate::{Config, Error, Form, Losses, Result};

/// Where a fit stands.
#[derive(Debug, Clone)]
pub(crate) struct Multiplicative {
    pub theta: Vec<f64>,
    pub weights: Vec<f64>,
    pub offset: f64,
    pub slope: f64,
    pub floor: f64,
    pub ceiling: f64,
    pub cost: f64,
    pub steps: usize,
    pub converged: bool,
}

impl Multiplicative {
    /// All tokens weigh alike, and the curve is that of the mean loss.
    pub fn even(losses: &Losses, curve: &Logistic) -> Self {
        Self {
            theta: vec![0.0; losses.columns()],
            weights: losses.even(),
            offset: curve.offset,
            slope: curve.coefficients[0],
            floor: curve.floor,
            ceiling: curve.ceiling,
            cost: f64::INFINITY,
            steps: 0,
            converged: false,
        }
    }
}

/// One problem: what to fit, to which accuracies, under which penalty.
pub(crate) struct Problem<'a> {
    pub losses: &'a Losses,
    pub y: &'a [f64],
    /// √multiplicity / se; 0 for models that are not fitted.
    pub scale: &'a [f64],
    pub config: &'a Config,
    even: Vec<f64>,
}

/// Residuals and derivatives at one place.
struct Place {
    /// C_m = Σ w L.
    weighted: Vec<f64>,
    /// scale (ŷ − y).
    r: Vec<f64>,
    /// ∂r/∂z.
    by_z: Vec<f64>,
    /// σ(z).
    s: Vec<f64>,
    cost: f64,
}

/// ½ gradient and curvature of the penalty; the curvature is diagonal.
struct Penalty {
    gradient: Vec<f64>,
    curvature: Vec<f64>,
}

/// A step in θ and in the free ones of offset, slope, floor, ceiling.
pub(crate) struct Step {
    pub theta: Vec<f64>,
    pub shape: [f64; 4],
}

impl<'a> Problem<'a> {
    pub fn new(losses: &'a Losses, y: &'a [f64], scale: &'a [f64], config: &'a Config) -> Self {
        Self { losses, y, scale, config, even: losses.even() }
    }

    /// Makes the weights of θ; their sum is 1.
    fn weigh(&self, at: &mut Multiplicative) {
        let top = at.theta.par_iter().copied().reduce(|| f64::NEG_INFINITY, f64::max);
        at.weights.par_iter_mut().zip(&at.theta).zip(&self.even).for_each(|((w, x), even)| *w = even * (x - top).exp());
        let sum: f64 = at.weights.iter().sum();
        at.weights.par_iter_mut().for_each(|w| *w /= sum);
    }

    fn penalty_cost(&self, at: &Multiplicative) -> f64 {
        let counts = self.losses.counts();
        let sum: f64 = match self.config.form {
            Form::Positive => at.theta.iter().zip(&self.even).map(|(x, w)| w * x * x).sum(),
            _ => at.weights.iter().zip(&self.even).zip(counts).map(|((w, e), n)| (w - e).powi(2) / n).sum(),
        };
        self.config.lambda * sum
    }

    fn penalty(&self, at: &Multiplicative) -> Penalty {
        let lambda = self.config.lambda;
        if self.config.form == Form::Positive {
            let curvature: Vec<f64> = self.even.iter().map(|w| lambda * w).collect();
            let gradient = curvature.iter().zip(&at.theta).map(|(c, x)| c * x).collect();
            return Penalty { gradient, curvature };
        }
        // ∂w_s/∂θ_t = w_t (δ_st − w_s); of its square the diagonal is kept, the rest is of order w.
        let counts = self.losses.counts();
        let e: Vec<f64> = at.weights.iter().zip(&self.even).zip(counts).map(|((w, even), n)| (w - even) / n).collect();
        let mean: f64 = e.iter().zip(&at.weights).map(|(e, w)| e * w).sum();
        Penalty {
            gradient: e.iter().zip(&at.weights).map(|(e, w)| lambda * w * (e - mean)).collect(),
            curvature: at.weights.iter().zip(counts).map(|(w, n)| lambda * w * w / n).collect(),
        }
    }

    fn place(&self, at: &Multiplicative) -> Place {
        let weighted = self.losses.weighted(&at.weights);
        let s: Vec<f64> = weighted.iter().map(|c| sigmoid(at.offset - at.slope * c)).collect();
        let height = at.ceiling - at.floor;
        let one =
            |m: usize| if self.scale[m] == 0.0 { 0.0 } else { self.scale[m] * (at.floor + height * s[m] - self.y[m]) };
        let r: Vec<f64> = (0..s.len()).map(one).collect();
        let by_z = s.iter().zip(self.scale).map(|(s, scale)| scale * height * s * (1.0 - s)).collect();
        let cost = r.iter().map(|r| r * r).sum::<f64>() + self.penalty_cost(at);
        Place { weighted, r, by_z, s, cost }
    }

    /// ∂r_m of offset, slope, floor, ceiling.
    fn shape_row(&self, place: &Place, m: usize) -> [f64; 4] {
        let (h, s, scale) = (place.by_z[m], place.s[m], self.scale[m]);
        [h, -h * place.weighted[m], scale * (1.0 - s), scale * s]
    }

    /// Shape parameters that may move: the free ones that do not push against 0 or 1.
    fn movable(&self, at: &Multiplicative, place: &Place) -> Vec<usize> {
        let slope = |k: usize| -> f64 { (0..place.r.len()).map(|m| self.shape_row(place, m)[k] * place.r[m]).sum() };
        let inside = |level: f64, (low, high): (f64, f64), k: usize| {
            !(level <= low && slope(k) > 0.0 || level >= high && slope(k) < 0.0)
        };
        let mut free = vec![0, 1];
        if self.config.floor.is_free() && inside(at.floor, self.config.floor.bounds(), 2) {
            free.push(2);
        }
        if self.config.ceiling.is_free() && inside(at.ceiling, self.config.ceiling.bounds(), 3) {
            free.push(3);
        }
        free
    }

    /// The step by M × M equations.
    fn dual(&self, at: &Multiplicative, place: &Place, penalty: &Penalty, damping: &[f64], mu: f64) -> Option<Step> {
        let (models, a) = (self.losses.models(), at.slope);
        let total: Vec<f64> = penalty.curvature.par_iter().zip(damping).map(|(p, d)| p + mu * d).collect();
        let k = gram(self.losses, &place.weighted, false, |t| at.weights[t].powi(2) / total[t]);
        let mut system = vec![0.0; models * models];
        for i in 0..models {
            for j in 0..models {
                system[i * models + j] = a * a * place.by_z[i] * place.by_z[j] * k[i * models + j];
            }
            system[i * models + i] += 1.0;
        }
        let system = Cholesky::new(&system, models)?;
        // c = r − J_θ Λ⁻¹ g_P.
        let u: Vec<f64> =
            (0..total.len()).into_par_iter().map(|t| at.weights[t] / total[t] * penalty.gradient[t]).collect();
        let (along, sum) = (self.losses.weighted(&u), u.iter().sum::<f64>());
        let c: Vec<f64> =
            (0..models).map(|m| place.r[m] + a * place.by_z[m] * (along[m] - place.weighted[m] * sum)).collect();
        let mut inverse_c = c.clone();
        system.solve(&mut inverse_c);
        // The shape first: (JsᵀA⁻¹Js + μD)δs = −JsᵀA⁻¹c.
        let free = self.movable(at, place);
        let columns: Vec<Vec<f64>> =
            free.iter().map(|&k| (0..models).map(|m| self.shape_row(place, m)[k]).collect()).collect();
        let solved: Vec<Vec<f64>> = columns
            .iter()
            .map(|column| {
                let mut x = column.clone();
                system.solve(&mut x);
                x
            })
            .collect();
        let n = free.len();
        let product = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| x * y).sum() };
        let mut small: Vec<f64> = (0..n * n).map(|at| product(&columns[at / n], &solved[at % n])).collect();
        (0..n).for_each(|i| small[i * n + i] += mu * product(&columns[i], &columns[i]) + 1e-300);
        let mut moves: Vec<f64> = columns.iter().map(|column| -product(column, &inverse_c)).collect();
        Cholesky::new(&small, n)?.solve(&mut moves);
        let mut shape = [0.0; 4];
        free.iter().zip(&moves).for_each(|(&k, x)| shape[k] = *x);
        // δθ = −Λ⁻¹(g_P + J_θᵀ y) with y = A⁻¹(c + Js δs).
        let factors: Vec<f64> = (0..models)
            .map(|m| place.by_z[m] * (inverse_c[m] + moves.iter().zip(&solved).map(|(x, s)| x * s[m]).sum::<f64>()))
            .collect();
        let shift = product(&factors, &place.weighted);
        let mut theta = vec![0.0; total.len()];
        self.losses.combine(&factors, 0.0, &mut theta);
        theta.par_iter_mut().enumerate().for_each(|(t, x)| {
            *x = -(penalty.gradient[t] - a * at.weights[t] * (*x - shift)) / total[t];
        });
        Some(Step { theta, shape })
    }

    /// The same step by the normal equations, (columns + 4)².
    fn primal(&self, at: &Multiplicative, place: &Place, penalty: &Penalty, damping: &[f64], mu: f64) -> Option<Step> {
        let (columns, free) = (self.losses.columns(), self.movable(at, place));
        let n = columns + free.len();
        let (mut normal, mut step) = (vec![0.0; n * n], vec![0.0; n]);
        let mut squares = vec![0.0; free.len()];
        for m in 0..self.losses.models() {
            let shape = self.shape_row(place, m);
            let weights = self.losses.row(m).iter().zip(&at.weights);
            let mut row: Vec<f64> =
                weights.map(|(x, w)| -at.slope * place.by_z[m] * w * (f64::from(*x) - place.weighted[m])).collect();
            row.extend(free.iter().map(|&k| shape[k]));
            squares.iter_mut().zip(&free).for_each(|(to, &k)| *to += shape[k].powi(2));
            for i in 0..n {
                step[i] -= row[i] * place.r[m];
                normal[i * n..(i + 1) * n].iter_mut().zip(&row).for_each(|(to, x)| *to += row[i] * x);
            }
        }
        for t in 0..columns {
            normal[t * n + t] += penalty.curvature[t] + mu * damping[t];
            step[t] -= penalty.gradient[t];
        }
        (columns..n).for_each(|i| normal[i * n + i] += mu * squares[i - columns] + 1e-300);
        Cholesky::new(&normal, n)?.solve(&mut step);
        let mut shape = [0.0; 4];
        free.iter().zip(&step[columns..]).for_each(|(&k, x)| shape[k] = *x);
        step.truncate(columns);
        Some(Step { theta: step, shape })
    }

    /// The next place after a step; θ moves by at most 3 (a factor of 20) at once.
    fn moved(&self, at: &Multiplicative, step: &Step) -> Multiplicative {
        let mut next = at.clone();
        next.theta.par_iter_mut().zip(&step.theta).for_each(|(x, d)| *x += d.clamp(-3.0, 3.0));
        next.offset += step.shape[0];
        next.slope += step.shape[1];
        let (floor, ceiling) = (self.config.floor.bounds(), self.config.ceiling.bounds());
        next.floor = (next.floor + step.shape[2]).clamp(floor.0, floor.1);
        next.ceiling = (next.ceiling + step.shape[3]).clamp(ceiling.0, ceiling.1);
        self.weigh(&mut next);
        next
    }
}

/// Minimises Σ scale² (ŷ − y)² + penalty from `start`.
pub(crate) fn fit(
    losses: &Losses,
    y: &[f64],
    scale: &[f64],
    config: &Config,
    start: Multiplicative,
) -> Result<Multiplicative> {
    let problem = Problem::new(losses, y, scale, config);
    let mut at = start;
    problem.weigh(&mut at);
    let mut place = problem.place(&at);
    if !place.cost.is_finite() {
        let problem = "the start gives no finite sum of squares".to_string();
        return Err(Error::Data { problem, hint: "look at the losses for absurd values" });
    }
    let damping = problem.damping(&at, &place);
    let small = losses.columns() + 4 <= losses.models();
    let (mut mu, mut idle) = (1e-2, 0);
    (at.steps, at.converged) = (0, false);
    while at.steps < config.steps && !at.converged {
        let penalty = problem.penalty(&at);
        let mut better = None;
        for _ in 0..20 {
            let step = if small {
                problem.primal(&at, &place, &penalty, &damping, mu)
            } else {
                problem.dual(&at, &place, &penalty, &damping, mu)
            };
            if let Some(step) = step {
                let next = problem.moved(&at, &step);
                let there = problem.place(&next);
                if there.cost < place.cost {
                    better = Some((next, there));
                    break;
                }
            }
            mu *= 5.0;
        }
        at.steps += 1;
        let Some((next, there)) = better else {
            at.converged = true;
            break;
        };
        idle = if place.cost - there.cost <= 1e-9 * place.cost { idle + 1 } else { 0 };
        let steps = at.steps;
        (at, place) = (next, there);
        (at.steps, at.converged) = (steps, idle >= 2);
        mu = (mu / 3.0).max(1e-9);
    }
    at.cost = place.cost;
    Ok(at)
}

impl Problem<'_> {
    /// What μ multiplies: w0_t times the mean curvature of the residuals, so that μ has no unit.
    fn damping(&self, at: &Multiplicative, place: &Place) -> Vec<f64> {
        let k = gram(self.losses, &place.weighted, false, |t| at.weights[t].powi(2) / self.even[t]);
        let models = self.losses.models();
        let size: f64 = (0..models).map(|m| (at.slope * place.by_z[m]).powi(2) * k[m * models + m]).sum();
        self.even.iter().map(|w| w * size.max(1e-300)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    fn small() -> (Losses, Vec<f64>, Vec<f64>) {
        let (models, columns) = (14, 9);
        let value = |m: usize, t: usize| {
            let noise = ((m * 31 + t * 17) % 23) as f64 / 23.0;
            (3.0 - m as f64 / 14.0 * (1.0 + (t as f64).sin()) + 0.2 * noise) as f32
        };
        let values = (0..models).flat_map(|m| (0..columns).map(move |t| value(m, t))).collect();
        let labels = [0, 1, 2, 2, 3, 3, 3, 4, 4];
        let losses = Losses::new(models, columns, values).expect("finite").grouped(&labels).expect("labels fit");
        let y = (0..models).map(|m| 0.3 + 0.4 * m as f64 / 14.0).collect();
        let scale = (0..models).map(|m| if m == 5 { 0.0 } else { 1.0 + m as f64 / 10.0 }).collect();
        (losses, y, scale)
    }

    fn somewhere(losses: &Losses, problem: &Problem) -> Multiplicative {
        let curve = Logistic {
            offset: 4.0,
            coefficients: vec![1.5],
            floor: 0.2,
            ceiling: 0.9,
            cost: 0.0,
            steps: 0,
            converged: true,
        };
        let mut at = Multiplicative::even(losses, &curve);
        at.theta.iter_mut().enumerate().for_each(|(t, x)| *x = (t as f64 * 1.3).sin());
        problem.weigh(&mut at);
        at
    }

    fn config(form: Form) -> Config {
        Config { form, floor: Level::Free, ceiling: Level::Free, lambda: 0.3, steps: 200 }
    }

    #[test]
    fn derivatives_agree_with_differences() {
        let (losses, y, scale) = small();
        for form in [Form::Simplex, Form::Positive] {
            let config = config(form);
            let problem = Problem::new(&losses, &y, &scale, &config);
            let at = somewhere(&losses, &problem);
            let (place, penalty) = (problem.place(&at), problem.penalty(&at));
            let h = 1e-6;
            let near = |change: &dyn Fn(&mut Multiplicative, f64)| {
                let [up, down] = [h, -h].map(|h| {
                    let mut moved = at.clone();
                    change(&mut moved, h);
                    problem.weigh(&mut moved);
                    (problem.place(&moved), problem.penalty_cost(&moved))
                });
                let r: Vec<f64> = up.0.r.iter().zip(&down.0.r).map(|(u, d)| (u - d) / (2.0 * h)).collect();
                (r, (up.1 - down.1) / (2.0 * h))
            };
            for t in 0..losses.columns() {
                let (r, cost) = near(&|at, h| at.theta[t] += h);
                assert!((cost / 2.0 - penalty.gradient[t]).abs() < 1e-7, "{form:?} penalty of {t}");
                for (m, r) in r.iter().enumerate() {
                    let x = f64::from(losses.row(m)[t]) - place.weighted[m];
                    let analytic = -at.slope * place.by_z[m] * at.weights[t] * x;
                    assert!((r - analytic).abs() < 1e-7, "{form:?} {m} {t}: {r} {analytic}");
                }
            }
            for k in 0..4 {
                let (r, _) = near(&|at, h| match k {
                    0 => at.offset += h,
                    1 => at.slope += h,
                    2 => at.floor += h,
                    _ => at.ceiling += h,
                });
                for (m, r) in r.iter().enumerate() {
                    assert!((r - problem.shape_row(&place, m)[k]).abs() < 1e-7, "shape {k}");
                }
            }
        }
    }

    #[test]
    fn the_dual_step_is_the_primal_step() {
        let (losses, y, scale) = small();
        for form in [Form::Simplex, Form::Positive] {
            let config = config(form);
            let problem = Problem::new(&losses, &y, &scale, &config);
            let at = somewhere(&losses, &problem);
            let (place, penalty) = (problem.place(&at), problem.penalty(&at));
            let damping = problem.damping(&at, &place);
            for mu in [1e-2, 1.0] {
                let dual = problem.dual(&at, &place, &penalty, &damping, mu).expect("definite");
                let primal = problem.primal(&at, &place, &penalty, &damping, mu).expect("definite");
                let size = primal.theta.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
                for (a, b) in dual.theta.iter().zip(&primal.theta) {
                    assert!((a - b).abs() < 1e-3 * size, "{form:?} {mu}: {a} {b}");
                }
                for (a, b) in dual.shape.iter().zip(&primal.shape) {
                    assert!((a - b).abs() < 1e-3 * b.abs().max(0.1), "{form:?} {mu}: {a} {b}");
                }
            }
        }
    }
}
