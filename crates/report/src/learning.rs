use std::collections::BTreeMap;

use exam::Estimate;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::lab::{Ruling, word};
use crate::number::{count, percent, points, signed};
use crate::page::shell;
use crate::plot::{gain_axis, gains};

/// Ways of learning without labels held against each other: sampling and loss, one model a seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learning {
    /// Layout of this record; 1.
    pub schema_version: u32,
    /// What is compared, in a word: `practice`, or `practice-rates` where rates are chosen.
    pub set: String,
    /// The models that learned.
    pub models: Vec<String>,
    /// Unlabelled questions that each practised on.
    pub questions: usize,
    /// Held-out problems that chose which point of a training is kept.
    pub guard: usize,
    /// The bank that the marks below come from, in a word: `exam`, or `validation` where rates are chosen.
    pub bank: String,
    /// What intervals are clustered by: `seed`, where each is a model of its own, or `problem`.
    pub clusters: String,
    /// Share of right answers before practice.
    pub before: Estimate,
    /// The same for each model.
    pub before_by_seed: Vec<f64>,
    /// One line a way of learning.
    pub rows: Vec<LearningRow>,
    /// The claims, one by one.
    pub claims: Vec<LearningClaim>,
}

/// One way of learning: its figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearningRow {
    /// Sampling and loss, as `genius+aco`.
    pub name: String,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// At the kept point of each training.
    pub kept: Standing,
    /// At the last point, as if nobody had watched.
    pub last: Standing,
    /// Decode tokens a question that the sampling took.
    pub decode: f64,
    /// Prompt tokens a question of the sampling, computed or found in the prefix tree.
    pub prompt: f64,
    /// Tokens that the trainer read, a model; what answers share is read once.
    pub training: f64,
    /// Preferences to learn from, a model: pairs, or single answers where the loss takes those.
    pub pairs: f64,
    /// Optimiser steps of each model's training.
    pub steps: Vec<u64>,
    /// What the sampling asked for and did not find, by reason, over all models.
    pub dropped: BTreeMap<String, u64>,
}

/// How a way of learning stood at one point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Share of problems answered rightly, with its 95 % interval.
    pub accuracy: Estimate,
    /// The same less that before practice, problem by problem.
    pub gain: Estimate,
    /// The gain of each model.
    pub by_seed: Vec<f64>,
    /// Step of each model's training.
    pub step: Vec<u64>,
    /// Divergence from the model before practice along greedy answers, nats a token, mean over models.
    pub kl: f64,
}

/// A claim and what the problems say to it, where the guard chose the point and where nobody did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearningClaim {
    /// In words.
    pub says: String,
    /// The two contestants; `base` is the model before practice.
    pub pair: (String, String),
    /// Between the kept points.
    pub kept: Finding,
    /// Between the last points.
    pub last: Finding,
}

/// A difference of accuracy and the verdict that follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Accuracy of the first minus that of the second, problem by problem.
    pub difference: Estimate,
    /// Confirmed if the whole interval is above 0, refuted if below.
    pub ruling: Ruling,
}

impl Finding {
    /// The verdict's grounds in a line.
    pub fn grounds(&self) -> String {
        let Estimate { mean, low, high, detectable, .. } = self.difference;
        format!("{} points [{}, {}] (detectable: {:.1})", points(mean), points(low), points(high), 100.0 * detectable)
    }
}

fn interval(estimate: &Estimate) -> String {
    format!("[{}, {}]", points(estimate.low), points(estimate.high))
}

/// Numbers with a slash between them, one a model.
fn each(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" / ")
}

