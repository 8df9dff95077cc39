use std::sync::LazyLock;

use record::FactKind;
use regex::Regex;

use super::{Candidate, Context};
use crate::number::regex;
use crate::phrase::PREFACES;
use crate::words::listed;

static RELEASED: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"\b((?:[A-Z]\w+ )?)(?:[Vv]ersion|[Rr]elease) (\d+\.\d+(?:\.\d+){0,2}) \((\d{4}-\d{2}-\d{2})\)")
});
static ADDED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(.{3,60}?),? (was|were) (?:first )?(added|introduced|removed|deprecated|enhanced|renamed) (?:in|to|with|by|beginning with|as of) (?:[A-Z]\w+ )?(?:version |release )?(\d+\.\d+(?:\.\d+){0,2})\b",
    )
});

/// `Version 3.8.0 (2013-08-26)` and `The X pragma was added in version 3.8.0`.
pub(crate) fn find(context: &Context) -> Vec<Candidate> {
    let mut found = Vec::new();
    for release in RELEASED.captures_iter(context.text) {
        let product = release[1].trim();
        let known = Some(product).filter(|p| !p.is_empty() && !listed(PREFACES, p)).or(context.vocabulary.product());
        let subject =
            known.map_or_else(|| format!("version {}", &release[2]), |p| format!("{p} version {}", &release[2]));
        found.push(Candidate::new("release", &subject, "release date", &release[3], FactKind::Date));
    }
    if let Some(added) = ADDED.captures(context.text) {
        let subject = context.vocabulary.within(&added[1]);
        if context.vocabulary.is_subject(&subject) {
            let attribute = format!("{} {} in …", &added[2], &added[3]);
            found.push(Candidate::new("version", &subject, &attribute, &added[4], FactKind::Code));
        }
    }
    found
}
