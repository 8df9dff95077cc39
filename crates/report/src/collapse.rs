use exam::Estimate;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::lab::{Ruling, word};
use crate::number::{count, percent, points};
use crate::page::shell;
use crate::plot::course;

/// Practice that is driven too far on purpose, once watched and once not: does the guard stop it in
/// time, and is what it keeps the best?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collapse {
    /// Layout of this record; 1.
    pub schema_version: u32,
    /// Sampling and loss, as `genius+aco`.
    pub way: String,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Passes over the preferences of the course that nobody stopped.
    pub epochs: u64,
    /// Problems of the guard's bank.
    pub guard: usize,
    /// Problems of the bank that the guard never saw.
    pub unseen: usize,
    /// One course a model.
    pub courses: Vec<CollapseCourse>,
}

/// One model's training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollapseCourse {
    /// The model.
    pub model: String,
    /// What was measured of the training that nobody stopped, in order of the steps.
    pub points: Vec<CollapsePoint>,
    /// Where the guard stopped the same training, and why; none if it let it end.
    pub stop: Option<(u64, String)>,
    /// Step whose model the guard kept.
    pub kept: u64,
    /// At the stop: accuracy on the guard's bank less that of its best point before, problem by
    /// problem, with its standard error; none if it was not stopped.
    pub fall: Option<(f64, f64)>,
    /// Step that was best on the unseen bank, of the whole course that nobody stopped.
    pub best: u64,
    /// On the unseen bank: accuracy of the best point of the whole course less that of the kept one,
    /// problem by problem.
    pub shortfall: Estimate,
    /// On the unseen bank: accuracy of the last point that nobody stopped less that of the best one.
    pub collapse: Estimate,
    /// Whether the course collapsed: it ends more than two standard errors below its best point.
    pub collapsed: bool,
    /// Whether the guard stopped it before accuracy on its bank fell by more than two standard errors.
    pub in_time: Ruling,
    /// Whether the kept point is within 3 points of the best one on the unseen bank.
    pub near: Ruling,
}

/// A point of a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollapsePoint {
    /// Steps done.
    pub step: u64,
    /// Share of the guard's bank answered rightly.
    pub guard: f64,
    /// Share of the unseen bank answered rightly.
    pub unseen: f64,
    /// Mean log-probability of the model's own greedy answers, nats a token.
    pub reward: f64,
    /// Divergence from the model before practice, nats a token.
    pub kl: f64,
    /// Entropy of the next token, nats.
    pub entropy: f64,
    /// Tokens of an answer.
    pub length: f64,
    /// Share of runs of four tokens that stood before in the same answer.
    pub repetition: f64,
}

impl CollapseCourse {
    fn stopped(&self) -> String {
        self.stop.as_ref().map_or("not stopped".into(), |(step, _)| format!("step {step}"))
    }

    fn fallen(&self) -> String {
        self.fall.map_or("—".into(), |(fall, error)| format!("{} ± {:.1}", points(fall), 100.0 * error))
    }

    fn short(&self) -> String {
        let Estimate { mean, low, high, .. } = self.shortfall;
        format!("{} [{}, {}]", points(mean), points(low), points(high))
    }

    fn end(&self) -> String {
        let Estimate { mean, low, high, .. } = self.collapse;
        format!("{} [{}, {}]", points(mean), points(low), points(high))
    }

    fn marks(&self) -> Vec<(u64, String)> {
        let kept = (self.kept, "kept".to_string());
        std::iter::once(kept).chain(self.stop.as_ref().map(|(step, _)| (*step, "stopped".into()))).collect()
    }
}

/// The course as lines for a terminal, in Markdown.
pub fn collapse_text(collapse: &Collapse) -> String {
    let mut text = format!(
        "{} at a rate of {:.0e} for {} passes; {} problems of the guard's bank, {} of one that it never saw; intervals of \
         95 % clustered by problem\n\n\
         | model | guard stopped | kept step | fall at the stop, guard's bank | best step, unseen bank | best less kept, unseen bank | unwatched: end less best | collapsed | stopped in time | kept within 3 points |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
        collapse.way, collapse.learning_rate, collapse.epochs, collapse.guard, collapse.unseen
    );
    for course in &collapse.courses {
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            course.model,
            course.stopped(),
            course.kept,
            course.fallen(),
            course.best,
            course.short(),
            course.end(),
            if course.collapsed { "yes" } else { "no" },
            word(course.in_time),
            word(course.near)
        );
    }
    for course in &collapse.courses {
        text += &format!(
            "\n{}{}\n\n| step | guard's bank | unseen bank | reward | KL | entropy | length | repetition |\n|---|---|---|---|---|---|---|---|\n",
            course.model,
            course.stop.as_ref().map(|(_, why)| format!(": {why}")).unwrap_or_default()
        );
        for point in &course.points {
            text += &format!("| {} |\n", cells(point).join(" | "));
        }
    }
    text
}

