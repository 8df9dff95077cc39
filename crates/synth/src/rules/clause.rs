//! Clauses as words: where they end, and what a plain phrase is.

use crate::verb::{self, Form, form, is_participle};
use crate::words::listed;

/// Prepositions that tell a place.
pub(super) const PLACES: &str = "in on at beside behind under above below near between inside outside opposite beneath within \
    against around along across next";

/// How a clause ends.
#[derive(PartialEq)]
pub(super) enum End {
    /// With the sentence, or before something that adds without changing: `, which …`.
    Whole,
    /// Before something that goes on: a list, an apposition.
    Open,
    /// Before a condition.
    Condition,
}

/// No pronoun, verb or conjunction that would need the rest of the sentence.
pub(super) fn plain(words: &[&str]) -> bool {
    words.iter().all(|w| {
        !w.ends_with([',', ')', ':']) && !w.starts_with('(') && !listed("and or but it its they them their that which who where is are was were has have because so if when while until unless then than this these you your his her only such", w)
    })
}

/// A short run of words that can be a thing: no verb, no adverb, nothing that goes on.
pub(super) fn noun_phrase(words: &[&str]) -> bool {
    let last = words.last().copied().unwrap_or("");
    let first = words[0];
    let loose = "as variety range series instead default less fewer second first following last exactly about approximately called named almost everywhere usually often mostly nearly unknown high low enough too not same zero";
    if is_participle(first) || words.iter().any(|w| listed(loose, w)) {
        return false;
    }
    plain(&words.iter().copied().filter(|w| *w != "and").collect::<Vec<_>>())
        && !listed(verb::PREPOSITIONS, first)
        && !listed(
            "able always ever soon so too very more less also still all both either another any some such what how to enough",
            first,
        )
        && !is_participle(last)
        && !last.ends_with("ly")
        && !last.ends_with("ing")
        && !listed(verb::PREPOSITIONS, last)
        && !listed("and or the a an", last)
        && words.iter().all(|w| w.chars().any(char::is_alphanumeric))
}

/// The clause up to the first comma or conjunction, and how it ends.
pub(super) fn cut<'a>(words: &'a [&'a str]) -> (Vec<&'a str>, End) {
    let mut clause = Vec::new();
    for (index, word) in words.iter().enumerate() {
        if listed("if unless except when whenever provided until", word) {
            return (clause, End::Condition);
        }
        if listed("because which who where but so although while", word) {
            return (clause, End::Whole);
        }
        clause.push(word.trim_end_matches(','));
        if word.ends_with(',') {
            let next = words.get(index + 1).copied().unwrap_or("");
            return match next {
                _ if listed("if unless except when provided or", next) => (clause, End::Condition),
                _ if listed("and but because which who so where while although with", next) => {
                    // `red, white and blue` goes on; `, and the lamp is tested` begins anew.
                    let anew = next != "and"
                        || words[index + 1..]
                            .iter()
                            .any(|w| matches!(form(w), Some((Form::Auxiliary | Form::Singular, _))));
                    (clause, if anew { End::Whole } else { End::Open })
                }
                _ => (clause, End::Open),
            };
        }
    }
    (clause, End::Whole)
}
