use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::anchor::anchors;
use super::{Bank, Whole, choose};
use crate::{Error, Result};

/// How items are chosen and the score of the whole test is told from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Items drawn at random; their mean.
    Random,
    /// Items sorted by difficulty and cut into equal strata, one drawn from each; their mean.
    Stratified,
    /// Anchor points: items gathered by the responses that they got, the middle one of each group;
    /// their weighted mean.
    Anchor,
    /// The items that leave the least variance of ability over the population ([`choose`]); what was
    /// seen, and the curves' expectation of the rest.
    Information,
    /// Anchor points; what was seen, and the curves' expectation of the rest.
    AnchorCurves,
    /// Anchor points; between both estimates, at the place where the squared error of persons whom the
    /// choice did not see is least.
    Mixed,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 6] =
        [Self::Random, Self::Stratified, Self::Anchor, Self::Information, Self::AnchorCurves, Self::Mixed];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Stratified => "stratified",
            Self::Anchor => "anchor",
            Self::Information => "information",
            Self::AnchorCurves => "anchor-curves",
            Self::Mixed => "mixed",
        }
    }

    /// Whether it needs curves, hence whole points.
    pub fn needs_curves(self) -> bool {
        matches!(self, Self::Information | Self::AnchorCurves | Self::Mixed)
    }

    /// Whether chance plays so great a part that several draws are needed to measure it.
    pub fn drawn(self) -> bool {
        matches!(self, Self::Random | Self::Stratified)
    }
}

/// A short form of a test.
#[derive(Debug, Clone)]
pub struct Form {
    /// How it was made.
    pub method: Method,
    /// Items, by place in the whole test.
    pub items: Vec<usize>,
    /// Their weights; the sum is 1.
    pub weights: Vec<f64>,
    /// Weight of the weighted mean in the estimate, in [0, 1]; the rest is that of the curves.
    pub mix: f64,
    /// The curves of the whole test, where the method has some.
    pub bank: Option<Bank>,
}

impl Form {
    /// Score of the whole test, in [0, 1], from the shares of the form's items, in their order.
    pub fn estimate(&self, shares: &[f64]) -> f64 {
        let mean: f64 = shares.iter().zip(&self.weights).map(|(share, weight)| share * weight).sum();
        let Some(bank) = self.bank.as_ref().filter(|_| self.mix < 1.0) else { return mean };
        let given: Vec<(usize, f64)> = self.items.iter().copied().zip(shares.iter().copied()).collect();
        self.mix * mean + (1.0 - self.mix) * bank.foretell(&given, bank.ability(&given))
    }

    /// Ability of a person by the form's curves; none without.
    pub fn ability(&self, shares: &[f64]) -> Option<f64> {
        let given: Vec<(usize, f64)> = self.items.iter().copied().zip(shares.iter().copied()).collect();
        self.bank.as_ref().map(|bank| bank.ability(&given))
    }

    fn of(&self, whole: &Whole, person: usize) -> Vec<f64> {
        self.items.iter().map(|&item| whole.of(person)[item]).collect()
    }

    /// The estimate for a person who met the whole test.
    pub(super) fn estimate_of(&self, whole: &Whole, person: usize) -> f64 {
        self.estimate(&self.of(whole, person))
    }

    /// The ability by the form of a person who met the whole test.
    pub(super) fn ability_of(&self, whole: &Whole, person: usize) -> Option<f64> {
        self.ability(&self.of(whole, person))
    }
}

/// Persons from whom forms are made.
pub struct Maker<'a> {
    whole: &'a Whole,
    persons: Vec<usize>,
    bank: Option<Bank>,
    /// Makers from one half each, with the other half: how far to trust which estimate.
    halves: Vec<(Maker<'a>, Vec<usize>)>,
}

