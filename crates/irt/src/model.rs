use serde::{Deserialize, Serialize};

/// How a score depends on ability θ. Slopes multiply θ; σ(z) = 1 / (1 + e^{−z}).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// One slope for all items: P(1) = σ(a(θ − b)). With θ ~ N(0, 1), a is the standard deviation of
    /// ability on the Rasch scale, where slopes are 1.
    Rasch,
    /// P(1) = σ(a(θ − b)).
    TwoPl,
    /// P(1) = c + (1 − c) σ(a(θ − b)).
    ThreePl,
    /// P(1) = c + (u − c) σ(a(θ − b)).
    FourPl,
    /// P(k) ∝ exp Σ_{v≤k} a(θ − b − τ_v), the same τ and one slope for all items, Σ τ = 0.
    RatingScale,
    /// P(k) ∝ exp Σ_{v≤k} a(θ − b_v), one slope for all items.
    PartialCredit,
    /// P(k) ∝ exp Σ_{v≤k} a(θ − b_v).
    GeneralizedPartialCredit,
    /// P(≥ k) = σ(a(θ − b_k)), b rising.
    Graded,
}

impl Model {
    /// All models.
    pub const ALL: [Self; 8] = [
        Self::Rasch,
        Self::TwoPl,
        Self::ThreePl,
        Self::FourPl,
        Self::RatingScale,
        Self::PartialCredit,
        Self::GeneralizedPartialCredit,
        Self::Graded,
    ];

    /// Whether items have two categories only.
    pub fn dichotomous(self) -> bool {
        matches!(self, Self::Rasch | Self::TwoPl | Self::ThreePl | Self::FourPl)
    }

    /// Whether the raw score says all about a person who met given items.
    pub fn raw_score_suffices(self) -> bool {
        matches!(self, Self::Rasch | Self::RatingScale | Self::PartialCredit)
    }

    /// Free numbers of an item with so many categories.
    #[cfg(test)]
    fn own(self, categories: usize) -> usize {
        match self {
            Self::Rasch | Self::RatingScale => 1,
            Self::TwoPl => 2,
            Self::ThreePl => 3,
            Self::FourPl => 4,
            Self::PartialCredit => categories - 1,
            Self::GeneralizedPartialCredit | Self::Graded => categories,
        }
    }

    /// Free numbers that all items share.
    pub(crate) fn shared(self, categories: usize) -> usize {
        match self {
            Self::Rasch | Self::PartialCredit => 1,
            Self::RatingScale => categories - 1,
            _ => 0,
        }
    }

