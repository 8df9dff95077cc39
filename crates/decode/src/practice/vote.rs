use serde::{Deserialize, Serialize};

use super::lesson::{Lesson, Notes, Question};
use crate::check::{self, Checked};
use crate::session::Session;
use crate::{Result, SelfConsistency, weigh};

/// Majority vote (the labels of TTRL, arXiv 2504.16084, with a preference loss): of many drawn
/// paths, those that answer what most answer are preferred to the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vote {
    /// How many paths, 2 to 4096; 0: as many as the budget pays.
    pub n: usize,
    /// Logits are divided by it, in [0, 100].
    pub temperature: f32,
    /// Keep the smallest set of tokens whose probability reaches this, in (0, 1].
    pub top_p: f32,
    /// Pairs of a question at most, 1 to 1000. Genius gives 4.
    pub pairs: usize,
}

impl Default for Vote {
    fn default() -> Self {
        let SelfConsistency { n, temperature, top_p } = SelfConsistency::default();
        Self { n, temperature, top_p, pairs: 4 }
    }
}

impl Vote {
    pub(crate) fn validate(&self) -> Checked {
        self.paths().validate()?;
        check::count("pairs", self.pairs, 1, 1000)?;
        if self.n == 1 { Err("`n` must be 2 or more, or 0, for there to be a pair".into()) } else { Ok(()) }
    }

    fn paths(&self) -> SelfConsistency {
        SelfConsistency { n: self.n, temperature: self.temperature, top_p: self.top_p }
    }
}

/// Draws paths, counts their answers, and pairs the majority with the rest.
pub(super) async fn practise(mut session: Session<'_>, vote: &Vote, question: &Question<'_>) -> Result<Lesson> {
    let mut notes = Notes::new(question);
    let leaves = session.draw_whole(vote.n, vote.paths().draw(), 0).await?;
    if leaves.is_empty() {
        notes.none(1, "budget", "the budget ended before a path did");
        return Ok(notes.finish(session.end(0, "the budget paid for no whole path")));
    }
    let shares = session.vote(&leaves);
    let best = session.winner(&leaves, &shares);
    let majority = session.nodes[best].answer.clone();
    let most = shares.iter().copied().fold(0.0, f64::max);
    let tied =
        leaves.iter().zip(&shares).any(|(leaf, share)| *share == most && session.nodes[*leaf].answer != majority);
    let (agree, differ): (Vec<usize>, Vec<usize>) =
        session.distinct(&leaves).into_iter().partition(|leaf| session.nodes[*leaf].answer == majority);
    if majority.is_none() {
        notes.none(1, "no-answer", "no path answers anything");
    } else if tied {
        notes.none(1, "no-majority", "no answer is given more often than every other");
    } else if differ.is_empty() {
        notes.none(1, "unanimous", "every path gives the same answer");
    } else {
        let mut rng = session.rng(0, "pairs");
        let agree = weigh::draw(&vec![1.0; agree.len()], agree.len(), &mut rng).into_iter().map(|i| agree[i]);
        let differ = weigh::draw(&vec![1.0; differ.len()], differ.len(), &mut rng).into_iter().map(|i| differ[i]);
        // Each path of the larger side stands in one pair, those of the smaller one in turn.
        let (agree, differ): (Vec<usize>, Vec<usize>) = (agree.collect(), differ.collect());
        for i in 0..agree.len().max(differ.len()).min(vote.pairs) {
            let (chosen, rejected) = (agree[i % agree.len()], differ[i % differ.len()]);
            notes.pair(i + 1, None, session.whole_answer(chosen), session.whole_answer(rejected));
        }
    }
    session.last_round(&leaves, &shares, best);
    Ok(notes.finish(session.end(best, "the most probable path with the answer that most give")))
}
