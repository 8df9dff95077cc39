use exam::Estimate;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::number::{count, percent, points, signed};
use crate::page::shell;

/// Strategies held against each other on one set of problems.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lab {
    /// Layout of this record; 1.
    pub schema_version: u32,
    /// Name of the set of problems.
    pub set: String,
    /// The models that answered.
    pub models: Vec<String>,
    /// What intervals are clustered by: `seed`, where each seed is a model of its own, or `problem`.
    pub clusters: String,
    /// One line a strategy.
    pub rows: Vec<LabRow>,
    /// The claims, one by one.
    pub claims: Vec<Claim>,
}

/// One strategy's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabRow {
    /// The strategy.
    pub name: String,
    /// Share of problems answered rightly, with its 95 % interval.
    pub accuracy: Estimate,
    /// The same for each seed, in order.
    pub by_seed: Vec<f64>,
    /// Decode tokens a problem.
    pub decode: f64,
    /// Prompt tokens a problem, whether computed or found in the prefix tree.
    pub prompt: f64,
    /// Requests to the model a problem.
    pub calls: f64,
    /// 2·P·(prompt + decode) a problem, where P is known.
    pub flops: Option<f64>,
    /// 6·P·decode a problem, as the paper counts.
    pub flops_paper: Option<f64>,
    /// Problems whose search failed; they count as wrong.
    pub failed: usize,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ruling {
    /// The whole interval lies on the claim's side.
    Confirmed,
    /// The whole interval lies on the other side.
    Refuted,
    /// The interval holds 0.
    Undecided,
}

/// A claim and what the problems say to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// In words.
    pub says: String,
    /// The two contestants.
    pub pair: (String, String),
    /// Accuracy of the first minus that of the second, problem by problem.
    pub difference: Estimate,
    /// Decode tokens of the first as a share of those of the second.
    pub tokens: f64,
    /// Interval of the relative difference of tokens, first − second over the larger mean.
    pub saving: Estimate,
    /// The verdict.
    pub ruling: Ruling,
}

impl Claim {
    /// The verdict's grounds in a line.
    pub fn grounds(&self) -> String {
        format!(
            "{} points [{}, {}], {:.2} of the tokens; a true difference of {:.1} points would have been seen in 4 of 5 such labs",
            points(self.difference.mean),
            points(self.difference.low),
            points(self.difference.high),
            self.tokens,
            100.0 * self.difference.detectable
        )
    }
}

/// The lab as lines for a terminal, in Markdown.
pub fn lab_text(lab: &Lab) -> String {
    let mut text = format!(
        "{} on {}: n = {}, intervals of 95 % clustered by {}\n\n| strategy | right | 95 % | decode tokens | calls | prompt tokens |\n|---|---|---|---|---|---|\n",
        lab.set,
        lab.models.join(", "),
        lab.rows.first().map_or(0, |row| row.accuracy.n),
        lab.clusters
    );
    for row in &lab.rows {
        text += &format!(
            "| {} | {:.1} % | {:.1}–{:.1} | {:.0} | {:.1} | {:.0} |\n",
            row.name,
            100.0 * row.accuracy.mean,
            100.0 * row.accuracy.low,
            100.0 * row.accuracy.high,
            row.decode,
            row.calls,
            row.prompt
        );
    }
    text += "\n| claim | verdict | grounds |\n|---|---|---|\n";
    for claim in &lab.claims {
        text += &format!("| {} | {} | {} |\n", claim.says, word(claim.ruling), claim.grounds());
    }
    text
}

/// A ruling as a word.
pub(crate) fn word(ruling: Ruling) -> &'static str {
    match ruling {
        Ruling::Confirmed => "confirmed",
        Ruling::Refuted => "refuted",
        Ruling::Undecided => "undecided",
    }
}

