//! Conditional maximum likelihood (Andersen 1970): difficulties without any assumption about persons.
//!
//! Given the raw score r, P(x | r) = Π ε_{jx_j} / γ_r(ε), with ε_{jk} = e^{d_{jk}} and γ the elementary
//! symmetric functions: the coefficients of Π_j Σ_k ε_{jk} t^k. Products of polynomials with positive
//! coefficients lose no digits, and those without one item come from a tree of products, so nothing is
//! ever subtracted or divided out.

use rayon::prelude::*;

use crate::{Error, Responses, Result};

/// A polynomial with positive coefficients, times e^scale.
#[derive(Debug, Clone)]
struct Poly {
    terms: Vec<f64>,
    scale: f64,
}

impl Poly {
    fn one() -> Self {
        Self { terms: vec![1.0], scale: 0.0 }
    }

    fn times(&self, other: &Self) -> Self {
        let (a, b) = if self.terms.len() < other.terms.len() { (self, other) } else { (other, self) };
        let mut terms = vec![0.0; a.terms.len() + b.terms.len() - 1];
        for (i, x) in a.terms.iter().enumerate() {
            terms[i..i + b.terms.len()].iter_mut().zip(&b.terms).for_each(|(to, y)| *to += x * y);
        }
        let most = terms.iter().copied().fold(0.0, f64::max);
        terms.iter_mut().for_each(|t| *t /= most);
        Self { terms, scale: self.scale + other.scale + most.ln() }
    }
}

/// Persons who met the same items.
struct Group {
    items: Vec<usize>,
    /// How many had each raw score.
    persons: Vec<f64>,
}

/// A conditional fit of the Rasch model or, with more than two categories, partial credit.
#[derive(Debug, Clone, PartialEq)]
pub struct Cml {
    /// b of each step of each item, in logits (slope 1); their mean over all is 0.
    pub difficulties: Vec<Vec<f64>>,
    /// Conditional log-likelihood.
    pub log_likelihood: f64,
    /// Rounds of the iteration.
    pub steps: usize,
    /// Whether difficulties stopped moving.
    pub converged: bool,
}

