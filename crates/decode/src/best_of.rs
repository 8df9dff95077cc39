use serde::{Deserialize, Serialize};

use crate::check::{self, Checked};

/// Many paths, drawn; the best one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BestOf {
    /// How many paths, up to 4096; 0: as many as the budget pays.
    pub n: usize,
    /// What makes a path the best.
    pub by: By,
    /// Logits are divided by it, in [0, 100].
    pub temperature: f32,
    /// Keep the smallest set of tokens whose probability reaches this, in (0, 1].
    pub top_p: f32,
}

/// What makes a path the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The mean log-probability of its tokens.
    Logprob,
    /// The answer that most give; among those who give it, the mean log-probability where known.
    Vote,
    /// A given scorer.
    Scorer,
}

impl By {
    /// How a name says it.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Logprob => "",
            Self::Vote => "-vote",
            Self::Scorer => "-scorer",
        }
    }
}

impl Default for BestOf {
    fn default() -> Self {
        Self { n: 8, by: By::Logprob, temperature: 0.7, top_p: 1.0 }
    }
}

impl BestOf {
    pub(crate) fn validate(&self) -> Checked {
        check::count("n", self.n, 0, 4096)?;
        check::temperature("temperature", self.temperature)?;
        self.draw().validate().map_err(|error| error.to_string())
    }

    pub(crate) fn draw(&self) -> lm::Sampling {
        lm::Sampling { temperature: self.temperature, top_p: self.top_p, ..lm::Sampling::default() }
    }

    /// Splits what a name says about the choice off its end.
    pub(crate) fn ending(rest: &str) -> (&str, By) {
        let split = |by: By| rest.strip_suffix(by.ending()).map(|rest| (rest, by));
        split(By::Vote).or_else(|| split(By::Scorer)).unwrap_or((rest, By::Logprob))
    }
}
