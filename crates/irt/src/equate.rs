//! Two tests on one scale: θ_to = A θ_from + B, found from items that both have.

use serde::{Deserialize, Serialize};

use crate::{Error, Fit, Item, Quadrature, Result};

/// How A and B are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A = σ(b_to) / σ(b_from), B from the means.
    MeanSigma,
    /// A = mean(a_from) / mean(a_to), B from the means.
    MeanMean,
    /// Least squares of the difference of item curves (Haebara 1980).
    Haebara,
    /// Least squares of the difference of test curves (Stocking and Lord 1983).
    StockingLord,
}

/// θ_to = slope · θ_from + shift.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// A, above 0.
    pub slope: f64,
    /// B.
    pub shift: f64,
}

impl Link {
    /// An item's curve on the new scale: a / A, A b + B.
    pub fn item(&self, item: &Item) -> Item {
        Item {
            slope: item.slope / self.slope,
            difficulties: item.difficulties.iter().map(|b| self.slope * b + self.shift).collect(),
            ..*item
        }
    }

    /// An ability on the new scale.
    pub fn theta(&self, theta: f64) -> f64 {
        self.slope * theta + self.shift
    }
}

/// The link from one calibration to another by common items, in the same order in both; at least two.
pub fn link(from: &Fit, to: &Fit, common: &[(usize, usize)], method: Method) -> Result<Link> {
    if common.len() < 2 {
        return Err(Error::Data {
            problem: format!("{} common items do not fix a scale", common.len()),
            hint: "give at least two, better ten",
        });
    }
    let b = |fit: &Fit, pick: fn(&(usize, usize)) -> usize| -> Vec<f64> {
        common.iter().flat_map(|pair| fit.items[pick(pair)].difficulties.clone()).collect()
    };
    let (bf, bt) = (b(from, |p| p.0), b(to, |p| p.1));
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let deviation = |x: &[f64]| (x.iter().map(|v| (v - mean(x)).powi(2)).sum::<f64>() / x.len() as f64).sqrt();
    let by_means = |slope: f64| Link { slope, shift: mean(&bt) - slope * mean(&bf) };
    let mean_sigma = by_means(deviation(&bt) / deviation(&bf));
    if !(mean_sigma.slope.is_finite() && mean_sigma.slope > 0.0) {
        return Err(Error::Data {
            problem: "the common items all have one difficulty".into(),
            hint: "take common items that are spread over the scale",
        });
    }
    Ok(match method {
        Method::MeanSigma => mean_sigma,
        Method::MeanMean => {
            let a = |fit: &Fit, pick: fn(&(usize, usize)) -> usize| {
                mean(&common.iter().map(|pair| fit.items[pick(pair)].slope).collect::<Vec<_>>())
            };
            by_means(a(from, |p| p.0) / a(to, |p| p.1))
        }
        Method::Haebara | Method::StockingLord => {
            let quadrature = Quadrature::normal(41);
            let loss = |link: Link| -> f64 {
                let mut sum = 0.0;
                for (theta, weight) in quadrature.nodes.iter().zip(&quadrature.weights) {
                    // The old curves at the old θ that this θ comes from.
                    let old = (theta - link.shift) / link.slope;
                    let off = common.iter().map(|&(f, t)| to.expected(t, *theta) - from.expected(f, old));
                    sum += weight
                        * match method {
                            Method::Haebara => off.map(|d| d * d).sum::<f64>(),
                            _ => off.sum::<f64>().powi(2),
                        };
                }
                sum
            };
            descend(mean_sigma, loss)
        }
    })
}

