use maud::{Markup, html};

use crate::number::count;
use crate::{Example, Report};

/// Answers that changed either way, with the sentences that prove them.
pub(crate) fn examples(report: &Report) -> Markup {
    html! {
        @if let Some(paper) = report.papers.first() {
            section {
                h2 { "Answers that changed" }
                (cards("Right only afterwards", &paper.gained, paper.comparison.changed.gained))
                (cards("Right only before", &paper.lost, paper.comparison.changed.lost))
            }
        }
    }
}

fn cards(title: &str, examples: &[Example], all: usize) -> Markup {
    let shown = examples.len();
    html! {
        h3 {
            (title) " "
            span.quiet {
                @if shown < all { (shown) " of " (count(all as u64)) } @else { (count(all as u64)) }
            }
        }
        @if examples.is_empty() { p.quiet { "None." } }
        div.cards { @for example in examples { (card(example)) } }
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
