use serde::{Deserialize, Serialize};

/// What counts when one person has several scores for one item by one grader in one attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// Contradicting scores are an error.
    #[default]
    Refuse,
    /// The first one that was read counts.
    First,
    /// Their mean counts, equal ones included.
    Mean,
}

/// How logs are read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The metric, scorer or score column to take where a log has several. Without it the first of
    /// [`METRICS`](crate::METRICS) that a log has.
    pub metric: Option<String>,
    /// The answer filter to take where lm-evaluation-harness logged several; without it a file's first.
    pub filter: Option<String>,
    /// Whether the first broken line, score or member is an error. Otherwise it is set aside and noted.
    pub strict: bool,
    /// What to do with contradicting scores.
    pub duplicates: Duplicates,
    /// The most that an item gives whose log does not say. Without it 1, or the highest score that is seen.
    pub max: Option<f64>,
}
