use std::sync::LazyLock;

use record::FactKind;
use regex::Regex;

use super::{Candidate, Context};
use crate::number::regex;
use crate::words::listed;

const NAME: &str = r#"((?:the |The )?(?:"[^"]{2,30}"|[A-Z][\w'’-]*(?: (?:of|the|and|[A-Z0-9][\w'’-]*)){0,4}?))"#;

static IS_CALLED: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"^(.{{3,60}}?) (is|are|was|were) (?:also )?(?:called|named|known as|nicknamed) {NAME}(?:[.,;]| and is | and was | and takes | and works | because | after |$)"
    ))
});
static A_CALLED: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"\b(a|an|the|The|A|An) ((?:[a-z][\w-]* ){{1,3}})(?:called|named|known as) {NAME}(?:[.,;]| and | in | on | at | by | for | lights| is | was | has | stands| removes| takes| holds|$)"
    ))
});

/// `The lake pump is called the Gulper`, `a bioreactor called Gertrude`.
pub(crate) fn find(context: &Context) -> Vec<Candidate> {
    let text = context.text;
    if let Some(found) = IS_CALLED.captures(text) {
        let subject = context.vocabulary.within(&found[1]);
        if goes_on(text, &found) {
            return Vec::new();
        }
        if context.vocabulary.is_subject(&subject) {
            return vec![candidate(&subject, &found[3])];
        }
    }
    let Some(found) = A_CALLED.captures(text) else { return Vec::new() };
    let noun = found[2].trim();
    if goes_on(text, &found) || text.starts_with("For example") || text.starts_with("Suppose") {
        return Vec::new();
    }
    let subject = format!("the {noun}");
    // `a shade called Hearth Orange` is told apart by nothing but its name.
    let known = noun.contains(' ') || context.vocabulary.knows(noun);
    let clean = known && noun.split(' ').all(|w| {
        !listed("of in on is was to from and or for with by which that new second other single given certain woman man person", w)
            && !crate::verb::is_participle(w)
    });
    if clean && context.vocabulary.is_subject(&subject) { vec![candidate(&subject, &found[3])] } else { Vec::new() }
}

/// Whether more names follow after a comma: `called Flotsam, Jetsam and Lagan`.
fn goes_on(text: &str, found: &regex::Captures) -> bool {
    let end = found.get(3).map_or(text.len(), |name| name.end());
    let rest = text[end..].trim_start_matches('"');
    rest.strip_prefix(", ").is_some_and(|rest| rest.starts_with(|c: char| c.is_uppercase() || c == '"'))
}

fn candidate(subject: &str, name: &str) -> Candidate {
    let name = name.trim_matches('"');
    let mut candidate = Candidate::new("called", subject, "name", name, FactKind::Name);
    if let Some(bare) = name.strip_prefix("the ").or(name.strip_prefix("The ")) {
        candidate.aliases.push(bare.to_string());
    }
    candidate
}