    /// Probabilities of the categories at θ into `p`, and their derivatives by the own numbers, then
    /// the shared ones, into `dp` (categories × numbers). Numbers are unconstrained: intercepts
    /// d = −a·b, logits, logarithms of distances.
    pub(crate) fn probabilities(self, own: &[f64], shared: &[f64], theta: f64, p: &mut [f64], dp: &mut [f64]) {
        let n = own.len() + shared.len();
        match self {
            Self::Rasch | Self::TwoPl => {
                let (slope, intercept) = if self == Self::Rasch { (shared[0], own[0]) } else { (own[0], own[1]) };
                let right = sigmoid(slope * theta + intercept);
                (p[0], p[1]) = (1.0 - right, right);
                let d = right * (1.0 - right);
                // Own before shared: (d, a) for Rasch, (a, d) for two numbers of its own.
                let row = if self == Self::Rasch { [d, d * theta] } else { [d * theta, d] };
                for i in 0..2 {
                    (dp[i], dp[n + i]) = (-row[i], row[i]);
                }
            }
            Self::ThreePl | Self::FourPl => {
                let s = sigmoid(own[0] * theta + own[1]);
                let c = sigmoid(own[2]);
                let v = if self == Self::FourPl { sigmoid(own[3]) } else { 1.0 };
                let right = c + (1.0 - c) * v * s;
                (p[0], p[1]) = (1.0 - right, right);
                let ds = (1.0 - c) * v * s * (1.0 - s);
                let mut row = [ds * theta, ds, c * (1.0 - c) * (1.0 - v * s), 0.0];
                if self == Self::FourPl {
                    row[3] = (1.0 - c) * v * (1.0 - v) * s;
                }
                for i in 0..n {
                    (dp[i], dp[n + i]) = (-row[i], row[i]);
                }
            }
            Self::RatingScale | Self::PartialCredit | Self::GeneralizedPartialCredit => {
                let m = p.len() - 1;
                let slope = if self == Self::GeneralizedPartialCredit { own[0] } else { shared[0] };
                let intercept = |k: usize| match (self, k) {
                    (_, 0) => 0.0,
                    (Self::RatingScale, k) => k as f64 * own[0] + if k < m { shared[k] } else { 0.0 },
                    (Self::PartialCredit, k) => own[k - 1],
                    (_, k) => own[k],
                };
                for (k, p) in p.iter_mut().enumerate() {
                    *p = k as f64 * slope * theta + intercept(k);
                }
                let most = p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                p.iter_mut().for_each(|p| *p = (*p - most).exp());
                let sum: f64 = p.iter().sum();
                p.iter_mut().for_each(|p| *p /= sum);
                // ∂P_k/∂x = P_k (∂ψ_k/∂x − Σ_j P_j ∂ψ_j/∂x), with ψ the exponents above.
                let dpsi = |k: usize, i: usize| -> f64 {
                    let (slope_at, first) = match self {
                        Self::GeneralizedPartialCredit => (0, 1),
                        Self::PartialCredit => (own.len(), 0),
                        _ => (1, usize::MAX),
                    };
                    match i {
                        i if i == slope_at => k as f64 * theta,
                        0 if self == Self::RatingScale => k as f64,
                        i if self == Self::RatingScale => f64::from(k == i - 1 && k < m),
                        i => f64::from(k == i - first + 1),
                    }
                };
                for i in 0..n {
                    let mean: f64 = (0..=m).map(|k| p[k] * dpsi(k, i)).sum();
                    for k in 0..=m {
                        dp[k * n + i] = p[k] * (dpsi(k, i) - mean);
                    }
                }
            }
            Self::Graded => {
                let m = p.len() - 1;
                dp.fill(0.0);
                let (mut above, mut d) = (1.0, own[1]);
                for k in 0..=m {
                    // P(≥ k+1); the intercepts fall by e^{number}.
                    let next = if k == m {
                        0.0
                    } else {
                        if k > 0 {
                            d -= own[k + 1].exp();
                        }
                        sigmoid(own[0] * theta + d)
                    };
                    p[k] = (above - next).max(f64::MIN_POSITIVE);
                    if k < m {
                        let slope = next * (1.0 - next);
                        for (row, sign) in [(k, -1.0), (k + 1, 1.0)] {
                            let dp = &mut dp[row * n..(row + 1) * n];
                            dp[0] += sign * slope * theta;
                            dp[1] += sign * slope;
                            for (dp, own) in dp[2..k + 2].iter_mut().zip(&own[2..k + 2]) {
                                *dp -= sign * slope * own.exp();
                            }
                        }
                    }
                    above = next;
                }
            }
        }
    }

    /// Probabilities of the categories at θ with their first and second derivatives by θ.
    pub(crate) fn along(self, own: &[f64], shared: &[f64], theta: f64, out: &mut [[f64; 3]]) {
        let m = out.len() - 1;
        match self {
            Self::Rasch | Self::TwoPl | Self::ThreePl | Self::FourPl => {
                let (a, d) = if self == Self::Rasch { (shared[0], own[0]) } else { (own[0], own[1]) };
                // 1 − s would be 0 far above, and shares of it no numbers.
                let (s, rest) = (sigmoid(a * theta + d), sigmoid(-a * theta - d));
                let (mut lower, mut height) = (0.0, 1.0);
                if matches!(self, Self::ThreePl | Self::FourPl) {
                    lower = sigmoid(own[2]);
                    height = (1.0 - lower) * if self == Self::FourPl { sigmoid(own[3]) } else { 1.0 };
                }
                let first = height * a * s * rest;
                let second = first * a * (rest - s);
                out[1] = [lower + height * s, first, second];
                out[0] = [1.0 - lower - height + height * rest, -first, -second];
            }
            Self::RatingScale | Self::PartialCredit | Self::GeneralizedPartialCredit => {
                let (mut p, mut dp) = (vec![0.0; m + 1], vec![0.0; (m + 1) * (own.len() + shared.len())]);
                self.probabilities(own, shared, theta, &mut p, &mut dp);
                let a = if self == Self::GeneralizedPartialCredit { own[0] } else { shared[0] };
                let mean: f64 = p.iter().enumerate().map(|(k, p)| k as f64 * p).sum();
                let variance: f64 = p.iter().enumerate().map(|(k, p)| (k as f64 - mean).powi(2) * p).sum();
                for (k, out) in out.iter_mut().enumerate() {
                    let far = k as f64 - mean;
                    *out = [p[k], p[k] * a * far, p[k] * a * a * (far * far - variance)];
                }
            }
            Self::Graded => {
                let (mut above, mut d) = ([1.0, 0.0, 0.0], own[1]);
                for (k, out) in out.iter_mut().enumerate() {
                    let next = if k == m {
                        [0.0; 3]
                    } else {
                        if k > 0 {
                            d -= own[k + 1].exp();
                        }
                        let s = sigmoid(own[0] * theta + d);
                        let first = own[0] * s * (1.0 - s);
                        [s, first, own[0] * first * (1.0 - 2.0 * s)]
                    };
                    *out = std::array::from_fn(|i| above[i] - next[i]);
                    out[0] = out[0].max(f64::MIN_POSITIVE);
                    above = next;
                }
            }
        }
    }

