use serde::{Deserialize, Serialize};

use super::lesson::{Lesson, Notes, Question};
use crate::check::{self, Checked};
use crate::session::Session;
use crate::{Result, SelfConsistency, weigh};

/// STaR (arXiv 2203.14465) without hints: of many drawn paths, those whose answer the label calls
/// right are good ones. It is what practice could reach with labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Star {
    /// How many paths, up to 4096; 0: as many as the budget pays.
    pub n: usize,
    /// Logits are divided by it, in [0, 100].
    pub temperature: f32,
    /// Keep the smallest set of tokens whose probability reaches this, in (0, 1].
    pub top_p: f32,
    /// Answers of a question at most, 1 to 1000; the first of those that differ.
    pub answers: usize,
}

impl Default for Star {
    fn default() -> Self {
        let SelfConsistency { n, temperature, top_p } = SelfConsistency::default();
        Self { n, temperature, top_p, answers: 4 }
    }
}

impl Star {
    pub(crate) fn validate(&self) -> Checked {
        self.paths().validate()?;
        check::count("answers", self.answers, 1, 1000)
    }

    fn paths(&self) -> SelfConsistency {
        SelfConsistency { n: self.n, temperature: self.temperature, top_p: self.top_p }
    }
}

/// Draws paths and keeps the right ones.
pub(super) async fn practise(mut session: Session<'_>, star: &Star, question: &Question<'_>) -> Result<Lesson> {
    let mut notes = Notes::new(question);
    let drawn = session.draw_whole(star.n, star.paths().draw(), 0).await?;
    let leaves = session.distinct(&drawn);
    if leaves.is_empty() {
        notes.none(1, "budget", "the budget ended before a path did");
        return Ok(notes.finish(session.end(0, "the budget paid for no whole path")));
    }
    let answers: Vec<_> = leaves.iter().map(|leaf| session.whole_answer(*leaf)).collect();
    let right = |text: &str| question.right.is_some_and(|right| right(text));
    let values: Vec<f64> = answers.iter().map(|answer| f64::from(u8::from(right(&answer.text)))).collect();
    for (leaf, value) in leaves.iter().zip(&values) {
        session.change(*leaf, |node| node.value = Some(*value));
    }
    let good = answers.into_iter().zip(&values).filter(|(_, value)| **value > 0.0).take(star.answers);
    for (i, (answer, _)) in good.enumerate() {
        notes.good(i + 1, answer);
    }
    if values.iter().all(|value| *value == 0.0) {
        notes.none(1, "none-right", format!("none of {} different paths is right", leaves.len()));
    }
    let best = weigh::largest(&values).map_or(0, |i| leaves[i]);
    session.last_round(&leaves, &values, best);
    Ok(notes.finish(session.end(best, "the first path that the label calls right, if any is")))
}
