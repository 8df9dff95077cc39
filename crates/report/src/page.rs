use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::headline::{certainty, change, headline};
use crate::{Report, section};

/// Nothing may be loaded, sent, framed or run. The empty icon keeps a browser from asking for one.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

const STYLE: &str = include_str!("style.css");

/// Draws the report as one HTML file that needs nothing else.
pub fn render(report: &Report) -> String {
    let headline = headline(report);
    shell(
        &format!("{} — report", report.title),
        html! {
            header {
                p.kicker { span.said { (report.model) } " on " span.said { (report.title) } }
                h1 { (headline) "." }
                @if let Some(paper) = report.papers.first() {
                    p.lede {
                        (capital(&paper.title)) ", " (paper.mode()) ": " b { (change(paper)) } " ("
                        (certainty(paper)) ")."
                    }
                }
                @for note in &report.notes { p.note { b { "Note. " } (note) } }
            }
            main {
                (section::exams(report))
                (section::examples(report))
                (section::sources(report))
                (section::training(report))
                @if let Some(practice) = &report.practice { (section::practice(practice)) }
                (section::cost(&report.costs))
                (section::manifest(&report.manifest))
            }
            footer { p { "Made by lyceum " (report.manifest.version) ". This page is one file: it loads nothing and sends nothing." } }
        },
    )
}

/// A whole page that needs nothing else, with this title and body.
pub(crate) fn shell(title: &str, body: Markup) -> String {
    let page: Markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// With a capital first letter.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}