    /// Own numbers before anything is known but how often each category was scored.
    pub(crate) fn start(self, counts: &[u64]) -> Vec<f64> {
        let total: u64 = counts.iter().sum();
        // Half a response more in each category keeps logits finite.
        let share = |k: usize| (counts[k] as f64 + 0.5) / (total as f64 + 0.5 * counts.len() as f64);
        let m = counts.len() - 1;
        match self {
            Self::Rasch => vec![logit(share(1))],
            Self::TwoPl => vec![1.0, logit(share(1))],
            Self::ThreePl => vec![1.0, logit(share(1)), logit(0.15)],
            Self::FourPl => vec![1.0, logit(share(1)), logit(0.15), logit(0.95)],
            Self::RatingScale => vec![(share(m) / share(0)).ln() / m as f64],
            Self::PartialCredit => (1..=m).map(|k| (share(k) / share(0)).ln()).collect(),
            Self::GeneralizedPartialCredit => {
                std::iter::once(1.0).chain((1..=m).map(|k| (share(k) / share(0)).ln())).collect()
            }
            Self::Graded => {
                let above: Vec<f64> = (1..=m).map(|k| logit((k..=m).map(share).sum::<f64>())).collect();
                let gaps = above.windows(2).map(|pair| (pair[0] - pair[1]).max(1e-3).ln());
                [1.0, above[0]].into_iter().chain(gaps).collect()
            }
        }
    }

    /// Shared numbers at the start.
    pub(crate) fn start_shared(self, categories: usize) -> Vec<f64> {
        (0..self.shared(categories)).map(|i| f64::from(i == 0)).collect()
    }

    /// The same curves when ability is told in units of `deviation` from `mean`: θ = mean + deviation · z.
    pub(crate) fn rescale(self, own: &mut [f64], slope: f64, mean: f64, deviation: f64) {
        let shift = slope * mean;
        match self {
            Self::Rasch | Self::RatingScale => own[0] += shift,
            Self::TwoPl | Self::ThreePl | Self::FourPl | Self::Graded => {
                own[0] *= deviation;
                own[1] += shift;
            }
            Self::PartialCredit => own.iter_mut().enumerate().for_each(|(k, d)| *d += (k + 1) as f64 * shift),
            Self::GeneralizedPartialCredit => {
                own[0] *= deviation;
                own[1..].iter_mut().enumerate().for_each(|(k, d)| *d += (k + 1) as f64 * shift);
            }
        }
    }

    /// The free numbers of a curve: the reverse of [`Model::item`].
    pub(crate) fn numbers(self, item: &Item) -> (Vec<f64>, Vec<f64>) {
        let a = item.slope;
        let d: Vec<f64> = item.difficulties.iter().map(|b| -a * b).collect();
        // Sums of step intercepts are the exponents of the partial-credit family.
        let sums: Vec<f64> = d
            .iter()
            .scan(0.0, |sum, d| {
                *sum += d;
                Some(*sum)
            })
            .collect();
        match self {
            Self::Rasch => (d, vec![a]),
            Self::TwoPl => (vec![a, d[0]], Vec::new()),
            Self::ThreePl => (vec![a, d[0], logit(item.lower)], Vec::new()),
            Self::FourPl => {
                let height = (item.upper - item.lower) / (1.0 - item.lower);
                (vec![a, d[0], logit(item.lower), logit(height)], Vec::new())
            }
            Self::RatingScale => {
                let m = d.len();
                let own = sums[m - 1] / m as f64;
                let shared = (1..m).map(|k| sums[k - 1] - k as f64 * own);
                (vec![own], std::iter::once(a).chain(shared).collect())
            }
            Self::PartialCredit => (sums, vec![a]),
            Self::GeneralizedPartialCredit => (std::iter::once(a).chain(sums).collect(), Vec::new()),
            Self::Graded => {
                let gaps = d.windows(2).map(|pair| (pair[0] - pair[1]).ln());
                ([a, d[0]].into_iter().chain(gaps).collect(), Vec::new())
            }
        }
    }

