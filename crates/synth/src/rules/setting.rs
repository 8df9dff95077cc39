use std::sync::LazyLock;

use record::FactKind;
use regex::Regex;

use super::{Candidate, Context};
use crate::number::{quantity, regex};
use crate::words::decapitalise;

const VALUE: &str =
    r#"(?:"[^"]{1,30}"|'[^']{1,30}'|[-−]?[\w][\w.,°%/+()-]*(?: (?:[a-z°C%]{1,12}|[A-Z]{1,3}))?(?: \d+)?)"#;

static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (
            r"(?:^|[,;] |\bthe |\bThe )default(?: value| setting)? (?:of|for) (?:the )?(S) is (?:currently )?(V)(?:[.,]|$)",
            "default value",
        ),
        (r"\b([A-Za-z]\w*_\w+),? which defaults to (V)(?:[.,]|$)", "default value"),
        (r"^((?:The |An? )?[\w() -]{3,60}?) (?:defaults? to|has a default value of) (V)(?:[.,]|$)", "default value"),
        (r"\b([A-Za-z]\w*_\w+) \(default(?: value)?:? (V)\)", "default value"),
        (r"(?:maximum|upper limit) value (?:of|for) (?:the )?(S) is (V)(?:[.,]|$)", "maximum value"),
    ];
    let subject = r"(?:[A-Za-z][\w.-]*)(?: [\w()_.-]+){0,3}?";
    patterns.map(|(p, name)| (regex(&p.replace('S', subject).replace('V', VALUE)), name)).into()
});

/// Defaults: `The default setting for NAME is X`, `NAME defaults to X`, `NAME (default: X)`.
pub(crate) fn find(context: &Context) -> Vec<Candidate> {
    if !context.text.contains("default") && !context.text.contains("aximum value") {
        return Vec::new();
    }
    for (pattern, attribute) in PATTERNS.iter() {
        let Some(found) = pattern.captures(context.text) else { continue };
        let subject = found[1].trim();
        let subject = context.vocabulary.within(subject);
        let (article, subject) = match subject.split_once(' ') {
            Some((article @ ("the" | "a" | "an" | "each"), rest)) => (article, rest.to_string()),
            _ => ("", subject),
        };
        let value = found[2].trim_matches(['"', '\'']).trim_end_matches([',', '.']);
        // `defaults to the value of`, `defaults to using`: a phrase that goes on is no value.
        let words: Vec<&str> = value.split(' ').collect();
        let solid = quantity(&words).is_some()
            || found[2].starts_with(['"', '\''])
            || value.chars().next().is_some_and(|c| c.is_uppercase() || c.is_ascii_digit());
        let solid = solid
            || matches!(
                value,
                "on" | "off" | "true" | "false" | "yes" | "no" | "none" | "zero" | "enabled" | "disabled" | "unlimited"
            );
        let plural = article.is_empty() && subject.ends_with('s');
        let article = if article.is_empty() { "the" } else { article };
        let name = if plural { decapitalise(&subject) } else { format!("{article} {}", decapitalise(&subject)) };
        let identifier = !subject.contains(' ') && (subject.contains('_') || subject.chars().any(char::is_uppercase))
            || subject.split(' ').any(|w| w.contains('_'));
        let described = subject.contains(' ') && subject.ends_with(char::is_lowercase);
        let subject = match identifier {
            true if described => format!("the {subject}"),
            true => subject,
            false => name,
        };
        if solid && context.vocabulary.is_subject(&subject) && words.len() <= 3 {
            return vec![Candidate::new("default", &subject, attribute, value, FactKind::Setting)];
        }
    }
    Vec::new()
}
