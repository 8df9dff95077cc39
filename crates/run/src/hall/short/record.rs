use std::collections::BTreeMap;
use std::path::PathBuf;

use exam::statistics::{ByCluster, Difference, student};
use irt::short::{BankRecord, Errors, Form, Method};
use marks::Marks;
use serde::{Deserialize, Serialize};

use crate::hall::compare::Table;
use crate::{Error, Result};

/// A method with so many items, measured on held-out persons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// How forms are made.
    pub method: Method,
    /// Items of a form.
    pub items: usize,
    /// Persons.
    pub n: usize,
    /// Base models, which lie in one fold with all their variants and are the clusters of intervals.
    pub bases: usize,
    /// Mean absolute error of the whole exam's score, in shares of 1.
    pub error: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Lower 95 % limit.
    pub error_low: f64,
    /// Upper 95 % limit.
    pub error_high: f64,
    /// Mean error with its sign.
    pub bias: f64,
    /// 95 of 100 persons have a smaller error than this.
    pub reach: f64,
    /// Root mean square error of ability against that by the whole exam, on the scale where θ ~ N(0, 1); none
    /// without curves.
    pub ability_error: Option<f64>,
    /// Error less that of as many random items, person by person; none for random items.
    pub against_random: Option<Difference>,
}

/// Means and limits over persons.
pub(super) fn candidates(errors: &[Errors], bases: &[usize]) -> Vec<Candidate> {
    let random = |items: usize| errors.iter().find(|e| e.method == Method::Random && e.items == items);
    let of = |found: &Errors| {
        let by_base = |values: &[f64]| ByCluster::new(bases.iter().copied().zip(values.iter().copied()));
        let (n, mean) =
            (found.absolute.len() as f64, |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64);
        let error = student(&by_base(&found.absolute), 0.05)?;
        let mut sorted = found.absolute.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let abilities = &found.abilities;
        let square: f64 = abilities.iter().map(|(short, whole)| (short - whole).powi(2)).sum();
        let random = random(found.items).filter(|_| found.method != Method::Random);
        let less =
            random.map(|random| found.absolute.iter().zip(&random.absolute).map(|(a, b)| a - b).collect::<Vec<_>>());
        Some(Candidate {
            method: found.method,
            items: found.items,
            n: found.absolute.len(),
            bases: error.clusters,
            error: error.mean,
            standard_error: error.standard_error,
            error_low: error.low.max(0.0),
            error_high: error.high,
            bias: mean(&found.signed),
            reach: sorted[((0.95 * n).ceil() as usize).clamp(1, sorted.len()) - 1],
            ability_error: (!abilities.is_empty()).then(|| (square / n).sqrt()),
            against_random: less.and_then(|less| student(&by_base(&less), 0.05)),
        })
    };
    errors.iter().filter_map(of).collect()
}

/// An item of a form: a line of `items.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormItem {
    /// Its id in the logs.
    pub id: String,
    /// Its weight in the weighted mean; the sum over items is 1.
    pub weight: f64,
    /// Its subject or task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Share of points that the persons had on it.
    pub mean: f64,
}

/// A short form as it is stored: all that is needed to score a new person by it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormFile {
    /// Layout of this record; 1.
    pub schema_version: u32,
    /// Its items.
    pub items: Vec<FormItem>,
    /// Ids of the whole exam.
    pub whole: Vec<String>,
    /// How it was made.
    pub method: Method,
    /// Weight of the weighted mean in the estimate; the rest is the curves'.
    pub mix: f64,
    /// Curves of the whole exam, where the method has some.
    pub bank: Option<BankRecord>,
    /// What the form costs, on persons whom its choice did not see.
    pub stated: Candidate,
}

impl FormFile {
    pub(super) fn new(table: &Table, marks: &Marks, kept: &[usize], form: &Form, stated: Candidate) -> Self {
        let subjects: BTreeMap<&str, Option<&String>> =
            marks.items().iter().map(|item| (item.id.as_str(), item.subject.as_ref())).collect();
        let mean = |item: usize| {
            let shares: Vec<f64> = (0..table.names.len()).filter_map(|person| table.row(person)[item]).collect();
            shares.iter().sum::<f64>() / shares.len() as f64
        };
        let item = |(&at, &weight): (&usize, &f64)| {
            let id = table.items[kept[at]].clone();
            let subject = subjects.get(id.as_str()).and_then(|subject| subject.cloned());
            FormItem { id, weight, subject, mean: mean(kept[at]) }
        };
        Self {
            schema_version: 1,
            items: form.items.iter().zip(&form.weights).map(item).collect(),
            whole: kept.iter().map(|&item| table.items[item].clone()).collect(),
            method: form.method,
            mix: form.mix,
            bank: form.bank.as_ref().map(|bank| bank.record().clone()),
            stated,
        }
    }

    /// What lm-evaluation-harness takes as `--samples`: the places of each task's items; none where ids are
    /// not `TASK/NUMBER`.
    pub fn lm_eval(&self) -> Option<BTreeMap<&str, Vec<u64>>> {
        let mut tasks: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for item in &self.items {
            let task = item.subject.as_deref()?;
            let number = item.id.strip_prefix(task)?.strip_prefix('/')?.parse().ok()?;
            tasks.entry(task).or_default().push(number);
        }
        Some(tasks)
    }
}

/// Items as JSON lines.
pub(super) fn shard(items: &[FormItem]) -> Result<Vec<u8>> {
    record::shard::to_jsonl(items).map_err(Error::from)
}

/// All that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Shortened {
    /// Persons whom it was learned from.
    pub persons: usize,
    /// Their base models.
    pub bases: usize,
    /// Items of the whole exam.
    pub whole: usize,
    /// The error that was asked for.
    pub asked: f64,
    /// The form.
    pub form: FormFile,
    /// All methods and sizes that were measured.
    pub measured: Vec<Candidate>,
    /// What a reader must know.
    pub notes: Vec<String>,
    /// What was written.
    pub files: Vec<PathBuf>,
    /// The same in lines for a terminal.
    #[serde(skip)]
    pub text: String,
}
