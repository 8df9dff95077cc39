use decode::Boundary;
use decode::practice::Method;
use learn::PreferConfig;
use serde::{Deserialize, Serialize};

use super::guard::GuardConfig;
use crate::{Error, Result};

/// How a model practises on questions without answers: how it samples preferences, how it learns
/// from them, how it is watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PractiseRecipe {
    /// Questions from the documents that `evolve` practises on, at most; 0 leaves practice out.
    pub questions: usize,
    /// Problems of the generator that `evolve` mixes in, as `KIND-DIFFICULTY:COUNT`.
    pub tasks: Vec<String>,
    /// How preferences are made: a name as `genius`, or JSON with settings.
    pub method: String,
    /// Steps of a path that Genius looks ahead from; absent: the method's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Paths that Genius keeps; absent: the method's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beams: Option<usize>,
    /// Steps that Genius draws from each path; absent: the method's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollouts: Option<usize>,
    /// Tokens of an answer at most.
    pub max_tokens: usize,
    /// Where a step ends: newline, sentence, tokens:N or regex:PATTERN.
    pub boundary: Boundary,
    /// Tokens that may be decoded for a question; absent: what the method takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
    /// Questions a shard.
    pub shard_items: usize,
    /// Weights that learn from the answers of `model`, as that is called; absent: `model` itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learner: Option<String>,
    /// How preferences are learned.
    pub learn: PreferConfig,
    /// How practice is watched.
    pub guard: GuardConfig,
}

impl Default for PractiseRecipe {
    fn default() -> Self {
        Self {
            questions: 0,
            tasks: Vec::new(),
            method: "genius".into(),
            steps: None,
            beams: None,
            rollouts: None,
            max_tokens: 96,
            boundary: Boundary::Newline,
            budget: None,
            shard_items: 25,
            learner: None,
            // A few hundred questions give a few hundred pairs: larger steps would be too few.
            learn: PreferConfig { batch_pairs: 16, ..PreferConfig::default() },
            guard: GuardConfig::default(),
        }
    }
}

impl PractiseRecipe {
    /// The method, with the settings that are given beside its name.
    pub fn method(&self) -> Result<Method> {
        let mut method = Method::parse(&self.method)?;
        match &mut method {
            Method::Genius(genius) => {
                genius.steps = self.steps.unwrap_or(genius.steps);
                genius.beams = self.beams.unwrap_or(genius.beams);
                genius.rollouts = self.rollouts.unwrap_or(genius.rollouts);
            }
            _ if self.steps.or(self.beams).or(self.rollouts).is_some() => {
                return Err(wrong(format!("practise.method {} has no steps, beams or rollouts", method.name())));
            }
            _ => {}
        }
        method.validate()?;
        Ok(method)
    }

    /// Checks every field's range.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [("max_tokens", self.max_tokens), ("shard_items", self.shard_items)] {
            if value == 0 {
                return Err(wrong(format!("practise.{field} must be 1 or more")));
            }
        }
        if self.budget == Some(0) {
            return Err(wrong("practise.budget must be 1 or more, or absent".into()));
        }
        let method = self.method()?;
        if method.endless() && self.budget.is_none() {
            return Err(wrong(format!(
                "practise.method {} needs practise.budget, the tokens a question",
                method.name()
            )));
        }
        self.boundary.validate()?;
        self.learn.validate()?;
        self.guard.validate()
    }
}

fn wrong(problem: String) -> Error {
    Error::Recipe { source_name: "recipe".into(), problem, hint: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_genius_stand_beside_its_name() {
        let recipe = PractiseRecipe { steps: Some(2), ..PractiseRecipe::default() };
        let Method::Genius(genius) = recipe.method().expect("method") else { panic!("genius") };
        assert_eq!((genius.steps, genius.beams, genius.rollouts), (2, 2, 4));
        let other = PractiseRecipe { method: "greedy".into(), ..recipe };
        assert!(other.validate().expect_err("no steps").to_string().contains("greedy has no steps"));
    }

    #[test]
    fn what_cannot_be_carried_out_is_refused() {
        assert!(PractiseRecipe::default().validate().is_ok());
        let endless = PractiseRecipe { method: "vote".into(), ..PractiseRecipe::default() };
        assert!(endless.validate().expect_err("endless").to_string().contains("practise.budget"));
        let zero = PractiseRecipe { max_tokens: 0, ..PractiseRecipe::default() };
        assert!(zero.validate().is_err());
        let guard = GuardConfig { length: 1.0, ..GuardConfig::default() };
        assert!(PractiseRecipe { guard, ..PractiseRecipe::default() }.validate().is_err());
    }
}
