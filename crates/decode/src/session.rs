//! A search under way: the tree so far, what is left of the budget, and the calls to the model.
//! [`asking`] spends the budget, [`growth`] keeps the tree.

mod asking;
mod growth;

use std::time::Instant;

use lm::{Capabilities, Completion, Finish, LogprobScale, SharedModel, Span};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use record::seed::derive;

use crate::ledger::Ledger;
use crate::stops::Stops;
use crate::{Boundary, Cost, Error, Event, Fate, Node, Request, Result, Round, Stopped, Strategy, Tools};

/// A continuation that is asked for.
pub(crate) struct Call {
    /// The node whose path is continued.
    pub node: usize,
    /// What for; with the node's place it gives the seed.
    pub purpose: String,
    /// How many completions.
    pub n: usize,
    /// Tokens of each at most.
    pub limit: usize,
    /// Whether it ends where a step ends.
    pub step: bool,
    /// How tokens are drawn.
    pub draw: lm::Sampling,
}

/// Why a continuation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The model or a stop string ended it.
    Stop,
    /// A step is complete.
    Boundary,
    /// The call's own limit.
    Limit,
    /// The budget's share for it.
    Cut,
}

/// A continuation.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub text: String,
    pub tokens: Vec<u32>,
    /// How many tokens; estimated where a server shows none.
    pub count: usize,
    /// Sum of log-probabilities, and of how many tokens.
    pub sum: Option<(f64, usize)>,
    pub end: End,
}

impl Piece {
    /// Mean log-probability of its tokens.
    pub fn logprob(&self) -> Option<f64> {
        self.sum.filter(|(_, n)| *n > 0).map(|(sum, n)| sum / n as f64)
    }

    fn extend(&mut self, more: Piece) {
        self.text.push_str(&more.text);
        self.tokens.extend(more.tokens);
        self.count += more.count;
        self.sum = self.sum.zip(more.sum).map(|((a, n), (b, m))| (a + b, n + m));
        self.end = more.end;
    }
}

/// What a session remembers of a node beside the record: how to go on from it.
struct Trace {
    /// All that the model's turn says up to the node's end, as it was drawn.
    span: Span,
    /// Where in the tree the node stands; seeds come from it.
    place: String,
    children: usize,
    /// Whether the model's turn ends with it.
    ended: bool,
    /// What was seen ahead from it.
    ahead: Option<Piece>,
}

impl Trace {
    fn new(span: Span, place: String, ended: bool) -> Self {
        Self { span, place, children: 0, ended, ahead: None }
    }
}

/// A search under way.
pub(crate) struct Session<'a> {
    pub model: &'a SharedModel,
    pub strategy: &'a Strategy,
    pub request: &'a Request,
    pub tools: &'a Tools<'a>,
    pub able: Capabilities,
    pub nodes: Vec<Node>,
    pub rounds: Vec<Round>,
    pub stopped: Stopped,
    progress: &'a mut (dyn FnMut(Event) + Send),
    traces: Vec<Trace>,
    ledger: Ledger,
    cost: Cost,
    scale: Option<LogprobScale>,
    stops: Stops,
    sent: usize,
    start: Instant,
}

impl<'a> Session<'a> {
    pub fn new(
        model: &'a SharedModel,
        able: Capabilities,
        strategy: &'a Strategy,
        request: &'a Request,
        tools: &'a Tools<'a>,
        progress: &'a mut (dyn FnMut(Event) + Send),
    ) -> Self {
        let root = Node {
            id: 0,
            parent: None,
            step: 0,
            text: String::new(),
            tokens: 0,
            logprob: None,
            finished: false,
            foresight: None,
            advantage: None,
            alignment: None,
            cluster: None,
            value: None,
            visits: None,
            answer: None,
            fate: Fate::Expanded,
            why: "the question".into(),
        };
        progress(Event::Node(root.clone()));
        Self {
            model,
            strategy,
            request,
            tools,
            able,
            nodes: vec![root],
            rounds: Vec::new(),
            stopped: Stopped::Done,
            progress,
            traces: vec![Trace::new(request.begun.clone(), "0".into(), false)],
            ledger: Ledger::new(request.budget),
            cost: Cost::default(),
            scale: None,
            stops: Stops::new(&request.stop),
            sent: 0,
            start: Instant::now(),
        }
    }

    /// Refuses to go on without log-probabilities.
    pub fn need_logprobs(&self) -> Result<()> {
        match self.able.logprobs {
            true => Ok(()),
            false => Err(Error::Needs {
                strategy: self.strategy.name(),
                what: "log-probabilities, which this model does not give",
                hint: "take self-consistency (or to practise, vote), or a server that gives them",
            }),
        }
    }

    /// A generator of random numbers for a decision at a node.
    pub fn rng(&self, node: usize, purpose: &str) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed(&format!("{}/{purpose}", self.traces[node].place)))
    }

    fn seed(&self, place: &str) -> u64 {
        derive(self.request.seed, "decode", place)
    }

    /// Tokens that are left of the budget; none for no limit.
    pub fn left(&self) -> Option<u64> {
        self.ledger.left()
    }

    /// Puts tokens aside for calls to come.
    pub fn hold(&mut self, tokens: u64) {
        self.ledger.reserve(tokens);
    }

    /// Gives back what was put aside.
    pub fn release(&mut self, tokens: u64) {
        self.ledger.give_back(tokens, 0);
    }

    /// The longest step.
    pub fn step_limit(&self, node: usize) -> usize {
        match self.request.boundary {
            Boundary::Tokens(n) => n.min(self.room(node)),
            _ => self.room(node),
        }
    }
}

/// A piece as the model gave it, for [`Span::push`].
fn completion(piece: &Piece) -> Completion {
    Completion { text: piece.text.clone(), tokens: piece.tokens.clone(), logprobs: Vec::new(), finish: Finish::Length }
}