/// Fits difficulties conditionally on raw scores. Persons whose score is the lowest or the highest
/// say nothing about items and are passed over. `tolerance` is the largest change in logits that ends the fit.
pub fn cml(responses: &Responses, tolerance: f64, most_steps: usize) -> Result<Cml> {
    let groups = groups(responses);
    let mut scored: Vec<Vec<f64>> = (0..responses.items()).map(|j| vec![0.0; responses.categories(j)]).collect();
    let mut any = false;
    for person in 0..responses.persons() {
        let most: usize = responses.of(person).map(|(item, _)| responses.categories(item) - 1).sum();
        let raw = responses.raw(person);
        if raw > 0 && raw < most {
            any = true;
            responses.of(person).for_each(|(item, score)| scored[item][score] += 1.0);
        }
    }
    let hint = "leave it out, or add persons";
    if !any {
        return Err(Error::Data { problem: "everybody has the lowest or the highest score".into(), hint });
    }
    for (item, scored) in scored.iter().enumerate() {
        if let Some(k) = scored.iter().position(|&n| n == 0.0) {
            let problem = format!("among persons whose score says something, nobody scored {k} on item {item}");
            return Err(Error::Data { problem, hint });
        }
    }
    let informative = |person: usize| {
        let most: usize = responses.of(person).map(|(item, _)| responses.categories(item) - 1).sum();
        (1..most).contains(&responses.raw(person))
    };
    responses.select(informative).whole()?;
    let mut d: Vec<f64> =
        scored.iter().flat_map(|scored| scored[1..].iter().map(|n| (n / scored[0]).ln()).collect::<Vec<_>>()).collect();
    let counts: Vec<f64> = scored.iter().flat_map(|scored| scored[1..].to_vec()).collect();
    let starts: Vec<usize> = scored
        .iter()
        .scan(0, |at, scored| {
            let start = *at;
            *at += scored.len() - 1;
            Some(start)
        })
        .collect();
    let maximum: Vec<f64> = scored.iter().flat_map(|scored| (1..scored.len()).map(|k| k as f64)).collect();
    let centre = |d: &mut [f64]| {
        // Moving all intercepts by k·c changes nothing; the mean of all steps' difficulties becomes 0.
        let ends = starts.iter().zip(&scored).map(|(start, scored)| d[start + scored.len() - 2]);
        let steps: usize = scored.iter().map(|scored| scored.len() - 1).sum();
        let mean = ends.sum::<f64>() / steps as f64;
        d.iter_mut().zip(&maximum).for_each(|(d, k)| *d -= k * mean);
    };
    let next = |d: &[f64]| -> (Vec<f64>, f64) {
        let (expected, log_gamma) = expect(&groups, &starts, &scored, d);
        let mut new: Vec<f64> = d.iter().zip(&counts).zip(&expected).map(|((d, n), e)| d + (n / e).ln()).collect();
        centre(&mut new);
        let log_likelihood = d.iter().zip(&counts).map(|(d, n)| d * n).sum::<f64>() - log_gamma;
        (new, log_likelihood)
    };
    centre(&mut d);
    let (mut steps, mut converged) = (0, false);
    while steps < most_steps && !converged {
        // Fischer's fixed point, with SQUAREM's leap; a leap that loses likelihood is not taken.
        let (one, _) = next(&d);
        let (two, reached) = next(&one);
        steps += 2;
        converged = d.iter().zip(&one).all(|(a, b)| (a - b).abs() < tolerance);
        let r: Vec<f64> = one.iter().zip(&d).map(|(a, b)| a - b).collect();
        let v: Vec<f64> = (0..d.len()).map(|i| two[i] - 2.0 * one[i] + d[i]).collect();
        let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let alpha = if length(&v) > 0.0 { (-length(&r) / length(&v)).min(-1.0) } else { -1.0 };
        let mut leap: Vec<f64> = (0..d.len()).map(|i| d[i] - 2.0 * alpha * r[i] + alpha * alpha * v[i]).collect();
        centre(&mut leap);
        let (after, gained) = next(&leap);
        d = if gained.is_finite() && gained >= reached { after } else { two };
    }
    let (_, log_likelihood) = next(&d);
    let difficulties = starts
        .iter()
        .zip(&scored)
        .map(|(start, scored)| {
            let own = &d[*start..start + scored.len() - 1];
            (0..own.len()).map(|k| if k == 0 { -own[0] } else { own[k - 1] - own[k] }).collect()
        })
        .collect();
    Ok(Cml { difficulties, log_likelihood, steps, converged })
}

