use exam::{Estimate, Group, McNemar, Tally};
use maud::{Markup, html};

use super::OPEN_ROWS;
use crate::headline::verdict;
use crate::number::{count, p_value, percent, plural, points};
use crate::page::capital;
use crate::plot::{axis, dumbbell};
use crate::text::left_out;
use crate::{Paper, Report};

/// Before and after: every exam, then the first one by document and by kind of answer.
pub(crate) fn exams(report: &Report) -> Markup {
    html! {
        @if let Some(first) = report.papers.first() {
            section {
                h2 { "Before and after" }
                p.legend-line {
                    span { span.key.before {} "before" } span { span.key.after {} "after" }
                    span.quiet { "bars are 95 % intervals; failures and abstentions count as wrong" }
                }
                div.rows {
                    @for paper in &report.papers {
                        (row(&capital(&paper.title), paper.mode(), &paper.comparison.before, &paper.comparison.after,
                            Some(&paper.comparison.difference)))
                    }
                    (scale())
                }
                (substance(report))
                h3 { "What that says" }
                ul.verdicts { @for paper in &report.papers { (line(paper)) } }
                details { summary { "All figures" } (table(report)) }
            }
            section {
                h2 { "By kind of answer" }
                p.quiet { (capital(&first.title)) ", " (first.mode()) "." }
                (groups(&first.comparison.by_kind, "kinds", capital))
            }
            section {
                h2 { "By document" }
                p.quiet { (capital(&first.title)) ", " (first.mode()) ". Documents with most questions first." }
                (groups(&first.comparison.by_document, "documents", |id| title(report, id)))
            }
        }
    }
}

/// One exam, before and after.
pub(crate) fn one_exam(paper: &Paper) -> Markup {
    html! {
        section {
            h2 { "Before and after" }
            p.legend-line {
                span { span.key.before {} "before" } span { span.key.after {} "after" }
                span.quiet { "bars are 95 % intervals; failures and abstentions count as wrong" }
            }
            div.rows {
                (row(&capital(&paper.title), paper.mode(), &paper.comparison.before, &paper.comparison.after,
                    Some(&paper.comparison.difference)))
                (scale())
            }
            ul.verdicts { (line(paper)) }
        }
    }
}

/// How much of the differences is form: an untouched model answers in sentences.
fn substance(report: &Report) -> Markup {
    let papers: Vec<&Paper> = report.papers.iter().filter(|paper| !paper.comparison.choices).collect();
    html! {
        @if !papers.is_empty() {
            p {
                "An answer is right only if it is the accepted one and nothing else, and a model that answers in whole \
                 sentences gets none of them. Counting every answer that holds the accepted one somewhere: "
                @for (index, paper) in papers.iter().enumerate() {
                    @if index > 0 { "; " }
                    (paper.title) ", " (paper.mode()) " " (percent(paper.comparison.before.contained)) " → "
                    b { (percent(paper.comparison.after.contained)) } " (" (points(paper.comparison.contained.mean))
                    " points, standard error " (format!("{:.1}", 100.0 * paper.comparison.contained.standard_error)) ")"
                }
                "."
            }
        }
    }
}

fn line(paper: &Paper) -> Markup {
    let (word, reason) = verdict(paper);
    let Estimate { mean, n, clusters, standard_error, .. } = paper.comparison.difference;
    html! {
        li {
            p { span class={ "verdict " (word) } { (word) } " " b { (capital(&paper.title)) ", " (paper.mode()) } }
            p {
                (capital(&reason)) " (" (points(mean)) " points, standard error "
                (format!("{:.1}", 100.0 * standard_error)) ", " (plural(n, "question")) " about "
                (plural(clusters, "fact")) (left_out(paper)) ")."
            }
            @if let Some(growth) = &paper.growth { p { (capital(&growth.sentence())) "." } }
        }
    }
}

