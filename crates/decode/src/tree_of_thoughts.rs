use serde::{Deserialize, Serialize};

use crate::check::{self, Checked};

/// Breadth-first search over steps, valued by asking the model itself (Yao et al. 2023).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TreeOfThoughts {
    /// Paths that are kept, 1 to 256.
    pub width: usize,
    /// Steps that each draws, 1 to 256. Equal texts are asked about once.
    pub branch: usize,
    /// Logits are divided by it when a step is drawn, in [0, 100].
    pub temperature: f32,
    /// Steps at most, 1 to 1000; then each path is completed at once.
    pub max_steps: usize,
    /// What the model is asked about a path.
    pub judge: Judge,
}

/// How the model is asked what it thinks of a path. The value is P(yes) / (P(yes) + P(no)), scored
/// where the model can score, else the share of `votes` drawn answers that begin with `yes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Judge {
    /// Stands after the question and the path.
    pub question: String,
    /// The good answer.
    pub yes: String,
    /// The bad answer.
    pub no: String,
    /// Answers that are drawn where the model cannot score, 1 to 64.
    pub votes: usize,
}

impl Default for Judge {
    fn default() -> Self {
        Self {
            question: "Is this work correct so far, and does it lead to the answer? Reply with Yes or No.".into(),
            yes: "Yes".into(),
            no: "No".into(),
            votes: 3,
        }
    }
}

impl Judge {
    pub(crate) fn validate(&self) -> Checked {
        if self.question.trim().is_empty() || self.yes.trim().is_empty() || self.no.trim().is_empty() {
            return Err("`judge` must have a question, a yes and a no".into());
        }
        if self.yes == self.no {
            return Err("`judge.yes` and `judge.no` must differ".into());
        }
        check::count("judge.votes", self.votes, 1, 64)
    }
}

impl Default for TreeOfThoughts {
    fn default() -> Self {
        Self { width: 4, branch: 4, temperature: 0.7, max_steps: 8, judge: Judge::default() }
    }
}

impl TreeOfThoughts {
    pub(crate) fn validate(&self) -> Checked {
        check::count("width", self.width, 1, 256)?;
        check::count("branch", self.branch, 1, 256)?;
        check::count("max_steps", self.max_steps, 1, 1000)?;
        check::temperature("temperature", self.temperature)?;
        self.judge.validate()
    }
}
