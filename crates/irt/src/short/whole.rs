use serde::{Deserialize, Serialize};

use crate::{Error, Estimator, Fit, Item, Mml, Model, Responses, Result};

/// Scores of persons on all items of a test, each a share of the item's points.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    /// Persons × items, in [0, 1].
    shares: Vec<f64>,
    /// Points of each item; none where some score is no whole number of points.
    points: Option<Vec<u8>>,
    items: usize,
}

impl Whole {
    /// From persons × items of shares in [0, 1] and the points that each item gives. Where all scores are
    /// whole points the test can be calibrated; else only what needs no curves can be done with it.
    pub fn new(shares: Vec<f64>, points: &[f64]) -> Result<Self> {
        let items = points.len();
        if items == 0 || shares.is_empty() || !shares.len().is_multiple_of(items) {
            let problem = format!("are {}, which is no table of {items} items", shares.len());
            return Err(Error::Setting { setting: "shares", problem });
        }
        if let Some(at) = shares.iter().position(|share| !(0.0..=1.0).contains(share)) {
            return Err(Error::Response { at, problem: format!("share {} is not in [0, 1]", shares[at]) });
        }
        let near = |x: f64| (x - x.round()).abs() < 1e-4;
        let whole = points.iter().all(|most| near(*most) && (1.0..=254.0).contains(&most.round()))
            && shares.iter().enumerate().all(|(at, share)| near(share * points[at % items]));
        let points = whole.then(|| points.iter().map(|most| most.round() as u8).collect());
        Ok(Self { shares, points, items })
    }

    /// Number of persons.
    pub fn persons(&self) -> usize {
        self.shares.len() / self.items
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.items
    }

    /// A person's shares, item by item.
    pub fn of(&self, person: usize) -> &[f64] {
        &self.shares[person * self.items..(person + 1) * self.items]
    }

    /// A person's score on the whole test: the mean share.
    pub fn score(&self, person: usize) -> f64 {
        self.of(person).iter().sum::<f64>() / self.items as f64
    }

    /// Whether all scores are whole points, so that curves can be fitted.
    pub fn calibrates(&self) -> bool {
        self.points.is_some()
    }

    /// Mean share of each item over some persons.
    pub(super) fn means(&self, persons: &[usize]) -> Vec<f64> {
        let mean = |item| persons.iter().map(|&person| self.of(person)[item]).sum::<f64>() / persons.len() as f64;
        (0..self.items).map(mean).collect()
    }

    /// Curves of the items, fitted to some persons: 2PL, or generalised partial credit where an item gives
    /// several points, with a prior of ln a ~ N(0, ½) because persons are few.
    pub fn calibrate(&self, persons: &[usize]) -> Result<Bank> {
        let Some(points) = &self.points else {
            return Err(Error::Data {
                problem: "scores are no whole points, so curves cannot be fitted".into(),
                hint: "take a method without curves: random, stratified or anchor",
            });
        };
        let score = |person: usize, item: usize| (self.of(person)[item] * f64::from(points[item])).round() as u8;
        let alike = |item: usize| persons.iter().all(|&person| score(person, item) == score(persons[0], item));
        let free: Vec<usize> = (0..self.items).filter(|&item| !alike(item)).collect();
        if free.is_empty() {
            return Err(Error::Data {
                problem: format!("all {} persons have the same score on every item", persons.len()),
                hint: "give persons who differ",
            });
        }
        let cells: Vec<Option<u8>> =
            persons.iter().flat_map(|&person| free.iter().map(move |&item| Some(score(person, item)))).collect();
        let model = if points.iter().all(|most| *most == 1) { Model::TwoPl } else { Model::GeneralizedPartialCredit };
        let settings = Mml { model, slope_prior: Some((0.0, 0.5)), tolerance: 1e-3, ..Mml::default() };
        let fit = settings.fit(&Responses::table(free.len(), &cells)?)?;
        let mut curves = vec![None; self.items];
        free.iter().zip(&fit.items).for_each(|(&item, curve)| curves[item] = Some(curve.clone()));
        // What everybody has alike so far is had alike in all but one of two more.
        let (n, means) = (persons.len() as f64, self.means(persons));
        let alike = means.iter().map(|mean| (mean * n + 1.0) / (n + 2.0)).collect();
        Bank::new(model, curves, alike, points.clone())
    }
}

/// Curves of a whole test.
#[derive(Debug, Clone)]
pub struct Bank {
    fit: Fit,
    /// For each item the place of its curve in the fit; none where all persons had the same score.
    places: Vec<Option<usize>>,
    record: BankRecord,
}

/// A bank as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BankRecord {
    /// Model of the curves, on a scale where θ ~ N(0, 1).
    pub model: Model,
    /// Curve of each item; none where all persons had the same score.
    pub curves: Vec<Option<Item>>,
    /// Expected share of the items that have no curve, in [0, 1].
    pub alike: Vec<f64>,
    /// Points of each item.
    pub points: Vec<u8>,
}

impl Bank {
    fn new(model: Model, curves: Vec<Option<Item>>, alike: Vec<f64>, points: Vec<u8>) -> Result<Self> {
        Self::load(BankRecord { model, curves, alike, points })
    }

    /// From a stored one.
    pub fn load(record: BankRecord) -> Result<Self> {
        if record.alike.len() != record.curves.len() || record.points.len() != record.curves.len() {
            let problem = format!("has {} curves for {} items", record.curves.len(), record.points.len());
            return Err(Error::Setting { setting: "bank", problem });
        }
        let mut next = 0;
        let place = |curve: &Option<Item>| {
            curve.as_ref().map(|_| {
                next += 1;
                next - 1
            })
        };
        let places = record.curves.iter().map(place).collect();
        let fit = Fit::known(record.model, record.curves.iter().flatten().cloned().collect())?;
        Ok(Self { fit, places, record })
    }

    /// To be stored.
    pub fn record(&self) -> &BankRecord {
        &self.record
    }

    /// The fit, and for each of its curves the item that it is of.
    pub(super) fn fit(&self) -> (&Fit, Vec<usize>) {
        (&self.fit, (0..self.places.len()).filter(|&item| self.places[item].is_some()).collect())
    }

    /// Ability (posterior mode) of a person with these shares of some items.
    pub fn ability(&self, given: &[(usize, f64)]) -> f64 {
        let score = |(item, share): &(usize, f64)| {
            let place = self.places[*item]?;
            let most = self.fit.items[place].difficulties.len();
            // More than anybody had so far has no category of its own.
            Some((place, ((share * f64::from(self.record.points[*item])).round() as usize).min(most)))
        };
        let scores: Vec<(usize, usize)> = given.iter().filter_map(score).collect();
        self.fit.ability(&scores, Estimator::Map).map_or(0.0, |ability| ability.theta)
    }

    /// Share of the whole test's points that is expected of somebody of ability θ, given shares being as
    /// they were seen.
    pub fn foretell(&self, given: &[(usize, f64)], theta: f64) -> f64 {
        let mut seen = vec![None; self.places.len()];
        given.iter().for_each(|(item, share)| seen[*item] = Some(*share));
        let share = |item: usize| match (seen[item], self.places[item]) {
            (Some(share), _) => share,
            (None, Some(place)) => self.fit.expected(place, theta) / f64::from(self.record.points[item]),
            (None, None) => self.record.alike[item],
        };
        (0..seen.len()).map(share).sum::<f64>() / seen.len() as f64
    }
}