impl<'a> Maker<'a> {
    /// From some persons of a test; curves are fitted if `curves` says so. `clusters` of all persons are
    /// what halves do not part.
    pub fn new(whole: &'a Whole, persons: Vec<usize>, clusters: &[usize], curves: bool) -> Result<Self> {
        let bank = if curves { Some(whole.calibrate(&persons)?) } else { None };
        let mut halves = Vec::new();
        if curves {
            let mut order: Vec<usize> = persons.iter().map(|&person| clusters[person]).collect();
            order.sort_unstable();
            order.dedup();
            let odd = |person: &usize| order.binary_search(&clusters[*person]).is_ok_and(|at| at % 2 == 1);
            let (one, two): (Vec<usize>, Vec<usize>) = persons.iter().partition(|person| odd(person));
            if one.is_empty() || two.is_empty() {
                return Err(Error::Data {
                    problem: "all persons are variants of one base".into(),
                    hint: "a short form needs persons who are independent of each other",
                });
            }
            for (made, held) in [(one.clone(), two.clone()), (two, one)] {
                let bank = Some(whole.calibrate(&made)?);
                halves.push((Maker { whole, persons: made, bank, halves: Vec::new() }, held));
            }
        }
        Ok(Self { whole, persons, bank, halves })
    }

    /// A form of `k` items, 1 to all but one.
    pub fn form(&self, method: Method, k: usize, seed: u64) -> Result<Form> {
        let items = self.whole.items();
        if k == 0 || k >= items {
            return Err(Error::Setting {
                setting: "items",
                problem: format!("is {k}; 1 to {} are possible", items - 1),
            });
        }
        if method.needs_curves() && self.bank.is_none() {
            return Err(Error::Setting { setting: "method", problem: format!("{} needs curves", method.name()) });
        }
        let (chosen, weights) = match method {
            Method::Random => (drawn(items, k, seed), vec![1.0 / k as f64; k]),
            Method::Stratified => stratified(&self.whole.means(&self.persons), k, seed),
            Method::Information => self.informative(k)?,
            Method::Anchor | Method::AnchorCurves | Method::Mixed => anchors(self.whole, &self.persons, k, seed),
        };
        let mix = match method {
            Method::Random | Method::Stratified | Method::Anchor => 1.0,
            Method::Information | Method::AnchorCurves => 0.0,
            Method::Mixed => self.mix(k, seed)?,
        };
        Ok(Form { method, items: chosen, weights, mix, bank: self.bank.clone().filter(|_| method.needs_curves()) })
    }

    fn informative(&self, k: usize) -> Result<(Vec<usize>, Vec<f64>)> {
        let Some(bank) = &self.bank else { return Ok(Default::default()) };
        let (fit, of) = bank.fit();
        let chosen: Vec<usize> = choose(fit, f64::MIN_POSITIVE, k)?.items.iter().map(|at| of[*at]).collect();
        // Items that nobody misses tell nothing, so there may be fewer than were asked for.
        let weights = vec![1.0 / chosen.len() as f64; chosen.len()];
        Ok((chosen, weights))
    }

    /// λ of λ · weighted mean + (1 − λ) · curves with the least Σ (λ e + (1 − λ) f)² over persons of the
    /// other half, e and f being the errors of both.
    fn mix(&self, k: usize, seed: u64) -> Result<f64> {
        let (mut along, mut square) = (0.0, 0.0);
        for (half, held) in &self.halves {
            let curves = half.form(Method::AnchorCurves, k, seed)?;
            let mean = Form { mix: 1.0, ..curves.clone() };
            for &person in held {
                let truth = self.whole.score(person);
                let (e, f) =
                    (mean.estimate_of(self.whole, person) - truth, curves.estimate_of(self.whole, person) - truth);
                along += f * (f - e);
                square += (f - e).powi(2);
            }
        }
        Ok(if square > 0.0 { (along / square).clamp(0.0, 1.0) } else { 0.5 })
    }
}

fn drawn(items: usize, k: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order.truncate(k);
    order.sort_unstable();
    order
}

fn stratified(means: &[f64], k: usize, seed: u64) -> (Vec<usize>, Vec<f64>) {
    let mut order: Vec<usize> = (0..means.len()).collect();
    order.sort_by(|&a, &b| means[a].total_cmp(&means[b]));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let n = means.len();
    let mut chosen: Vec<(usize, f64)> = (0..k)
        .map(|stratum| {
            let (from, to) = (stratum * n / k, (stratum + 1) * n / k);
            (order[random.random_range(from..to)], (to - from) as f64 / n as f64)
        })
        .collect();
    chosen.sort_unstable_by_key(|(item, _)| *item);
    chosen.into_iter().unzip()
}