/// The lab as lines for a terminal, in Markdown.
pub fn learning_text(lab: &Learning) -> String {
    let Estimate { mean, low, high, n, .. } = lab.before;
    let mut text = format!(
        "{} on {}: {} questions without answers a model, {} problems of the {} bank in all, intervals of 95 % \
         clustered by {}; {} held-out problems choose the kept point\n\nbefore practice: {:.1} % [{:.1}, {:.1}]\n\n",
        lab.set,
        lab.models.join(", "),
        count(lab.questions as u64),
        count(n as u64),
        lab.bank,
        lab.clusters,
        lab.guard,
        100.0 * mean,
        100.0 * low,
        100.0 * high
    );
    text += "| sampling + loss | rate | right after | gain | 95 % | last point: gain | 95 % | sampling tokens | training tokens | pairs | KL | kept step | of |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
    for row in &lab.rows {
        text += &format!(
            "| {} | {:.0e} | {:.1} % | {} | {} | {} | {} | {:.0} | {} | {} | {:.3} | {} | {} |\n",
            row.name,
            row.learning_rate,
            100.0 * row.kept.accuracy.mean,
            points(row.kept.gain.mean),
            interval(&row.kept.gain),
            points(row.last.gain.mean),
            interval(&row.last.gain),
            row.decode,
            count(row.training.round() as u64),
            count(row.pairs.round() as u64),
            row.kept.kl,
            each(&row.kept.step),
            each(&row.steps)
        );
    }
    if !lab.claims.is_empty() {
        text += "\n| claim | kept point | grounds | last point | grounds |\n|---|---|---|---|---|\n";
    }
    for claim in &lab.claims {
        text += &format!(
            "| {} | {} | {} | {} | {} |\n",
            claim.says,
            word(claim.kept.ruling),
            claim.kept.grounds(),
            word(claim.last.ruling),
            claim.last.grounds()
        );
    }
    text
}

/// Draws the lab as one HTML file that needs nothing else.
pub fn render_learning(lab: &Learning) -> String {
    let body = html! {
        header {
            p.kicker { span.said { (lab.models.join(", ")) } }
            h1 { "Learning without labels." }
            p.lede {
                "Each model practised on " (count(lab.questions as u64)) " questions without answers. Before: "
                b { (percent(lab.before.mean)) } " of " (count(lab.before.n as u64)) " answers to the " (lab.bank)
                " bank right; bars are 95 % intervals of the gain, clustered by " (lab.clusters) "."
            }
        }
        main {
            section {
                h2 { "What was gained" }
                p.legend-line {
                    span { span.key.after {} "the point that " (lab.guard) " held-out problems chose" }
                    span { span.key.before {} "the last point" }
                }
                (drawing(lab))
                details { summary { "All figures" } (table(lab)) }
            }
            @if !lab.claims.is_empty() { section { h2 { "Claims" } (claims(lab)) } }
        }
        footer { p { "This page is one file: it loads nothing and sends nothing." } }
    };
    shell(&format!("{} — learning without labels", lab.set), body)
}

fn drawing(lab: &Learning) -> Markup {
    let estimates = lab.rows.iter().flat_map(|row| [&row.kept.gain, &row.last.gain]);
    let reach = estimates.map(|gain| gain.low.abs().max(gain.high.abs())).fold(0.0, f64::max);
    // Whole steps of ten points on both sides of nothing.
    let reach = (reach * 10.0).ceil().clamp(1.0, 10.0) / 10.0;
    html! {
        div.rows {
            @for row in &lab.rows {
                div.row {
                    div.name { span.said { (row.name) } span.quiet { (count(row.pairs.round() as u64)) " preferences" } }
                    (gains(&row.last.gain, &row.kept.gain, reach))
                    div.figure { (points(row.kept.gain.mean)) span.quiet { "last " (points(row.last.gain.mean)) } }
                }
            }
            div.row.scale { div {} (gain_axis(reach)) div {} }
        }
    }
}

