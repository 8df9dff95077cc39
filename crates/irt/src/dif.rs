//! Differential item functioning: is an item harder for one group than for another of equal ability?
//!
//! Everywhere `focal` has an entry for each person of the responses; another length is a mistake of the
//! caller and panics.

use serde::{Deserialize, Serialize};

use crate::mml::invert;
use crate::significance::{chi_square, normal_two_sided};
use crate::{Mml, Model, Responses, Result};

/// ETS classes of an item's DIF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EtsClass {
    /// Negligible: |Δ| < 1, or not significant.
    A,
    /// Moderate.
    B,
    /// Large: |Δ| ≥ 1.5, and significantly above 1.
    C,
}

/// What Mantel and Haenszel say of an item with two categories.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MantelHaenszel {
    /// Common odds ratio of the reference group to the focal group; above 1 the item favours the
    /// reference group.
    pub odds_ratio: f64,
    /// −2.35 ln of it: the difference in ETS delta units; below 0 the item is harder for the focal group.
    pub delta: f64,
    /// Standard error of Δ (Robins, Breslow and Greenland).
    pub error: f64,
    /// χ² of one degree of freedom, with continuity correction.
    pub chi_square: f64,
    /// Its p.
    pub p: f64,
    /// ETS class.
    pub class: EtsClass,
}

/// Mantel–Haenszel DIF of every item, persons matched on their raw score over the anchor items and the
/// item itself. `focal` says who belongs to the focal group. With `purify`, items of class B and C are
/// taken out of the anchor and everything is computed again until the anchor stays the same. None for
/// items with more categories or without persons of both groups at a common score.
pub fn mantel_haenszel(responses: &Responses, focal: &[bool], purify: bool) -> Vec<Option<MantelHaenszel>> {
    assert_eq!(focal.len(), responses.persons(), "a group for each person");
    let mut anchor = vec![true; responses.items()];
    let mut found: Vec<Option<MantelHaenszel>> = Vec::new();
    for _ in 0..if purify { 10 } else { 1 } {
        found = (0..responses.items()).map(|item| one_item(responses, focal, &anchor, item)).collect();
        let next: Vec<bool> = found.iter().map(|f| f.is_none_or(|f| f.class == EtsClass::A)).collect();
        if next == anchor || next.iter().filter(|a| **a).count() < 2 {
            break;
        }
        anchor = next;
    }
    found
}

fn one_item(responses: &Responses, focal: &[bool], anchor: &[bool], item: usize) -> Option<MantelHaenszel> {
    if responses.categories(item) != 2 {
        return None;
    }
    // A stratum: right and wrong of the reference group, then of the focal group.
    let mut strata: Vec<[f64; 4]> = Vec::new();
    for (person, &focal) in focal.iter().enumerate() {
        let (mut raw, mut own) = (0, None);
        for (other, score) in responses.of(person) {
            if anchor[other] || other == item {
                raw += score;
            }
            if other == item {
                own = Some(score);
            }
        }
        let Some(own) = own else { continue };
        if strata.len() <= raw {
            strata.resize(raw + 1, [0.0; 4]);
        }
        strata[raw][2 * usize::from(focal) + 1 - own] += 1.0;
    }
    let (mut right, mut left, mut observed, mut expected, mut variance) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut pr, mut ps_qr, mut qs) = (0.0, 0.0, 0.0);
    for [a, b, c, d] in strata {
        let n = a + b + c + d;
        if a + b == 0.0 || c + d == 0.0 {
            continue;
        }
        let (r, s) = (a * d / n, b * c / n);
        right += r;
        left += s;
        let (p, q) = ((a + d) / n, (b + c) / n);
        pr += p * r;
        ps_qr += p * s + q * r;
        qs += q * s;
        observed += a;
        expected += (a + b) * (a + c) / n;
        if n > 1.0 {
            variance += (a + b) * (c + d) * (a + c) * (b + d) / (n * n * (n - 1.0));
        }
    }
    if right == 0.0 || left == 0.0 || variance == 0.0 {
        return None;
    }
    let odds_ratio = right / left;
    let log_error = (pr / (2.0 * right * right) + ps_qr / (2.0 * right * left) + qs / (2.0 * left * left)).sqrt();
    let (delta, error) = (-2.35 * odds_ratio.ln(), 2.35 * log_error);
    let statistic = ((f64::abs(observed - expected) - 0.5).max(0.0)).powi(2) / variance;
    let p = chi_square(statistic, 1.0);
    // ETS: C if |Δ| ≥ 1.5 and significantly above 1, A if |Δ| < 1 or not significantly different from 0.
    let beyond_one = (delta.abs() - 1.0) / error > 1.645;
    let class = if delta.abs() >= 1.5 && beyond_one {
        EtsClass::C
    } else if delta.abs() < 1.0 || p >= 0.05 {
        EtsClass::A
    } else {
        EtsClass::B
    };
    Some(MantelHaenszel { odds_ratio, delta, error, chi_square: statistic, p, class })
}

/// What logistic regression says: P(right) by score, group and their product.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Logistic {
    /// Coefficient of the focal group at equal score, in logits.
    pub uniform: f64,
    /// Coefficient of the product of score (in deviations) and group.
    pub nonuniform: f64,
    /// p of the group alone, by the likelihood ratio.
    pub p_uniform: f64,
    /// p of the product, given the group.
    pub p_nonuniform: f64,
}

