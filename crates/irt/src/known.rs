use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::mml::Numbers;
use crate::{Error, Fit, Item, Model, Responses, Result};

impl Fit {
    /// A test whose curves are known: a calibrated bank, or the truth of a simulation. Models with one
    /// slope need the same in all items, the rating scale model the same distances.
    pub fn known(model: Model, items: Vec<Item>) -> Result<Self> {
        let numbers: Vec<(Vec<f64>, Vec<f64>)> = items.iter().map(|item| model.numbers(item)).collect();
        let shared = numbers.first().map(|(_, shared)| shared.clone()).unwrap_or_default();
        for (at, (own, of_item)) in numbers.iter().enumerate() {
            if own.iter().any(|x| !x.is_finite()) {
                return Err(Error::NotFinite { what: "a number of the curve", item: at });
            }
            let same = of_item.len() == shared.len() && of_item.iter().zip(&shared).all(|(a, b)| (a - b).abs() < 1e-9);
            if !same {
                return Err(Error::Data {
                    problem: format!("item {at} differs from item 0 in what {model:?} items share"),
                    hint: "take the model with a slope an item",
                });
            }
        }
        let own: Vec<Vec<f64>> = numbers.into_iter().map(|(own, _)| own).collect();
        let parameters = own.iter().map(Vec::len).sum::<usize>() + shared.len();
        let population = (0.0, 1.0);
        let numbers = Numbers { own, shared, population };
        Ok(Self { model, items, population, log_likelihood: f64::NAN, parameters, steps: 0, converged: true, numbers })
    }

    /// Responses of persons with these abilities to all items, drawn from the curves.
    pub fn simulate(&self, abilities: &[f64], seed: u64) -> Result<Responses> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut cells = Vec::with_capacity(abilities.len() * self.items.len());
        for &theta in abilities {
            for item in 0..self.items.len() {
                let mut left: f64 = random.random();
                let at = self.along(item, theta);
                let score = at.iter().position(|[p, ..]| {
                    left -= p;
                    left < 0.0
                });
                cells.push(Some(score.unwrap_or(at.len() - 1) as u8));
            }
        }
        Responses::table(self.items.len(), &cells)
    }
}
