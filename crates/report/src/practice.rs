use maud::html;
use record::{Guard, Manifest, TrainStep};
use serde::{Deserialize, Serialize};

use crate::headline::certainty;
use crate::number::{count, percent, plural};
use crate::page::{capital, shell};
use crate::text::flow_line;
use crate::{Cost, Flow, Paper, section};

/// A model's practice on questions without answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Practice {
    /// Layout of this record; 1.
    pub schema_version: u32,
    /// What was practised on, in a few words.
    pub questions: String,
    /// The model that learned.
    pub model: String,
    /// The model that answered, where it is another one.
    pub sampler: Option<String>,
    /// How preferences were made; none where they were given.
    pub method: Option<String>,
    /// What was made small.
    pub loss: String,
    /// What was asked for, delivered and dropped.
    pub flow: Vec<Flow>,
    /// Some of the preferences.
    pub pairs: Vec<Pair>,
    /// The training, step by step.
    pub curve: Vec<TrainStep>,
    /// What the guard saw, the model before practice first.
    pub guards: Vec<Guard>,
    /// Step whose model was kept; 0 is the model before practice.
    pub kept: u64,
    /// Why the training broke off, where its loss leapt up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broke: Option<String>,
    /// The exam before and after, where there is one and something was kept.
    pub paper: Option<Paper>,
    /// What each stage cost.
    pub costs: Vec<Cost>,
    /// How it came to be, where the practice stands for itself.
    pub manifest: Option<Manifest>,
}

/// A preference as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The question.
    pub question: String,
    /// Step of the search that gave it.
    pub step: Option<u32>,
    /// The better answer.
    pub chosen: Option<String>,
    /// The worse answer.
    pub rejected: Option<String>,
    /// Genius' f of both, in nats a token.
    pub outlooks: Option<(f64, f64)>,
}

impl Practice {
    /// The point that was kept.
    pub fn best(&self) -> Option<&Guard> {
        self.guards.iter().find(|guard| guard.step == self.kept)
    }

    /// What became of it, in a sentence or three without a full stop at the end.
    pub fn verdict(&self) -> String {
        let Some(first) = self.guards.first() else { return "Nothing was learned".into() };
        let last = self.guards.last().unwrap_or(first);
        let ended = match &last.stop {
            Some(reason) => format!("The guard stopped the training at step {}: {reason}", count(last.step)),
            None if self.broke.is_some() => {
                format!("The training broke off: {}", self.broke.as_deref().unwrap_or_default())
            }
            None => format!("The training came to its end at step {}", count(last.step)),
        };
        let labelled = first.accuracy.is_some();
        let kept = match (self.kept, labelled) {
            (0, true) => {
                "No point of it was better on the held-out questions, so the model from before practice is kept".into()
            }
            (0, false) => "No point of it was kept, so the model is the one from before practice".to_string(),
            (step, _) => format!("The model of step {} is kept", count(step)),
        };
        let ground = match (first.accuracy, self.best().and_then(|best| best.accuracy)) {
            (Some(before), Some(after)) if self.kept > 0 => format!(
                ": {} of {} were answered rightly there, {} before practice. Being the best of {}, that figure \
                 flatters it; an exam that the guard did not see does not",
                percent(after),
                plural(first.questions, "held-out question"),
                percent(before),
                plural(self.guards.len(), "point")
            ),
            (None, _) if self.kept > 0 => {
                ". There were no answers to compare with: whether it helped is not known".to_string()
            }
            _ => String::new(),
        };
        format!("{ended}. {kept}{ground}")
    }
}

/// The practice as a page that needs nothing else.
pub fn render_practice(practice: &Practice) -> String {
    shell(
        &format!("{} — practice", practice.questions),
        html! {
            header {
                p.kicker { span.said { (practice.model) } " on " span.said { (practice.questions) } }
                h1 { (headline(practice)) "." }
                p.lede { (practice.verdict()) "." }
            }
            main {
                @if let Some(paper) = &practice.paper {
                    (section::one_exam(paper))
                    section { h2 { "Answers that changed" } (section::changes(paper)) }
                }
                (section::practice(practice))
                (section::cost(&practice.costs))
                @if let Some(manifest) = &practice.manifest { (section::manifest(manifest)) }
            }
            footer { p { "This page is one file: it loads nothing and sends nothing." } }
        },
    )
}

