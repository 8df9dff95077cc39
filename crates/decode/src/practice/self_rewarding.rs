use serde::{Deserialize, Serialize};

use super::lesson::{Lesson, Notes, Question};
use crate::check::Checked;
use crate::session::Session;
use crate::{Judge, Result, SelfConsistency, Stopped, weigh};

/// Self-rewarding (arXiv 2401.10020): of many drawn paths, the one that the model itself thinks most
/// of is preferred to the one that it thinks least of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SelfRewarding {
    /// How many paths, 2 to 4096; 0: as many as the budget pays.
    pub n: usize,
    /// Logits are divided by it, in [0, 100].
    pub temperature: f32,
    /// Keep the smallest set of tokens whose probability reaches this, in (0, 1].
    pub top_p: f32,
    /// What the model is asked about a path.
    pub judge: Judge,
}

impl Default for SelfRewarding {
    fn default() -> Self {
        let SelfConsistency { temperature, top_p, .. } = SelfConsistency::default();
        let question = "Is this answer correct? Reply with Yes or No.".into();
        Self { n: 4, temperature, top_p, judge: Judge { question, ..Judge::default() } }
    }
}

impl SelfRewarding {
    pub(crate) fn validate(&self) -> Checked {
        self.paths().validate()?;
        self.judge.validate()?;
        if self.n == 1 { Err("`n` must be 2 or more, or 0, for there to be a pair".into()) } else { Ok(()) }
    }

    fn paths(&self) -> SelfConsistency {
        SelfConsistency { n: self.n, temperature: self.temperature, top_p: self.top_p }
    }
}

/// Draws paths, asks the model about each, and pairs the best with the worst.
pub(super) async fn practise(
    mut session: Session<'_>,
    settings: &SelfRewarding,
    question: &Question<'_>,
) -> Result<Lesson> {
    let mut notes = Notes::new(question);
    let aside = session.judge_tokens(&settings.judge);
    let drawn = session.draw_whole(settings.n, settings.paths().draw(), aside).await?;
    let leaves = session.distinct(&drawn);
    let judged = match leaves.is_empty() {
        true => None,
        false => session.judge(&leaves, &settings.judge).await?,
    };
    let Some(values) = judged else {
        session.stopped = Stopped::Budget;
        notes.none(1, "budget", "the budget ended before the paths were judged");
        let leaf = leaves.first().copied().unwrap_or(0);
        return Ok(notes.finish(session.end(leaf, "the budget ended before the paths were judged")));
    };
    for (leaf, value) in leaves.iter().zip(&values) {
        session.change(*leaf, |node| node.value = Some(*value));
    }
    let order = weigh::ranked(&values);
    let (best, worst) = (order[0], order[order.len() - 1]);
    if values[best] == values[worst] {
        notes.none(1, "no-difference", format!("{} different paths, which the model likes alike", leaves.len()));
    } else {
        notes.pair(1, None, session.whole_answer(leaves[best]), session.whole_answer(leaves[worst]));
    }
    session.last_round(&leaves, &values, leaves[best]);
    Ok(notes.finish(session.end(leaves[best], "the model thinks most of this path")))
}
