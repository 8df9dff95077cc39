//! Marginal maximum likelihood by EM (Bock and Aitkin 1981).
//!
//! E: posteriors of θ on quadrature points, and from them expected counts r of each category of each
//! item at each point. M: Fisher scoring of Σ r log P, items in parallel, numbers that all items
//! share by the Schur complement. Between, SQUAREM (Varadhan and Roland 2008) leaps along the path of
//! EM, and falls back where a leap lost likelihood.

mod errors;
mod expect;
mod maximise;
mod rows;

use serde::{Deserialize, Serialize};

pub use self::errors::ItemErrors;
pub(crate) use self::errors::invert;
pub(crate) use self::expect::{Expected, Table};
pub(crate) use self::maximise::solve;
pub(crate) use self::rows::Rows;
use crate::{Error, Item, Model, Quadrature, Responses, Result};

/// Settings of a marginal fit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mml {
    /// How scores depend on ability.
    pub model: Model,
    /// Points of the quadrature, 11 to 1001; 0 for as many as the length of the test asks for: 61, and more
    /// where posteriors are narrower than the distance of two points.
    pub points: usize,
    /// Steps of EM at most.
    pub steps: usize,
    /// The fit ends when no number moves by more than this in a step; above 0.
    pub tolerance: f64,
    /// Normal prior of logit c, for models with a lower asymptote: mean and deviation. None for pure
    /// likelihood, which often has no inner maximum.
    pub lower_prior: Option<(f64, f64)>,
    /// The same for the logit of (u − c) / (1 − c).
    pub upper_prior: Option<(f64, f64)>,
    /// Normal prior of ln a for models with a slope an item. None for pure likelihood.
    pub slope_prior: Option<(f64, f64)>,
}

impl Default for Mml {
    fn default() -> Self {
        Self {
            model: Model::Rasch,
            points: 0,
            steps: 2000,
            tolerance: 1e-5,
            lower_prior: Some((-1.4, 0.5)),
            upper_prior: Some((2.2, 0.7)),
            slope_prior: None,
        }
    }
}

/// Free numbers of all items and those that they share, as they are fitted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numbers {
    pub own: Vec<Vec<f64>>,
    pub shared: Vec<f64>,
    /// Mean and deviation of ability: 0 and 1, but where known items fix the scale.
    pub population: (f64, f64),
}

/// A fitted test.
#[derive(Debug, Clone)]
pub struct Fit {
    /// How scores depend on ability.
    pub model: Model,
    /// Curves, item by item, on a scale where θ ~ N(0, 1), or on that of the anchors.
    pub items: Vec<Item>,
    /// Mean and standard deviation of ability on that scale.
    pub population: (f64, f64),
    /// Marginal log-likelihood of the responses.
    pub log_likelihood: f64,
    /// Free numbers.
    pub parameters: usize,
    /// Steps of EM.
    pub steps: usize,
    /// Whether the tolerance was reached.
    pub converged: bool,
    pub(crate) numbers: Numbers,
}

impl Fit {
    /// −2 log L + 2 p.
    pub fn aic(&self) -> f64 {
        -2.0 * self.log_likelihood + 2.0 * self.parameters as f64
    }

    /// Marginal log-likelihood of responses under these curves, whoever found them.
    pub fn marginal(&self, responses: &Responses) -> f64 {
        let categories: Vec<usize> = (0..responses.items()).map(|item| responses.categories(item)).collect();
        let quadrature = Mml { model: self.model, ..Mml::default() }.quadrature(responses);
        let quadrature = quadrature.moved(self.population.0, self.population.1);
        Expected::new(self.model, &categories, &Rows::new(responses, self.model), &self.numbers, &quadrature)
            .log_likelihood
    }

    /// −2 log L + p ln n, for n persons.
    pub fn bic(&self, persons: usize) -> f64 {
        -2.0 * self.log_likelihood + self.parameters as f64 * (persons as f64).ln()
    }
}