/// What practice did, in a few words.
fn headline(practice: &Practice) -> String {
    let Some(paper) = &practice.paper else {
        return if practice.kept == 0 { "Practice did not help".into() } else { "Practice changed the model".into() };
    };
    let difference = &paper.comparison.difference;
    if difference.low > 0.0 {
        "Practice helped".into()
    } else if difference.high < 0.0 {
        "Practice hurt".into()
    } else {
        "Practice made no difference that could be told from chance".into()
    }
}

/// The practice in a few plain lines for a terminal.
pub fn practice_text(practice: &Practice) -> String {
    let mut lines = vec![format!("{}.", headline(practice)), format!("  {}.", practice.verdict())];
    if let Some(paper) = &practice.paper {
        let (before, after) = (&paper.comparison.before, &paper.comparison.after);
        lines.push(format!(
            "  {}: {} → {} ({})",
            capital(&paper.title),
            percent(before.score),
            percent(after.score),
            certainty(paper)
        ));
    }
    lines.extend(practice.flow.iter().map(|flow| format!("  {}", flow_line(flow))));
    let clean = |line: String| line.chars().filter(|c| !c.is_control()).collect::<String>().replace('\u{a0}', " ");
    lines.into_iter().map(clean).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(step: u64, accuracy: Option<f64>, stop: Option<&str>) -> Guard {
        Guard {
            step,
            questions: 50,
            accuracy,
            accuracy_error: accuracy.map(|_| 0.06),
            marks: Vec::new(),
            reward: -0.5 + 0.02 * step as f64,
            kl: 0.01 * step as f64,
            entropy: 1.0,
            length: 20.0,
            repetition: 0.05,
            confident_wrong: Some(0.2),
            preferred: None,
            fall: None,
            stop: stop.map(Into::into),
        }
    }

    fn practice(guards: Vec<Guard>, kept: u64) -> Practice {
        Practice {
            schema_version: 1,
            questions: "asdiv<script>".into(),
            model: "m".into(),
            sampler: None,
            method: Some("genius".into()),
            loss: "aco".into(),
            flow: Vec::new(),
            pairs: vec![Pair {
                question: "How <b>many</b>?".into(),
                step: Some(1),
                chosen: Some("12".into()),
                rejected: Some("13".into()),
                outlooks: Some((-0.2, -0.9)),
            }],
            curve: Vec::new(),
            guards,
            kept,
            broke: None,
            paper: None,
            costs: Vec::new(),
            manifest: None,
        }
    }

    #[test]
    fn rise_and_fall_are_drawn_and_said() {
        let guards = vec![guard(0, Some(0.4), None), guard(5, Some(0.5), None), guard(10, Some(0.3), Some("it fell"))];
        let practice = practice(guards, 5);
        let said = practice.verdict();
        assert!(said.contains("stopped the training at step 10: it fell") && said.contains("step 5 is kept"), "{said}");
        assert!(said.contains("50\u{a0}% of 50 held-out questions") && said.contains("40\u{a0}% before"), "{said}");
        let page = render_practice(&practice);
        assert!(!page.contains("<script>") && !page.contains("<b>many"), "escaped");
        assert!(page.contains("held-out questions right") && page.contains("divergence"), "every measure is drawn");
    }

    #[test]
    fn what_did_not_help_or_is_not_known_is_said_so() {
        let hurt = practice(vec![guard(0, Some(0.4), None), guard(5, Some(0.3), None)], 0);
        assert!(hurt.verdict().contains("the model from before practice is kept"), "{}", hurt.verdict());
        assert!(practice_text(&hurt).starts_with("Practice did not help."));
        let blind = practice(vec![guard(0, None, None), guard(5, None, None)], 5);
        assert!(blind.verdict().ends_with("whether it helped is not known"), "{}", blind.verdict());
    }
}
