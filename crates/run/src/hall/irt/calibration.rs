use std::collections::HashMap;
use std::path::Path;

use ::irt::{Fit, Item, Model};
use exam::scored::Scored;
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
        if !mean.is_finite() || !(deviation > 0.0 && deviation.is_finite()) {
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

    /// The bank as a test whose curves are known, on the scale of its population.
    pub fn bank(&self) -> Result<Fit> {
        let mut fit = Fit::known(self.model, self.items.iter().map(|item| item.curve.clone()).collect())?;
        fit.population = self.population;
        Ok(fit)
    }
}
