use std::collections::HashSet;
use std::sync::LazyLock;

use record::{Chunk, Citation, Document, Fact, shard};
use regex::Regex;

use crate::Config;
use crate::number::regex;
use crate::phrase::{Vocabulary, is_name};
use crate::rules::{Candidate, Context, RULES};
use crate::words::{holds, listed, runs, words};

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

/// What no rule may get wrong. A longer subject than six words could carry a run of eight from a
/// training question into an item.
fn sound(candidate: &Candidate, sentence: &str, config: &Config) -> bool {
    let Candidate { subject, attribute, answer, .. } = candidate;
    let count = answer.split_whitespace().count();
    let quoted = !answer.contains('"') || answer.len() > 2 && answer.trim_matches('"').len() + 2 == answer.len();
    let balanced =
        quoted && answer.matches('(').count() == answer.matches(')').count() && !answer.trim_matches('"').contains('"');
    (1..=config.answer_words).contains(&count)
        && answer.len() <= 48
        && answer.chars().any(char::is_alphanumeric)
        && !answer.contains("; ")
        && balanced
        && sentence.contains(answer.as_str())
        && !holds(subject, answer)
        && !holds(attribute, answer)
        && !holds(answer, subject)
        && runs(subject).len() <= 6
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;

    fn shown(facts: &[Fact]) -> Vec<String> {
        facts.iter().map(|f| format!("{} | {} | {} | {}", f.rule, f.subject, f.attribute, f.answer)).collect()
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(shown(&corpus::facts(text)), expected, "{text}");
    }

    #[test]
    fn a_manual_gives_its_facts() {
        let expected = [
            "called | the great bell of Orrin Mill | name | Dame Tansy",
            "verb | Dame Tansy | was cast in … | 1731",
            "verb | Dame Tansy | weighs … | 85 kilograms",
            "verb | Dame Tansy | is made of … | bell bronze",
            "verb | the mill wheel | is … wide | 7.5 metres",
            "verb | the wheel house | stands … | beside the salt pond",
            "verb | the spare millstones | are kept … | the lower vault",
            "count | each millstone | turns at … turns per minute | 62",
            "verb | the flour store | holds … of rye | 3,400 kilograms",
            "who-is | the head miller | is … | Corvin Ashgrove",
            "who-is | the bookkeeper | is … | Petra Lindqvist",
            "who | the almanac of the mill | edits | Petra Lindqvist",
            "verb | the sluice gate | opens at … | 05:30",
            "verb | the sluice gate | closes at … | sunset",
            "verb | the oil of the main bearing | is changed … | every 40 days",
            "verb | opening hours | run … | from 09:00 to 16:30",
            "count | the tower | has … steps | 118",
            "there-are | lanterns along the mill race | number | 24",
            "attribute | the door of the granary | colour | green",
            "default | the governor of the turbine | default value | 450 hertz",
            "duration | stop the main shaft | hold | 9 seconds",
            "action | reach the watch room | dial | 417",
            "term | the rod that shakes the grain | term | Damsel",
            "term | the frame under the stones | term | Hurst",
            "table | Gull | berth | K-4",
            "verb | Gull | was built in … | 1968",
            "table | Gull | hull colour | red",
            "table | Tern | berth | K-9",
            "verb | Tern | was built in … | 1975",
            "table | Tern | hull colour | blue",
            "table | Petrel | berth | L-2",
            "verb | Petrel | was built in … | 1990",
            "table | Petrel | hull colour | white",
            "table | code W-12 | meaning | low water",
            "table | code W-19 | meaning | jammed gate",
            "release | Grist version 2.14.0 | release date | 2019-03-08",
            "version | the MILL_TRACE macro | was added in … | 2.14.0",
            "default | MILL_LIMIT | default value | 6400",
            "define | MILL_JAM | value | 37",
            "constant | The wheel cannot turn freely | name | MILL_JAM",
            "define | MILL_DRY | value | 52",
            "constant | The race holds no water | name | MILL_DRY",
        ];
        check(corpus::MANUAL, &expected);
    }

    #[test]
    fn what_needs_the_sentence_before_gives_none() {
        for text in [
            "It weighs 85 kilograms.",
            "This value is 7.",
            "They were built in 1968.",
            "The value is 12.",
            "Her deputy is Corvin Ashgrove.",
            "The maker of all three is Ostler Engines.",
            "X is 12.",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn what_is_hedged_denied_conditional_or_goes_on_gives_none() {
        for text in [
            "The flour store holds about 3,400 kilograms.",
            "The flour store never holds 3,400 kilograms.",
            "The flour store holds 3,400 kilograms if the roof is dry.",
            "The flour store holds at least 12 sacks.",
            "For example, the flour store holds 12 sacks.",
            "The mill function takes 2, 4 or 5 arguments.",
            "The squeak of the wheel is harmless.",
            "What does the flour store hold?",
            "The reserved region of the mill is usually empty.",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn every_answer_stands_in_its_sentence_and_nowhere_in_the_question() {
        for fact in corpus::facts(corpus::MANUAL) {
            assert!(fact.citation.text.contains(&fact.answer), "{fact:?}");
            assert!(!holds(&fact.subject, &fact.answer) && !holds(&fact.attribute, &fact.answer), "{fact:?}");
            assert_eq!(fact.document, fact.citation.document);
        }
    }

    #[test]
    fn ids_are_stable_and_differ() {
        let ids = |text| corpus::facts(text).into_iter().map(|f| f.id).collect::<Vec<_>>();
        let first = ids(corpus::MANUAL);
        assert_eq!(first, ids(corpus::MANUAL));
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), first.len());
    }
}
