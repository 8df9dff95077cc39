use std::sync::LazyLock;

use record::FactKind;
use regex::Regex;

use super::{Candidate, Context};
use crate::number::regex;
use crate::phrase::is_person;
use crate::words::listed;

const PERSON: &str = r"((?:Dr |Mr |Mrs |Ms |Professor |Captain )?[A-Z][a-z'’-]+(?: [A-Z][a-z'’-]+){1,2})";
const ROLE: &str = r"(the [a-z][a-z-]*(?: [a-z][a-z-]*){0,3})";

static AFTER: LazyLock<Regex> = LazyLock::new(|| regex(&format!(r"\b{PERSON}, {ROLE},")));
static BEFORE: LazyLock<Regex> =
    LazyLock::new(|| regex(&format!(r"(?:^|[,;] )([Tt]he [a-z][a-z-]*(?: [a-z][a-z-]*){{0,3}}), {PERSON},")));
static IS: LazyLock<Regex> = LazyLock::new(|| regex(&format!(r"^{PERSON} is (?:also )?{ROLE}(?:[.,]|$)")));

/// Who holds a role: `Odalys Trennick, the chief engineer, …`, `Lucan Ferriday is the radio operator`.
pub(crate) fn find(context: &Context) -> Vec<Candidate> {
    let text = context.text;
    let pairs = [
        AFTER.captures(text).map(|c| (c[1].to_string(), c[2].to_string())),
        BEFORE.captures(text).map(|c| (c[2].to_string(), context.vocabulary.within(&c[1]))),
        IS.captures(text).map(|c| (c[1].to_string(), c[2].to_string())),
    ];
    let mut found = Vec::new();
    for (person, role) in pairs.into_iter().flatten() {
        let superlative = role.rsplit(' ').next().is_some_and(|w| w.ends_with("est"));
        let known = !superlative
            && !role.split(' ').any(|w| listed("only same other first last one who that and or is was", w));
        if is_person(&person) && known && context.vocabulary.is_subject(&role) {
            found.push(Candidate::new("who-is", &role, "is …", &person, FactKind::Name));
        }
    }
    found
}
