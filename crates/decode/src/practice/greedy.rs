use super::lesson::{Lesson, Notes, Question};
use crate::session::Session;
use crate::{Fate, Result};

/// The model's own most probable answer, as if it were good: what fine-tuning on itself teaches.
pub(super) async fn practise(mut session: Session<'_>, question: &Question<'_>) -> Result<Lesson> {
    let mut notes = Notes::new(question);
    let why = "the most probable tokens";
    let leaf = session.live(lm::Sampling::default(), why).await?;
    match leaf {
        Some(leaf) if session.nodes[leaf].fate != Fate::Cut => notes.good(1, session.whole_answer(leaf)),
        _ => notes.none(1, "budget", "the budget ended before the answer did"),
    }
    Ok(notes.finish(session.end(leaf.unwrap_or(0), why)))
}
