use record::FactKind;

use super::{Candidate, Context};
use crate::rules::table;
use crate::verb::{Form, form};
use crate::words::listed;

/// `Term: what it means`, from definition lists and bold words: the term is asked for by its meaning.
pub(crate) fn find(context: &Context) -> Vec<Candidate> {
    let text = context.text.strip_suffix('.').unwrap_or(context.text);
    let Some((term, meaning)) = text.split_once(": ") else { return Vec::new() };
    if table::cells(context.text).is_some() || meaning.contains(": ") || meaning.contains(". ") {
        return Vec::new();
    }
    // One such line is a remark; a list of terms has several.
    let alike = |text: &str| {
        text.split_once(": ").is_some_and(|(t, m)| t.split(' ').count() <= 3 && m.starts_with(char::is_lowercase))
    };
    let listed_terms = context.chunk.sentences.iter().filter(|s| alike(&s.text)).count();
    let words: Vec<&str> = meaning.split(' ').collect();
    let short = term.split(' ').count() <= 3 && term.starts_with(|c: char| c.is_alphanumeric());
    let term_like = short
        && !listed(
            "note example examples warning tip important caution update see hint remark bug error help",
            &term.split(' ').next().unwrap_or("").to_lowercase(),
        );
    let thing = listed("a an the any every", words[0]);
    let begins = meaning.starts_with(char::is_lowercase) && form(words[0]).is_none_or(|(f, _)| f != Form::Singular);
    let whole = (3..=14).contains(&words.len()) && words.iter().all(|w| !listed("it they this these you", w));
    if !term_like || !begins || !whole || !thing || listed_terms < 2 {
        return Vec::new();
    }
    let clause = meaning.split([',', '(', ';']).next().unwrap_or(meaning).trim();
    // `the power house, the water plant and the server room` is a list, not a meaning with a remark.
    let remark = meaning[clause.len()..].trim_start_matches([',', ' ']);
    if remark.contains(" and ") || listed("the a an", remark.split(' ').next().unwrap_or("")) {
        return Vec::new();
    }
    // A longer one could not stand in a training question and in an item without being shared.
    if !(3..=7).contains(&clause.split(' ').count()) {
        return Vec::new();
    }
    vec![Candidate::new("term", clause, "term", term, FactKind::Term)]
}
