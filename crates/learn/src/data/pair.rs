use record::{Answer, Message, Preference, Role};
use serde_json::Value;

use super::completion;
use super::format::Format;
use super::line::{Line, Refusal, kind};
use super::turns::{asks, prompt, text, turns, weighed};

/// The preference of a line: a pair, or one answer that is known to be good or bad.
pub(super) fn read(line: &Line, format: Format) -> Result<Preference, Refusal> {
    let preference = match format {
        Format::Preference => line.record()?,
        Format::LabelText | Format::LabelTurns => labelled(line, format)?,
        Format::PairText => {
            let asked = prompt(line, "prompt")?;
            let [chosen, rejected] = ["chosen", "rejected"].map(|field| text(line, field, "no-answer"));
            from(line, asked, vec![completion::answer(chosen?)], vec![completion::answer(rejected?)])?
        }
        Format::PairTurns => {
            let [chosen, rejected] = ["chosen", "rejected"].map(|field| turns(line, field, "no-answer"));
            let (chosen, rejected) = (chosen?, rejected?);
            // A prompt in words beside whole conversations repeats what they begin with.
            let told = !line.has("prompt") || line.has_text("prompt") && chosen.len() > 1;
            let asked = if told { Vec::new() } else { prompt(line, "prompt")? };
            from(line, asked, chosen, rejected)?
        }
        Format::OpenaiPreference => {
            let input = line.get("input").unwrap_or(&Value::Null);
            if input["tools"].as_array().is_some_and(|tools| !tools.is_empty()) {
                return Err(Refusal::new("uses-tools", "field `input.tools` is no part of a prompt here"));
            }
            let asked = weighed(input.get("messages"), "input.messages", "no-prompt")?;
            let asked = asked.into_iter().map(|(message, _)| message).collect();
            let [chosen, rejected] =
                ["preferred_output", "non_preferred_output"].map(|field| turns(line, field, "no-answer"));
            from(line, asked, chosen?, rejected?)?
        }
        other => return Err(Refusal::new("bad-record", format!("is one of {}", other.words()))),
    };
    sound(&preference)?;
    Ok(preference)
}

/// A pair of conversations, of which each may begin with the prompt: what both share is the prompt,
/// and one turn of the model is left to each.
fn from(line: &Line, asked: Vec<Message>, chosen: Vec<Message>, rejected: Vec<Message>) -> Result<Preference, Refusal> {
    let whole = |said: Vec<Message>| {
        if said.len() > asked.len() && said.starts_with(&asked) { said } else { [asked.clone(), said].concat() }
    };
    let (chosen, rejected) = (whole(chosen), whole(rejected));
    if chosen == rejected {
        return Err(equal());
    }
    let shared = chosen.iter().zip(&rejected).take_while(|(a, b)| a == b).count();
    let answer = |said: &[Message], side: &str| match said {
        [only] if only.role == Role::Assistant => {
            Ok(Answer { text: only.content.clone(), ended: true, ..Answer::default() })
        }
        [] => Err(Refusal::new("no-answer", format!("its {side} side has no answer of its own"))),
        _ => {
            let problem =
                format!("its {side} side has more than one turn of its own, or one that is not the assistant's");
            Err(Refusal::new("not-one-answer", problem))
        }
    };
    let (better, worse) = (answer(&chosen[shared..], "chosen")?, answer(&rejected[shared..], "rejected")?);
    preference(line, chosen[..shared].to_vec(), Some(better), Some(worse))
}

fn labelled(line: &Line, format: Format) -> Result<Preference, Refusal> {
    let asked = prompt(line, "prompt")?;
    let said = match format {
        Format::LabelText => vec![completion::answer(text(line, "completion", "no-answer")?)],
        _ => turns(line, "completion", "no-answer")?,
    };
    let good = match line.get("label") {
        Some(Value::Bool(label)) => *label,
        Some(label) if label.as_f64() == Some(1.0) => true,
        Some(label) if label.as_f64() == Some(0.0) => false,
        other => {
            let problem = format!("field `label` is {}, not true or false", kind(other.unwrap_or(&Value::Null)));
            return Err(Refusal::new("bad-label", problem));
        }
    };
    let [Message { role: Role::Assistant, content }] = &said[..] else {
        return Err(Refusal::new("not-one-answer", "its completion is not one turn of the assistant"));
    };
    let answer = Some(Answer { text: content.clone(), ended: true, ..Answer::default() });
    let (chosen, rejected) = if good { (answer, None) } else { (None, answer) };
    preference(line, asked, chosen, rejected)
}

fn preference(
    line: &Line,
    messages: Vec<Message>,
    chosen: Option<Answer>,
    rejected: Option<Answer>,
) -> Result<Preference, Refusal> {
    let weight = match line.get("weight") {
        None => 1.0,
        Some(weight) => weight
            .as_f64()
            .ok_or_else(|| Refusal::new("bad-weight", format!("field `weight` is {}, not a number", kind(weight))))?,
    };
    // Pairs about one prompt are one question, whatever file they stand in.
    let prompt = serde_json::to_vec(&messages).unwrap_or_default();
    let question = format!("prompt-{}", &record::shard::sha256(&prompt)[..16]);
    Ok(Preference { id: line.id(), question, messages, chosen, rejected, weight, step: None })
}

/// What must hold of every preference, also of one that was made here.
fn sound(preference: &Preference) -> Result<(), Refusal> {
    asks(&preference.messages)?;
    if !(preference.weight.is_finite() && preference.weight >= 0.0) {
        return Err(Refusal::new("bad-weight", format!("its weight is {}, not 0 or more", preference.weight)));
    }
    let sides = [&preference.chosen, &preference.rejected];
    for answer in sides.into_iter().flatten() {
        if answer.text.trim().is_empty() && answer.tokens.is_empty() {
            return Err(Refusal::new("empty-answer", "one of its answers says nothing"));
        }
    }
    match sides {
        [None, None] => Err(Refusal::new("no-answer", "has neither a chosen nor a rejected answer")),
        // Templates trim, so space around an answer is no difference; tokens of the same text may be.
        [Some(a), Some(b)] if a.text.trim() == b.text.trim() && a.tokens == b.tokens && a.ended == b.ended => {
            Err(equal())
        }
        _ => Ok(()),
    }
}

fn equal() -> Refusal {
    Refusal::new("same-answers", "its two answers are the same")
}
