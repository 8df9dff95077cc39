use serde::{Deserialize, Serialize};

use crate::{Citation, PreferenceStep};

/// Who speaks in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions that frame the conversation.
    System,
    /// The asker.
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A turn of the asker.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: Role::User, content: content.into() }
    }
    /// A turn of the model.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: Role::Assistant, content: content.into() }
    }
    /// A framing turn.
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: Role::System, content: content.into() }
    }
}

/// What kind of answer a fact has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FactKind {
    /// A number, with its unit where it has one.
    Number,
    /// A date or a year.
    Date,
    /// A proper name: person, place, thing.
    Name,
    /// An identifier, constant or code.
    Code,
    /// A setting's value or default.
    Setting,
    /// A defined term.
    Term,
    /// A place.
    Place,
    /// Anything else that is short and checkable.
    Other,
}

/// Something checkable that a sentence of a document says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Content-addressed id, stable over runs: derived from document, sentence and answer.
    pub id: String,
    /// Id of the document.
    pub document: String,
    /// Kind of the answer.
    pub kind: FactKind,
    /// What the fact is about, as the text names it.
    pub subject: String,
    /// Which property of the subject, in the text's words.
    pub attribute: String,
    /// The answer, verbatim from the sentence.
    pub answer: String,
    /// Other accepted forms of the answer.
    pub aliases: Vec<String>,
    /// The sentence that says it.
    pub citation: Citation,
    /// Name of the rule that proposed it.
    pub rule: String,
}

/// One example to learn from: the last message, the model's, is what is learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Unique in its file.
    pub id: String,
    /// Fact that it teaches; the cluster of standard errors.
    pub fact: String,
    /// Id of the document.
    pub document: String,
    /// The conversation; the last turn is the assistant's and is the completion that is learned.
    pub messages: Vec<Message>,
    /// Name of the template that worded the question, or `model`.
    pub wording: String,
    /// Sentences that support the answer.
    pub citations: Vec<Citation>,
}

/// A record that a stage was asked for and did not deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drop {
    /// Stage that dropped it.
    pub stage: String,
    /// Id of the record, or of what it would have been made from.
    pub record: String,
    /// One of a few stable words, for counting: `duplicate`, `known-already`, `unsupported` …
    pub reason: String,
    /// What exactly, for a reader.
    pub detail: String,
}

/// One optimiser step of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainStep {
    /// Step, from 1.
    pub step: u64,
    /// Passes over the data so far.
    pub epoch: f64,
    /// Mean loss over the learned tokens of the step, in nats.
    pub loss: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Tokens read so far, prompts included.
    pub tokens: u64,
    /// Tokens that carried loss so far.
    pub learned_tokens: u64,
    /// Mean loss on the validation samples, where it was measured.
    pub validation_loss: Option<f64>,
    /// The same with each token weighted by what a capability hangs on, where weights were given: Σ w ℓ / Σ |w|.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighted_loss: Option<f64>,
    /// How the pairs stood, where preferences are learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preference: Option<PreferenceStep>,
}
