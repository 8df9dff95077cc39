use crate::session::{End, Session};
use crate::{Fate, Result, Search, Stopped};

/// The most probable token, always; its text is passed on as it comes.
pub(crate) async fn search(session: Session<'_>) -> Result<Search> {
    single(session, lm::Sampling::default(), "the most probable tokens").await
}

/// One path, passed on as it comes.
pub(crate) async fn single(mut session: Session<'_>, draw: lm::Sampling, why: &str) -> Result<Search> {
    let piece = session.ask_live("continue the prompt", draw).await?;
    let Some(piece) = piece else {
        session.stopped = Stopped::Budget;
        return Ok(session.end(0, "the budget paid for no token"));
    };
    let leaf = session.add(0, &piece, why);
    if piece.end != End::Cut {
        return Ok(session.end(leaf, why));
    }
    session.stopped = Stopped::Budget;
    session.fate(leaf, Fate::Cut, "the budget ended before the path did");
    Ok(session.end(leaf, "the budget ended before the path did"))
}
