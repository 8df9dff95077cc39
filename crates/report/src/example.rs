use std::collections::HashMap;

use exam::{Comparison, compare};
use record::{Item, Mode, Response};
use serde::{Deserialize, Serialize};

/// Answers that are shown of each kind of change.
const SHOWN: usize = 8;

/// One exam, sat before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Paper {
    /// What was examined, in a few words: `new questions about the documents`.
    pub title: String,
    /// The difference that was asked for beforehand, a share of 1 (0.2 = 20 points). Below 0 it is
    /// the loss that is still accepted. None: nothing was asked.
    pub bar: Option<f64>,
    /// Both sittings, compared.
    pub comparison: Comparison,
    /// Abilities on the scale of a calibration, where there is one and it knows items of this exam.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth: Option<Growth>,
    /// Items that were wrong before and right after; at most eight, of different documents first.
    pub gained: Vec<Example>,
    /// Items that were right before and wrong after; at most eight.
    pub lost: Vec<Example>,
}

/// Ability before and after on one scale, in logits, by items whose difficulties were calibrated beforehand
/// and stay as they are. Their own errors are not in the standard errors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// θ before, with its standard error.
    pub before: (f64, f64),
    /// θ after, with its standard error.
    pub after: (f64, f64),
    /// Items of the exam that the calibration knows.
    pub items: usize,
    /// Persons whom it was calibrated on.
    pub persons: usize,
}

impl Growth {
    /// θ after less θ before, with its standard error.
    pub fn difference(&self) -> (f64, f64) {
        (self.after.0 - self.before.0, self.before.1.hypot(self.after.1))
    }

    /// In a sentence.
    pub fn sentence(&self) -> String {
        let ((before, s), (after, t), (change, error)) = (self.before, self.after, self.difference());
        format!(
            "on a scale that {} persons calibrated: ability {before:.2} ± {s:.2} before, {after:.2} ± {t:.2} after, \
             {change:+.2} logits (95 % interval {:+.2} to {:+.2}, {} items)",
            self.persons,
            change - 1.96 * error,
            change + 1.96 * error,
            self.items
        )
    }
}

/// An answer that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// Id of the item.
    pub item: String,
    /// The question as asked.
    pub question: String,
    /// The accepted answer.
    pub expected: String,
    /// What the model said first.
    pub before: String,
    /// What it said afterwards.
    pub after: String,
    /// The sentence that proves the answer; empty if the bank names none.
    pub sentence: String,
    /// Where it stands: document, and the sentence's number where known.
    pub source: String,
}

impl Paper {
    /// Compares two sittings of a bank and picks the examples.
    pub fn new(
        title: impl Into<String>,
        bar: Option<f64>,
        items: &[Item],
        before: &[Response],
        after: &[Response],
    ) -> exam::Result<Self> {
        let comparison = compare(before, after)?;
        let pick = |wanted: fn(bool, bool) -> bool| examples(items, before, after, wanted);
        Ok(Self {
            title: title.into(),
            bar,
            comparison,
            growth: None,
            gained: pick(|before, after| !before && after),
            lost: pick(|before, after| before && !after),
        })
    }

    /// `closed book` or `open book`; for a change of mode both.
    pub fn mode(&self) -> &'static str {
        match (self.comparison.before.mode, self.comparison.after.mode) {
            (Mode::Closed, Mode::Closed) => "closed book",
            (Mode::Open, Mode::Open) => "open book",
            (Mode::Closed, Mode::Open) => "closed, then open book",
            (Mode::Open, Mode::Closed) => "open, then closed book",
        }
    }
}

/// The changes that `wanted` (right before, right after) asks for, in the order of the bank, one of
/// each document in turn.
fn examples(items: &[Item], before: &[Response], after: &[Response], wanted: fn(bool, bool) -> bool) -> Vec<Example> {
    let by_item: HashMap<&str, &Item> = items.iter().map(|item| (item.id.as_str(), item)).collect();
    let later: HashMap<&str, &Response> = after.iter().map(|response| (response.item.as_str(), response)).collect();
    let mut of_document: HashMap<&str, usize> = HashMap::new();
    let mut changed = Vec::new();
    for first in before {
        let Some(second) = later.get(first.item.as_str()) else { continue };
        if wanted(first.score >= 0.5, second.score >= 0.5) {
            let round = of_document.entry(&first.document).or_default();
            changed.push((*round, first, *second));
            *round += 1;
        }
    }
    changed.sort_by_key(|(round, ..)| *round);
    let example = |(_, first, second): (usize, &Response, &Response)| {
        let item = by_item.get(first.item.as_str());
        let citation = item.and_then(|item| item.citation.as_ref());
        Example {
            item: first.item.clone(),
            question: first.question.clone(),
            expected: first.expected.clone(),
            before: first.text.clone(),
            after: second.text.clone(),
            sentence: citation.map(|c| c.text.clone()).or_else(|| item.map(|i| i.sentence.clone())).unwrap_or_default(),
            source: citation
                .map_or_else(|| first.document.clone(), |c| format!("{}, sentence {}", c.document, c.sentence)),
        }
    };
    changed.into_iter().take(SHOWN).map(example).collect()
}
