use record::{Message, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::line::{Line, Refusal, kind};
use super::turns::{asks, prompt, text, turns};

/// A question that a model practises on, with answers where they are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Unique in its file.
    pub id: String,
    /// The prompt; its last turn is not the model's.
    pub messages: Vec<Message>,
    /// Answers that count as right, the canonical one first; empty where none is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
}

/// From `question`, `prompt` or `messages`, in this order. A conversation that the model ends is
/// asked without its last turn, which is then a known answer.
pub(super) fn read(line: &Line) -> Result<Question, Refusal> {
    let mut answers = match line.get("answers").or(line.get("answer")) {
        None => Vec::new(),
        Some(Value::Array(list)) => list.iter().map(answer).collect::<Result<_, _>>()?,
        Some(one) => vec![answer(one)?],
    };
    let messages = if line.has("question") && !line.has("messages") {
        let question = text(line, "question", "no-prompt")?;
        if question.trim().is_empty() {
            return Err(Refusal::new("no-prompt", "has an empty question"));
        }
        vec![Message::user(question)]
    } else if line.has("prompt") {
        prompt(line, "prompt")?
    } else {
        let mut messages = turns(line, "messages", "no-prompt")?;
        if messages.last().is_some_and(|last| last.role == Role::Assistant)
            && let Some(known) = messages.pop()
            && answers.is_empty()
        {
            answers.push(known.content);
        }
        asks(&messages)?;
        messages
    };
    Ok(Question { id: line.id(), messages, answers })
}

fn answer(value: &Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(Refusal::new("content-not-text", format!("an answer is {}, not a text", kind(other)))),
    }
}

/// The bank that a line belongs to, where no training may see it: what [`record::Item`] says of
/// itself, and that it is of the exam where it says nothing.
pub(super) fn sealed(line: &Line) -> Option<&str> {
    match line.get("bank").and_then(Value::as_str) {
        Some(bank @ ("exam" | "control")) => Some(bank),
        Some(_) => None,
        None => ["question", "answers", "fact", "kind"].iter().all(|field| line.has(field)).then_some("exam"),
    }
}