fn cells(point: &CollapsePoint) -> [String; 8] {
    [
        point.step.to_string(),
        format!("{:.1} %", 100.0 * point.guard),
        format!("{:.1} %", 100.0 * point.unseen),
        format!("{:.3}", point.reward),
        format!("{:.3}", point.kl),
        format!("{:.3}", point.entropy),
        format!("{:.1}", point.length),
        format!("{:.1} %", 100.0 * point.repetition),
    ]
}

/// Draws the courses as one HTML file that needs nothing else.
pub fn render_collapse(collapse: &Collapse) -> String {
    let body = html! {
        header {
            p.kicker { span.said { (collapse.way) } ", rate " (format!("{:.0e}", collapse.learning_rate)) ", " (collapse.epochs) " passes" }
            h1 { "Practice driven too far." }
            p.lede {
                "The same training once watched and once not: right answers over the steps, on the guard's bank ("
                (count(collapse.guard as u64)) " problems) and on one that it never saw (" (count(collapse.unseen as u64)) ")."
            }
        }
        main {
            section {
                h2 { "Verdicts" }
                div.scroll { table.lab {
                    thead { tr {
                        th { "model" } th { "collapsed" } th { "stopped in time" } th { "fall at the stop" } th { "kept within 3 points" }
                        th { "best less kept" } th { "end less best" }
                    } }
                    tbody { @for course in &collapse.courses { tr {
                        td { span.said { (course.model) } }
                        td { (if course.collapsed { "yes" } else { "no" }) }
                        td { b { (word(course.in_time)) } }
                        td { (course.fallen()) }
                        td { b { (word(course.near)) } }
                        td { (course.short()) }
                        td { (course.end()) }
                    } } }
                } }
            }
            @for course in &collapse.courses { (section(course)) }
        }
        footer { p { "This page is one file: it loads nothing and sends nothing." } }
    };
    shell("collapse — practice driven too far", body)
}

fn section(course: &CollapseCourse) -> Markup {
    let shares: Vec<_> = course.points.iter().map(|point| (point.step, point.guard, point.unseen)).collect();
    html! {
        section {
            h2 { span.said { (course.model) } }
            p.legend-line {
                span { span.key.line.training {} "the guard's bank" }
                span { span.key.line.validation {} "a bank that it never saw" }
            }
            @if let Some(drawn) = self::course(&shares, &course.marks()) { (drawn) }
            p {
                "Kept: step " (course.kept) ", " (share(course, course.kept)) " on the unseen bank; the best of the whole course is step "
                (course.best) " with " (share(course, course.best)) ". "
                @match &course.stop {
                    Some((step, why)) => { "Stopped at step " (step) ": " (why) "." }
                    None => "The guard let it end."
                }
            }
            details { summary { "All figures" } div.scroll { table {
                thead { tr {
                    @for name in ["step", "guard's bank", "unseen bank", "reward", "KL", "entropy", "length", "repetition"] { th { (name) } }
                } }
                tbody { @for point in &course.points { tr { @for cell in cells(point) { td { (cell) } } } } }
            } } }
        }
    }
}

fn share(course: &CollapseCourse, step: u64) -> String {
    course.points.iter().find(|point| point.step == step).map_or("—".into(), |point| percent(point.unseen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_is_told_and_drawn_with_its_stop_and_its_kept_point() {
        let estimate = |mean: f64| Estimate {
            mean,
            standard_error: 0.005,
            low: mean - 0.01,
            high: mean + 0.01,
            n: 1000,
            clusters: 1000,
            detectable: 0.014,
        };
        let point = |step, guard, unseen| CollapsePoint {
            step,
            guard,
            unseen,
            reward: -0.1,
            kl: 0.2,
            entropy: 0.3,
            length: 40.0,
            repetition: 0.05,
        };
        let course = CollapseCourse {
            model: "pico of <seed> 1".into(),
            points: vec![point(0, 0.4, 0.38), point(10, 0.45, 0.42), point(20, 0.3, 0.33), point(30, 0.0, 0.01)],
            stop: Some((20, "accuracy fell".into())),
            kept: 10,
            fall: Some((-0.15, 0.03)),
            best: 10,
            shortfall: estimate(0.0),
            collapse: estimate(-0.41),
            collapsed: true,
            in_time: Ruling::Refuted,
            near: Ruling::Confirmed,
        };
        let collapse = Collapse {
            schema_version: 1,
            way: "genius+aco".into(),
            learning_rate: 1e-2,
            epochs: 20,
            guard: 200,
            unseen: 1000,
            courses: vec![course],
        };
        let text = collapse_text(&collapse);
        assert!(
            text.contains(
                "| step 20 | 10 | −15 ± 3.0 | 10 | 0 [−1.0, +1.0] | −41 [−42, −40] | yes | refuted | confirmed |"
            ),
            "{text}"
        );
        assert!(text.contains("| 30 | 0.0 % | 1.0 % | -0.100 | 0.200 | 0.300 | 40.0 | 5.0 % |"), "{text}");
        let page = render_collapse(&collapse);
        assert!(!page.contains("<seed>") && page.matches("<circle").count() == 8 && page.contains("accuracy fell"));
    }
}
