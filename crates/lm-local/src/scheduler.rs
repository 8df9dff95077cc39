use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, OnceLock};

use lm::{Delta, Finish, Generate};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use weights::Tokenizer;

use crate::adapter::Loaded;
use crate::forward::Decoder;
use crate::plan::{Plan, plan};
use crate::request::{Ask, Branch, Completing, Event, Job, Live, token_logprob};
use crate::sampling;
use crate::text::Text;
use crate::tree::{NodeId, Tree, pages_for};

/// What the scheduler is told.
pub(crate) enum Command {
    Job(Box<Job>),
    /// An adapter is about to be used.
    Prepare(Arc<Loaded>),
    /// An adapter is no longer used by new requests.
    Forget(u64),
}

/// Counters that others may read at any time.
#[derive(Default)]
pub(crate) struct Counters {
    pub steps: AtomicU64,
    pub rows: AtomicU64,
    pub pages_used: AtomicU64,
    pub pages_held: AtomicU64,
    pub live: AtomicU64,
}

/// The one thread that owns the decoder.
pub(crate) struct Scheduler {
    pub name: String,
    pub decoder: Decoder,
    pub tokenizer: Tokenizer,
    pub counters: Arc<Counters>,
    tree: Tree,
    waiting: VecDeque<Job>,
    live: BTreeMap<u64, Live>,
    /// In order of arrival.
    branches: Vec<Branch>,
    /// Adapters to forget when their last request is done.
    retired: Vec<u64>,
    next: u64,
}

/// What a row of logits said to one branch.
struct Reading {
    token: u32,
    logprob: f32,
    greedy: bool,
    finite: bool,
}

impl Scheduler {
    pub fn new(name: String, decoder: Decoder, tokenizer: Tokenizer, counters: Arc<Counters>) -> Self {
        let tree = Tree::new(decoder.pages());
        Self {
            name,
            decoder,
            tokenizer,
            counters,
            tree,
            waiting: VecDeque::new(),
            live: BTreeMap::new(),
            branches: Vec::new(),
            retired: Vec::new(),
            next: 0,
        }
    }