/// The lowest point near `start`: Nelder and Mead in (ln A, B).
fn descend(start: Link, loss: impl Fn(Link) -> f64) -> Link {
    let shape = |x: [f64; 2]| Link { slope: x[0].exp(), shift: x[1] };
    let at = |x: [f64; 2]| (loss(shape(x)), x);
    let x = [start.slope.ln(), start.shift];
    let mut simplex = [at(x), at([x[0] + 0.1, x[1]]), at([x[0], x[1] + 0.1])];
    for _ in 0..200 {
        simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
        let [best, middle, worst] = simplex;
        if (worst.0 - best.0).abs() <= 1e-14 * (1.0 + best.0) && (worst.1[0] - best.1[0]).abs() < 1e-9 {
            break;
        }
        let towards = |t: f64| std::array::from_fn(|i| 0.5 * (best.1[i] + middle.1[i]) * (1.0 + t) - t * worst.1[i]);
        let reflected = at(towards(1.0));
        simplex[2] = if reflected.0 < best.0 {
            let expanded = at(towards(2.0));
            if expanded.0 < reflected.0 { expanded } else { reflected }
        } else if reflected.0 < middle.0 {
            reflected
        } else {
            let inner = at(towards(-0.5));
            if inner.0 < worst.0 {
                inner
            } else {
                simplex[1] = at(std::array::from_fn(|i| 0.5 * (best.1[i] + middle.1[i])));
                at(std::array::from_fn(|i| 0.5 * (best.1[i] + worst.1[i])))
            }
        };
    }
    simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
    shape(simplex[0].1)
}

/// How far each common item lies from where the others put it, in robust deviations (0.7413 times the
/// interquartile range) of A b_from + B − b_to. Beyond 3 an item has drifted and should not anchor.
pub fn drift(from: &Fit, to: &Fit, common: &[(usize, usize)], link: &Link) -> Vec<f64> {
    let mean = |item: &Item| item.difficulties.iter().sum::<f64>() / item.difficulties.len() as f64;
    let off: Vec<f64> = common.iter().map(|&(f, t)| link.theta(mean(&from.items[f])) - mean(&to.items[t])).collect();
    let mut sorted = off.clone();
    sorted.sort_by(f64::total_cmp);
    let quantile = |q: f64| {
        let at = q * (sorted.len() - 1) as f64;
        let (low, part) = (at.floor() as usize, at.fract());
        sorted[low] + part * (sorted[(low + 1).min(sorted.len() - 1)] - sorted[low])
    };
    let spread = (0.7413 * (quantile(0.75) - quantile(0.25))).max(1e-9);
    off.iter().map(|o| (o - quantile(0.5)) / spread).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;

    fn test(change: Link, moved: Option<usize>) -> Fit {
        let item = |i: usize| {
            let item = Item {
                slope: 0.8 + 0.1 * (i % 5) as f64,
                difficulties: vec![
                    -2.0 + 0.4 * i as f64 + if moved == Some(i) { 1.5 } else { 0.05 * (i * 7 % 3) as f64 - 0.05 },
                ],
                lower: 0.0,
                upper: 1.0,
            };
            change.item(&item)
        };
        Fit::known(Model::TwoPl, (0..11).map(item).collect()).expect("a test")
    }

    #[test]
    fn every_method_finds_the_link_and_drift_is_seen() {
        let (none, change) = (Link { slope: 1.0, shift: 0.0 }, Link { slope: 1.3, shift: -0.4 });
        let common: Vec<(usize, usize)> = (0..11).map(|i| (i, i)).collect();
        let (from, to) = (test(none, None), test(change, None));
        for method in [Method::MeanSigma, Method::MeanMean, Method::Haebara, Method::StockingLord] {
            let found = link(&from, &to, &common, method).expect("a link");
            assert!((found.slope - 1.3).abs() < 1e-4 && (found.shift + 0.4).abs() < 1e-4, "{method:?}: {found:?}");
        }
        let moved = test(change, Some(4));
        let found = link(&from, &moved, &common, Method::StockingLord).expect("a link");
        let drift = drift(&from, &moved, &common, &found);
        assert!(drift.iter().enumerate().all(|(i, d)| (d.abs() > 3.0) == (i == 4)), "{drift:?}");
        assert!(link(&from, &to, &common[..1], Method::Haebara).is_err());
    }
}
