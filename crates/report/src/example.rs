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
    /// Items that were wrong before and right after; at most eight, of different documents first.
    pub gained: Vec<Example>,
    /// Items that were right before and wrong after; at most eight.
    pub lost: Vec<Example>,
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
