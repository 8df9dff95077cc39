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
static OF_TYPE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:a|an) ([a-z][a-z-]*(?: [a-z][a-z-]*)?) of (?:the )?(type|model|class|grade|brand) ([A-Z0-9][\w-]*(?: [A-Z0-9][\w-]*)?)(?:[.,]|$)",
    )
});
static A_CALLED: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"\b(a|an|the|The|A|An) ((?:[a-z][\w-]* ){{1,3}})(?:called|named|known as) {NAME}(?:[.,;]| and | in | on | at | by | for | lights| is | was | has | stands| removes| takes| holds|$)"
    ))
});

/// `The lake pump is called the Gulper`, `a bioreactor called Gertrude`.
pub(crate) fn find(context: &Context) -> Vec<Candidate> {
    let text = context.text;
    if let Some(found) = OF_TYPE.captures(text) {
        let subject = format!("the {}", &found[1]);
        if context.vocabulary.is_subject(&subject) {
            return vec![Candidate::new("attribute", &subject, &found[2], &found[3], super::kind(&found[3]))];
        }
    }
    if let Some(found) = IS_CALLED.captures(text) {
        let subject = context.vocabulary.within(&found[1]);
        let name = if goes_on(text, &found) { several(text, &found) } else { Some(found[3].to_string()) };
        return match name {
            Some(name) if context.vocabulary.is_subject(&subject) => vec![candidate(&subject, &name)],
            _ => Vec::new(),
        };
    }
    let Some(found) = A_CALLED.captures(text) else { return Vec::new() };
    let noun = found[2].trim();
    if goes_on(text, &found)
        || !text.starts_with(char::is_uppercase)
        || ["For example", "Suppose", " would ", "example", " will be "].iter().any(|w| text.contains(w))
    {
        return Vec::new();
    }
    let subject = format!("the {noun}");
    // `a shade called Hearth Orange` is told apart by nothing but its name.
    let known = noun.contains(' ') || context.vocabulary.knows(noun);
    let clean = known && noun.split(' ').all(|w| {
        !listed("of in on is was to from and or for with by which that new second other single given certain empty woman man person shade way kind", w)
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

/// All of `Flotsam, Jetsam and Lagan`, if the sentence ends with them.
fn several(text: &str, found: &regex::Captures) -> Option<String> {
    let whole = text[found.get(3)?.start()..].trim_end_matches('.');
    let named = |part: &str| !part.is_empty() && part.split(' ').count() <= 2 && part.starts_with(char::is_uppercase);
    let all = whole.split(", ").flat_map(|part| part.split(" and ")).all(named);
    (all && whole.contains(" and ")).then(|| whole.to_string())
}

fn candidate(subject: &str, name: &str) -> Candidate {
    let name = name.trim_matches('"');
    let mut candidate = Candidate::new("called", subject, "name", name, FactKind::Name);
    if let Some(bare) = name.strip_prefix("the ").or(name.strip_prefix("The ")) {
        candidate.aliases.push(bare.to_string());
    }
    candidate
}