/// Draws the lab as one HTML file that needs nothing else.
pub fn render_lab(lab: &Lab) -> String {
    let n = lab.rows.first().map_or(0, |row| row.accuracy.n);
    shell(
        &format!("{} — strategies", lab.set),
        html! {
            header {
                p.kicker { span.said { (lab.models.join(", ")) } }
                h1 { "Strategies on " span.said { (lab.set) } "." }
                p.lede {
                    (count(n as u64)) " answers a strategy; bars are 95 % intervals clustered by " (lab.clusters) "."
                }
            }
            main {
                section {
                    h2 { "Accuracy against tokens" }
                    (scatter(lab))
                    div.scroll { table.lab {
                        thead { tr {
                            th { "strategy" } th.number { "right" } th.number { "95 % interval" } th.number { "decode tokens" }
                            th.number { "calls" } th.number { "prompt tokens" } th.number { "failed" }
                        } }
                        tbody { @for (place, row) in lab.rows.iter().enumerate() { tr {
                            td { b { (place + 1) } " " span.said { (row.name) } }
                            td.number { (percent(row.accuracy.mean)) }
                            td.number { (percent(row.accuracy.low)) " to " (percent(row.accuracy.high)) }
                            td.number { (count(row.decode.round() as u64)) }
                            td.number { (format!("{:.1}", row.calls)) }
                            td.number { (count(row.prompt.round() as u64)) }
                            td.number { (row.failed) }
                        } } }
                    } }
                }
                section {
                    h2 { "Claims" }
                    div.scroll { table.lab {
                        thead { tr { th { "claim" } th { "verdict" } th.number { "points" } th.number { "95 % interval" } th.number { "tokens" } th.number { "could be seen" } } }
                        tbody { @for claim in &lab.claims { tr {
                            td { (claim.says) }
                            td { b { (word(claim.ruling)) } }
                            td.number { (points(claim.difference.mean)) }
                            td.number { (points(claim.difference.low)) " to " (points(claim.difference.high)) }
                            td.number { (format!("×{:.2}", claim.tokens)) }
                            td.number { (signed(100.0 * claim.difference.detectable, 1)) }
                        } } }
                    } }
                }
            }
            footer { p { "This page is one file: it loads nothing and sends nothing." } }
        },
    )
}

/// Height of the drawing in pixels.
const HEIGHT: f64 = 320.0;

/// A dot a strategy, numbered as in the table: decode tokens a problem along x (a factor of ten a
/// line), the share of right answers along y.
fn scatter(lab: &Lab) -> Markup {
    let logs: Vec<f64> = lab.rows.iter().map(|row| row.decode.max(1.0).log10()).collect();
    let low = logs.iter().copied().fold(f64::INFINITY, f64::min).floor();
    let high = logs.iter().copied().fold(low + 1.0, f64::max).ceil();
    let x = |log: f64| format!("{:.2}%", 100.0 * (log - low) / (high - low));
    let y = |share: f64| format!("{:.2}", HEIGHT * (1.0 - share.clamp(0.0, 1.0)));
    let decades = (low as i32)..=(high as i32);
    html! {
        svg.curve.lab role="img" aria-label="accuracy against decode tokens, one dot a strategy" height=(HEIGHT + 28.0) overflow="visible" {
            @for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
                line.grid x1="0" x2="100%" y1=(y(tick)) y2=(y(tick)) {}
                text x="-8" y=(y(tick)) text-anchor="end" { (percent(tick)) }
            }
            @for decade in decades {
                line.grid x1=(x(decade.into())) x2=(x(decade.into())) y1="0" y2=(HEIGHT) {}
                text x=(x(decade.into())) y=(HEIGHT + 22.0) text-anchor="middle" { (count(10u64.pow(decade.max(0) as u32))) }
            }
            @for (place, (row, log)) in lab.rows.iter().zip(&logs).enumerate() {
                line.whisker x1=(x(*log)) x2=(x(*log)) y1=(y(row.accuracy.low)) y2=(y(row.accuracy.high)) {}
                circle.dot.after cx=(x(*log)) cy=(y(row.accuracy.mean)) r="4.5" { title { (row.name) ", " (percent(row.accuracy.mean)) ", " (count(row.decode.round() as u64)) " tokens" } }
                text.place x=(x(*log)) dx="7" y=(y(row.accuracy.mean)) dy=(if place % 2 == 0 { "-5" } else { "13" }) { (place + 1) }
            }
        }
        p.note { "Decode tokens a problem, on a logarithmic scale." }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(mean: f64) -> Estimate {
        Estimate {
            mean,
            standard_error: 0.01,
            low: mean - 0.05,
            high: mean + 0.05,
            n: 100,
            clusters: 5,
            detectable: 0.03,
        }
    }

    #[test]
    fn names_are_escaped_and_every_strategy_has_a_dot() {
        let row = |name: &str, decode: f64| LabRow {
            name: name.into(),
            accuracy: estimate(0.5),
            by_seed: vec![0.5],
            decode,
            prompt: 12.0,
            calls: 1.0,
            flops: None,
            flops_paper: None,
            failed: 0,
        };
        let claim = Claim {
            says: "a beats b".into(),
            pair: ("a".into(), "b".into()),
            difference: estimate(0.1),
            tokens: 0.5,
            saving: estimate(-0.5),
            ruling: Ruling::Confirmed,
        };
        let lab = Lab {
            schema_version: 1,
            set: "chain<script>".into(),
            models: vec!["m".into()],
            clusters: "seed".into(),
            rows: vec![row("a", 20.0), row("<b>", 900.0)],
            claims: vec![claim],
        };
        let page = render_lab(&lab);
        assert!(!page.contains("<script>") && !page.contains("<b></b>") && page.matches("<circle").count() == 2);
        let text = lab_text(&lab);
        assert!(text.contains("| a beats b | confirmed | +10 points [+5.0, +15]"), "{text}");
    }
}
