use std::sync::LazyLock;

use record::FactKind;
use regex::Regex;

use super::{Candidate, Context, kind};
use crate::number::regex;
use crate::words::listed;

static DEFINE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^#define ([A-Za-z_]\w{3,}) \(?([-\w.]+)\)?(?: /\* (.+?) \*/)?$"));
static ASSIGNED: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+) ?[:=] ?([-\w./]*[\w/])\.?$"));

/// Constants: `#define NAME value /* comment */`, `NAME: value`, `NAME = value`.
pub(crate) fn find(context: &Context) -> Vec<Candidate> {
    if let Some(found) = DEFINE.captures(context.text) {
        let (name, value) = (&found[1], &found[2]);
        let mut facts = Vec::new();
        if value.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            facts.push(Candidate::new("define", name, "value", value, kind(value)));
        }
        let comment = found.get(3).map_or("", |m| m.as_str());
        let words = comment.split(' ').count();
        let worded = comment.split(' ').skip(1).filter(|w| w.starts_with(char::is_lowercase)).count();
        let telling = worded >= 2
            && !comment.split(' ').any(|w| listed("NULL only used Not Used unused unsigned int char void double", w));
        if (3..=7).contains(&words) && telling && comment.chars().all(|c| c.is_alphanumeric() || " -/".contains(c)) {
            facts.push(Candidate::new("constant", comment, "name", name, FactKind::Code));
        }
        return facts;
    }
    let assigned = ASSIGNED.captures(context.text);
    assigned
        .map(|found| Candidate::new("define", &found[1], "value", &found[2], FactKind::Setting))
        .into_iter()
        .collect()
}
