use record::FactKind;

use super::clause::PLACES;
use super::statement::Statement;
use super::{Candidate, Context, tokens};
use crate::number::quantity;
use crate::phrase::{GENERIC, is_person};
use crate::verb::{self, Form, form, is_participle};
use crate::words::listed;

/// Verbs of people: who does it is worth asking.
const DEEDS: &str = "edit run lead manage direct own assign keep coordinate maintain repair teach train chair found \
    reopen discover write design build check inspect supervise operate visit host sponsor invent edited write publish \
    record paint prepare approve replace deputise head command test";

/// Nouns of people by what they do.
const ROLES: &str = "leader engineer officer cook doctor physician keeper operator manager director editor librarian \
    carpenter mechanic electrician technician supervisor coordinator captain master warden chef nurse pilot secretary \
    treasurer teacher scientist observer guide storekeeper watchkeeper shopkeeper board committee council president";

/// Facts of plain sentences: subject, verb, and a number, date, place, name or thing.
pub(crate) fn find(context: &Context) -> Vec<Candidate> {
    let text = context.text;
    let supposed = ["For example", "Suppose", "Consider", "Example", "E.g.", "Assume"];
    if supposed.iter().any(|word| text.starts_with(word)) {
        return Vec::new();
    }
    if text.contains(['?', ';', '|', '{', '=']) || text.ends_with(':') || text.contains("; ") {
        return Vec::new();
    }
    let words = tokens(text);
    if words.len() > 32 || words.len() < 3 {
        return Vec::new();
    }
    let mut found = existence(&words);
    let (lead, words) = lead(&words);
    if lead.split(' ').any(|w| {
        listed(
            "this that these those other above below case example contrast addition fact \
        particular general theory practice principle",
            w,
        )
    }) {
        return found;
    }
    let Some((at, verb)) =
        words.iter().enumerate().skip(1).take(9).find_map(|(at, word)| Some((at, finite(words, at, word)?)))
    else {
        return found;
    };
    let kept = words[..at].iter().copied().filter(|w| !listed(verb::ADVERBS, w));
    let subject = context.vocabulary.within(&kept.collect::<Vec<_>>().join(" "));
    if lead.is_empty() && context.vocabulary.is_subject(&subject)
        || !lead.is_empty() && context.vocabulary.is_subject(&subject)
    {
        let mut rest = &words[at..];
        let mut verb = verb;
        // `is made of bronze and weighs 64 kilograms` says two things of one subject.
        let owned: Vec<&str>;
        loop {
            let second = (1..rest.len()).find(|i| rest[*i] == "and" && rest.get(i + 1).is_some_and(|w| continues(w)));
            let end = second.unwrap_or(rest.len());
            let words = &rest[..end];
            found.extend(
                Statement { vocabulary: context.vocabulary, subject: &subject, verb: verb.clone(), words, lead: &lead }
                    .facts(),
            );
            let Some(next) = second.filter(|_| !words.iter().any(|w| w.ends_with(','))) else { break };
            // `is hoisted at 08:00 and lowered at sunset`: the helper serves both.
            let shared = verb.0 == Form::Auxiliary && is_participle(rest[next + 1]);
            if shared {
                owned = std::iter::once(rest[0]).chain(rest[next + 1..].iter().copied()).collect();
                let words = owned.as_slice();
                found.extend(
                    Statement {
                        vocabulary: context.vocabulary,
                        subject: &subject,
                        verb: verb.clone(),
                        words,
                        lead: &lead,
                    }
                    .facts(),
                );
                break;
            }
            rest = &rest[next + 1..];
            match form(rest[0]) {
                Some(next) => verb = next,
                None => break,
            }
        }
    }
    found.extend(deed(words, at, context));
    found
}

/// Whether a word after `and` begins a second verb phrase.
fn continues(word: &str) -> bool {
    matches!(form(word), Some((Form::Singular | Form::Auxiliary | Form::Past, _))) || is_participle(word)
}

