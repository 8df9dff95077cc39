use std::collections::HashSet;
use std::sync::LazyLock;

use record::{Chunk, Citation, Document, Fact, shard};
use regex::Regex;

use crate::Config;
use crate::number::regex;
use crate::phrase::{Vocabulary, is_name};
use crate::rules::{Candidate, Context, RULES};
use crate::words::{holds, listed, words};

/// `This macro` and the like: what the nearest heading names.
static THIS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(^|\b(?:of|for|to|by|with|in) )([Tt])his (pragma|macro|option|interface|function|routine|opcode|command|parameter|setting|constant|variable|field|flag|limit|chapter's|machine|device|instrument)\b",
    )
});
static NUMBERING: LazyLock<Regex> = LazyLock::new(|| regex(r"^(?:\d+(?:\.\d+)*\.?|\(\d+\)) "));

/// Everything checkable that the rules find in a document, in reading order.
///
/// Each fact's answer stands verbatim in its cited sentence and in neither subject nor attribute.
/// The same subject, attribute and answer are proposed once a document.
pub fn facts(document: &Document, config: &Config) -> Vec<Fact> {
    let vocabulary = Vocabulary::new(document);
    let mut facts = Vec::new();
    let mut seen = HashSet::new();
    for chunk in &document.chunks {
        for sentence in &chunk.sentences {
            // Code, prose without an end and whole paragraphs in one cell hold nothing to find, and
            // cost the most.
            if sentence.text.len() > 600 {
                continue;
            }
            let text = resolve(&sentence.text, chunk);
            let context = Context { chunk, text: &text, vocabulary: &vocabulary };
            let mut told = HashSet::new();
            for candidate in RULES.iter().flat_map(|rule| rule(&context)) {
                let citation =
                    Citation { document: document.id.clone(), sentence: sentence.number, text: sentence.text.clone() };
                let once = told.insert((words(&candidate.subject), words(&candidate.answer)));
                let key = (words(&candidate.subject), words(&candidate.attribute), words(&candidate.answer));
                if once && sound(&candidate, &sentence.text, config) && seen.insert(key) {
                    facts.push(fact(candidate, citation));
                }
            }
        }
    }
    facts
}

fn fact(candidate: Candidate, citation: Citation) -> Fact {
    let Candidate { rule, subject, attribute, answer, kind, aliases } = candidate;
    let key = format!("{}\n{}\n{answer}\n{subject}\n{attribute}", citation.document, citation.sentence);
    let id = shard::sha256(key.as_bytes())[..16].to_string();
    let document = citation.document.clone();
    Fact { id, document, kind, subject, attribute, answer, aliases, citation, rule: rule.into() }
}

/// What no rule may get wrong.
fn sound(candidate: &Candidate, sentence: &str, config: &Config) -> bool {
    let Candidate { subject, attribute, answer, .. } = candidate;
    let count = answer.split_whitespace().count();
    let balanced = answer.matches('(').count() == answer.matches(')').count() && answer.matches('"').count() % 2 == 0;
    (1..=config.answer_words).contains(&count)
        && answer.len() <= 48
        && answer.chars().any(char::is_alphanumeric)
        && !answer.contains("; ")
        && balanced
        && sentence.contains(answer.as_str())
        && !holds(subject, answer)
        && !holds(attribute, answer)
        && !holds(answer, subject)
        && words(subject).len() <= 8
        && !listed("it this that these those they them here there", &answer.to_lowercase())
}

/// `This macro` becomes the macro that the heading names; without such a heading the text stays, and
/// no rule takes `this` for a subject.
fn resolve(text: &str, chunk: &Chunk) -> String {
    let Some(found) = THIS.captures(text) else { return text.to_string() };
    let noun = &found[3];
    let named = chunk.headings.last().and_then(|heading| {
        let heading = NUMBERING.replace(heading, "");
        let heading = heading.split(['=', '<', '(', ',']).next().unwrap_or("").trim().to_string();
        let name = heading
            .split(' ')
            .next_back()
            .filter(|w| w.contains('_') || w.len() > 2 && is_name(w) && w.chars().all(|c| !c.is_lowercase()))?;
        let whole = heading.split(' ').count() <= 3;
        whole.then(|| {
            if heading.to_lowercase().contains(noun) { format!("{name} {noun}") } else { format!("{heading} {noun}") }
        })
    });
    match named {
        Some(name) => {
            let article = if &found[2] == "T" { "The" } else { "the" };
            THIS.replacen(text, 1, format!("{}{article} {name}", &found[1]).as_str()).into_owned()
        }
        None => text.to_string(),
    }
}
