//! The tree as it grows: steps, what became of them, and the search that is left at the end.

use record::Answer;

use super::{End, Piece, Session, Trace, completion};
use crate::tree::{self, SCHEMA};
use crate::{Event, Fate, Foresight, Node, Round, Search};

impl Session<'_> {
    /// Tokens from the root to a node.
    pub fn path_tokens(&self, node: usize) -> usize {
        tree::path(&self.nodes, node).into_iter().map(|id| self.nodes[id].tokens).sum()
    }

    /// Tokens that the path may still take.
    pub fn room(&self, node: usize) -> usize {
        self.request.max_tokens.saturating_sub(self.path_tokens(node))
    }

    /// Text from the root to a node.
    pub fn path_text(&self, node: usize) -> String {
        tree::path(&self.nodes, node).into_iter().map(|id| self.nodes[id].text.as_str()).collect()
    }

    /// Sum of log-probabilities over the path, and how many tokens.
    pub fn path_logprob(&self, node: usize) -> (f64, usize) {
        let path = tree::path(&self.nodes, node);
        let sum = path.iter().map(|id| self.nodes[*id].logprob.unwrap_or(0.0) * self.nodes[*id].tokens as f64);
        (sum.sum(), path.iter().map(|id| self.nodes[*id].tokens).sum())
    }

    /// Adds a continuation to the tree as a step. It ends the path if the model, a stop string or
    /// the path's last token ends it.
    pub fn add(&mut self, parent: usize, piece: &Piece, why: &str) -> usize {
        let id = self.nodes.len();
        let before = self.path_text(parent);
        let (text, stopped) = self.stops.settle(&before, &piece.text);
        let full = self.path_tokens(parent) + piece.count >= self.request.max_tokens;
        let node = Node {
            id,
            parent: Some(parent),
            step: self.nodes[parent].step + 1,
            text,
            tokens: piece.count,
            logprob: piece.logprob(),
            finished: piece.end == End::Stop || stopped || full,
            foresight: None,
            advantage: None,
            alignment: None,
            cluster: None,
            value: None,
            visits: None,
            answer: None,
            fate: Fate::Open,
            why: why.into(),
        };
        let mut span = self.traces[parent].span.clone();
        span.push(&completion(piece));
        let place = format!("{}.{}", self.traces[parent].place, self.traces[parent].children);
        self.traces[parent].children += 1;
        self.traces.push(Trace::new(span, place, piece.end == End::Stop || stopped));
        (self.progress)(Event::Node(node.clone()));
        self.nodes.push(node);
        id
    }

    /// Keeps what was seen ahead from a node, whose path it may have brought to its end. A node
    /// after which nothing comes has ended itself.
    pub fn see(&mut self, id: usize, mut piece: Piece, limit: usize) {
        let (text, stopped) = self.stops.settle(&self.path_text(id), &piece.text);
        if piece.count == 0 {
            self.traces[id].ended = true;
            return self.change(id, |node| node.finished = true);
        }
        let whole = stopped || piece.end == End::Stop || piece.end == End::Limit && limit == self.room(id);
        let logprob = piece.logprob();
        let tokens = piece.count;
        if stopped {
            piece.end = End::Stop;
        }
        self.traces[id].ahead = Some(piece);
        self.change(id, |node| node.foresight = Some(Foresight { text, tokens, logprob, whole }));
    }

    /// What was seen ahead from a node, as the model gave it.
    pub fn ahead(&self, id: usize) -> Option<&Piece> {
        self.traces[id].ahead.as_ref()
    }

    /// Everything that the model's turn says on the way to a node, and, where its path goes on, what
    /// was seen ahead from it. Tokens are those that were drawn, as far as they are known and no
    /// stop string cut them.
    pub fn response(&self, id: usize) -> Answer {
        let trace = &self.traces[id];
        let mut text = self.request.begun.text.clone() + &self.path_text(id);
        let (mut span, mut ended) = (trace.span.clone(), trace.ended);
        if let (Some(piece), Some(seen), false) = (&trace.ahead, &self.nodes[id].foresight, self.nodes[id].finished) {
            text.push_str(&seen.text);
            span.push(&completion(piece));
            ended = piece.end == End::Stop;
        }
        let tokens = self.drawn(&text, span.tokens);
        // A character whose bytes two steps share is whole only when their tokens are read together.
        if !tokens.is_empty() && text.contains(char::REPLACEMENT_CHARACTER) {
            text = self.model.detokenize(&tokens).unwrap_or(text);
        }
        Answer { text, tokens, ended, logprob: None, advantage: None }
    }

    /// The tokens of a text: all that were drawn, or, where a stop string may have cut the text, so
    /// many of them as show exactly it; none where no number does.
    fn drawn(&self, text: &str, tokens: Vec<u32>) -> Vec<u32> {
        if self.request.stop.is_empty() {
            return tokens;
        }
        for n in (1..=tokens.len()).rev() {
            match self.model.detokenize(&tokens[..n]) {
                Ok(shown) if shown == text => return tokens[..n].to_vec(),
                Ok(shown) if shown.len() > text.len() => {}
                _ => break,
            }
        }
        Vec::new()
    }

    /// Changes a node and reports it.
    pub fn change(&mut self, id: usize, change: impl FnOnce(&mut Node)) {
        change(&mut self.nodes[id]);
        (self.progress)(Event::Node(self.nodes[id].clone()));
    }

    /// Says what became of a node, and why.
    pub fn fate(&mut self, id: usize, fate: Fate, why: impl Into<String>) {
        self.change(id, |node| (node.fate, node.why) = (fate, why.into()));
    }

    /// Adds a round and reports it.
    pub fn round(&mut self, round: Round) {
        (self.progress)(Event::Round(round.clone()));
        self.rounds.push(round);
    }

    /// Passes on the text that all these nodes' paths share: the answer will go through one of them.
    pub fn certain(&mut self, ids: &[usize]) {
        let mut paths = ids.iter().map(|id| tree::path(&self.nodes, *id));
        let Some(mut shared) = paths.next() else { return };
        for path in paths {
            let equal = shared.iter().zip(&path).take_while(|(a, b)| a == b).count();
            shared.truncate(equal);
        }
        let text: String = shared.iter().map(|id| self.nodes[*id].text.as_str()).collect();
        let sure = self.stops.sure(&text);
        self.emit(&text[..sure]);
    }

    fn emit(&mut self, text: &str) {
        if text.len() > self.sent {
            (self.progress)(Event::Text(text[self.sent..].to_owned()));
            self.sent = text.len();
        }
    }

    /// Ends the search with the path to a leaf as its answer.
    pub fn end(mut self, chosen: usize, why: &str) -> Search {
        self.fate(chosen, Fate::Chosen, why);
        let mut answer = self.path_text(chosen);
        answer.truncate(self.stops.first(&answer));
        self.emit(&answer);
        self.tick();
        Search {
            schema: SCHEMA,
            strategy: self.strategy.clone(),
            name: self.strategy.name(),
            model: self.model.name().into(),
            request: self.request.clone(),
            scale: self.scale,
            nodes: self.nodes,
            rounds: self.rounds,
            answer,
            chosen,
            cost: self.cost,
            stopped: self.stopped,
        }
    }
}
