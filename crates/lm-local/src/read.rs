//! What follows from a step's logits: tokens are drawn, put on their paths, scored or answered.

use std::sync::{Mutex, OnceLock};

use llguidance::toktrie::SimpleVob;
use lm::{Delta, Finish, Generate};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use weights::Tokenizer;

use crate::plan::Plan;
use crate::request::{Ask, Branch, Completing, Event, Live, token_logprob};
use crate::sampling;
use crate::scheduler::Scheduler;
use crate::text::Text;
use crate::tree::{NodeId, Tree};

/// What a row of logits said to one branch.
struct Reading {
    token: u32,
    /// No number where nobody is told.
    logprob: f32,
    greedy: bool,
    /// Whether the format leaves nothing to come.
    complete: bool,
    /// Why no token could be drawn.
    problem: Option<Problem>,
    /// The most probable tokens with their log-probabilities, as many as were asked for.
    top: Vec<(f32, u32)>,
}

#[derive(Clone)]
enum Problem {
    NotFinite,
    Format(String),
}

impl Scheduler {
    /// Looks at the logits of a step and does what follows.
    pub fn read(&mut self, plan: &Plan) {
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
            if failed.iter().any(|(other, _)| *other == request) {
                continue;
            }
            if let Some(problem) = results.iter().find_map(|reading| reading.problem.clone()) {
                failed.push((request, problem));
                continue;
            }
            let Some(live) = self.live.get_mut(&request) else { continue };
            match &live.job.ask {
                Ask::Logits { .. } => {
                    live.logits.extend_from_slice(self.decoder.logits(*row));
                    ended.extend((position + 1 == branch.len).then_some(request));
                }
                Ask::Score { .. } => {
                    let Reading { token, logprob, greedy, top, .. } = &results[0];
                    live.scored.push(token_logprob(&self.tokenizer, *token, *logprob, *greedy, top));
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
                                served: 0,
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
        for (request, problem) in failed {
            let error = match problem {
                Problem::NotFinite => lm::Error::NonFinite { model: self.name.clone(), place: "logits".into() },
                Problem::Format(problem) => {
                    lm::Error::Request { field: "format", problem: format!("cannot be followed: {problem}") }
                }
            };
            if let Some(live) = self.remove(request) {
                live.job.fail(error);
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
            (Ask::Generate { request, until, guide, .. }, None) => (0..request.n)
                .map(|index| Completing {
                    index,
                    rng: stream_rng(request, index),
                    text: {
                        // Where a turn begins, a vocabulary may have a space that is no text. A format
                        // speaks of every character.
                        let begins = matches!(request.prompt, lm::Prompt::Messages(_)) && request.begun.is_empty();
                        let begins = begins && request.format.is_none();
                        let stream = if begins { self.tokenizer.stream() } else { self.tokenizer.stream_continued() };
                        Text::new(stream, &request.stop, until.clone())
                    },
                    guide: guide.as_ref().map(|guide| Mutex::new(guide.fork())),
                    tokens: Vec::new(),
                    logprobs: Vec::new(),
                    told: 0,
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
        let (live, branches, starts, ends) = (&self.live, &self.branches, &*starts, &self.tokenizer.eos);
        self.decoder.each_row(rows, &|row, logits, table| {
            let summary = table.summarise(logits);
            let job = |i: usize| &live[&branches[plan.readings[i].1].request].job;
            let most = by_row[row].iter().map(|i| job(*i).top()).max().unwrap_or(0);
            // Summing up a vocabulary takes long, and only who is told probabilities needs it.
            let told = summary.finite && by_row[row].iter().any(|i| job(*i).tells());
            let log_sum = if told { table.log_sum(logits, summary.largest) } else { f32::NAN };
            let mut top = if summary.finite { sampling::top(logits, most) } else { Vec::new() };
            for (logit, _) in &mut top {
                *logit -= log_sum;
            }
            for i in &by_row[row] {
                let (_, branch, position) = plan.readings[*i];
                let branch = &branches[branch];
                let job = job(*i);
                let reading = |token: u32| Reading {
                    token,
                    logprob: logits[token as usize] - log_sum,
                    greedy: token == summary.token,
                    complete: false,
                    problem: (!summary.finite).then_some(Problem::NotFinite),
                    top: top[..job.top().min(top.len())].to_vec(),
                };
                let result = match &job.ask {
                    _ if !summary.finite => vec![reading(0)],
                    Ask::Logits { .. } => vec![reading(summary.token)],
                    Ask::Score { .. } => vec![reading(job.tokens[position + 1])],
                    Ask::Generate { request, .. } => {
                        let draws = uniforms[*i].iter().enumerate().map(|(k, uniform)| {
                            let completing = branch.completing.as_ref().unwrap_or_else(|| &starts[*i][k]);
                            let draw = |allowed: Option<&SimpleVob>| {
                                let (sampling, seen) = (&request.sampling, &completing.seen);
                                reading(sampling::draw(table, logits, &summary, sampling, seen, allowed, *uniform))
                            };
                            let Some(guide) = &completing.guide else { return draw(None) };
                            let mut guide = guide.lock().unwrap_or_else(|e| e.into_inner());
                            let drawn = guide.allowed().map(|allowed| draw(Some(allowed)));
                            let drawn = drawn.and_then(|drawn| match ends.contains(&drawn.token) {
                                true => Ok(drawn),
                                false => guide.push(drawn.token).map(|complete| Reading { complete, ..drawn }),
                            });
                            let failed = |e| Reading { problem: Some(Problem::Format(e)), ..reading(0) };
                            drawn.unwrap_or_else(failed)
                        });
                        draws.collect()
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
    let Ask::Generate { request, reply, deltas, .. } = &live.job.ask else { return Err(Finish::Stop) };
    let index = completing.index;
    // A closed channel is a cancelled request, which the next step notices.
    let send = |completing: &mut Completing, text: String| {
        if *deltas && !text.is_empty() {
            let logprobs = completing.logprobs[completing.told..].to_vec();
            completing.told = completing.logprobs.len();
            let _ = reply.send(Event::Delta(Delta { index, text, logprobs }));
        }
    };
    live.drawn += 1;
    let token = reading.token;
    if tokenizer.eos.contains(&token) {
        let rest = completing.text.finish().0;
        send(completing, rest);
        return Err(Finish::Stop);
    }
    completing.tokens.push(token);
    if request.logprobs {
        completing.logprobs.push(token_logprob(tokenizer, token, reading.logprob, reading.greedy, &reading.top));
    }
    if request.sampling.repetition_penalty != 1.0
        && let Err(at) = completing.seen.binary_search(&token)
    {
        completing.seen.insert(at, token);
    }
    let (text, end) = completing.text.push(token);
    send(completing, text);
    if let Some(finish) = end {
        return Err(finish);
    }
    if reading.complete || completing.tokens.len() >= request.max_tokens {
        let (text, stopped) = completing.text.finish();
        send(completing, text);
        return Err(if stopped || reading.complete { Finish::Stop } else { Finish::Length });
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