impl Mml {
    /// Fits the model. Items whose every response is alike have no finite difficulty and are refused
    /// by number; see [`Responses::counts`].
    pub fn fit(&self, responses: &Responses) -> Result<Fit> {
        self.anchored(responses, &vec![None; responses.items()])
    }

    /// As [`Mml::fit`], but the curves that are given stay as they are, and the scale with them; mean and
    /// deviation of ability are estimated. Anchors of models with one slope must have the same.
    pub fn anchored(&self, responses: &Responses, anchors: &[Option<Item>]) -> Result<Fit> {
        let counts = responses.counts();
        self.validate(responses, &counts)?;
        if anchors.len() != responses.items() {
            let problem = format!("are {}, one for each of {} items is needed", anchors.len(), responses.items());
            return Err(Error::Setting { setting: "anchors", problem });
        }
        let categories: Vec<usize> = (0..responses.items()).map(|item| responses.categories(item)).collect();
        let most = categories.iter().copied().max().unwrap_or(2);
        let mut numbers = Numbers {
            own: counts.iter().map(|counts| self.model.start(counts)).collect(),
            shared: self.model.start_shared(most),
            population: (0.0, 1.0),
        };
        let fixed: Vec<bool> = anchors.iter().map(Option::is_some).collect();
        let known: Vec<Item> = anchors.iter().flatten().cloned().collect();
        let bank = Fit::known(self.model, known)?;
        let mut given = bank.numbers.own.into_iter();
        for (item, own) in numbers.own.iter_mut().enumerate().filter(|(item, _)| fixed[*item]) {
            *own = given.next().unwrap_or_default();
            if own.len() != self.model.start(&counts[item]).len() {
                let problem = format!("the anchor of item {item} has other steps than its responses");
                return Err(Error::Data { problem, hint: "anchor it with a curve for all its categories" });
            }
        }
        if fixed.contains(&true) {
            numbers.shared = bank.numbers.shared;
        }
        let rows = Rows::new(responses, self.model);
        let quadrature = self.quadrature(responses);
        let at = |numbers: &Numbers| quadrature.moved(numbers.population.0, numbers.population.1);
        let expect = |numbers: &Numbers| Expected::new(self.model, &categories, &rows, numbers, &at(numbers));
        let maximise = |expected: &Expected, numbers: &Numbers| self.maximise(expected, numbers, &at(numbers), &fixed);

        let (mut steps, mut converged) = (0, false);
        let mut expected = expect(&numbers);
        let mut target = expected.log_likelihood + self.prior(&numbers);
        while steps < self.steps && !converged {
            let first = maximise(&expected, &numbers);
            converged = distance(&numbers, &first) < self.tolerance;
            let after_first = expect(&first);
            let second = maximise(&after_first, &first);
            steps += 2;
            let leap = leap(&numbers, &first, &second);
            let leapt = expect(&leap);
            let reached = leapt.log_likelihood + self.prior(&leap);
            // A leap that lost likelihood is not taken; EM's own step never loses.
            (numbers, expected) = if reached.is_finite() && reached >= target {
                target = reached;
                (leap, leapt)
            } else {
                let plain = expect(&second);
                target = plain.log_likelihood + self.prior(&second);
                (second, plain)
            };
            if let Some(item) = numbers.own.iter().position(|own| own.iter().any(|x| !x.is_finite())) {
                return Err(Error::NotFinite { what: "a number", item });
            }
        }
        let items: Vec<Item> =
            numbers.own.iter().zip(&categories).map(|(own, &n)| self.model.item(own, &numbers.shared, n)).collect();
        let own = numbers.own.iter().zip(&fixed).filter(|(_, fixed)| !**fixed).map(|(own, _)| own.len());
        let free = own.sum::<usize>() + if fixed.contains(&true) { 2 } else { numbers.shared.len() };
        Ok(Fit {
            model: self.model,
            items,
            log_likelihood: expected.log_likelihood,
            parameters: free,
            population: numbers.population,
            steps,
            converged,
            numbers,
        })
    }

