use record::{Message, Preference, Sample};

use super::format::Format;
use super::line::{Line, Refusal};
use super::turns::{Turns, Weighed, prompt, taught, text, turns, weighed};
use super::{completion, pair};

/// The samples of a line; several only where each turn is one.
pub(super) fn read(line: &Line, format: Format, document: &str, which: Turns) -> Result<Vec<Sample>, Refusal> {
    let all = |messages: Vec<Message>| messages.into_iter().map(learned).collect::<Vec<Weighed>>();
    let (own, conversation) = match format {
        Format::Sample => {
            let own: Sample = line.record()?;
            let conversation = all(own.messages.clone());
            (Some(own), conversation)
        }
        Format::Messages => {
            if line.get("tools").and_then(|tools| tools.as_array()).is_some_and(|tools| !tools.is_empty()) {
                return Err(Refusal::new("uses-tools", "field `tools` is no part of a prompt here"));
            }
            (None, weighed(line.get("messages"), "messages", "no-prompt")?)
        }
        Format::CompletionText | Format::CompletionTurns => {
            let asked = prompt(line, "prompt")?.into_iter().map(|message| (message, false));
            let said = match format {
                Format::CompletionText => vec![completion::answer(text(line, "completion", "no-answer")?)],
                _ => turns(line, "completion", "no-answer")?,
            };
            (None, asked.chain(all(said)).collect())
        }
        Format::QuestionAnswer => {
            let asked = text(line, "question", "no-prompt")?;
            if asked.trim().is_empty() {
                return Err(Refusal::new("no-prompt", "has an empty question"));
            }
            (None, all(vec![Message::user(asked), Message::assistant(text(line, "answer", "no-answer")?)]))
        }
        _ => (None, all(chosen(pair::read(line, format)?)?)),
    };
    let taught = taught(&conversation, which)?;
    let (id, several) = (line.id(), taught.len() > 1);
    let one = |(number, messages): (usize, Vec<Message>)| {
        let id = if several { format!("{id}.{number}") } else { id.clone() };
        match &own {
            Some(own) => Sample { id, messages, ..own.clone() },
            None => Sample {
                fact: line.id(),
                document: document.into(),
                wording: "data".into(),
                citations: Vec::new(),
                id,
                messages,
            },
        }
    };
    Ok(taught.into_iter().map(one).collect())
}

fn learned(message: Message) -> Weighed {
    let answers = message.role == record::Role::Assistant;
    (message, answers)
}

/// Fine-tuning takes the better answer of a pair.
fn chosen(preference: Preference) -> Result<Vec<Message>, Refusal> {
    let Some(chosen) = preference.chosen else {
        return Err(Refusal::new("no-chosen", "has only an answer that is known to be bad"));
    };
    if !chosen.ended {
        return Err(Refusal::new("cut-answer", "its chosen answer was cut, so its end cannot be learned"));
    }
    let mut messages = preference.messages;
    messages.push(Message::assistant(chosen.text));
    Ok(messages)
}
