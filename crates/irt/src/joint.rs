//! Joint maximum likelihood (Wright and Panchapakesan 1969): persons and items are estimated together,
//! as Winsteps does it. Fast and plain, but biased: difficulties come out too far from their mean, by
//! about L / (L − 1) for tests of L items, which the usual correction takes out; abilities keep their
//! bias. Prefer CML or MML; this is for comparison with what others report.

use crate::{Error, Responses, Result};

/// A joint fit of the Rasch model or, with more than two categories, partial credit.
#[derive(Debug, Clone, PartialEq)]
pub struct Jml {
    /// b of each step of each item; their mean over all is 0.
    pub difficulties: Vec<Vec<f64>>,
    /// θ of each person; none for the lowest and the highest possible score.
    pub abilities: Vec<Option<f64>>,
    /// Rounds.
    pub steps: usize,
    /// Whether numbers stopped moving.
    pub converged: bool,
}

/// Fits by turns of Newton's steps. With `correct`, difficulties are multiplied by (L − 1) / L at the end,
/// L being the mean number of items that a person met.
pub fn jml(responses: &Responses, tolerance: f64, most_steps: usize, correct: bool) -> Result<Jml> {
    let informative = |person: usize| {
        let most: usize = responses.of(person).map(|(item, _)| responses.categories(item) - 1).sum();
        let raw = responses.raw(person);
        raw > 0 && raw < most
    };
    let persons: Vec<usize> = (0..responses.persons()).filter(|&person| informative(person)).collect();
    let hint = "leave it out, or add persons";
    if persons.is_empty() {
        return Err(Error::Data { problem: "everybody has the lowest or the highest score".into(), hint });
    }
    let mut scored: Vec<Vec<f64>> = (0..responses.items()).map(|item| vec![0.0; responses.categories(item)]).collect();
    let mut met = 0;
    for &person in &persons {
        met += responses.of(person).len();
        responses.of(person).for_each(|(item, score)| scored[item][score] += 1.0);
    }
    if let Some((item, k)) =
        scored.iter().enumerate().find_map(|(item, s)| Some((item, s.iter().position(|n| *n == 0.0)?)))
    {
        let problem = format!("among persons whose score says something, nobody scored {k} on item {item}");
        return Err(Error::Data { problem, hint });
    }
    responses.select(informative).whole()?;
    let mut b: Vec<Vec<f64>> =
        scored.iter().map(|s| s.windows(2).map(|pair| (pair[0] / pair[1]).ln()).collect()).collect();
    let mut theta = vec![0.0; responses.persons()];
    let probabilities = |theta: f64, b: &[f64], p: &mut Vec<f64>| {
        p.clear();
        p.push(0.0);
        b.iter().for_each(|b| p.push(p[p.len() - 1] + theta - b));
        let most = p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        p.iter_mut().for_each(|p| *p = (*p - most).exp());
        let sum: f64 = p.iter().sum();
        p.iter_mut().for_each(|p| *p /= sum);
    };
    let (mut steps, mut converged) = (0, false);
    let mut p = Vec::new();
    while steps < most_steps && !converged {
        steps += 1;
        let mut moved: f64 = 0.0;
        // P(≥ k) and its variance, for every step of every item.
        let mut gradient: Vec<Vec<f64>> = b.iter().map(|b| vec![0.0; b.len()]).collect();
        let mut information = gradient.clone();
        for &person in &persons {
            let (mut surprise, mut variance) = (0.0, 0.0);
            for (item, score) in responses.of(person) {
                probabilities(theta[person], &b[item], &mut p);
                let mean: f64 = p.iter().enumerate().map(|(k, p)| k as f64 * p).sum();
                surprise += score as f64 - mean;
                variance += p.iter().enumerate().map(|(k, p)| (k as f64 - mean).powi(2) * p).sum::<f64>();
            }
            let step = (surprise / variance.max(1e-9)).clamp(-1.0, 1.0);
            theta[person] += step;
            moved = moved.max(step.abs());
            for (item, score) in responses.of(person) {
                probabilities(theta[person], &b[item], &mut p);
                let mut above = 1.0;
                for step in 0..b[item].len() {
                    above -= p[step];
                    gradient[item][step] += above - f64::from(score > step);
                    information[item][step] += above * (1.0 - above);
                }
            }
        }
        for (b, (gradient, information)) in b.iter_mut().zip(gradient.iter().zip(&information)) {
            // Steps of one item lean on each other: half a Newton step each when there are several.
            let share = if b.len() > 1 { 0.5 } else { 1.0 };
            for (b, (gradient, information)) in b.iter_mut().zip(gradient.iter().zip(information)) {
                let step = (share * gradient / information.max(1e-9)).clamp(-1.0, 1.0);
                *b += step;
                moved = moved.max(step.abs());
            }
        }
        let all: usize = b.iter().map(Vec::len).sum();
        let mean = b.iter().flatten().sum::<f64>() / all as f64;
        b.iter_mut().flatten().for_each(|b| *b -= mean);
        theta.iter_mut().for_each(|theta| *theta -= mean);
        converged = moved < tolerance;
    }
    if correct {
        let length = met as f64 / persons.len() as f64;
        b.iter_mut().flatten().for_each(|b| *b *= (length - 1.0) / length);
    }
    let mut abilities = vec![None; responses.persons()];
    persons.iter().for_each(|&person| abilities[person] = Some(theta[person]));
    Ok(Jml { difficulties: b, abilities, steps, converged })
}