    pub(super) fn quadrature(&self, responses: &Responses) -> Quadrature {
        if self.points > 0 {
            return Quadrature::normal(self.points);
        }
        let steps: usize = (0..responses.items()).map(|item| responses.categories(item) - 1).sum();
        let met = responses.len() as f64 / (responses.persons() * responses.items()).max(1) as f64;
        Quadrature::for_length(steps as f64 * met)
    }

    fn validate(&self, responses: &Responses, counts: &[Vec<u64>]) -> Result<()> {
        if self.points != 0 && !(11..=1001).contains(&self.points) {
            return Err(Error::Setting { setting: "points", problem: "must be 0, or lie between 11 and 1001".into() });
        }
        if self.tolerance <= 0.0 || self.tolerance.is_nan() {
            return Err(Error::Setting { setting: "tolerance", problem: "must be above 0".into() });
        }
        let fail = |problem: String, hint| Err(Error::Data { problem, hint });
        if responses.persons() < 2 || responses.items() < 2 {
            let problem = format!("{} persons and {} items say nothing", responses.persons(), responses.items());
            return fail(problem, "give at least two of each");
        }
        for (item, counts) in counts.iter().enumerate() {
            if self.model.dichotomous() && counts.len() > 2 {
                return fail(
                    format!("item {item} has {} categories", counts.len()),
                    "take a partial-credit or graded model, or mark it right and wrong",
                );
            }
            if self.model == Model::RatingScale && counts.len() != responses.categories(0) {
                return fail(
                    format!("item {item} has {} categories, item 0 has {}", counts.len(), responses.categories(0)),
                    "the rating scale model needs the same in all; take partial credit",
                );
            }
            if let Some(empty) = counts.iter().position(|&count| count == 0) {
                return fail(
                    format!("nobody scored {empty} on item {item}"),
                    "leave the item out, or join the empty category with its neighbour",
                );
            }
        }
        responses.whole()
    }
}

impl Numbers {
    /// All numbers in one row: items' own, shared, mean and ln deviation of ability.
    fn flat(&self) -> impl Iterator<Item = f64> + '_ {
        let population = [self.population.0, self.population.1.ln()];
        self.own.iter().flatten().chain(&self.shared).copied().chain(population)
    }

    /// Numbers of the same shape from one row.
    fn shaped(&self, mut flat: impl Iterator<Item = f64>) -> Self {
        let mut shaped = self.clone();
        let mut next = || flat.next().unwrap_or(0.0);
        shaped.own.iter_mut().flatten().chain(&mut shaped.shared).for_each(|x| *x = next());
        shaped.population = (next(), next().exp());
        shaped
    }
}

fn distance(a: &Numbers, b: &Numbers) -> f64 {
    a.flat().zip(b.flat()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// x₀ − 2αr + α²v with r = x₁ − x₀, v = x₂ − 2x₁ + x₀, α = −|r| / |v|, at most −1 (which is x₂).
fn leap(x0: &Numbers, x1: &Numbers, x2: &Numbers) -> Numbers {
    let three: Vec<[f64; 3]> = x0.flat().zip(x1.flat()).zip(x2.flat()).map(|((a, b), c)| [a, b, c]).collect();
    let r: f64 = three.iter().map(|[a, b, _]| (b - a).powi(2)).sum();
    let v: f64 = three.iter().map(|[a, b, c]| (c - 2.0 * b + a).powi(2)).sum();
    let alpha = if v > 0.0 { (-(r / v).sqrt()).min(-1.0) } else { -1.0 };
    x0.shaped(three.into_iter().map(|[a, b, c]| a - 2.0 * alpha * (b - a) + alpha * alpha * (c - 2.0 * b + a)))
}
