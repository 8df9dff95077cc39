use std::collections::BTreeSet;

use record::{Mode, Response};
use serde::{Deserialize, Serialize};

use crate::contains;
use crate::statistics::{clustered_mean, wilson};

/// One sitting in numbers. Failures and abstentions are part of `n`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Label of the model.
    pub model: String,
    /// How the exam was sat.
    pub mode: Mode,
    /// Items.
    pub n: usize,
    /// Facts that they ask for.
    pub facts: usize,
    /// Items answered right.
    pub right: usize,
    /// Mean score, in [0, 1].
    pub score: f64,
    /// Standard error of the mean score, clustered by fact; absent below two facts.
    pub standard_error: Option<f64>,
    /// Lower 95 % limit of the mean score: Wilson's with as many trials as there are facts, which
    /// is the widest that clustering can make it.
    pub low: f64,
    /// Upper 95 % limit.
    pub high: f64,
    /// Mean of the secondary mark, in [0, 1].
    pub secondary: f64,
    /// Share of items whose answer holds the canonical one somewhere, in [0, 1]: right in substance,
    /// whatever the form. For items with choices it is the score.
    pub contained: f64,
    /// Items whose request failed.
    pub failed: usize,
    /// Items on which the model said nothing, or that it does not know.
    pub abstained: usize,
}

impl Tally {
    /// The sitting in a sentence, with standard error and denominator. `name` stands for the model.
    pub fn sentence(&self, name: &str) -> String {
        let error =
            self.standard_error.map_or_else(String::new, |e| format!("standard error {:.1} points, ", 100.0 * e));
        format!(
            "{name}: {:.1} % right ({} of {} questions about {} facts, {error}95 % interval {:.1} to {:.1} %; \
             {} abstained, {} failed)",
            100.0 * self.score,
            self.right,
            self.n,
            self.facts,
            100.0 * self.low,
            100.0 * self.high,
            self.abstained,
            self.failed,
        )
    }
}

/// Counts one sitting.
pub fn score(responses: &[Response]) -> Tally {
    tally(responses.iter())
}

/// 1 if the answer holds the canonical one, or was right; an alias that made it right counts.
pub(crate) fn contained(response: &Response) -> f64 {
    if !response.choice_logprobs.is_empty() || response.score >= 0.5 {
        return response.score;
    }
    f64::from(u8::from(contains(&response.text, std::slice::from_ref(&response.expected))))
}

pub(crate) fn tally<'a>(responses: impl Iterator<Item = &'a Response>) -> Tally {
    let responses: Vec<&Response> = responses.collect();
    let n = responses.len();
    let mean = |mark: fn(&Response) -> f64| responses.iter().map(|r| mark(r)).sum::<f64>() / n.max(1) as f64;
    let facts = responses.iter().map(|r| r.fact.as_str()).collect::<BTreeSet<_>>().len();
    let score = mean(|r| r.score);
    let (low, high) = wilson(score, facts);
    Tally {
        model: responses.first().map_or_else(String::new, |r| r.model.clone()),
        mode: responses.first().map_or(Mode::Closed, |r| r.mode),
        n,
        facts,
        right: responses.iter().filter(|r| r.score >= 0.5).count(),
        score,
        standard_error: clustered_mean(responses.iter().map(|r| (r.fact.as_str(), r.score))).map(|e| e.standard_error),
        low,
        high,
        secondary: mean(|r| r.secondary),
        contained: mean(contained),
        failed: responses.iter().filter(|r| r.failed.is_some()).count(),
        abstained: responses.iter().filter(|r| r.abstained).count(),
    }
}
