use std::collections::HashMap;
use std::path::Path;

use ::irt::{Ability, Estimator, Fit, Item, Model, Responses};
use exam::scored::{Scored, category};
use record::Response;
use serde::{Deserialize, Serialize};

use super::fitted::Fitted;
use super::record::Analysis;
use crate::{Error, Result};

/// Items on a scale: `fit.json`. Given as `--anchor`, they stay as they are, so that abilities of several
/// sittings stand on one scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Layout of this file; 1.
    pub schema_version: u32,
    /// The model.
    pub model: Model,
    /// How it was fitted.
    pub method: String,
    /// The scale, in words.
    pub scale: String,
    /// Mean and deviation of ability among those who were calibrated on.
    pub population: (f64, f64),
    /// How many they were.
    pub persons: usize,
    /// The items.
    pub items: Vec<Calibrated>,
}

/// An item of a calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// Its id.
    pub id: String,
    /// Its curve.
    #[serde(flatten)]
    pub curve: Item,
    /// Standard error of each difficulty; absent where it is not known.
    pub errors: Option<Vec<f64>>,
    /// Rising scores; the category of a score is the number of cuts that it reaches.
    pub cuts: Vec<f64>,
    /// The most that it gives.
    pub max: f64,
    /// Persons whose responses it rests on.
    pub n: usize,
}

impl Calibration {
    pub(super) fn new(scored: &Scored, fitted: &Fitted, analysis: &Analysis) -> Self {
        let item = |(at, line): (usize, &super::ItemLine)| Calibrated {
            id: line.id.clone(),
            curve: fitted.fit.items[at].clone(),
            errors: line.difficulty_errors.clone(),
            cuts: scored.items[at].cuts.clone(),
            max: line.max,
            n: line.n,
        };
        Self {
            schema_version: 1,
            model: fitted.fit.model,
            method: analysis.method.clone(),
            scale: analysis.scale.clone(),
            population: fitted.fit.population,
            persons: scored.responses.persons(),
            items: analysis.items.iter().enumerate().map(item).collect(),
        }
    }

    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |problem: String| Error::Nothing {
            problem: format!("{}: {problem}", path.display()),
            hint: "give the fit.json that `lyceum irt` wrote".into(),
        };
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let read: Self =
            serde_json::from_slice(&bytes).map_err(|error| wrong(format!("is no calibration: {error}")))?;
        if read.schema_version != 1 {
            return Err(wrong(format!("field `schema_version` is {}, this program knows 1", read.schema_version)));
        }
        let mut seen = std::collections::HashSet::new();
        for item in &read.items {
            let rises = item.cuts.windows(2).all(|pair| pair[0] < pair[1]);
            if !seen.insert(&item.id) {
                return Err(wrong(format!("item {:?} stands there twice", item.id)));
            }
            if item.cuts.is_empty() || item.cuts.len() != item.curve.difficulties.len() || !rises {
                return Err(wrong(format!("item {:?}: field `cuts` must rise, one for each difficulty", item.id)));
            }
        }
        let (mean, deviation) = read.population;
        if !(mean.is_finite() && deviation > 0.0 && deviation.is_finite()) {
            return Err(wrong("field `population` must be a mean and a deviation above 0".into()));
        }
        // Whether the curves are such as the model has.
        Fit::known(read.model, read.items.iter().map(|item| item.curve.clone()).collect())
            .map_err(|error| wrong(error.to_string()))?;
        Ok(read)
    }

    /// Cuts by id.
    pub(super) fn cuts(&self) -> HashMap<String, Vec<f64>> {
        self.items.iter().map(|item| (item.id.clone(), item.cuts.clone())).collect()
    }

    /// An item by id.
    pub(super) fn item(&self, id: &str) -> Option<&Calibrated> {
        self.items.iter().find(|item| item.id == id)
    }

    /// Ability by the answers to items that stand here (Warm's estimate), with their number; none where
    /// there are fewer than two. An exam marks from 0 to 1, whatever the marks that were calibrated on.
    pub fn ability(&self, responses: &[Response]) -> Result<Option<(Ability, usize)>> {
        let places: HashMap<&str, usize> =
            self.items.iter().enumerate().map(|(at, item)| (item.id.as_str(), at)).collect();
        let given: Vec<(u32, u32, u8)> = responses
            .iter()
            .filter_map(|response| {
                let at = *places.get(response.item.as_str())?;
                let item = &self.items[at];
                Some((0, at as u32, category(&item.cuts, response.score * item.max) as u8))
            })
            .collect();
        if given.len() < 2 {
            return Ok(None);
        }
        let table = Responses::sparse(1, self.items.len(), &given)?;
        let ability = self.bank()?.abilities(&table, Estimator::Wle)[0];
        Ok(ability.map(|ability| (ability, given.len())))
    }

    /// The bank as a test whose curves are known, on the scale of its population.
    pub fn bank(&self) -> Result<Fit> {
        let mut fit = Fit::known(self.model, self.items.iter().map(|item| item.curve.clone()).collect())?;
        fit.population = self.population;
        Ok(fit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration() -> Calibration {
        let item = |at: usize| Calibrated {
            id: format!("q{at}"),
            curve: Item { slope: 1.0, difficulties: vec![at as f64 - 2.0], lower: 0.0, upper: 1.0 },
            errors: None,
            // Marks of the calibration ran to 2.
            cuts: vec![1.0],
            max: 2.0,
            n: 100,
        };
        Calibration {
            schema_version: 1,
            model: Model::Rasch,
            method: "test".into(),
            scale: "logits".into(),
            population: (0.0, 1.0),
            persons: 100,
            items: (0..5).map(item).collect(),
        }
    }

    fn responses(scores: &[f64]) -> Vec<Response> {
        let one = |(at, score): (usize, &f64)| {
            serde_json::from_value(serde_json::json!({
                "item": format!("q{at}"), "fact": "f", "document": "d", "kind": "number", "model": "m", "mode": "closed",
                "question": "?", "expected": "1", "text": "1", "score": score, "secondary": 0.0, "abstained": false,
            }))
            .expect("a response")
        };
        scores.iter().enumerate().map(one).collect()
    }

    #[test]
    fn ability_rises_with_answers_and_unknown_items_do_not_count() {
        let scale = calibration();
        let of = |scores: &[f64]| scale.ability(&responses(scores)).expect("works");
        let (half, n) = of(&[1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0]).expect("an ability");
        assert_eq!(n, 5);
        let (more, _) = of(&[1.0, 1.0, 1.0, 0.0, 0.0]).expect("an ability");
        let (all, _) = of(&[1.0; 5]).expect("finite");
        assert!(half.theta < more.theta && more.theta < all.theta && all.error > more.error);
        // Three of five about the middle of difficulties from −2 to 2: a little above 0.
        assert!((half.theta + more.theta).abs() < 1e-6, "{} {}", half.theta, more.theta);
        assert!(of(&[1.0]).is_none());
    }
}
