use serde::{Deserialize, Serialize};

/// How a self-training stood between two of its steps, measured with the model as it was then.
///
/// Everything but `accuracy` needs no label. Means over answers leave out the empty ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// Steps done; 0 is the model before practice.
    pub step: u64,
    /// Held-out questions that were answered.
    pub questions: usize,
    /// Share of held-out questions answered rightly; none without right answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Its standard error, clustered by fact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_error: Option<f64>,
    /// Whether each held-out question was answered rightly, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<bool>,
    /// Intrinsic reward: mean over the model's own greedy answers of their mean log-probability, nats.
    pub reward: f64,
    /// Mean of log π − log π_ref over the tokens of those answers, in nats: an estimate of the
    /// divergence from the model before practice along greedy answers.
    pub kl: f64,
    /// Mean entropy of the next token in those answers, in nats: exact over the twenty most probable
    /// tokens, all others counted as one, and so a lower bound.
    pub entropy: f64,
    /// Mean length of those answers in tokens.
    pub length: f64,
    /// Share of their runs of four tokens that stood in the same answer before.
    pub repetition: f64,
    /// Share of pairs of a right and a wrong answer in which the wrong one has the higher mean
    /// log-probability; a tie counts half. None without a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confident_wrong: Option<f64>,
    /// Share of held-out preferences whose chosen answer gained more log-probability since the
    /// start than the rejected one; a tie counts half. None without held-out preferences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred: Option<f64>,
    /// Accuracy less that of the best point before, question by question, with its standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fall: Option<(f64, f64)>,
    /// Why training was stopped here, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<String>,
}
