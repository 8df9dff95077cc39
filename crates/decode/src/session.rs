//! A search under way: the tree so far, what is left of the budget, and the calls to the model.

use std::time::Instant;

use futures::future::try_join_all;
use lm::{Capabilities, Completion, Finish, Generate, Generation, LogprobScale, SharedModel, Span, Usage};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use record::seed::derive;

use crate::ledger::Ledger;
use crate::stops::Stops;
use crate::tree::{self, SCHEMA};
use crate::{Boundary, Cost, Error, Event, Fate, Node, Request, Result, Round, Search, Stopped, Strategy, Tools};

/// Completions of one request at most.
const TOGETHER: usize = 16;

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

/// A call as it is sent: the budget may cut it into several, and so may a model that gives one
/// completion a request.
struct Job {
    call: usize,
    first: usize,
    n: usize,
    limit: usize,
    begun: Span,
    /// The path's text before it.
    before: String,
    seed: String,
    again: bool,
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
    spans: Vec<Span>,
    places: Vec<String>,
    children: Vec<usize>,
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
            spans: vec![request.begun.clone()],
            places: vec!["0".into()],
            children: vec![0],
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
                hint: "take self-consistency, or a server that gives them",
            }),
        }
    }

    /// A generator of random numbers for a decision at a node.
    pub fn rng(&self, node: usize, purpose: &str) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed(&format!("{}/{purpose}", self.places[node])))
    }

    fn seed(&self, place: &str) -> u64 {
        derive(self.request.seed, "decode", place)
    }

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

    /// Tokens that are left of the budget; none for no limit.
    pub fn left(&self) -> Option<u64> {
        self.ledger.left()
    }

    /// The longest step.
    pub fn step_limit(&self, node: usize) -> usize {
        match self.request.boundary {
            Boundary::Tokens(n) => n.min(self.room(node)),
            _ => self.room(node),
        }
    }

    /// Whether a whole path is known that goes through this node.
    fn known_whole(&self, node: usize) -> bool {
        let whole = |id: usize| self.nodes[id].finished || self.nodes[id].foresight.as_ref().is_some_and(|f| f.whole);
        whole(node) || self.nodes[node].parent.is_some_and(whole)
    }

    /// Tokens that looking around must leave, so that one path can come to its end: none where a
    /// whole path is known already, else the rest of a path, but a quarter of what is left at most.
    fn keep(&self, calls: &[Call]) -> u64 {
        if calls.iter().any(|call| self.known_whole(call.node)) {
            return 0;
        }
        let longest = calls.iter().map(|call| self.room(call.node)).max().unwrap_or(0) as u64;
        self.ledger.left().map_or(0, |left| longest.min(left / 4))
    }

    /// Asks for continuations, all at once. None, and the search counts as stopped by the budget, if
    /// too little of it is left. What the budget's fair share cut goes on with what others gave
    /// back, unless it is a step: then the cut is where the step ends.
    pub async fn ask(
        &mut self,
        operation: &'static str,
        calls: &[Call],
        explore: bool,
    ) -> Result<Option<Vec<Vec<Piece>>>> {
        if calls.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let keep = if explore { self.keep(calls) } else { 0 };
        let mut pieces: Vec<Vec<Piece>> = calls.iter().map(|_| Vec::new()).collect();
        let mut jobs = self.jobs(calls);
        for pass in 1.. {
            let shape: Vec<(usize, usize)> = jobs.iter().map(|job| (job.n, job.limit)).collect();
            let Some(cap) = self.ledger.cap(&shape, keep) else {
                if pass == 1 {
                    self.stopped = Stopped::Budget;
                    return Ok(None);
                }
                break;
            };
            let reserved: u64 = shape.iter().map(|(n, limit)| *n as u64 * (*limit).min(cap) as u64).sum();
            self.ledger.reserve(reserved);
            let requests = jobs.iter().map(|job| {
                let call = &calls[job.call];
                (call.node, self.generate(call, job, cap))
            });
            let generations = send(self.model, operation, requests.collect()).await?;
            let used: u64 = generations.iter().map(|g| g.usage.decode).sum();
            self.ledger.give_back(reserved, used);
            for (job, generation) in jobs.iter().zip(generations) {
                self.book(job.n as u64, generation.usage);
                let even = (generation.usage.decode as usize).div_ceil(job.n.max(1));
                for (i, completion) in generation.completions.into_iter().enumerate() {
                    let piece = self.piece(calls[job.call].node, completion, job.limit.min(cap) < job.limit, even)?;
                    match job.again {
                        true => pieces[job.call][job.first + i].extend(piece),
                        false => pieces[job.call].push(piece),
                    }
                }
            }
            jobs = self.again(calls, &pieces, pass);
            if jobs.is_empty() {
                break;
            }
        }
        self.tick();
        Ok(Some(pieces))
    }

    fn jobs(&self, calls: &[Call]) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            let job = |first: usize, n: usize, ending: String| Job {
                call: at,
                first,
                n,
                limit: call.limit,
                begun: self.spans[call.node].clone(),
                before: self.path_text(call.node),
                seed: format!("{}/{}{ending}", self.places[call.node], call.purpose),
                again: false,
            };
            // One request holds its memory as a whole, and many small ones can wait for each other.
            let size = if self.able.n { TOGETHER } else { 1 };
            for first in (0..call.n).step_by(size) {
                let ending = if first == 0 { String::new() } else { format!("/{first}") };
                jobs.push(job(first, size.min(call.n - first), ending));
            }
        }
        jobs
    }

    /// Jobs that go on where the budget's share cut.
    fn again(&self, calls: &[Call], pieces: &[Vec<Piece>], pass: usize) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (at, call) in calls.iter().enumerate().filter(|(_, call)| !call.step) {
            for (first, piece) in pieces[at].iter().enumerate() {
                if piece.end == End::Cut && piece.count < call.limit {
                    let mut begun = self.spans[call.node].clone();
                    begun.push(&completion(piece));
                    let seed = format!("{}/{}/{first}+{pass}", self.places[call.node], call.purpose);
                    let before = self.path_text(call.node) + &piece.text;
                    let limit = call.limit - piece.count;
                    jobs.push(Job { call: at, first, n: 1, limit, begun, before, seed, again: true });
                }
            }
        }
        jobs
    }

    fn generate(&self, call: &Call, job: &Job, cap: usize) -> Generate {
        let boundary = if call.step { self.request.boundary.until() } else { None };
        Generate {
            n: job.n,
            stop: self.request.stop.clone(),
            sampling: call.draw,
            seed: self.seed(&job.seed),
            adapter: self.request.adapter.clone(),
            logprobs: self.able.logprobs,
            until: self.stops.until(boundary, &job.before),
            begun: job.begun.clone(),
            ..Generate::greedy(self.request.prompt.clone(), job.limit.min(cap))
        }
    }

    /// Asks for the root's only continuation, and passes its text on as it comes.
    pub async fn ask_live(&mut self, operation: &'static str, draw: lm::Sampling) -> Result<Option<Piece>> {
        let call = Call { node: 0, purpose: "path".into(), n: 1, limit: self.request.max_tokens, step: false, draw };
        let calls = [call];
        let jobs = self.jobs(&calls);
        let Some(cap) = self.ledger.cap(&[(1, calls[0].limit)], 0).or(self.ledger.left().map(|left| left as usize))
        else {
            return Ok(None);
        };
        self.ledger.reserve(cap as u64);
        let request = self.generate(&calls[0], &jobs[0], cap);
        let (progress, sent) = (&mut self.progress, &mut self.sent);
        let mut sink = |delta: lm::Delta| {
            *sent += delta.text.len();
            progress(Event::Text(delta.text));
        };
        let generation = self.model.stream(request, &mut sink).await.map_err(|source| Error::Model {
            node: 0,
            operation,
            source,
        })?;
        self.ledger.give_back(cap as u64, generation.usage.decode);
        self.book(1, generation.usage);
        self.tick();
        let count = generation.usage.decode as usize;
        let first = generation.completions.into_iter().next();
        first.map(|completion| self.piece(0, completion, cap < calls[0].limit, count)).transpose()
    }

    fn piece(&mut self, node: usize, completion: Completion, capped: bool, even: usize) -> Result<Piece> {
        let sum: f64 = completion.logprobs.iter().map(|t| f64::from(t.logprob)).sum();
        if !sum.is_finite() {
            return Err(Error::NonFinite { node, what: "log-probability of a continuation" });
        }
        if let Some(token) = completion.logprobs.first() {
            self.scale.get_or_insert(token.scale);
        }
        let known = completion.tokens.len().max(completion.logprobs.len());
        let end = match completion.finish {
            Finish::Stop => End::Stop,
            Finish::Boundary => End::Boundary,
            Finish::Length if capped => End::Cut,
            Finish::Length => End::Limit,
        };
        Ok(Piece {
            // A server that shows no tokens has still counted them.
            count: if known == 0 && !completion.text.is_empty() { even } else { known },
            sum: self.able.logprobs.then_some((sum, completion.logprobs.len())),
            text: completion.text,
            tokens: completion.tokens,
            end,
        })
    }

    /// Scores two continuations of each prompt; none if the budget cannot pay what a server might
    /// count as a decoded token.
    pub async fn score(
        &mut self,
        operation: &'static str,
        scores: Vec<(usize, lm::Score)>,
    ) -> Result<Option<Vec<f64>>> {
        let n = scores.len() as u64;
        if self.ledger.left().is_some_and(|left| left < n) {
            self.stopped = Stopped::Budget;
            return Ok(None);
        }
        self.ledger.reserve(n);
        let model = self.model;
        let nodes: Vec<usize> = scores.iter().map(|(node, _)| *node).collect();
        let scored = try_join_all(scores.into_iter().map(|(node, score)| async move {
            model.score(score).await.map_err(|source| Error::Model { node, operation, source })
        }))
        .await?;
        let used = scored.iter().map(|s| s.usage.decode).sum();
        self.ledger.give_back(n, used);
        let mut sums = Vec::new();
        for (scored, node) in scored.iter().zip(nodes) {
            self.book(1, scored.usage);
            let sum = scored.sum();
            if !sum.is_finite() {
                return Err(Error::NonFinite { node, what: "score" });
            }
            sums.push(sum);
        }
        self.tick();
        Ok(Some(sums))
    }

    /// Asks something beside the path, in a prompt of its own; n drawn texts for each.
    pub async fn ask_beside(
        &mut self,
        operation: &'static str,
        asks: Vec<(usize, Generate)>,
    ) -> Result<Option<Vec<Vec<String>>>> {
        let most: u64 = asks.iter().map(|(_, ask)| (ask.n * ask.max_tokens) as u64).sum();
        if self.ledger.left().is_some_and(|left| left < most) {
            self.stopped = Stopped::Budget;
            return Ok(None);
        }
        self.ledger.reserve(most);
        let counts: Vec<u64> = asks.iter().map(|(_, ask)| ask.n as u64).collect();
        let asks = asks.into_iter().map(|(node, mut ask)| {
            ask.seed = self.seed(&format!("{}/{operation}", self.places[node]));
            ask.adapter.clone_from(&self.request.adapter);
            (node, ask)
        });
        let answers = send(self.model, operation, asks.collect()).await?;
        self.ledger.give_back(most, answers.iter().map(|a| a.usage.decode).sum());
        for (answer, n) in answers.iter().zip(counts) {
            self.book(n, answer.usage);
        }
        self.tick();
        Ok(Some(answers.into_iter().map(|a| a.completions.into_iter().map(|c| c.text).collect()).collect()))
    }

    fn book(&mut self, calls: u64, usage: Usage) {
        self.cost.calls += calls;
        self.cost.prefill += usage.prefill;
        self.cost.cached += usage.cached;
        self.cost.decode += usage.decode;
    }

    /// Reports the cost so far.
    fn tick(&mut self) {
        if let Some(parameters) = self.able.parameters {
            let parameters = parameters as f64;
            self.cost.flops_paper = Some(6.0 * self.cost.decode as f64 * parameters);
            self.cost.flops = Some(2.0 * (self.cost.prefill + self.cost.decode) as f64 * parameters);
        }
        self.cost.seconds = self.start.elapsed().as_secs_f64();
        (self.progress)(Event::Cost(self.cost));
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
        let mut span = self.spans[parent].clone();
        span.push(&completion(piece));
        self.spans.push(span);
        self.places.push(format!("{}.{}", self.places[parent], self.children[parent]));
        self.children[parent] += 1;
        self.children.push(0);
        (self.progress)(Event::Node(node.clone()));
        self.nodes.push(node);
        id
    }

    /// The part of a continuation that belongs to the path, and whether a stop string ends it.
    pub fn settle(&self, before: &str, text: &str) -> (String, bool) {
        self.stops.settle(before, text)
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

/// Sends requests, all at once; if one fails the others are dropped.
async fn send(
    model: &SharedModel,
    operation: &'static str,
    requests: Vec<(usize, Generate)>,
) -> Result<Vec<Generation>> {
    try_join_all(requests.into_iter().map(|(node, request)| async move {
        let n = request.n;
        let failed = |source| Error::Model { node, operation, source };
        let generation = model.generate(request).await.map_err(failed)?;
        match generation.completions.len() {
            found if found == n => Ok(generation),
            found => Err(failed(lm::Error::Engine(format!("{found} completions came where {n} were asked for")))),
        }
    }))
    .await
}

/// A piece as the model gave it, for [`Span::push`].
fn completion(piece: &Piece) -> Completion {
    Completion { text: piece.text.clone(), tokens: piece.tokens.clone(), logprobs: Vec::new(), finish: Finish::Length }
}
