//! What searches by steps share: draw steps, look ahead, complete.

use crate::session::{Call, End, Session};
use crate::{Fate, Result};

/// Draws from the model at a temperature, the vocabulary whole.
pub(crate) fn at(temperature: f32) -> lm::Sampling {
    lm::Sampling { temperature, ..lm::Sampling::default() }
}

impl Session<'_> {
    /// Draws `n` steps from each beam; the candidates in order, or none if the budget is used up.
    ///
    /// A step that ends the path without a token of its own says what the step before it said: it
    /// takes that step's mean log-probability, or, at the root, the lowest of the candidates'.
    pub async fn roll_out(&mut self, beams: &[usize], n: usize, temperature: f32) -> Result<Option<Vec<usize>>> {
        let calls: Vec<Call> = beams
            .iter()
            .map(|beam| Call {
                node: *beam,
                purpose: "step".into(),
                n,
                limit: self.step_limit(*beam),
                step: true,
                draw: at(temperature),
            })
            .collect();
        let Some(pieces) = self.ask("roll out steps", &calls, true).await? else { return Ok(None) };
        let mut candidates = Vec::new();
        for (beam, pieces) in beams.iter().zip(pieces) {
            if self.nodes[*beam].fate != Fate::Expanded {
                self.fate(*beam, Fate::Expanded, format!("kept, and {n} steps drawn from it"));
            }
            for piece in pieces {
                let why = match piece.end {
                    End::Cut => "drawn, and cut where the budget's share for it ended",
                    _ => "drawn",
                };
                candidates.push(self.add(*beam, &piece, why));
            }
        }
        if self.able.logprobs {
            let known = candidates.iter().filter_map(|id| self.nodes[*id].logprob);
            let lowest = known.reduce(f64::min).unwrap_or(0.0);
            for id in candidates.iter().copied() {
                if self.nodes[id].logprob.is_none() {
                    let before = self.nodes[id].parent.and_then(|parent| self.nodes[parent].logprob);
                    self.change(id, |node| node.logprob = Some(before.unwrap_or(lowest)));
                }
            }
        }
        Ok(Some(candidates))
    }

    /// Looks once ahead from each node whose path has not ended; whether the budget paid for it. A
    /// node after which nothing comes has ended. `tokens` limits a look, 0 does not.
    pub async fn foresee(&mut self, nodes: &[usize], temperature: f32, tokens: usize) -> Result<bool> {
        let open: Vec<usize> = nodes.iter().copied().filter(|id| !self.nodes[*id].finished).collect();
        let calls: Vec<Call> = open
            .iter()
            .map(|id| {
                let room = self.room(*id);
                let limit = if tokens == 0 { room } else { room.min(tokens) };
                Call { node: *id, purpose: "foresight".into(), n: 1, limit, step: false, draw: at(temperature) }
            })
            .collect();
        let Some(pieces) = self.ask("look ahead", &calls, true).await? else { return Ok(false) };
        for ((id, pieces), call) in open.into_iter().zip(pieces).zip(calls) {
            let Some(piece) = pieces.into_iter().next() else { continue };
            self.see(id, piece, call.limit);
        }
        Ok(true)
    }

    /// Continues each path to its end; the leaves, in order. A path that has ended is its own leaf.
    /// Where the budget does not reach, what was seen ahead becomes the rest if it was whole.
    pub async fn complete(&mut self, beams: &[usize], temperature: f32) -> Result<Vec<usize>> {
        let open: Vec<usize> = beams.iter().copied().filter(|id| !self.nodes[*id].finished).collect();
        let calls: Vec<Call> = open
            .iter()
            .map(|id| Call {
                node: *id,
                purpose: "complete".into(),
                n: 1,
                limit: self.room(*id),
                step: false,
                draw: at(temperature),
            })
            .collect();
        let pieces = self.ask("complete paths", &calls, false).await?;
        let mut rests = pieces.map(|pieces| pieces.into_iter().flatten().collect::<Vec<_>>().into_iter());
        let mut leaves = Vec::new();
        for beam in beams {
            if self.nodes[*beam].finished {
                leaves.push(*beam);
                continue;
            }
            leaves.push(match rests.as_mut().and_then(Iterator::next) {
                Some(piece) if piece.end != End::Cut => {
                    self.expand(*beam);
                    let leaf = self.add(*beam, &piece, "the rest of the path");
                    // Where nothing more comes, the rest says what the step before it said.
                    let before = self.nodes[*beam].logprob;
                    self.change(leaf, |node| {
                        (node.finished, node.fate) = (true, Fate::Completed);
                        node.logprob = node.logprob.or(before);
                    });
                    leaf
                }
                cut => match self.adopt(*beam) {
                    Some(leaf) => leaf,
                    None => self.cut(*beam, cut.filter(|piece| piece.count > 0)),
                },
            });
        }
        if leaves.iter().any(|leaf| !self.nodes[*leaf].finished) {
            self.stopped = crate::Stopped::Budget;
        }
        Ok(leaves)
    }

    /// Makes what was seen ahead from a node the rest of its path, if it came to the end.
    pub fn adopt(&mut self, node: usize) -> Option<usize> {
        self.nodes[node].foresight.as_ref().filter(|seen| seen.whole)?;
        let piece = self.ahead(node)?.clone();
        self.expand(node);
        let leaf = self.add(node, &piece, "what was seen ahead is the rest of the path");
        self.change(leaf, |leaf| (leaf.finished, leaf.fate) = (true, Fate::Completed));
        Some(leaf)
    }

    /// Leaves a path as it is, because the budget has ended.
    fn cut(&mut self, beam: usize, piece: Option<crate::session::Piece>) -> usize {
        let leaf = match piece {
            Some(piece) => {
                self.expand(beam);
                self.add(beam, &piece, "")
            }
            None => beam,
        };
        self.fate(leaf, Fate::Cut, "the budget ended before the path did");
        leaf
    }

    fn expand(&mut self, node: usize) {
        if self.nodes[node].fate != Fate::Expanded {
            self.fate(node, Fate::Expanded, "kept, and continued to the end");
        }
    }

    /// Leaves whose path has ended, or all if none has.
    pub fn whole(&self, leaves: &[usize]) -> Vec<usize> {
        let whole: Vec<usize> = leaves.iter().copied().filter(|leaf| self.nodes[*leaf].finished).collect();
        if whole.is_empty() { leaves.to_vec() } else { whole }
    }

    /// Drops candidates whose text another of the same parent has, saying so; the rest in order.
    pub fn different(&mut self, candidates: &[usize]) -> Vec<usize> {
        let mut kept: Vec<usize> = Vec::new();
        for id in candidates {
            let node = &self.nodes[*id];
            let twin = kept.iter().copied().find(|k| {
                let other = &self.nodes[*k];
                (other.parent, &other.text, other.finished) == (node.parent, &node.text, node.finished)
            });
            match twin {
                None => kept.push(*id),
                Some(twin) => self.fate(*id, Fate::NotSampled, format!("the same text as step {twin}")),
            }
        }
        kept
    }
}
