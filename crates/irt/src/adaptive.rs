//! Adaptive testing: the next item is the one that says most at the ability estimated so far.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Ability, Estimator, Fit};

/// Settings of an adaptive test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adaptive {
    /// The test ends when the standard error is at most this.
    pub error: f64,
    /// Items at least.
    pub least: usize,
    /// Items at most; 0 for the whole bank.
    pub most: usize,
    /// Exposure control: the next item is drawn from so many of the most informative ones (1 for always
    /// the best).
    pub choose_from: usize,
    /// Seed of those draws.
    pub seed: u64,
}

impl Default for Adaptive {
    fn default() -> Self {
        Self { error: 0.3, least: 5, most: 0, choose_from: 5, seed: 0 }
    }
}

/// An adaptive test under way.
#[derive(Debug, Clone)]
pub struct Session<'a> {
    bank: &'a Fit,
    settings: Adaptive,
    random: ChaCha8Rng,
    given: Vec<(usize, usize)>,
    met: BTreeSet<usize>,
    ability: Ability,
}

impl<'a> Session<'a> {
    /// Begins a test for a person; `person` makes the draws differ between persons.
    pub fn new(bank: &'a Fit, settings: Adaptive, person: u64) -> Self {
        let seed = settings.seed ^ person.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let random = ChaCha8Rng::seed_from_u64(seed);
        let ability = Ability { theta: bank.population.0, error: bank.population.1 };
        Self { bank, settings, random, given: Vec::new(), met: BTreeSet::new(), ability }
    }

    /// The next item, or none when the test is over.
    pub fn ask(&mut self) -> Option<usize> {
        let most = if self.settings.most == 0 { self.bank.items.len() } else { self.settings.most };
        let exact = self.given.len() >= self.settings.least && self.ability.error <= self.settings.error;
        if exact || self.given.len() >= most.min(self.bank.items.len()) {
            return None;
        }
        let mut left: Vec<(f64, usize)> = (0..self.bank.items.len())
            .filter(|item| !self.met.contains(item))
            .map(|item| (self.bank.information(item, self.ability.theta), item))
            .collect();
        left.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let among = self.settings.choose_from.clamp(1, left.len());
        Some(left[self.random.random_range(0..among)].1)
    }

    /// Takes the score of an item.
    pub fn answer(&mut self, item: usize, score: usize) {
        self.given.push((item, score));
        self.met.insert(item);
        // The mode under the prior is finite from the first answer on.
        if let Some(ability) = self.bank.ability(&self.given, Estimator::Map) {
            self.ability = ability;
        }
    }

    /// Ability so far: mode of the posterior under the bank's population, with the posterior's deviation.
    pub fn ability(&self) -> Ability {
        self.ability
    }

    /// Items and scores so far.
    pub fn given(&self) -> &[(usize, usize)] {
        &self.given
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Item, Model};

    #[test]
    fn fewer_items_reach_the_same_error() {
        let items = (0..200).map(|i| Item {
            slope: 1.5,
            difficulties: vec![-3.0 + 0.03 * f64::from(i)],
            lower: 0.0,
            upper: 1.0,
        });
        let bank = Fit::known(Model::TwoPl, items.collect()).expect("a bank");
        let truths: Vec<f64> = (0..40).map(|i| -2.0 + 0.1 * f64::from(i)).collect();
        let all = bank.simulate(&truths, 1).expect("responses");
        let (mut asked, mut square, mut random_error) = (0, 0.0, 0.0);
        for (person, truth) in truths.iter().enumerate() {
            let answers: Vec<usize> = all.of(person).map(|(_, score)| score).collect();
            let mut session = Session::new(&bank, Adaptive { seed: 3, ..Adaptive::default() }, person as u64);
            while let Some(item) = session.ask() {
                session.answer(item, answers[item]);
            }
            assert!(session.ability().error <= 0.3);
            asked += session.given().len();
            square += ((session.ability().theta - truth) / session.ability().error).powi(2);
            // As many items, evenly spread over the bank.
            let step = 200 / session.given().len();
            let spread: Vec<(usize, usize)> =
                (0..session.given().len()).map(|i| (i * step, answers[i * step])).collect();
            random_error += bank.ability(&spread, Estimator::Map).expect("ability").error / 40.0;
        }
        assert!(asked < 40 * 40, "{asked} items for 40 persons");
        assert!(random_error > 0.36, "spread items reach {random_error}");
        assert!(square / 40.0 < 1.6, "{square}");
    }
}