/// A document's title; the id where there is none, as for a bank about other documents.
fn title(report: &Report, id: &str) -> String {
    let document = report.documents.iter().find(|document| document.id == id);
    document.map(|d| d.title.clone()).filter(|title| !title.is_empty()).unwrap_or_else(|| id.into())
}

fn groups(groups: &[Group], noun: &str, name: impl Fn(&str) -> String) -> Markup {
    let mut groups: Vec<&Group> = groups.iter().collect();
    groups.sort_by(|a, b| b.before.n.cmp(&a.before.n).then(a.name.cmp(&b.name)));
    let (open, folded) = groups.split_at(groups.len().min(OPEN_ROWS));
    let rows = |groups: &[&Group]| {
        html! {
            div.rows {
                @for group in groups {
                    (row(&name(&group.name), &plural(group.before.n, "question"), &group.before, &group.after,
                        group.difference.as_ref()))
                }
                (scale())
            }
        }
    };
    html! {
        (rows(open))
        @if !folded.is_empty() {
            details { summary { (folded.len()) " more " (noun) } (rows(folded)) }
        }
    }
}

fn row(name: &str, note: &str, before: &Tally, after: &Tally, difference: Option<&Estimate>) -> Markup {
    html! {
        div.row {
            div.name { span.said { (name) } " " span.quiet { (note) } }
            (dumbbell(before, after))
            div.figure {
                span { (percent(before.score)) " → " b { (percent(after.score)) } }
                @if let Some(estimate) = difference { span.quiet { (points(estimate.mean)) " points" } }
            }
        }
    }
}

fn scale() -> Markup {
    html! { div.row.scale { div {} (axis()) div {} } }
}

fn table(report: &Report) -> Markup {
    let cells = |tally: &Tally| {
        html! {
            td { (count(tally.right as u64)) " of " (count(tally.n as u64)) }
            td { (percent(tally.score)) }
            td { (percent(tally.secondary)) }
            td { (percent(tally.contained)) }
            td { (tally.abstained) }
            td { (tally.failed) }
        }
    };
    html! {
        @for paper in &report.papers {
            @let McNemar { gained, lost, exact, mid } = paper.comparison.changed;
            h4 { (capital(&paper.title)) ", " (paper.mode()) }
            div.scroll tabindex="0" {
                table {
                    thead { tr {
                        th scope="col" { "sitting" } th scope="col" { "right" } th scope="col" { "score" }
                        th scope="col" { "second mark" } th scope="col" { "held" } th scope="col" { "no answer" } th scope="col" { "failed" }
                    } }
                    tbody {
                        tr { th scope="row" { "before" } (cells(&paper.comparison.before)) }
                        tr { th scope="row" { "after" } (cells(&paper.comparison.after)) }
                    }
                }
            }
            p.small {
                "Score: " (estimate(&paper.comparison.difference)) ". Second mark: "
                (estimate(&paper.comparison.secondary)) ". Changed: " (gained) " gained, " (lost)
                " lost (McNemar, exact " (p_value(exact)) ", mid-p " (p_value(mid)) "). A true difference of "
                (format!("{:.1}", 100.0 * paper.comparison.difference.detectable))
                " points would be seen in 80 of 100 such exams."
            }
        }
        p.small {
            "The score of an answered question is 1 if the answer equals an accepted one after normalising, and its \
             second mark is the token F1; the score of a question with choices is 1 if the right choice has the \
             highest likelihood, and its second mark uses the likelihood per byte. Held: the answer holds the accepted \
             one somewhere. Of questions with choices both marks must reach the bar. Differences are paired by \
             question; their standard errors are clustered by fact, with t intervals. Intervals of single sittings \
             are Wilson's, with as many trials as there are facts."
        }
    }
}

fn estimate(e: &Estimate) -> String {
    format!(
        "{} points (95 % interval {} to {}, standard error {:.1}, n = {}, {})",
        points(e.mean),
        points(e.low),
        points(e.high),
        100.0 * e.standard_error,
        e.n,
        plural(e.clusters, "fact")
    )
}
