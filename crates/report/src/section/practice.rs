use maud::{Markup, html};
use record::Guard;

use crate::number::{count, percent, points};
use crate::plot::{curve, stacked, track};
use crate::{Pair, Practice};

/// A measure of the guard, as it is drawn: name, value with half of its interval, how it is said.
struct Measure {
    name: &'static str,
    value: fn(&Guard) -> Option<(f64, f64)>,
    say: fn(f64) -> String,
}

/// What is drawn, in the order of interest.
const MEASURES: [Measure; 8] = [
    Measure {
        name: "held-out questions right",
        value: |g| Some((g.accuracy?, 1.96 * g.accuracy_error.unwrap_or(0.0))),
        say: |v| format!("{:.0} %", 100.0 * v),
    },
    Measure { name: "held-out preferences followed", value: |g| Some((g.preferred?, 0.0)), say: |v| percent(v) },
    Measure { name: "intrinsic reward, nats a token", value: |g| Some((g.reward, 0.0)), say: |v| format!("{v:.2}") },
    Measure { name: "divergence, nats a token", value: |g| Some((g.kl, 0.0)), say: |v| format!("{v:.3}") },
    Measure { name: "entropy, nats a token", value: |g| Some((g.entropy, 0.0)), say: |v| format!("{v:.2}") },
    Measure { name: "tokens of an answer", value: |g| Some((g.length, 0.0)), say: |v| format!("{v:.1}") },
    Measure {
        name: "repeated runs of four tokens",
        value: |g| Some((g.repetition, 0.0)),
        say: |v| format!("{:.1} %", 100.0 * v),
    },
    Measure {
        name: "wrong answer surer than a right one",
        value: |g| Some((g.confident_wrong?, 0.0)),
        say: |v| format!("{:.0} %", 100.0 * v),
    },
];

/// Practice: what it learned from, what the guard saw, what was kept and why.
pub(crate) fn practice(practice: &Practice) -> Markup {
    html! {
        section {
            h2 { "What the guard saw" }
            p { (practice.verdict()) "." }
            p.legend-line {
                span { span.key.line.validation {} "measured on held-out questions" }
                span { span.key.line.training {} "the step that was kept" }
                @if practice.guards.iter().any(|guard| guard.accuracy_error.is_some()) {
                    span.quiet { "bars are 95 % intervals of single points" }
                }
            }
            div.tracks { @for measure in &MEASURES { (one(practice, measure)) } }
            details { summary { "All figures" } (table(practice)) }
            p.small {
                "Answers are greedy. Intrinsic reward is the mean over answers of their mean log-probability; divergence \
                 is the mean of log π − log π of the model before practice over the answers' tokens; entropy counts all \
                 but the twenty most probable tokens as one, and so is a lower bound."
            }
        }
        section {
            h2 { "What it practised on" }
            p {
                @match &practice.method {
                    Some(method) => {
                        "Preferences by " span.said { (method) } @if let Some(sampler) = &practice.sampler { " from " span.said { (sampler) } }
                        ", learned by " span.said { (practice.loss) } "."
                    }
                    None => { "Preferences that were given, learned by " span.said { (practice.loss) } "." }
                }
            }
            @for flow in &practice.flow {
                h3 { (crate::page::capital(&flow.name)) " " span.quiet { (count(flow.asked)) " asked" } }
                (stacked(flow))
            }
            @if let (Some(last), Some(picture)) = (practice.curve.last(), curve(&practice.curve)) {
                h3 { "Loss" }
                p { (count(last.step)) " steps, " (format!("{:.1}", last.epoch)) " passes, " (count(last.tokens)) " tokens." }
                (picture)
            }
            @if !practice.pairs.is_empty() {
                h3 { "Some of the preferences" }
                div.cards { @for pair in &practice.pairs { (card(pair)) } }
            }
        }
    }
}

fn one(practice: &Practice, measure: &Measure) -> Markup {
    let values = practice.guards.iter().filter_map(|guard| {
        let (value, half) = (measure.value)(guard)?;
        Some((guard.step, value, half))
    });
    let drawn = track(&values.collect::<Vec<_>>(), practice.kept, &measure.say);
    html! { @if let Some(drawn) = drawn { figure { figcaption { (measure.name) } (drawn) } } }
}

fn table(practice: &Practice) -> Markup {
    let shown: Vec<&Measure> = MEASURES
        .iter()
        .filter(|measure| practice.guards.iter().any(|guard| (measure.value)(guard).is_some()))
        .collect();
    html! {
        div.scroll tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { "step" }
                    @for measure in &shown { th scope="col" { (measure.name) } }
                    th scope="col" { "against the best before" }
                } }
                tbody { @for guard in &practice.guards { tr {
                    th scope="row" { (count(guard.step)) @if guard.step == practice.kept { " " b { "kept" } } }
                    @for measure in &shown {
                        td { @if let Some((value, _)) = (measure.value)(guard) { ((measure.say)(value)) } }
                    }
                    td { @if let Some((fall, error)) = guard.fall {
                        (points(fall)) " points ± " (format!("{:.1}", 100.0 * error))
                    } }
                } } }
            }
        }
    }
}

fn card(pair: &Pair) -> Markup {
    let f = |f: Option<f64>| f.map(|f| format!(" (f = {f:.2})")).unwrap_or_default();
    html! {
        article {
            p.question.said { (pair.question) }
            dl {
                @if let Some(chosen) = &pair.chosen {
                    dt { "chosen" (f(pair.outlooks.map(|outlooks| outlooks.0))) } dd.said { (chosen) }
                }
                @if let Some(rejected) = &pair.rejected {
                    dt { "rejected" (f(pair.outlooks.map(|outlooks| outlooks.1))) } dd.said { (rejected) }
                }
            }
            @if let Some(step) = pair.step { p.small { "Step " (step) " of the search." } }
        }
    }
}
