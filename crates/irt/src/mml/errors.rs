use super::{Expected, Fit, Mml, Numbers, Rows};
use crate::{Item, Responses};

/// Change of a number for a difference.
const CHANGE: f64 = 1e-4;

/// An item's standard errors, shaped as the item.
pub type ItemErrors = Item;

impl Mml {
    /// Standard errors of every item's curve, by the observed information: by Fisher's identity the
    /// gradient of the marginal likelihood is that of the expected complete one, Σ r ∂log P, and its
    /// differences are the Hessian (which is what Oakes' formula gives in closed form). Each of the p
    /// numbers costs two E steps. Errors of slopes and difficulties follow by the delta method. None
    /// where the information is not positive: the data do not determine the item.
    pub fn errors(&self, fit: &Fit, responses: &Responses) -> Vec<Option<ItemErrors>> {
        let categories: Vec<usize> = (0..responses.items()).map(|item| responses.categories(item)).collect();
        let lengths: Vec<usize> = fit.numbers.own.iter().map(Vec::len).collect();
        let Some(covariance) = self.covariance(fit, responses) else { return vec![None; categories.len()] };
        let n = covariance.len().isqrt();
        let mut at = 0;
        (0..categories.len())
            .map(|item| {
                let own = at..at + lengths[item];
                at = own.end;
                let places: Vec<usize> = own.chain(n - fit.numbers.shared.len()..n).collect();
                self.item_errors(fit, item, categories[item], &places, &covariance)
            })
            .collect()
    }

    /// Covariances of all numbers, items' own first; none if the information is not positive.
    pub(crate) fn covariance(&self, fit: &Fit, responses: &Responses) -> Option<Vec<f64>> {
        let categories: Vec<usize> = (0..responses.items()).map(|item| responses.categories(item)).collect();
        let rows = Rows::new(responses, self.model);
        let quadrature = self.quadrature(responses).moved(fit.population.0, fit.population.1);
        let lengths: Vec<usize> = fit.numbers.own.iter().map(Vec::len).collect();
        let flat: Vec<f64> = fit.numbers.own.iter().flatten().chain(&fit.numbers.shared).copied().collect();
        let n = flat.len();
        let shape = |flat: &[f64]| {
            let mut rest = flat;
            let own = lengths.iter().map(|&length| {
                let (own, more) = rest.split_at(length);
                rest = more;
                own.to_vec()
            });
            let own = own.collect();
            Numbers { own, shared: rest.to_vec(), population: fit.population }
        };
        let gradient = |flat: &[f64]| {
            let numbers = shape(flat);
            let expected = Expected::new(self.model, &categories, &rows, &numbers, &quadrature);
            self.gradient(&expected, &numbers, &quadrature)
        };
        let mut hessian = vec![0.0; n * n];
        for i in 0..n {
            let moved = |by: f64| {
                let mut moved = flat.clone();
                moved[i] += by;
                gradient(&moved)
            };
            let (up, down) = (moved(CHANGE), moved(-CHANGE));
            for j in 0..n {
                hessian[i * n + j] = -(up[j] - down[j]) / (2.0 * CHANGE);
            }
        }
        let symmetric: Vec<f64> = (0..n * n).map(|k| 0.5 * (hessian[k] + hessian[k % n * n + k / n])).collect();
        invert(&symmetric, n)
    }

    fn item_errors(
        &self,
        fit: &Fit,
        item: usize,
        categories: usize,
        places: &[usize],
        covariance: &[f64],
    ) -> Option<ItemErrors> {
        let n = covariance.len().isqrt();
        let own = fit.numbers.own[item].len();
        let numbers: Vec<f64> = fit.numbers.own[item].iter().chain(&fit.numbers.shared).copied().collect();
        let shown = |numbers: &[f64]| {
            let item = self.model.item(&numbers[..own], &numbers[own..], categories);
            [vec![item.slope], item.difficulties, vec![item.lower, item.upper]].concat()
        };
        let derivatives: Vec<Vec<f64>> = (0..numbers.len())
            .map(|i| {
                let moved = |by: f64| {
                    shown(&numbers.iter().enumerate().map(|(j, x)| x + by * f64::from(i == j)).collect::<Vec<_>>())
                };
                moved(CHANGE).iter().zip(moved(-CHANGE)).map(|(up, down)| (up - down) / (2.0 * CHANGE)).collect()
            })
            .collect();
        let error = |what: usize| -> Option<f64> {
            let mut variance = 0.0;
            for (i, &a) in places.iter().enumerate() {
                for (j, &b) in places.iter().enumerate() {
                    variance += derivatives[i][what] * covariance[a * n + b] * derivatives[j][what];
                }
            }
            (variance.is_finite() && variance >= 0.0).then(|| variance.sqrt())
        };
        let steps = categories - 1;
        Some(Item {
            slope: error(0)?,
            difficulties: (1..=steps).map(error).collect::<Option<_>>()?,
            lower: error(steps + 1)?,
            upper: error(steps + 2)?,
        })
    }
}

/// Inverse of a symmetric positive matrix by Cholesky; none if it is not positive.
pub(crate) fn invert(a: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut l = vec![0.0; n * n];
    for j in 0..n {
        for i in j..n {
            let sum: f64 = (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum();
            let rest = a[i * n + j] - sum;
            if i == j {
                if rest <= 0.0 || rest.is_nan() {
                    return None;
                }
                l[j * n + j] = rest.sqrt();
            } else {
                l[i * n + j] = rest / l[j * n + j];
            }
        }
    }
    // Columns of L⁻¹, then A⁻¹ = L⁻ᵀ L⁻¹.
    let mut inverse = vec![0.0; n * n];
    for j in 0..n {
        for i in j..n {
            let sum: f64 = (j..i).map(|k| l[i * n + k] * inverse[k * n + j]).sum();
            inverse[i * n + j] = (f64::from(i == j) - sum) / l[i * n + i];
        }
    }
    let mut out = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = (i..n).map(|k| inverse[k * n + i] * inverse[k * n + j]).sum();
            (out[i * n + j], out[j * n + i]) = (sum, sum);
        }
    }
    Some(out)
}
