use scaling::{Config, Prepared, Salience};
use serde::{Deserialize, Serialize};

use super::Tied;
use super::material::{Material, Places};
use crate::Result;

/// What a task hangs on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Capability {
    /// The task.
    pub task: String,
    /// λ of the vector.
    pub lambda: f64,
    /// Root mean square of ŷ − y over the models that it was fitted to, all of them.
    pub rmse: f64,
    /// The columns that move the prediction most, the first one first.
    pub top: Vec<InText>,
    /// Share of Σ |slope · spread| that lies on each domain, the largest first.
    pub domains: Vec<(String, f64)>,
    /// A·C of each model in log-odds and its accuracy: where it stands on the curve.
    pub curve: Vec<(f64, f64)>,
    /// Offset, floor and ceiling of the curve ŷ = floor + (ceiling − floor) σ(offset − x).
    pub levels: (f64, f64, f64),
    /// The text on which most of the vector lies, cut into columns with their effects.
    pub passage: Vec<(String, f64)>,
    /// Where columns of one text share a weight: the texts, and the slope of each of their columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<(String, f64)>,
}

/// A column in its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InText {
    /// Its own text; the column's name where there is none.
    pub token: String,
    /// What stands before and behind it.
    pub around: (String, String),
    /// Its domain.
    pub domain: String,
    /// Log-odds a nat: above 0 where learning it helps.
    pub slope: f64,
    /// Standard deviation of its loss over the models, nats.
    pub spread: f64,
    /// slope · spread, log-odds.
    pub effect: f64,
}

/// Characters that are shown on each side.
const AROUND: usize = 32;
/// Bytes of a passage.
const PASSAGE: usize = 600;

/// A vector of every task, fitted to all models.
pub(crate) fn capabilities(
    material: &Material,
    columns: &Prepared,
    tied: Option<&Tied>,
    config: &Config,
    top: usize,
) -> Result<Vec<Capability>> {
    let all: Vec<usize> = (0..material.names.len()).collect();
    let one = |target| {
        let fit = columns.fit(target, &all, config)?;
        let Some(tied) = tied else { return Ok(capability(material, &fit, top)) };
        let each = fit.slopes.iter().zip(columns.losses.counts()).map(|(slope, count)| slope / count);
        let types = tied.types.iter().cloned().zip(each).collect();
        Ok(Capability { types, ..capability(material, &fit.untied(&tied.labels, columns.losses)?, top) })
    };
    material.targets.iter().map(one).collect()
}

fn capability(material: &Material, fit: &Salience, top: usize) -> Capability {
    let losses = &material.losses;
    let mut effects = vec![0.0; losses.columns()];
    fit.top(losses, losses.columns()).iter().for_each(|token| effects[token.column] = token.effect);
    let total: f64 = effects.iter().map(|e| e.abs()).sum();
    let mut domains: Vec<(String, f64)> = Vec::new();
    for (domain, effect) in material.domains.iter().zip(&effects) {
        let share = effect.abs() / total.max(f64::MIN_POSITIVE);
        match domains.iter_mut().find(|(name, _)| name == domain) {
            Some((_, sum)) => *sum += share,
            None => domains.push((domain.clone(), share)),
        }
    }
    domains.sort_by(|a, b| b.1.total_cmp(&a.1));
    let in_text = |token: &scaling::TopToken| {
        let domain = material.domains[token.column].clone();
        let (said, around) = match &material.places {
            Some(places) => places.around(token.column),
            None => (domain.clone(), Default::default()),
        };
        InText { token: said, around, domain, slope: token.slope, spread: token.spread, effect: token.effect }
    };
    let sums = losses.weighted(&fit.slopes);
    let accuracy =
        &material.targets.iter().find(|target| target.task == fit.task).map(|target| target.accuracy.clone());
    Capability {
        task: fit.task.clone(),
        lambda: fit.lambda,
        rmse: fit.rmse,
        top: fit.top(losses, top).iter().map(in_text).collect(),
        domains,
        curve: sums.into_iter().zip(accuracy.clone().unwrap_or_default()).collect(),
        levels: (fit.offset, fit.floor, fit.ceiling),
        passage: material.places.as_ref().map(|places| places.passage(&effects)).unwrap_or_default(),
        types: Vec::new(),
    }
}

impl Places {
    /// A column's text, and what stands around it.
    fn around(&self, column: usize) -> (String, (String, String)) {
        let (text, begin, end) = self.columns[column];
        let text = &self.texts[text].text;
        let said = |from: usize, to: usize| String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned();
        let before: String = text[..floor(text, begin)].chars().rev().take(AROUND).collect();
        let behind = text[ceiling(text, end)..].chars().take(AROUND).collect();
        (said(begin, end), (before.chars().rev().collect(), behind))
    }

    /// The part of a text with the largest mean |effect| a column, cut into columns.
    fn passage(&self, effects: &[f64]) -> Vec<(String, f64)> {
        let mut best: (f64, std::ops::Range<usize>) = (-1.0, 0..0);
        let mut begin = 0;
        while begin < self.columns.len() {
            let (text, from, _) = self.columns[begin];
            let within = |column: &(usize, usize, usize)| column.0 == text && column.2 <= from + PASSAGE;
            let end = begin + self.columns[begin..].iter().take_while(|column| within(column)).count().max(1);
            let mean = effects[begin..end].iter().map(|e| e.abs()).sum::<f64>() / (end - begin) as f64;
            // A few columns of a short text may be strong by chance; they show little.
            if mean > best.0 && end - begin >= 8.min(self.columns.len()) {
                best = (mean, begin..end);
            }
            begin = end;
        }
        best.1.map(|column| (self.around(column).0, effects[column])).collect()
    }
}

/// The last place at or before `at` where a character begins.
fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The first place at or behind `at` where a character begins.
fn ceiling(text: &str, at: usize) -> usize {
    (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}
