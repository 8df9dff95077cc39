//! One file a rule: what each finds in a sentence, a table or a heading.
//!
//! A rule prefers to find nothing over finding something wrong: whatever stands between what it
//! understands makes it pass the sentence over.

mod apposition;
mod clause;
mod code;
mod definition;
mod instruction;
mod naming;
mod prose;
mod setting;
mod statement;
mod table;
mod version;

use record::{Chunk, FactKind};

use crate::phrase::Vocabulary;

/// What a rule proposes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Name of the rule; it also says how the fact is asked for (see `question`).
    pub rule: &'static str,
    /// What the fact is about, as it is written within a question.
    pub subject: String,
    /// Property, or verb phrase with `…` where the answer stands.
    pub attribute: String,
    /// Verbatim from the sentence.
    pub answer: String,
    /// Kind of the answer.
    pub kind: FactKind,
    /// Other accepted forms.
    pub aliases: Vec<String>,
}

impl Candidate {
    fn new(rule: &'static str, subject: &str, attribute: &str, answer: &str, kind: FactKind) -> Self {
        Self {
            rule,
            subject: subject.into(),
            attribute: attribute.into(),
            answer: answer.into(),
            kind,
            aliases: Vec::new(),
        }
    }
}

/// A sentence with its surroundings.
pub(crate) struct Context<'a> {
    /// The passage that it stands in.
    pub chunk: &'a Chunk,
    /// The sentence, `This macro` replaced by the macro's name where the heading tells it.
    pub text: &'a str,
    /// The document's spelling of names.
    pub vocabulary: &'a Vocabulary,
}

/// Every rule, the most reliable first: where two propose the same fact, the first is kept.
pub(crate) const RULES: &[fn(&Context) -> Vec<Candidate>] = &[
    table::find,
    code::find,
    setting::find,
    version::find,
    definition::find,
    naming::find,
    apposition::find,
    instruction::find,
    prose::find,
];

/// What kind of answer a text is, by its look.
pub(crate) fn kind(answer: &str) -> FactKind {
    use crate::number::{moment, quantity};
    let words: Vec<&str> = answer.split(' ').collect();
    if moment(&words).is_some_and(|(_, length)| length == words.len()) {
        return FactKind::Date;
    }
    if quantity(&words).is_some() {
        return FactKind::Number;
    }
    let coded = |w: &&str| w.contains('_') || w.ends_with("()") || w.chars().any(|c| c.is_ascii_digit());
    let shouted = |w: &str| w.len() > 1 && w.chars().all(|c| c.is_ascii_uppercase());
    if words.len() <= 2 && (words.iter().any(coded) || words.iter().all(|w| shouted(w))) {
        return FactKind::Code;
    }
    if words.iter().all(|w| w.starts_with(char::is_uppercase) || matches!(*w, "the" | "of" | "and" | "The")) {
        return FactKind::Name;
    }
    FactKind::Other
}

/// Colours that prose names things by.
pub(crate) const COLOURS: &str = "red green blue yellow white black grey gray brown orange pink purple violet maroon cream \
    silver gold golden amber turquoise scarlet crimson beige indigo teal ivory copper bronze olive magenta cyan";

/// A sentence's words without the full stop at its end.
pub(crate) fn tokens(text: &str) -> Vec<&str> {
    text.strip_suffix('.').unwrap_or(text).split(' ').filter(|word| !word.is_empty()).collect()
}