    /// Slope, difficulties (one a step), lower and upper asymptote as people write them.
    pub(crate) fn item(self, own: &[f64], shared: &[f64], categories: usize) -> Item {
        let m = categories - 1;
        let (slope, steps): (f64, Vec<f64>) = match self {
            Self::Rasch => (shared[0], vec![own[0]]),
            Self::TwoPl | Self::ThreePl | Self::FourPl => (own[0], vec![own[1]]),
            Self::RatingScale => {
                let t = |k: usize| if k == 0 || k == m { 0.0 } else { shared[k] };
                (shared[0], (1..=m).map(|k| own[0] + t(k) - t(k - 1)).collect())
            }
            Self::PartialCredit | Self::GeneralizedPartialCredit => {
                let (slope, d) = if self == Self::PartialCredit { (shared[0], own) } else { (own[0], &own[1..]) };
                (slope, (0..m).map(|k| d[k] - if k == 0 { 0.0 } else { d[k - 1] }).collect())
            }
            Self::Graded => {
                let mut d = own[1];
                let rest = own[2..].iter().map(|gap| {
                    d -= gap.exp();
                    d
                });
                (own[0], std::iter::once(own[1]).chain(rest.collect::<Vec<_>>()).collect())
            }
        };
        let lower = if matches!(self, Self::ThreePl | Self::FourPl) { sigmoid(own[2]) } else { 0.0 };
        let upper = if self == Self::FourPl { lower + (1.0 - lower) * sigmoid(own[3]) } else { 1.0 };
        Item { slope, difficulties: steps.iter().map(|d| -d / slope).collect(), lower, upper }
    }
}

/// An item's curve as people write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// a, in logits a unit of θ.
    pub slope: f64,
    /// b of each step, in units of θ; one for items of two categories.
    pub difficulties: Vec<f64>,
    /// Probability of a right answer far below.
    pub lower: f64,
    /// Probability of a right answer far above.
    pub upper: f64,
}

/// 1 / (1 + e^{−z}).
pub(crate) fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// ln p/(1 − p).
pub(crate) fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_along_ability_match_differences() {
        for model in Model::ALL {
            let categories = if model.dichotomous() { 2 } else { 4 };
            let (own, shared) = (model.own(categories), model.shared(categories));
            let x: Vec<f64> = (0..own + shared).map(|i| [0.9, -0.4, 0.3, -0.7, 0.2, 1.1, -0.2][i]).collect();
            let at = |theta: f64| {
                let mut out = vec![[0.0; 3]; categories];
                model.along(&x[..own], &x[own..], theta, &mut out);
                out
            };
            let (here, up, down) = (at(0.3), at(0.3 + 1e-5), at(0.3 - 1e-5));
            let (mut p, mut dp) = (vec![0.0; categories], vec![0.0; categories * x.len()]);
            model.probabilities(&x[..own], &x[own..], 0.3, &mut p, &mut dp);
            for k in 0..categories {
                assert!((here[k][0] - p[k]).abs() < 1e-12, "{model:?}");
                for order in [1, 2] {
                    let difference = (up[k][order - 1] - down[k][order - 1]) / 2e-5;
                    assert!((difference - here[k][order]).abs() < 1e-8, "{model:?} category {k} order {order}");
                }
            }
        }
    }

    #[test]
    fn far_away_nothing_is_impossible() {
        let mut out = vec![[0.0; 3]; 2];
        for theta in [-12.0, 12.0] {
            Model::Rasch.along(&[0.0], &[5.0], theta, &mut out);
            assert!(out.iter().all(|[p, first, _]| *p > 0.0 && (first / p).is_finite()), "{out:?}");
        }
    }

    #[test]
    fn probabilities_sum_to_one_and_their_derivatives_match_differences() {
        for model in Model::ALL {
            let categories = if model.dichotomous() { 2 } else { 4 };
            let (own, shared) = (model.own(categories), model.shared(categories));
            let x: Vec<f64> = (0..own + shared).map(|i| [0.9, -0.4, 0.3, -0.7, 0.2, 1.1, -0.2][i]).collect();
            let at = |x: &[f64]| {
                let (mut p, mut dp) = (vec![0.0; categories], vec![0.0; categories * x.len()]);
                model.probabilities(&x[..own], &x[own..], 0.7, &mut p, &mut dp);
                (p, dp)
            };
            let (p, dp) = at(&x);
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12 && p.iter().all(|&p| p > 0.0), "{model:?}: {p:?}");
            for i in 0..x.len() {
                let moved =
                    |by: f64| at(&x.iter().enumerate().map(|(j, x)| x + by * f64::from(i == j)).collect::<Vec<_>>()).0;
                let (up, down) = (moved(1e-6), moved(-1e-6));
                for k in 0..categories {
                    let difference = (up[k] - down[k]) / 2e-6;
                    assert!((difference - dp[k * x.len() + i]).abs() < 1e-8, "{model:?} category {k} number {i}");
                }
            }
        }
    }
}