    /// Works until the last sender is gone.
    pub fn run(&mut self, commands: &Receiver<Command>) {
        loop {
            let idle = self.live.is_empty() && self.waiting.is_empty();
            if idle {
                self.count();
                let Ok(command) = commands.recv() else { return };
                self.take(command);
            }
            loop {
                match commands.try_recv() {
                    Ok(command) => self.take(command),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.drop_cancelled();
            self.admit();
            self.count();
            if !self.branches.is_empty() {
                self.step();
            }
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Prepare(adapter) => self.decoder.prepare(&adapter),
            Command::Forget(adapter) => {
                self.retired.push(adapter);
                self.forget_retired();
            }
            Command::Job(job) => {
                let (n, most) = job.streams();
                let len = job.stem().len();
                let pages = pages_for(0, len) + n * pages_for(len, len + most);
                if pages > self.tree.pages_total() {
                    let total = self.tree.pages_total();
                    job.fail(lm::Error::Budget(format!(
                        "{n} completions of up to {most} tokens after a prompt of {len} need {pages} pages, \
                         but memory holds {total}; raise memory_mb or ask for less"
                    )));
                } else {
                    self.waiting.push_back(*job);
                }
            }
        }
    }

    fn count(&self) {
        self.counters.pages_used.store(self.tree.pages_used() as u64, Ordering::Relaxed);
        self.counters.pages_held.store((self.tree.pages_total() - self.tree.room()) as u64, Ordering::Relaxed);
        self.counters.live.store((self.live.len() + self.waiting.len()) as u64, Ordering::Relaxed);
    }

    fn forget_retired(&mut self) {
        let (live, waiting, tree) = (&self.live, &self.waiting, &mut self.tree);
        self.retired.retain(|adapter| {
            let used = live.values().map(|live| &live.job).chain(waiting).any(|job| job.adapter == *adapter);
            if !used {
                tree.forget(*adapter);
            }
            used
        });
    }

    fn drop_cancelled(&mut self) {
        self.waiting.retain(|job| !job.is_cancelled());
        let gone: Vec<u64> =
            self.live.iter().filter(|(_, live)| live.job.is_cancelled()).map(|(request, _)| *request).collect();
        for request in gone {
            self.remove(request);
        }
    }

    /// Ends a request's work and gives its pages back.
    fn remove(&mut self, request: u64) -> Option<Live> {
        let tree = &mut self.tree;
        self.branches.retain(|branch| {
            let keep = branch.request != request;
            if !keep {
                tree.release(branch.end);
                tree.committed -= branch.promised;
            }
            keep
        });
        let live = self.live.remove(&request);
        self.forget_retired();
        live
    }

    /// Begins waiting requests, first come first, while memory for their worst case is there.
    fn admit(&mut self) {
        while let Some(job) = self.waiting.front() {
            let root = self.tree.root(job.adapter);
            let (end, at) = self.tree.find(root, job.stem());
            let (n, most) = job.streams();
            let len = job.stem().len();
            let promised = n * pages_for(len, len + most);
            if self.tree.room() < pages_for(at, len) + promised {
                self.tree.release(end);
                return;
            }
            let Some(job) = self.waiting.pop_front() else { return };
            let end = match self.tree.append(end, &job.stem()[at..], false) {
                Ok(end) => end,
                Err(end) => {
                    self.tree.release(end);
                    job.fail(lm::Error::Engine("a page that was promised is missing".into()));
                    continue;
                }
            };
            self.tree.committed += promised;
            let request = self.next;
            self.next += 1;
            self.branches.push(Branch {
                request,
                end,
                len,
                cursor: 0,
                wanted: job.wanted().start,
                promised,
                version: None,
                nodes: Vec::new(),
                segments: Vec::new(),
                completing: None,
            });
            self.live.insert(request, Live::new(job));
        }
    }

    fn step(&mut self) {
        let live = &self.live;
        let loaded = |branch: &Branch| live[&branch.request].job.loaded.clone();
        let plan = plan(&self.tree, &mut self.branches, &loaded, self.decoder.most());
        assert!(!plan.batch.rows.is_empty() || !plan.readings.is_empty(), "a live branch always has a next row");
        self.decoder.step(&plan.batch);
        self.counters.steps.fetch_add(1, Ordering::Relaxed);
        self.counters.rows.fetch_add(plan.batch.rows.len() as u64, Ordering::Relaxed);
        for (node, count) in &plan.fills {
            self.tree.fill(*node, *count);
        }
        for (branch, (cursor, rows)) in self.branches.iter_mut().zip(&plan.progress) {
            branch.cursor = *cursor;
            if branch.completing.is_none()
                && let Some(live) = self.live.get_mut(&branch.request)
            {
                live.computed += rows;
            }
        }
        self.read(&plan);
    }

    /// Looks at the logits of a step and does what follows.
    fn read(&mut self, plan: &Plan) {
        let mut starts = Vec::new();
        for (_, branch, _) in &plan.readings {
            let starting = self.starting(*branch);
            starts.push(starting);
        }
        let readings = self.readings(plan, &mut starts);
        let mut failed = Vec::new();
        let mut ended = Vec::new();
        let mut begun = Vec::new();
        for (((row, index, position), starting), results) in plan.readings.iter().zip(starts).zip(readings) {
            let branch = &mut self.branches[*index];
            let request = branch.request;
            if failed.contains(&request) {
                continue;
            }
            if results.iter().any(|reading| !reading.finite) {
                failed.push(request);
                continue;
            }
            let Some(live) = self.live.get_mut(&request) else { continue };
            match &live.job.ask {
                Ask::Logits { .. } => {
                    live.logits.extend_from_slice(self.decoder.logits(*row));
                    ended.extend((position + 1 == branch.len).then_some(request));
                }
                Ask::Score { .. } => {
                    let Reading { logprob, greedy, .. } = results[0];
                    live.scored.push(token_logprob(&self.tokenizer, live.job.tokens[position + 1], logprob, greedy));
                    ended.extend((position + 1 == branch.len).then_some(request));
                }
                Ask::Generate { .. } => {
                    let promised = std::mem::take(&mut branch.promised);
                    if let Some(mut completing) = branch.completing.take() {
                        let more = push(&self.tokenizer, live, &mut completing, &results[0]);
                        follow(&mut self.tree, live, branch, completing, more, promised);
                    } else {
                        let each = promised / starting.len().max(1);
                        for (mut completing, reading) in starting.into_iter().zip(&results) {
                            let more = push(&self.tokenizer, live, &mut completing, reading);
                            self.tree.pin(branch.end);
                            let mut stream = Branch {
                                request,
                                end: branch.end,
                                len: branch.len,
                                cursor: branch.len,
                                wanted: branch.len,
                                promised: 0,
                                version: None,
                                nodes: Vec::new(),
                                segments: Vec::new(),
                                completing: None,
                            };
                            follow(&mut self.tree, live, &mut stream, completing, more, each);
                            begun.push(stream);
                        }
                        branch.len = 0;
                    }
                    ended.extend(live.completions.iter().all(Option::is_some).then_some(request));
                }
            }
        }
        self.branches.extend(begun);
        // Prompts that have become streams, and streams that have ended, are no longer waited for.
        let tree = &mut self.tree;
        let live = &self.live;
        self.branches.retain(|branch| {
            let generates = live.get(&branch.request).is_some_and(|l| matches!(l.job.ask, Ask::Generate { .. }));
            let over = generates && branch.completing.is_none() && branch.len == 0;
            if over {
                tree.release(branch.end);
                tree.committed -= branch.promised;
            }
            !over
        });
        for request in failed {
            if let Some(live) = self.remove(request) {
                live.job.fail(lm::Error::NonFinite { model: self.name.clone(), place: "logits".into() });
            }
        }
        for request in ended {
            if let Some(live) = self.remove(request) {
                live.finish();
            }
        }
    }

    /// The completions that begin when a prompt is done; none for other branches.
    fn starting(&self, branch: usize) -> Vec<Completing> {
        let branch = &self.branches[branch];
        let live = &self.live[&branch.request];
        match (&live.job.ask, &branch.completing) {
            (Ask::Generate { request, .. }, None) => (0..request.n)
                .map(|index| Completing {
                    index,
                    rng: stream_rng(request, index),
                    text: Text::new(&self.tokenizer, &request.stop),
                    tokens: Vec::new(),
                    logprobs: Vec::new(),
                    seen: match request.sampling.repetition_penalty == 1.0 {
                        true => Vec::new(),
                        false => {
                            let mut seen = live.job.tokens.clone();
                            seen.sort_unstable();
                            seen.dedup();
                            seen
                        }
                    },
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Draws or looks up tokens for every reading of a step, on all threads.
    fn readings(&mut self, plan: &Plan, starts: &mut [Vec<Completing>]) -> Vec<Vec<Reading>> {
        let rows = plan.batch.rows.iter().filter(|row| row.logits).count();
        // One uniform number a token, drawn here so that threads have nothing to share.
        let mut uniforms: Vec<Vec<f64>> = Vec::with_capacity(plan.readings.len());
        for ((_, branch, _), starting) in plan.readings.iter().zip(starts.iter_mut()) {
            uniforms.push(match &mut self.branches[*branch].completing {
                Some(completing) => vec![completing.rng.random()],
                None => starting.iter_mut().map(|completing| completing.rng.random()).collect(),
            });
        }
        let mut by_row: Vec<Vec<usize>> = vec![Vec::new(); rows];
        for (i, (row, ..)) in plan.readings.iter().enumerate() {
            by_row[*row].push(i);
        }
        let results: Vec<OnceLock<Vec<Reading>>> = plan.readings.iter().map(|_| OnceLock::new()).collect();
        let (live, branches, starts) = (&self.live, &self.branches, &*starts);
        self.decoder.each_row(rows, &|row, logits, table| {
            let summary = table.summarise(logits);
            let reading = |token: u32| Reading {
                token,
                logprob: logits[token as usize] - summary.log_sum,
                greedy: token == summary.token,
                finite: summary.finite,
            };
            for i in &by_row[row] {
                let (_, branch, position) = plan.readings[*i];
                let branch = &branches[branch];
                let job = &live[&branch.request].job;
                let result = match &job.ask {
                    _ if !summary.finite => vec![reading(0)],
                    Ask::Logits { .. } => vec![reading(summary.token)],
                    Ask::Score { .. } => vec![reading(job.tokens[position + 1])],
                    Ask::Generate { request, .. } => {
                        let seen =
                            |k: usize| branch.completing.as_ref().unwrap_or_else(|| &starts[*i][k]).seen.as_slice();
                        let draws = uniforms[*i].iter().enumerate().map(|(k, uniform)| {
                            sampling::draw(table, logits, &summary, &request.sampling, seen(k), *uniform)
                        });
                        draws.map(reading).collect()
                    }
                };
                // Each reading belongs to one row, which one thread looks at.
                let _ = results[*i].set(result);
            }
        });
        results.into_iter().map(|result| result.into_inner().unwrap_or_default()).collect()
    }
}

/// The stream of draws of one completion: it depends on (seed, index) alone.
fn stream_rng(request: &Generate, index: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(request.seed);
    rng.set_stream(index as u64);
    rng
}

/// Adds a drawn token to a completion and sends its text. Returns the token if the completion goes
/// on, or why it ends.
fn push(tokenizer: &Tokenizer, live: &mut Live, completing: &mut Completing, reading: &Reading) -> Result<u32, Finish> {
    let Ask::Generate { request, reply } = &live.job.ask else { return Err(Finish::Stop) };
    let index = completing.index;
    // A closed channel is a cancelled request, which the next step notices.
    let send = |text: String| {
        if !text.is_empty() {
            let _ = reply.send(Event::Delta(Delta { index, text }));
        }
    };
    live.drawn += 1;
    let token = reading.token;
    if tokenizer.eos.contains(&token) {
        send(completing.text.finish().0);
        return Err(Finish::Stop);
    }
    completing.tokens.push(token);
    if request.logprobs {
        completing.logprobs.push(token_logprob(tokenizer, token, reading.logprob, reading.greedy));
    }
    if request.sampling.repetition_penalty != 1.0
        && let Err(at) = completing.seen.binary_search(&token)
    {
        completing.seen.insert(at, token);
    }
    let (text, stopped) = completing.text.push(token);
    send(text);
    if stopped {
        return Err(Finish::Stop);
    }
    if completing.tokens.len() >= request.max_tokens {
        let (text, stopped) = completing.text.finish();
        send(text);
        return Err(if stopped { Finish::Stop } else { Finish::Length });
    }
    Ok(token)
}

/// Puts a completion's new token on its path, or ends the completion.
fn follow(
    tree: &mut Tree,
    live: &mut Live,
    branch: &mut Branch,
    completing: Completing,
    more: Result<u32, Finish>,
    promised: usize,
) {
    branch.promised = promised;
    let end = |live: &mut Live, branch: &mut Branch, completing: Completing, finish| {
        let index = completing.index;
        live.completions[index] = Some(completing.end(finish));
        branch.len = 0;
    };
    match more {
        Err(finish) => end(live, branch, completing, finish),
        Ok(token) => {
            let grown: Result<(NodeId, bool), NodeId> = tree.grow(branch.end, token);
            let (node, new_page) = grown.expect("worst-case pages are promised at admission");
            branch.end = node;
            if new_page {
                branch.promised -= 1;
                tree.committed -= 1;
            } else if let Some(last) = branch.segments.last_mut() {
                // The path is the same but for its last length.
                last.len += 1;
            }
            branch.len += 1;
            branch.wanted = branch.len - 1;
            branch.completing = Some(completing);
        }
    }
}
