use serde::{Deserialize, Serialize};

use crate::contains;

/// A question that is answered in steps, each with its own points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// The worked solution that graders see.
    #[serde(default)]
    pub solution: String,
    /// The steps; their points sum to those of the item.
    pub steps: Vec<Step>,
}

/// A step of a solution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What must be shown.
    pub text: String,
    /// The most that it gives.
    pub points: f64,
    /// What an answer that took the step says, word for word, so that a rule can mark it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
}

impl Open {
    /// Points of each step by rule: all where the text holds one of the step's answers. None where a
    /// step has no answers: then only a judge or a person can tell.
    pub fn mark(&self, text: &str) -> Option<Vec<f64>> {
        let told = |step: &Step| {
            (!step.answers.is_empty()).then(|| if contains(text, &step.answers) { step.points } else { 0.0 })
        };
        self.steps.iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_marks_steps_that_say_what_to_look_for() {
        let step = |points, answers: &[&str]| Step {
            text: "show it".into(),
            points,
            answers: answers.iter().map(|a| a.to_string()).collect(),
        };
        let mut open = Open {
            solution: String::new(),
            steps: vec![step(2.0, &["mgh", "potential energy"]), step(1.0, &["14 m/s"])],
        };
        assert_eq!(open.mark("Its potential energy becomes kinetic, so v = 14 m/s."), Some(vec![2.0, 1.0]));
        assert_eq!(open.mark("v is 13 m/s"), Some(vec![0.0, 0.0]));
        open.steps[0].answers.clear();
        assert_eq!(open.mark("14 m/s"), None);
    }
}