/// Logistic-regression DIF (Swaminathan and Rogers 1990) on the raw score.
pub fn logistic(responses: &Responses, focal: &[bool]) -> Vec<Option<Logistic>> {
    assert_eq!(focal.len(), responses.persons(), "a group for each person");
    let raw: Vec<f64> = (0..responses.persons()).map(|person| responses.raw(person) as f64).collect();
    let n = raw.len() as f64;
    let mean = raw.iter().sum::<f64>() / n;
    let deviation = (raw.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / n).sqrt().max(1e-9);
    let mut of_item: Vec<Vec<([f64; 4], f64)>> = vec![Vec::new(); responses.items()];
    for person in 0..responses.persons() {
        let (score, group) = ((raw[person] - mean) / deviation, f64::from(focal[person]));
        for (item, own) in responses.of(person) {
            of_item[item].push(([1.0, score, group, score * group], own as f64));
        }
    }
    let one = |(item, rows): (usize, &Vec<([f64; 4], f64)>)| {
        if responses.categories(item) != 2 {
            return None;
        }
        let [plain, uniform, full] = [2, 3, 4].map(|columns| regress(rows, columns));
        let (plain, uniform, full) = (plain?, uniform?, full?);
        Some(Logistic {
            uniform: uniform.0[2],
            nonuniform: full.0[3],
            p_uniform: chi_square(2.0 * (uniform.1 - plain.1), 1.0),
            p_nonuniform: chi_square(2.0 * (full.1 - uniform.1), 1.0),
        })
    };
    of_item.iter().enumerate().map(one).collect()
}

/// Coefficients of the first columns, and the log-likelihood, by Newton's method.
fn regress(rows: &[([f64; 4], f64)], columns: usize) -> Option<(Vec<f64>, f64)> {
    let mut beta = vec![0.0; columns];
    let mut log_likelihood = f64::NEG_INFINITY;
    for _ in 0..50 {
        let (mut gradient, mut hessian, mut sum) = (vec![0.0; columns], vec![0.0; columns * columns], 0.0);
        for (x, y) in rows {
            let z: f64 = beta.iter().zip(x).map(|(b, x)| b * x).sum();
            let p = crate::model::sigmoid(z);
            sum += if *y > 0.5 { p.max(1e-300).ln() } else { (1.0 - p).max(1e-300).ln() };
            for i in 0..columns {
                gradient[i] += (y - p) * x[i];
                for j in 0..columns {
                    hessian[i * columns + j] += p * (1.0 - p) * x[i] * x[j];
                }
            }
        }
        let done = (sum - log_likelihood).abs() < 1e-9;
        log_likelihood = sum;
        if done {
            return Some((beta, log_likelihood));
        }
        let inverse = invert(&hessian, columns)?;
        for i in 0..columns {
            beta[i] += (0..columns).map(|j| inverse[i * columns + j] * gradient[j]).sum::<f64>().clamp(-3.0, 3.0);
        }
    }
    None
}

/// What a Wald test says of an item's difficulty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Wald {
    /// Difficulty in the focal group less that in the reference group, both scales centred on the
    /// anchor items, in units of θ of the reference group.
    pub difference: f64,
    /// Its standard error.
    pub error: f64,
    /// p of no difference.
    pub p: f64,
}

/// Lord's test of difficulties: the Rasch model is fitted in each group, and both scales are moved so
/// that the mean difficulty of items is equal, which their covariances know. Adjust the p of many items
/// by [`crate::significance::benjamini_hochberg`].
pub fn wald(responses: &Responses, focal: &[bool], settings: &Mml) -> Result<Vec<Option<Wald>>> {
    assert_eq!(focal.len(), responses.persons(), "a group for each person");
    let settings = Mml { model: Model::Rasch, ..*settings };
    // Difficulties −d on the Rasch scale, less their mean, and the variances of those.
    let centred = |wanted: bool| -> Result<Option<Vec<(f64, f64)>>> {
        let responses = responses.select(|person| focal[person] == wanted);
        let fit = settings.fit(&responses)?;
        let Some(covariance) = settings.covariance(&fit, &responses) else { return Ok(None) };
        let (items, n) = (fit.items.len(), covariance.len().isqrt());
        let mean = fit.numbers.own.iter().map(|own| own[0]).sum::<f64>() / items as f64;
        let row = |i: usize| (0..items).map(|j| covariance[i * n + j]).sum::<f64>() / items as f64;
        let rows: Vec<f64> = (0..items).map(row).collect();
        let all = rows.iter().sum::<f64>() / items as f64;
        let one = |i: usize| (mean - fit.numbers.own[i][0], covariance[i * n + i] - 2.0 * rows[i] + all);
        Ok(Some((0..items).map(one).collect()))
    };
    let (Some(reference), Some(focal)) = (centred(false)?, centred(true)?) else {
        return Ok(vec![None; responses.items()]);
    };
    let one = |((r, rv), (f, fv)): (&(f64, f64), &(f64, f64))| {
        let (difference, error) = (f - r, (rv + fv).sqrt());
        (error > 0.0).then(|| Wald { difference, error, p: normal_two_sided(difference / error) })
    };
    Ok(reference.iter().zip(&focal).map(one).collect())
}
