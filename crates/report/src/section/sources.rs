use maud::{Markup, html};

use super::OPEN_ROWS;
use crate::number::{count, percent};
use crate::page::capital;
use crate::plot::stacked;
use crate::text::overlap_line;
use crate::{DocumentLine, Report};

/// What went in, and what was made of it.
pub(crate) fn sources(report: &Report) -> Markup {
    let sum = |number: fn(&DocumentLine) -> u64| -> u64 { report.documents.iter().map(number).sum() };
    let (proposed, taken) = (sum(|d| d.proposed), sum(|d| d.taken));
    let covered = report.documents.iter().filter(|d| d.taken > 0).count() as u64;
    html! {
        section {
            h2 { "What went in" }
            div.tiles {
                (tile(&count(report.documents.len() as u64), "documents read"))
                (tile(&count(sum(|d| d.sentences)), "sentences"))
                (tile(&count(proposed), "facts found by rules"))
                (tile(&count(taken), "facts taken"))
            }
            @if proposed > 0 {
                p {
                    "The facts taken are " (percent(taken as f64 / proposed as f64)) " of those found and come from "
                    (count(covered)) " of " (count(report.documents.len() as u64)) " documents. What was not taken was \
                     neither learned nor examined."
                }
            }
            (documents(&report.documents))
        }
        @if !report.flow.is_empty() {
            section {
                h2 { "What was made of it" }
                @for flow in &report.flow {
                    h3 { (capital(&flow.name)) " " span.quiet { (count(flow.asked)) " asked" } }
                    (stacked(flow))
                }
                @if let Some(overlap) = &report.overlap {
                    @let clean = overlap.is_clean();
                    h3 { "Did the exam leak into the training?" }
                    p {
                        span class={ "verdict " (if clean { "confirmed" } else { "refuted" }) } {
                            (if clean { "clean" } else { "not clean" })
                        }
                        " " (capital(&overlap_line(overlap))) "."
                    }
                    @for (item, sample, why) in &overlap.offenders {
                        p.small.said { (item) " and " (sample) ": " (why) }
                    }
                }
            }
        }
    }
}

fn tile(number: &str, label: &str) -> Markup {
    html! { div.tile { b { (number) } span { (label) } } }
}

fn documents(documents: &[DocumentLine]) -> Markup {
    let mut sorted: Vec<&DocumentLine> = documents.iter().collect();
    sorted.sort_by(|a, b| b.taken.cmp(&a.taken).then(a.id.cmp(&b.id)));
    let (open, folded) = sorted.split_at(sorted.len().min(OPEN_ROWS));
    html! {
        @if !documents.is_empty() {
            details {
                summary { "The documents" }
                (table(open))
                @if !folded.is_empty() {
                    details { summary { (folded.len()) " more documents" } (table(folded)) }
                }
            }
        }
    }
}

fn table(rows: &[&DocumentLine]) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table.documents {
                thead { tr {
                    th scope="col" { "document" } th scope="col" { "sentences" }
                    th scope="col" { "found" } th scope="col" { "taken" }
                } }
                tbody {
                    @for row in rows {
                        tr {
                            th scope="row" { span.said { (row.title) } br; span.quiet.said { (row.id) } }
                            td { (count(row.sentences)) } td { (count(row.proposed)) } td { (count(row.taken)) }
                        }
                    }
                }
            }
        }
    }
}
