use serde::{Deserialize, Serialize};

use crate::Message;

/// What a model said to a prompt, one of the two sides of a [`Preference`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The answer's text.
    pub text: String,
    /// Its tokens as they were drawn, so that nothing is tokenised twice; empty where only the text
    /// is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<u32>,
    /// Whether the model's turn ends after it; not so where a limit cut it.
    #[serde(default = "yes")]
    pub ended: bool,
    /// Mean log-probability of what follows the step that was judged (Genius' f), in nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprob: Option<f64>,
    /// Advantage of that step: f less the value of the path before it (Genius' A), in nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advantage: Option<f64>,
}

/// A prompt with a better and a worse answer, or with one answer that is known to be good or bad.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preference {
    /// Unique in its file.
    pub id: String,
    /// Id of the question; preferences about one question share it, and it is the cluster of
    /// standard errors.
    pub question: String,
    /// The prompt; its last turn is not the model's.
    pub messages: Vec<Message>,
    /// The better answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Answer>,
    /// The worse answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Answer>,
    /// How much it counts beside others; finite and 0 or more.
    #[serde(default = "one")]
    pub weight: f64,
    /// Step of the search that gave it, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
}

/// How a step of training on preferences stood; means over the pairs of the step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreferenceStep {
    /// β·(log-ratio of the chosen less log-ratio of the rejected answer), in nats.
    pub margin: f64,
    /// Share of pairs with a margin above 0.
    pub accuracy: f64,
    /// Log-probability of the chosen answer, summed over its tokens.
    pub chosen: f64,
    /// Log-probability of the rejected answer, summed over its tokens.
    pub rejected: f64,
}

fn yes() -> bool {
    true
}

fn one() -> f64 {
    1.0
}