/// The verb at a place, if it can be the sentence's: a bare plural form only after a plural noun.
fn finite(words: &[&str], at: usize, word: &str) -> Option<(Form, String)> {
    let found = form(word)?;
    let before = words[at - 1];
    let plural = before.ends_with('s') && !before.ends_with("ss") || before == "people" || words[..at].contains(&"and");
    match found.0 {
        Form::Plural if !plural => None,
        // `the lock keeps` but not `the water tanks`.
        Form::Singular | Form::Past if matches!(before.to_lowercase().as_str(), "the" | "a" | "an" | "of" | "each") => {
            None
        }
        _ => Some(found),
    }
}

/// A phrase of place or time before the subject: `At full load`, `On Sundays,`.
fn lead<'a>(words: &'a [&'a str]) -> (String, &'a [&'a str]) {
    let opens = words.first().is_some_and(|w| listed("At On In During After Before Under", w));
    if !opens {
        return (String::new(), words);
    }
    let limit = words.len().min(6);
    let comma = (1..limit).find(|i| words[*i].ends_with(','));
    let article = (2..limit).find(|i| {
        listed("the each every a", words[*i])
            || (words[*i].starts_with(char::is_uppercase) && words[*i - 1].starts_with(char::is_lowercase) && *i > 2)
    });
    match comma.map(|i| i + 1).or(article) {
        Some(end) if words[1..end].iter().all(|w| form(w).is_none() || !listed("is are was were has", w)) => {
            let lead = words[..end].join(" ");
            (crate::words::decapitalise(lead.trim_end_matches(',')), &words[end..])
        }
        _ => (String::new(), words),
    }
}

/// `There are 212 solar panels on the south roofs.`
fn existence(words: &[&str]) -> Vec<Candidate> {
    if !matches!(words, ["There", "are", ..]) {
        return Vec::new();
    }
    let rest = &words[2..];
    let Some(found) = quantity(rest).filter(|q| q.measures.is_none()) else { return Vec::new() };
    let things = &rest[found.length..];
    let place = things.iter().position(|w| listed(PLACES, w));
    if things.last().is_some_and(|w| listed("all total", w)) {
        return Vec::new();
    }
    if things.is_empty()
        || things.len() > 9
        || place.is_none_or(|at| at == 0 || at > 3)
        || things.iter().any(|w| w.ends_with(','))
    {
        return Vec::new();
    }
    // `columns in each row`: every table has some.
    if things[..place.unwrap_or(0)].iter().all(|w| listed(GENERIC, w)) {
        return Vec::new();
    }
    let subject = things.join(" ");
    let plain = things.iter().all(|w| !listed("that which who and or but because when if this these it", w));
    if !plain || subject.len() > 60 || form(things[0]).is_some_and(|(f, _)| f == Form::Auxiliary) {
        return Vec::new();
    }
    vec![Candidate::new("there-are", &subject, "number", &rest[..found.length].join(" "), FactKind::Number)]
}

/// `Philippa Nightingrove edits the handbook.`: who does it.
fn deed(words: &[&str], at: usize, context: &Context) -> Vec<Candidate> {
    let doer = words[..at].join(" ");
    let Some((form, base)) = form(words[at]) else { return Vec::new() };
    let object = &words[at + 1..];
    let institution =
        doer.starts_with("The ") && words[1..at].iter().all(|w| w.starts_with(char::is_uppercase)) && at > 2;
    let role = doer.starts_with("The ") && at <= 4 && listed(ROLES, words[at - 1]);
    if !(is_person(&doer) || institution || role)
        || !matches!(form, Form::Singular | Form::Past)
        || !listed(DEEDS, &base)
    {
        return Vec::new();
    }
    let text = object.join(" ");
    let ends = object.iter().all(|w| !w.ends_with(',') && !listed("and but because who which so when if", w));
    if !(2..=6).contains(&object.len()) || !ends || !context.vocabulary.is_subject(&text) {
        return Vec::new();
    }
    let answer = if institution || role { context.vocabulary.within(&doer) } else { doer };
    let kind = if role { FactKind::Other } else { FactKind::Name };
    vec![Candidate::new("who", &text, words[at], &verbatim(&answer, words), kind)]
}

/// The spelling of an answer at the start of the sentence.
fn verbatim(answer: &str, words: &[&str]) -> String {
    if words.join(" ").contains(answer) { answer.to_string() } else { crate::words::capitalise(answer) }
}
