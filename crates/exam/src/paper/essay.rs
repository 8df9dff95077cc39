use serde::{Deserialize, Serialize};

/// A text that is marked by a rubric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Essay {
    /// What is looked at; the points sum to those of the item.
    pub criteria: Vec<Criterion>,
}

/// One line of a rubric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Criterion {
    /// Its name, e.g. `argument`.
    pub name: String,
    /// The most that it gives.
    pub points: f64,
    /// What deserves how much, rising.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<Level>,
}

/// A level of a criterion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// What it gives.
    pub points: f64,
    /// How such a text looks.
    pub text: String,
}
