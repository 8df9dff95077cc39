use serde::{Deserialize, Serialize};

use super::Script;

/// What a grader gave for a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Code of the script.
    pub code: String,
    /// Name of the grader.
    pub grader: String,
    /// Place in the grader's own order of marking, from 0.
    pub place: usize,
    /// Whether this is the further marking of an answer whose graders differed.
    #[serde(default)]
    pub further: bool,
    /// Points, 0 to the item's most; none where the grader failed.
    pub points: Option<f64>,
    /// Points of each part, where the grader told them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<f64>,
    /// Why, in the grader's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why there are no points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl Mark {
    /// A mark of so many points.
    pub fn new(script: &Script, grader: &str, place: usize, points: f64, reason: impl Into<String>) -> Self {
        Self {
            code: script.code.clone(),
            grader: grader.into(),
            place,
            further: false,
            points: Some(points),
            parts: Vec::new(),
            reason: reason.into(),
            failed: None,
        }
    }

    /// No mark, because the grader failed.
    pub fn failed(script: &Script, grader: &str, place: usize, problem: impl Into<String>) -> Self {
        Self { points: None, failed: Some(problem.into()), ..Self::new(script, grader, place, 0.0, "") }
    }

    /// Nothing to mark: 0 from every grader.
    pub fn blank(script: &Script, grader: &str, place: usize) -> Self {
        Self::new(script, grader, place, 0.0, script.failed.as_deref().unwrap_or("an empty answer"))
    }
}