fn table(lab: &Learning) -> Markup {
    html! {
        div.scroll { table.lab {
            thead { tr {
                th { "sampling + loss" } th { "rate" } th { "right" } th { "gain" } th { "95 % interval" } th { "last: gain" }
                th { "95 % interval" } th { "sampling tokens a question" } th { "training tokens" } th { "preferences" } th { "KL" }
                th { "kept step" } th { "of" }
            } }
            tbody { @for row in &lab.rows { tr {
                td { span.said { (row.name) } }
                td { (format!("{:.0e}", row.learning_rate)) }
                td { (percent(row.kept.accuracy.mean)) }
                td { (points(row.kept.gain.mean)) }
                td { (interval(&row.kept.gain)) }
                td { (points(row.last.gain.mean)) }
                td { (interval(&row.last.gain)) }
                td { (count(row.decode.round() as u64)) }
                td { (count(row.training.round() as u64)) }
                td { (count(row.pairs.round() as u64)) }
                td { (format!("{:.3}", row.kept.kl)) }
                td { (each(&row.kept.step)) }
                td { (each(&row.steps)) }
            } } }
        } }
    }
}

fn claims(lab: &Learning) -> Markup {
    html! {
        div.scroll { table.lab {
            thead { tr {
                th { "claim" } th { "kept point" } th { "points" } th { "95 % interval" } th { "could be seen" }
                th { "last point" } th { "points" } th { "95 % interval" } th { "could be seen" }
            } }
            tbody { @for claim in &lab.claims { tr {
                td { (claim.says) }
                @for finding in [&claim.kept, &claim.last] {
                    td { b { (word(finding.ruling)) } }
                    td { (points(finding.difference.mean)) }
                    td { (interval(&finding.difference)) }
                    td { (signed(100.0 * finding.difference.detectable, 1)) }
                }
            } } }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(mean: f64) -> Estimate {
        let (low, high) = (mean - 0.05, mean + 0.05);
        Estimate { mean, standard_error: 0.01, low, high, n: 3000, clusters: 3, detectable: 0.03 }
    }

    fn standing(gain: f64) -> Standing {
        let (accuracy, gain) = (estimate(0.4 + gain), estimate(gain));
        Standing { accuracy, gain, by_seed: vec![gain.mean; 3], step: vec![20, 10, 0], kl: 0.0123 }
    }

    #[test]
    fn a_row_says_what_was_kept_and_where_it_would_have_ended() {
        let row = LearningRow {
            name: "genius+<aco>".into(),
            learning_rate: 1e-3,
            kept: standing(0.05),
            last: standing(-0.31),
            decode: 1000.4,
            prompt: 300.0,
            training: 500_000.0,
            pairs: 7999.6,
            steps: vec![60; 3],
            dropped: BTreeMap::new(),
        };
        let finding = |mean, ruling| Finding { difference: estimate(mean), ruling };
        let claim = LearningClaim {
            says: "a beats b".into(),
            pair: ("a".into(), "b".into()),
            kept: finding(0.06, Ruling::Confirmed),
            last: finding(0.0, Ruling::Undecided),
        };
        let lab = Learning {
            schema_version: 1,
            set: "practice".into(),
            models: vec!["m".into()],
            questions: 2000,
            guard: 200,
            bank: "exam".into(),
            clusters: "seed".into(),
            before: estimate(0.4),
            before_by_seed: vec![0.4; 3],
            rows: vec![row],
            claims: vec![claim],
        };
        let text = learning_text(&lab);
        assert!(text.contains("| genius+<aco> | 1e-3 | 45.0 % | +5.0 | [0, +10] | −31 | [−36, −26] | 1000 | 500,000 | 8,000 | 0.012 | 20 / 10 / 0 | 60 / 60 / 60 |"), "{text}");
        assert!(
            text.contains("| a beats b | confirmed | +6.0 points [+1.0, +11] (detectable: 3.0) | undecided |"),
            "{text}"
        );
        let page = render_learning(&lab);
        assert!(!page.contains("<aco>") && page.contains("&lt;aco&gt;") && page.matches("<circle").count() == 2);
        let read: Learning = serde_json::from_str(&serde_json::to_string(&lab).expect("json")).expect("read");
        assert_eq!(read, lab);
    }
}
