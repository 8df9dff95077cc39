//! Many whole paths, drawn apart from each other.

use crate::session::{Call, End, Session};
use crate::{Fate, Result, Stopped};

/// Paths that are drawn at once at most.
const WAVE: usize = 256;

impl Session<'_> {
    /// Draws `n` whole paths from the root, or, with 0, as many as the budget pays; their leaves.
    ///
    /// Each wave holds as many as surely fit, so what the paths of one leave over pays for the next,
    /// and the last path may be cut. `aside` tokens a path are left for what comes after.
    pub async fn draw_paths(&mut self, n: usize, draw: lm::Sampling, aside: usize) -> Result<Vec<usize>> {
        let limit = self.request.max_tokens;
        let mut held = 0;
        let wanted = if n == 0 { usize::MAX } else { n };
        let mut leaves: Vec<usize> = Vec::new();
        while leaves.len() < wanted {
            let fit = self.left().map_or(usize::MAX, |left| left as usize / (limit + aside));
            // The end of the budget is not worth a path that will hardly end, once there is one.
            if fit == 0
                && self.left().is_some_and(|left| leaves.len() > 1 && left < self.typical(&leaves) + aside as u64)
            {
                break;
            }
            let n = fit.max(1).min(wanted - leaves.len()).min(WAVE);
            let reserve = (n * aside) as u64;
            if reserve > 0 && self.left().is_some_and(|left| left <= reserve) {
                break;
            }
            self.hold(reserve);
            held += reserve;
            let purpose = format!("path{}", leaves.len());
            let call = Call { node: 0, purpose, n, limit, step: false, draw };
            let Some(pieces) = self.ask("draw paths", &[call], false).await? else { break };
            for piece in pieces.into_iter().flatten() {
                let leaf = self.add(0, &piece, "drawn");
                match piece.end {
                    End::Cut => self.fate(leaf, Fate::Cut, "the budget ended before the path did"),
                    _ => self.change(leaf, |node| (node.finished, node.fate) = (true, Fate::Completed)),
                }
                leaves.push(leaf);
            }
        }
        self.release(held);
        let short = n > 0 && (leaves.len() < n || leaves.iter().any(|leaf| !self.nodes[*leaf].finished));
        let none = !leaves.iter().any(|leaf| self.nodes[*leaf].finished);
        self.stopped = if short || none { Stopped::Budget } else { Stopped::Done };
        Ok(leaves)
    }

    /// Tokens that half of the paths take.
    fn typical(&self, leaves: &[usize]) -> u64 {
        let mut tokens: Vec<usize> = leaves.iter().map(|leaf| self.nodes[*leaf].tokens).collect();
        tokens.sort_unstable();
        tokens[tokens.len() / 2] as u64
    }

    /// Counts what the leaves answer. For each leaf the share of answering leaves that answer the
    /// same, and 0 for one without an answer; stored as its value. Ties go to the answer given first.
    pub fn vote(&mut self, leaves: &[usize]) -> Vec<f64> {
        let answers: Vec<Option<String>> =
            leaves.iter().map(|leaf| (self.tools.answer)(&self.path_text(*leaf))).collect();
        let voters = answers.iter().flatten().count().max(1) as f64;
        let share = |answer: &Option<String>| match answer {
            None => 0.0,
            Some(_) => answers.iter().filter(|other| *other == answer).count() as f64 / voters,
        };
        let shares: Vec<f64> = answers.iter().map(share).collect();
        for ((leaf, answer), share) in leaves.iter().zip(answers).zip(&shares) {
            let why = match &answer {
                Some(answer) => format!("answers {answer:?}, as {:.0} % of the paths do", share * 100.0),
                None => "answers nothing".into(),
            };
            self.change(*leaf, |node| (node.value, node.answer, node.why) = (Some(*share), answer, why));
        }
        shares
    }

    /// Of the leaves that give the winning answer the most probable, or the first where the model
    /// shows no probabilities.
    pub fn winner(&self, leaves: &[usize], shares: &[f64]) -> usize {
        let Some(first) = crate::weigh::largest(shares) else { return 0 };
        let answer = &self.nodes[leaves[first]].answer;
        let among: Vec<usize> = leaves.iter().copied().filter(|leaf| self.nodes[*leaf].answer == *answer).collect();
        let probable: Vec<f64> =
            among.iter().map(|leaf| self.nodes[*leaf].logprob.unwrap_or(f64::NEG_INFINITY)).collect();
        among[crate::weigh::largest(&probable).unwrap_or(0)]
    }

    /// The round in which one of several whole paths is chosen.
    pub fn last_round(&mut self, leaves: &[usize], values: &[f64], chosen: usize) {
        let number = self.rounds.len() + 1;
        self.round(crate::Round {
            round: number,
            candidates: leaves.to_vec(),
            survivors: leaves.to_vec(),
            kept: vec![chosen],
            values: values.to_vec(),
            last: true,
            ..crate::Round::default()
        });
    }
}
