use serde::{Deserialize, Serialize};

use crate::{Citation, FactKind, Usage};

/// What a bank may be used for. Banks are split by fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bank {
    /// Free to look at while learning.
    Practice,
    /// For early stopping, fitness and thresholds.
    Validation,
    /// Opened once a run, by no selection; never a reward, fitness or synthesis source.
    Exam,
    /// General questions that have nothing to do with the documents: what must not be lost.
    Control,
}

/// One question of an item bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Unique in its bank.
    pub id: String,
    /// Fact that it asks for; the cluster of standard errors.
    pub fact: String,
    /// Document that it belongs to (or the public set's name).
    pub document: String,
    /// Kind of answer.
    pub kind: FactKind,
    /// What the bank is for. A hand-written bank file may leave it out.
    #[serde(default = "exam")]
    pub bank: Bank,
    /// The question as put to the model.
    pub question: String,
    /// Accepted answers, the canonical one first. For a choice item: the right choice's text.
    pub answers: Vec<String>,
    /// The choices of a choice item; empty for an item that is answered freely.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// The sentence that proves the answer.
    #[serde(default)]
    pub sentence: String,
    /// Where it stands, if the item was made from documents by the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub citation: Option<Citation>,
    /// Template that worded it, `model`, or `hand`.
    #[serde(default = "hand")]
    pub wording: String,
}

fn exam() -> Bank {
    Bank::Exam
}

fn hand() -> String {
    "hand".into()
}

/// How an exam is sat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// From memory.
    Closed,
    /// With retrieved passages in front of the question.
    Open,
}

/// One model's answer to one item, marked. Failures and abstentions stay in the denominator as 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Id of the item.
    pub item: String,
    /// Its fact.
    pub fact: String,
    /// Its document.
    pub document: String,
    /// Its kind.
    pub kind: FactKind,
    /// Label of the model that answered, e.g. `before`, `after`.
    pub model: String,
    /// How the exam was sat.
    pub mode: Mode,
    /// The question as asked.
    pub question: String,
    /// The accepted answer.
    pub expected: String,
    /// What the model said (for a choice item the choice with the highest raw likelihood).
    pub text: String,
    /// 1 if right, else 0: normalised exact match, or the raw-likelihood choice.
    pub score: f64,
    /// Token F1 against the best accepted answer; for a choice item the score under
    /// length-normalised likelihood.
    pub secondary: f64,
    /// Log-probability of each choice, in nats, for a choice item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choice_logprobs: Vec<f64>,
    /// The model said nothing, or that it does not know.
    pub abstained: bool,
    /// The request failed, with the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Tokens that the answer cost. Not stored: how much of a prompt was found in the prefix tree
    /// depends on who came before, and records must not.
    #[serde(skip)]
    pub usage: Usage,
}
