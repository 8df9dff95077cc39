use maud::{Markup, html};

use crate::number::count;
use crate::page::capital;
use crate::{Example, Paper, Report};

/// Cards that stand open; the rest is folded.
const OPEN_CARDS: usize = 4;

/// Answers that changed either way, with the sentences that prove them: those of the first exam
/// open, those of the others folded.
pub(crate) fn examples(report: &Report) -> Markup {
    html! {
        @if let Some((first, others)) = report.papers.split_first() {
            section {
                h2 { "Answers that changed" }
                p.quiet { (capital(&first.title)) ", " (first.mode()) "." }
                (changes(first))
                @for paper in others {
                    details {
                        summary { (capital(&paper.title)) ", " (paper.mode()) }
                        (changes(paper))
                    }
                }
            }
        }
    }
}

/// The answers of one exam that changed.
pub(crate) fn changes(paper: &Paper) -> Markup {
    html! {
        (cards("Right only afterwards", &paper.gained, paper.comparison.changed.gained))
        (cards("Right only before", &paper.lost, paper.comparison.changed.lost))
    }
}

fn cards(title: &str, examples: &[Example], all: usize) -> Markup {
    let shown = examples.len();
    let (open, folded) = examples.split_at(shown.min(OPEN_CARDS));
    html! {
        h3 {
            (title) " "
            span.quiet {
                @if shown < all { (shown) " of " (count(all as u64)) } @else { (count(all as u64)) }
            }
        }
        @if examples.is_empty() { p.quiet { "None." } }
        div.cards { @for example in open { (card(example)) } }
        @if !folded.is_empty() {
            details {
                summary { (folded.len()) " more" }
                div.cards { @for example in folded { (card(example)) } }
            }
        }
    }
}

fn card(example: &Example) -> Markup {
    html! {
        article {
            p.question.said { (example.question) }
            dl {
                dt { span.key.before {} "before" } dd.said { (answer(&example.before)) }
                dt { span.key.after {} "after" } dd.said { (answer(&example.after)) }
                dt { "expected" } dd.said { (example.expected) }
            }
            @if !example.sentence.is_empty() {
                blockquote { p.said { (example.sentence) } cite.said { (example.source) } }
            }
        }
    }
}

fn answer(text: &str) -> Markup {
    html! { @if text.trim().is_empty() { em.quiet { "nothing" } } @else { (text) } }
}
