use record::{Message, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::line::{Line, Refusal, kind};

/// Which turns of a conversation are learned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Turns {
    /// The model's last one; those before it are a part of the prompt.
    #[default]
    Last,
    /// Each of the model's turns: a conversation becomes one sample a turn, each with the prompt that
    /// the model would see at that point. A packed row holds their common beginning once.
    All,
}

impl std::str::FromStr for Turns {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "last" => Ok(Self::Last),
            "all" => Ok(Self::All),
            other => Err(format!("{other} is neither `last` nor `all`")),
        }
    }
}

/// A turn, and whether it may be learned.
pub(super) type Weighed = (Message, bool);

/// A text of a line.
pub(super) fn text<'a>(line: &'a Line, field: &str, missing: &'static str) -> Result<&'a str, Refusal> {
    match line.get(field) {
        None => Err(Refusal::new(missing, format!("has no field `{field}`"))),
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(not_text(field, other)),
    }
}

fn not_text(field: &str, value: &Value) -> Refusal {
    Refusal::new("content-not-text", format!("field `{field}` is {}, not a text", kind(value)))
}

/// A list of turns in a field.
pub(super) fn turns(line: &Line, field: &str, missing: &'static str) -> Result<Vec<Message>, Refusal> {
    Ok(weighed(line.get(field), field, missing)?.into_iter().map(|(message, _)| message).collect())
}

/// A prompt: a list of turns, or a text, which becomes one turn of the user.
pub(super) fn prompt(line: &Line, field: &str) -> Result<Vec<Message>, Refusal> {
    let turns = match line.get(field) {
        Some(Value::String(text)) if text.trim().is_empty() => Vec::new(),
        Some(Value::String(text)) => vec![Message::user(text)],
        given => weighed(given, field, "no-prompt")?.into_iter().map(|(message, _)| message).collect(),
    };
    asks(&turns)?;
    Ok(turns)
}

/// Refuses a prompt that asks nothing or that the model itself ends.
pub(super) fn asks(prompt: &[Message]) -> Result<(), Refusal> {
    match prompt.last() {
        None => Err(Refusal::new("no-prompt", "has an empty prompt")),
        Some(last) if last.role == Role::Assistant => {
            Err(Refusal::new("prompt-ends-with-answer", "its prompt ends with the assistant's turn"))
        }
        Some(_) => Ok(()),
    }
}

/// Turns with OpenAI's `weight`, which keeps a turn of the model from being learned where it is 0.
pub(super) fn weighed(value: Option<&Value>, field: &str, missing: &'static str) -> Result<Vec<Weighed>, Refusal> {
    let list = match value {
        None => return Err(Refusal::new(missing, format!("has no field `{field}`"))),
        Some(Value::Array(list)) => list,
        Some(other) => {
            return Err(Refusal::new("not-turns", format!("field `{field}` is {}, not a list of turns", kind(other))));
        }
    };
    let one = |(at, turn): (usize, &Value)| {
        let at = format!("{field}[{at}]");
        let role = match turn.get("role").and_then(Value::as_str) {
            // `developer` is what newer OpenAI models call it.
            Some("system" | "developer") => Role::System,
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some(other) => {
                let problem = format!("`{at}.role` is {other:?}; known are system, developer, user and assistant");
                return Err(Refusal::new("unknown-role", problem));
            }
            None => return Err(Refusal::new("unknown-role", format!("`{at}` has no role"))),
        };
        for tool in ["tool_calls", "function_call"] {
            if turn.get(tool).is_some_and(|calls| !calls.is_null() && calls.as_array().is_none_or(|c| !c.is_empty())) {
                return Err(Refusal::new("uses-tools", format!("`{at}.{tool}` is no text that could be learned")));
            }
        }
        let learned = match turn.get("weight") {
            None | Some(Value::Null) => true,
            Some(weight) if weight.as_f64() == Some(1.0) => true,
            Some(weight) if weight.as_f64() == Some(0.0) => false,
            Some(other) => return Err(Refusal::new("bad-weight", format!("`{at}.weight` is {other}, not 0 or 1"))),
        };
        let content = content(turn.get("content"), &format!("{at}.content"))?;
        Ok((Message { role, content }, learned && role == Role::Assistant))
    };
    list.iter().enumerate().map(one).collect()
}

/// What a turn says: a text, or a list of parts that are all text.
fn content(value: Option<&Value>, at: &str) -> Result<String, Refusal> {
    match value {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) if !parts.is_empty() => {
            let part = |part: &Value| match (part["type"].as_str(), part["text"].as_str()) {
                (Some("text"), Some(text)) => Ok(text.to_string()),
                (other, _) => {
                    let problem = format!("`{at}` holds a part of type {}, not a text", other.unwrap_or("unknown"));
                    Err(Refusal::new("content-not-text", problem))
                }
            };
            parts.iter().map(part).collect()
        }
        other => Err(not_text(at, other.unwrap_or(&Value::Null))),
    }
}

/// The prompts and answers that a conversation teaches, each as one conversation that ends with the
/// answer, and the number of the answer, from 1.
pub(super) fn taught(turns: &[Weighed], which: Turns) -> Result<Vec<(usize, Vec<Message>)>, Refusal> {
    match turns {
        [] => return Err(Refusal::new("no-prompt", "has no turns")),
        [(only, _)] if only.role == Role::Assistant => {
            return Err(Refusal::new("no-prompt", "has an answer and nothing before it"));
        }
        [.., (last, _)] if last.role != Role::Assistant => {
            return Err(Refusal::new("no-answer", "does not end with the assistant's turn"));
        }
        _ => {}
    }
    let answers = turns.iter().enumerate().filter(|(_, (message, _))| message.role == Role::Assistant);
    let mut learned = Vec::new();
    for (number, (at, (message, counts))) in answers.enumerate() {
        if message.content.trim().is_empty() {
            return Err(Refusal::new("empty-answer", format!("turn {} of the assistant says nothing", number + 1)));
        }
        // What the model says before anything else answers nothing.
        if *counts && at > 0 {
            learned.push((number + 1, at));
        }
    }
    let Some(last) = learned.last().copied() else {
        return Err(Refusal::new("nothing-learned", "every turn of the assistant has weight 0"));
    };
    if which == Turns::Last {
        learned = vec![last];
    }
    let conversation = |at: usize| turns[..=at].iter().map(|(message, _)| message.clone()).collect();
    Ok(learned.into_iter().map(|(number, at)| (number, conversation(at))).collect())
}