impl Cml {
    /// Standard errors of the difficulties less the mean of all: the conditional information is the
    /// covariance of the counts, which differences of their expectations give. Each step costs two passes.
    /// None where the data do not determine them.
    pub fn errors(&self, responses: &Responses) -> Option<Vec<Vec<f64>>> {
        let groups = groups(responses);
        let shape: Vec<Vec<f64>> = self.difficulties.iter().map(|b| vec![0.0; b.len() + 1]).collect();
        let mut starts = vec![0];
        self.difficulties.iter().for_each(|b| starts.push(starts[starts.len() - 1] + b.len()));
        let n = starts.pop()?;
        let d: Vec<f64> = self
            .difficulties
            .iter()
            .flat_map(|b| {
                b.iter()
                    .scan(0.0, |sum, b| {
                        *sum -= b;
                        Some(*sum)
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
        let mut information = vec![0.0; n * n];
        for i in 0..n {
            const CHANGE: f64 = 1e-4;
            let moved = |by: f64| {
                let mut moved = d.clone();
                moved[i] += by;
                expect(&groups, &starts, &shape, &moved).0
            };
            let (up, down) = (moved(CHANGE), moved(-CHANGE));
            (0..n).for_each(|j| information[i * n + j] = (up[j] - down[j]) / (2.0 * CHANGE));
        }
        // Moving every intercept by k·c changes nothing; that direction is given weight, and centring
        // takes it out again.
        let k: Vec<f64> = self.difficulties.iter().flat_map(|b| (1..=b.len()).map(|k| k as f64)).collect();
        let weight = (0..n).map(|i| information[i * n + i]).sum::<f64>() / n as f64;
        let length: f64 = k.iter().map(|k| k * k).sum();
        let filled: Vec<f64> = (0..n * n)
            .map(|at| {
                let (i, j) = (at / n, at % n);
                0.5 * (information[at] + information[j * n + i]) + weight * k[i] * k[j] / length
            })
            .collect();
        let covariance = crate::mml::invert(&filled, n)?;
        // b_k = d_{k−1} − d_k, less the mean of all b.
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(n);
        for (start, b) in starts.iter().zip(&self.difficulties) {
            for step in 0..b.len() {
                let mut row = vec![0.0; n];
                row[start + step] -= 1.0;
                if step > 0 {
                    row[start + step - 1] += 1.0;
                }
                rows.push(row);
            }
        }
        let mean: Vec<f64> = (0..n).map(|j| rows.iter().map(|row| row[j]).sum::<f64>() / n as f64).collect();
        let mut errors = rows.iter().map(|row| {
            let row: Vec<f64> = row.iter().zip(&mean).map(|(r, m)| r - m).collect();
            let of = |i: usize| row.iter().zip(&covariance[i * n..]).map(|(r, c)| r * c).sum::<f64>();
            (0..n).filter(|&i| row[i] != 0.0).map(|i| row[i] * of(i)).sum::<f64>().max(0.0).sqrt()
        });
        Some(self.difficulties.iter().map(|b| errors.by_ref().take(b.len()).collect()).collect())
    }
}

fn groups(responses: &Responses) -> Vec<Group> {
    let mut found: std::collections::BTreeMap<Vec<usize>, Vec<f64>> = Default::default();
    for person in 0..responses.persons() {
        let items: Vec<usize> = responses.of(person).map(|(item, _)| item).collect();
        let most: usize = items.iter().map(|&item| responses.categories(item) - 1).sum();
        let raw = responses.raw(person);
        if raw > 0 && raw < most {
            found.entry(items).or_insert_with(|| vec![0.0; most + 1])[raw] += 1.0;
        }
    }
    found.into_iter().map(|(items, persons)| Group { items, persons }).collect()
}

/// Expected counts of every step's category, and Σ_r n_r ln γ_r.
fn expect(groups: &[Group], starts: &[usize], scored: &[Vec<f64>], d: &[f64]) -> (Vec<f64>, f64) {
    let of_group = |group: &Group| -> (Vec<(usize, f64)>, f64) {
        let polys: Vec<Poly> = group
            .items
            .iter()
            .map(|&item| {
                let own = &d[starts[item]..starts[item] + scored[item].len() - 1];
                Poly { terms: std::iter::once(1.0).chain(own.iter().map(|d| d.exp())).collect(), scale: 0.0 }
            })
            .collect();
        let mut without = Vec::with_capacity(polys.len());
        all_but_one(&polys, Poly::one(), &mut without);
        let whole = polys[0].times(&without[0]);
        let mut expected = Vec::new();
        for ((&item, poly), rest) in group.items.iter().zip(&polys).zip(&without) {
            for k in 1..poly.terms.len() {
                // Σ_r n_r ε_k γ_{r−k}(without) / γ_r.
                let sum: f64 = group
                    .persons
                    .iter()
                    .enumerate()
                    .skip(k)
                    .filter(|(r, n)| **n > 0.0 && r - k < rest.terms.len())
                    .map(|(r, n)| n * rest.terms[r - k] / whole.terms[r])
                    .sum();
                expected.push((starts[item] + k - 1, sum * poly.terms[k] * (rest.scale - whole.scale).exp()));
            }
        }
        let logs = group.persons.iter().zip(&whole.terms).filter(|(n, _)| **n > 0.0);
        (expected, logs.map(|(n, gamma)| n * (gamma.ln() + whole.scale)).sum())
    };
    let parts: Vec<_> = groups.par_iter().map(of_group).collect();
    let (mut expected, mut log_gamma) = (vec![0.0; d.len()], 0.0);
    for (part, log) in parts {
        part.into_iter().for_each(|(at, e)| expected[at] += e);
        log_gamma += log;
    }
    (expected, log_gamma)
}

/// For each polynomial the product of all others, times `outside`.
fn all_but_one(polys: &[Poly], outside: Poly, out: &mut Vec<Poly>) {
    if polys.len() <= 1 {
        out.extend(polys.iter().map(|_| outside.clone()));
        return;
    }
    let (left, right) = polys.split_at(polys.len() / 2);
    let product = |polys: &[Poly]| polys.iter().fold(Poly::one(), |product, poly| product.times(poly));
    all_but_one(left, outside.times(&product(right)), out);
    all_but_one(right, outside.times(&product(left)), out);
}
