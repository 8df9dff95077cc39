use crate::session::{End, Session};
use crate::{Fate, Result, Search, Stopped};

/// The most probable token, always; its text is passed on as it comes.
pub(crate) async fn search(session: Session<'_>) -> Result<Search> {
    single(session, lm::Sampling::default(), "the most probable tokens").await
}

/// One path, passed on as it comes.
pub(crate) async fn single(mut session: Session<'_>, draw: lm::Sampling, why: &str) -> Result<Search> {
    match session.live(draw, why).await? {
        None => Ok(session.end(0, "the budget paid for no token")),
        Some(leaf) if session.stopped == Stopped::Budget => {
            Ok(session.end(leaf, "the budget ended before the path did"))
        }
        Some(leaf) => Ok(session.end(leaf, why)),
    }
}

impl Session<'_> {
    /// The root's only path, passed on as it comes; its leaf, or none if the budget paid for no
    /// token.
    pub async fn live(&mut self, draw: lm::Sampling, why: &str) -> Result<Option<usize>> {
        let Some(piece) = self.ask_live("continue the prompt", draw).await? else {
            self.stopped = Stopped::Budget;
            return Ok(None);
        };
        let leaf = self.add(0, &piece, why);
        if piece.end == End::Cut {
            self.stopped = Stopped::Budget;
            self.fate(leaf, Fate::Cut, "the budget ended before the path did");
        }
        Ok(Some(leaf))
    }
}
