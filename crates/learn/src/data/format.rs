use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::line::{Line, kind, whole};
use crate::{Error, Result};

/// What the lines of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// [`record::Sample`], as `synth` and `tasks` write them.
    Sample,
    /// [`record::Preference`], as `practise` writes them.
    Preference,
    /// `messages`: TRL's conversations and OpenAI's chat fine-tuning.
    Messages,
    /// `prompt` and `completion`, both texts.
    CompletionText,
    /// `prompt` and `completion`, the completion a list of turns.
    CompletionTurns,
    /// `prompt`, `completion`, a text, and `label`: whether it is good.
    LabelText,
    /// The same with a list of turns.
    LabelTurns,
    /// `prompt`, `chosen` and `rejected`, all texts.
    PairText,
    /// `chosen` and `rejected`, lists of turns; the prompt beside them or at their beginning.
    PairTurns,
    /// OpenAI's `input.messages`, `preferred_output` and `non_preferred_output`.
    OpenaiPreference,
    /// `question` and `answer`.
    QuestionAnswer,
}

/// One line a format: its name and fields, for people.
const WORDS: [(Format, &str); 11] = [
    (Format::Sample, "lyceum samples (id, fact, document, messages, wording, citations)"),
    (Format::Preference, "lyceum preferences (id, question, messages, chosen, rejected)"),
    (Format::Messages, "conversations (messages)"),
    (Format::CompletionText, "texts with completions (prompt, completion)"),
    (Format::CompletionTurns, "turns with completions (prompt, completion)"),
    (Format::LabelText, "labelled texts (prompt, completion, label)"),
    (Format::LabelTurns, "labelled turns (prompt, completion, label)"),
    (Format::PairText, "pairs of texts (prompt, chosen, rejected)"),
    (Format::PairTurns, "pairs of turns (chosen, rejected)"),
    (Format::OpenaiPreference, "OpenAI preferences (input, preferred_output, non_preferred_output)"),
    (Format::QuestionAnswer, "questions with answers (question, answer)"),
];

impl Format {
    /// Its name and fields, in words.
    pub fn words(self) -> &'static str {
        WORDS.iter().find(|(format, _)| *format == self).map_or("", |(_, words)| words)
    }

    /// Whether its lines say which of two answers is better, or whether one is good.
    pub fn is_preference(self) -> bool {
        use Format::{LabelText, LabelTurns, OpenaiPreference, PairText, PairTurns, Preference};
        matches!(self, Preference | LabelText | LabelTurns | PairText | PairTurns | OpenaiPreference)
    }

    /// What one line is by its fields, where that is clear, and the field that tells.
    fn of(line: &Line) -> Option<(Self, &'static str)> {
        let has = |names: &[&str]| names.iter().all(|name| line.has(name));
        let both = |test: fn(&Line, &str) -> bool| test(line, "chosen") && test(line, "rejected");
        let said = |text: Self, turns: Self, told: &'static str| {
            let turns = line.has_turns("completion").then_some((turns, told));
            turns.or(line.has_text("completion").then_some((text, told)))
        };
        if has(&["input"]) && (has(&["preferred_output"]) || has(&["non_preferred_output"])) {
            Some((Self::OpenaiPreference, "preferred_output"))
        } else if has(&["question", "messages"]) && (has(&["chosen"]) || has(&["rejected"])) {
            Some((Self::Preference, "question"))
        } else if both(Line::has_turns) {
            Some((Self::PairTurns, "chosen"))
        } else if both(Line::has_text) {
            Some((Self::PairText, "chosen"))
        } else if has(&["completion", "label"]) {
            said(Self::LabelText, Self::LabelTurns, "label")
        } else if has(&["completion"]) {
            said(Self::CompletionText, Self::CompletionTurns, "completion")
        } else if has(&["messages", "fact", "wording"]) {
            Some((Self::Sample, "fact"))
        } else if has(&["messages"]) {
            Some((Self::Messages, "messages"))
        } else if has(&["question", "answer"]) {
            Some((Self::QuestionAnswer, "answer"))
        } else {
            None
        }
    }
}

/// The format of a file is that of its first line whose fields tell. A line of another format is an
/// error: it would have to be guessed at.
pub(super) fn detect(path: &Path, lines: &[Line]) -> Result<Format> {
    let mut told = lines.iter().filter_map(|line| Some((line, Format::of(line)?)));
    let Some((first, (format, _))) = told.next() else {
        if let Some((line, field, value)) = lines.first().and_then(odd) {
            let problem = format!(
                "has a field `{field}` in {} that is {}, neither a text nor a list of turns",
                spoken(line),
                kind(value)
            );
            return Err(whole(path, &problem, "mend it; the first line tells what the others are"));
        }
        let names = lines.first().map(|line| line.names().collect::<Vec<_>>().join("`, `"));
        let problem = match names {
            None => "has no line that can be read as a JSON object".to_string(),
            Some(names) if names.is_empty() => "has objects without fields".to_string(),
            Some(names) => format!("has the fields `{names}`, which are none of the known formats"),
        };
        return Err(whole(path, &problem, hint(lines.first())));
    };
    for (line, (other, field)) in told {
        if other != format {
            let problem = format!(
                "its field `{field}` makes it {}, while {} is {}",
                other.words(),
                spoken(first),
                format.words()
            );
            return Err(Error::Mixed { path: path.into(), place: spoken(line), problem });
        }
    }
    Ok(format)
}

/// The first answer that is neither a text nor a list.
fn odd(line: &Line) -> Option<(&Line, &'static str, &Value)> {
    let odd = |field| line.get(field).filter(|_| !line.has_text(field) && !line.has_turns(field));
    ["completion", "chosen", "rejected"].into_iter().find_map(|field| Some((line, field, odd(field)?)))
}

fn spoken(line: &Line) -> String {
    line.place.replace('-', " ")
}

/// What to do about a file of no known format.
fn hint(first: Option<&Line>) -> String {
    let has = |name| first.is_some_and(|line| line.has(name));
    if has("question") && has("answers") {
        return "this is a bank of exam questions, from which nothing is learned; sit it with `lyceum exam`".into();
    }
    if has("question") && has("steps") {
        return "write problems as samples: `lyceum tasks … --format samples`".into();
    }
    if has("question") || has("prompt") && !["completion", "chosen", "rejected"].into_iter().any(has) {
        return "questions without answers are practised on: `lyceum practise`; to learn from them, add `answer`"
            .into();
    }
    if has("text") {
        return "plain text has no answer to learn; give prompts and completions".into();
    }
    let known: Vec<&str> = WORDS.iter().map(|(_, words)| *words).collect();
    format!("known are {}", known.join("; "))
}

/// How many formats there are.
#[cfg(test)]
pub(super) fn known() -> usize {
    WORDS.len()
}
