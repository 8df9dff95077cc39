//! Calls to the model, each paid for before it is sent.

use futures::future::try_join_all;
use lm::{Completion, Finish, Generate, Generation, SharedModel, Span, Usage};

use super::{Call, End, Piece, Session, completion};
use crate::{Error, Event, Result, Stopped, Strategy};

/// Completions of one request at most.
const TOGETHER: usize = 16;

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

impl Session<'_> {
    /// Whether a whole path is known that goes through this node.
    fn known_whole(&self, node: usize) -> bool {
        let whole = |id: usize| self.nodes[id].finished || self.nodes[id].foresight.as_ref().is_some_and(|f| f.whole);
        whole(node) || self.nodes[node].parent.is_some_and(whole)
    }

    /// Tokens that looking around must leave, so that one path can come to its end: none where a
    /// whole path is known already, else the rest of a path, but a quarter of what is left at most.
    /// Practice needs no answer, and so nothing is kept for one.
    fn keep(&self, calls: &[Call]) -> u64 {
        let practice = matches!(self.strategy, Strategy::Practice { .. });
        if practice || calls.iter().any(|call| self.known_whole(call.node)) {
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
                begun: self.traces[call.node].span.clone(),
                before: self.path_text(call.node),
                seed: format!("{}/{}{ending}", self.traces[call.node].place, call.purpose),
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
                    let mut begun = self.traces[call.node].span.clone();
                    begun.push(&completion(piece));
                    let seed = format!("{}/{}/{first}+{pass}", self.traces[call.node].place, call.purpose);
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
            ask.seed = self.seed(&format!("{}/{operation}", self.traces[node].place));
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
    pub(super) fn tick(&mut self) {
        if let Some(parameters) = self.able.parameters {
            let parameters = parameters as f64;
            self.cost.flops_paper = Some(6.0 * self.cost.decode as f64 * parameters);
            self.cost.flops = Some(2.0 * (self.cost.prefill + self.cost.decode) as f64 * parameters);
        }
        self.cost.seconds = self.start.elapsed().as_secs_f64();
        (self.progress)(Event::Cost(self.cost));
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
