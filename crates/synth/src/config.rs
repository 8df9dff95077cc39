use serde::{Deserialize, Serialize};

/// How facts are taken and worded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Facts to take from all documents together.
    pub facts: usize,
    /// Share of the taken facts whose item goes to the practice bank, in [0, 1].
    pub practice: f64,
    /// Share of the taken facts whose item goes to the validation bank, in [0, 1]. The rest is exam.
    pub validation: f64,
    /// Training wordings a fact by template, 4 or more.
    pub wordings: usize,
    /// Training wordings a fact by the model, on top of the templates'; 0 asks the model for none.
    pub model_wordings: usize,
    /// Requests at most for a model's wordings of one fact.
    pub model_attempts: usize,
    /// Temperature of the model's wordings.
    pub temperature: f32,
    /// Verify the facts of the practice and validation banks with the model. Exam facts never are.
    pub verify: bool,
    /// A cited sentence must raise the answer's log-probability by this much a token, in nats.
    pub margin: f64,
    /// Words that an answer may have at most.
    pub answer_words: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            facts: 400,
            practice: 0.15,
            validation: 0.2,
            wordings: 4,
            model_wordings: 1,
            model_attempts: 2,
            temperature: 0.8,
            verify: true,
            margin: 0.5,
            answer_words: 6,
        }
    }
}

impl Config {
    /// Checks every field's range.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> crate::Result<()> {
        let check = |ok: bool, field: &'static str, problem: &'static str| {
            if ok { Ok(()) } else { Err(crate::Error::Config { field, problem }) }
        };
        check(self.facts > 0, "facts", "must be 1 or more")?;
        check((4..=12).contains(&self.wordings), "wordings", "must lie in 4 to 12")?;
        check(self.model_wordings <= 8, "model_wordings", "must be 8 at most")?;
        check((1..=8).contains(&self.answer_words), "answer_words", "must lie in 1 to 8")?;
        let shares = self.practice >= 0.0 && self.validation >= 0.0 && self.practice + self.validation <= 1.0;
        check(shares, "practice", "and `validation` must be 0 or more and together 1 at most")?;
        check(self.temperature.is_finite() && self.temperature >= 0.0, "temperature", "must be 0 or more")?;
        check(self.margin.is_finite(), "margin", "must be a finite number")
    }
}
