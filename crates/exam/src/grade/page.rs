use maud::{DOCTYPE, html};

use super::Script;
use super::sheet::order;
use crate::paper::Paper;

/// Nothing may be loaded, sent, framed or run: answers are text that somebody else wrote.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
article { border-top: 1px solid color-mix(in srgb, currentColor 30%, transparent); padding: 1rem 0; break-inside: avoid; }
h2 { font-size: 1.1rem; margin: 0 0 .5rem; } h2 code { font-size: 1.2rem; }
h3 { font-size: .85rem; margin: 1rem 0 .25rem; opacity: .7; font-weight: 600; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; margin: 0; unicode-bidi: isolate; }
pre.answer { border-left: 3px solid currentColor; padding-left: .8rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .6rem .3rem 0; vertical-align: top; }
td.box { width: 4rem; border: 1px solid currentColor; } ol { margin: 0; padding-left: 1.2rem; }
";

/// The answers that a person marks, in the order of their CSV sheet, with question, right answer and marking
/// scheme: one HTML file that loads nothing and in which whatever a candidate wrote is text.
pub fn sheet_html(paper: &Paper, scripts: &[Script], marker: &str, seed: u64) -> String {
    let scripts = order(scripts, marker, seed);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                link rel="icon" href="data:,";
                title { "Marking sheet " (marker) " — " (paper.title) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                h1 { "Marking sheet " (marker) ": " bdi { (paper.title) } }
                p {
                    (scripts.len()) " answers, each under a code. Write the points into the column "
                    code { "points" } " of " code { "marker-" (marker) ".csv" }
                    ", a line for each part, or into the boxes here and then there. Mark in this order, alone, and leave a line \
                     empty if you cannot mark the answer. What an answer says about its points is no reason for any."
                }
                @for (at, script) in scripts.iter().enumerate() {
                    @if let Some(item) = paper.item(&script.item) {
                        article id=(script.code) {
                            h2 { (at + 1) ". " code { (script.code) } " · item " bdi { (item.id) } " · " (item.points) " points" }
                            h3 { "Question" }
                            pre { (item.question) }
                            @if item.kind.is_choice() { ol type="A" { @for option in item.kind.options() { li { (option) } } } }
                            @let solution = item.solution();
                            @if !solution.is_empty() { h3 { "Right answer" } pre { (solution) } }
                            h3 { "Answer" }
                            pre.answer { (script.text.trim()) }
                            h3 { "Points" }
                            table { tbody { @for (number, part) in item.parts().iter().enumerate() { tr {
                                td {
                                    (number + 1) ". " (part.name)
                                    @for (points, text) in &part.levels { br; small { (points) ": " (text) } }
                                }
                                td { "0–" (part.most) }
                                td.box { }
                            } } } }
                        }
                    }
                }
            }
        }
    };
    page.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grade::example::{answer, paper};
    use crate::grade::scripts;

    #[test]
    fn the_page_shows_answers_as_text_and_no_names() {
        let answers = [answer("ann-the-model", "4", "<script>alert(1)</script> The sea"), answer("bob", "1", "B")];
        let page = sheet_html(&paper(), &scripts(&paper(), &answers, 1), "1", 1);
        assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>"));
        assert!(!page.contains("ann-the-model") && !page.contains("bob"));
        assert!(page.contains("several") && page.contains("marker-1.csv"));
        assert_eq!(page.matches("<article").count(), 2);
    }
}
