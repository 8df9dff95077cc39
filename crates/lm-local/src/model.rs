use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;

use lm::{
    Capabilities, Completion, Delta, Finish, Format, Generate, Generation, LanguageModel, Prompt, Score, Scored, Span,
    Usage,
};
use regex::Regex;
use tokio::sync::{mpsc, oneshot};
use weights::{Adapter, Architecture, Checkpoint, Tokenizer};

use crate::adapter::Loaded;
use crate::clock::{Clock, Spent};
use crate::forward::Decoder;
use crate::guide::{Grammars, Guide};
use crate::request::{Ask, Event, Job};
use crate::scheduler::{Command, Counters, Scheduler};
use crate::{Config, Error, Kernels, Result};

/// A model on this machine's processor. Cloning is cheap; dropping the last one stops its threads.
#[derive(Clone)]
pub struct LocalModel {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    architecture: Architecture,
    tokenizer: Tokenizer,
    kernels: Kernels,
    weight_bytes: usize,
    counters: Arc<Counters>,
    clock: Arc<Clock>,
    pages: usize,
    grammars: OnceLock<std::result::Result<Grammars, String>>,
    adapters: Mutex<Adapters>,
    commands: Mutex<Option<Sender<Command>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Adapters by name, each with a number that is never used twice.
#[derive(Default)]
struct Adapters {
    last: u64,
    known: HashMap<String, (u64, Arc<Loaded>)>,
}

/// What the engine has done and holds, for tests and reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Steps since loading.
    pub steps: u64,
    /// Positions computed in them.
    pub rows: u64,
    /// Pages of 16 positions that hold keys and values, remembered prefixes included.
    pub pages_used: usize,
    /// Pages that live requests hold or have been promised.
    pub pages_held: usize,
    /// All pages.
    pub pages: usize,
    /// Requests that wait or are worked on.
    pub requests: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl LocalModel {
    /// Repacks the weights and starts the threads.
    pub fn load(checkpoint: &Checkpoint, config: Config) -> Result<Self> {
        if !(1..=1024).contains(&config.batch_rows) {
            return Err(Error::Config { field: "batch_rows", problem: "must lie in 1 to 1024".into() });
        }
        if config.threads > 1024 {
            return Err(Error::Config { field: "threads", problem: "must be 1024 or fewer".into() });
        }
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if config.threads == 0 { cores() } else { config.threads };
        let kernels = config.kernels.unwrap_or_else(Kernels::detect);
        let decoder = Decoder::new(checkpoint, &config, kernels, threads)?;
        let counters = Arc::new(Counters::default());
        let clock = decoder.clock();
        let (name, tokenizer) = (checkpoint.name.clone(), checkpoint.tokenizer.clone());
        let (weight_bytes, pages) = (decoder.weight_bytes(), decoder.pages());
        log::debug!("{name}: {} kernels, {threads} threads, {pages} pages", kernels.name());
        let (commands, receiver) = channel();
        let mut scheduler = Scheduler::new(name.clone(), decoder, tokenizer.clone(), counters.clone());
        let work = move || {
            // Whoever waits for an answer sees its channel close.
            if catch_unwind(AssertUnwindSafe(|| scheduler.run(&receiver))).is_err() {
                log::error!("{}: the engine stopped after an internal error", scheduler.name);
            }
        };
        let thread = std::thread::Builder::new().name("lm-local".into()).spawn(work).map_err(Error::Threads)?;
        Ok(Self {
            inner: Arc::new(Inner {
                name,
                architecture: checkpoint.architecture.clone(),
                tokenizer,
                kernels,
                weight_bytes,
                counters,
                clock,
                pages,
                grammars: OnceLock::new(),
                adapters: Mutex::default(),
                commands: Mutex::new(Some(commands)),
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Makes an adapter known under a name, in place of one of the same name. Requests under way go
    /// on with the one that they began with.
    pub fn add_adapter(&self, name: &str, adapter: &Adapter) -> Result<()> {
        let loaded = Arc::new(Loaded::new(name, adapter, &self.inner.architecture)?);
        self.send(Command::Prepare(loaded.clone()))?;
        let old = {
            let mut adapters = lock(&self.inner.adapters);
            adapters.last += 1;
            let number = adapters.last;
            adapters.known.insert(name.into(), (number, loaded))
        };
        old.map_or(Ok(()), |(number, _)| self.send(Command::Forget(number)))
    }

    /// Forgets an adapter; returns whether there was one. Requests under way go on.
    pub fn remove_adapter(&self, name: &str) -> Result<bool> {
        let old = lock(&self.inner.adapters).known.remove(name);
        match old {
            None => Ok(false),
            Some((number, _)) => self.send(Command::Forget(number)).map(|()| true),
        }
    }

    /// Name of the instruction set in use.
    pub fn kernels(&self) -> &str {
        self.inner.kernels.name()
    }

    /// Bytes of weights that a step reads.
    pub fn weight_bytes(&self) -> usize {
        self.inner.weight_bytes
    }

    /// The model's shape.
    pub fn architecture(&self) -> &Architecture {
        &self.inner.architecture
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.inner.tokenizer
    }

    /// What the engine has done and holds. Counters follow a request's end by a moment.
    pub fn statistics(&self) -> Statistics {
        let counters = &self.inner.counters;
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            steps: read(&counters.steps),
            rows: read(&counters.rows),
            pages_used: read(&counters.pages_used) as usize,
            pages_held: read(&counters.pages_held) as usize,
            pages: self.inner.pages,
            requests: read(&counters.live) as usize,
        }
    }

    /// Sums up where time goes from now on, or stops it; returns what it went to until now.
    pub fn clock(&self, on: bool) -> Vec<Spent> {
        self.inner.clock.set(on)
    }

    /// Logits after each of `tokens`, each given all before it: tokens × vocabulary, row by row.
    /// Blocks, so it is for tests and measurements, outside of asynchronous code.
    pub fn logits(&self, tokens: &[u32], adapter: Option<&str>) -> lm::Result<Vec<f32>> {
        let (reply, answer) = channel();
        self.check("tokens", tokens)?;
        self.submit(tokens.to_vec(), 0, adapter, Ask::Logits { reply })?;
        answer.recv().unwrap_or_else(|_| Err(stopped()))
    }

    fn send(&self, command: Command) -> Result<()> {
        match lock(&self.inner.commands).as_ref().map(|commands| commands.send(command)) {
            Some(Ok(())) => Ok(()),
            _ => Err(Error::Stopped),
        }
    }

    fn tokens(&self, prompt: &Prompt) -> lm::Result<Vec<u32>> {
        let tokens = match prompt {
            Prompt::Raw(text) => self.inner.tokenizer.raw(text),
            Prompt::Tokens(tokens) => tokens.clone(),
            Prompt::Messages(messages) => {
                let rendered = self.inner.tokenizer.render_chat(messages);
                rendered.map_err(|e| lm::Error::Request { field: "prompt", problem: e.to_string() })?
            }
        };
        self.check("prompt", &tokens)?;
        Ok(tokens)
    }

    /// What stands after a prompt.
    fn span(&self, field: &'static str, span: &Span) -> lm::Result<Vec<u32>> {
        self.check(field, &span.tokens)?;
        Ok(match span.tokens.is_empty() {
            true => self.inner.tokenizer.encode_continued(&span.text),
            false => span.tokens.clone(),
        })
    }

    fn guide(&self, format: &Format) -> lm::Result<Guide> {
        let bad = |problem| lm::Error::Request { field: "format", problem: format!("cannot be followed: {problem}") };
        let made = || Grammars::new(&self.inner.tokenizer, self.inner.architecture.vocab);
        self.inner.grammars.get_or_init(made).as_ref().map_err(|e| bad(e.clone()))?.guide(format).map_err(bad)
    }

    fn check(&self, field: &'static str, tokens: &[u32]) -> lm::Result<()> {
        let vocab = self.inner.architecture.vocab;
        match tokens.iter().find(|token| **token as usize >= vocab) {
            None => Ok(()),
            Some(token) => Err(lm::Error::Request {
                field,
                problem: format!("holds token {token}, beyond the vocabulary of {vocab}"),
            }),
        }
    }

    /// Checks what every request must obey, and hands it to the scheduler.
    fn submit(&self, tokens: Vec<u32>, more: usize, adapter: Option<&str>, ask: Ask) -> lm::Result<()> {
        if tokens.is_empty() {
            let problem = "has no token; give at least one character".into();
            return Err(lm::Error::Request { field: "prompt", problem });
        }
        let limit = self.inner.architecture.context;
        let count = tokens.len().saturating_add(more);
        if count > limit {
            return Err(lm::Error::Context { model: self.inner.name.clone(), tokens: count, limit });
        }
        let (adapter, loaded) = match adapter {
            None => (0, None),
            Some(name) => {
                let known = lock(&self.inner.adapters).known.get(name).cloned();
                let Some((number, loaded)) = known else {
                    return Err(lm::Error::Adapter { model: self.inner.name.clone(), adapter: name.into() });
                };
                (number, Some(loaded))
            }
        };
        self.send(Command::Job(Box::new(Job { tokens, adapter, loaded, ask }))).map_err(|_| stopped())
    }

    /// Answers a request, and tells its text as it comes if somebody listens.
    async fn complete(
        &self,
        request: Generate,
        mut sink: Option<&mut (dyn FnMut(Delta) + Send)>,
    ) -> lm::Result<Generation> {
        request.validate()?;
        check_top(request.top_logprobs)?;
        let until = request.until.as_deref().map(until).transpose()?;
        let guide = request.format.as_ref().map(|format| self.guide(format)).transpose()?.map(Box::new);
        let mut tokens = self.tokens(&request.prompt)?;
        tokens.extend(self.span("begun", &request.begun)?);
        let (n, more, adapter) = (request.n, request.max_tokens, request.adapter.clone());
        if more == 0 {
            let empty =
                Completion { text: String::new(), tokens: Vec::new(), logprobs: Vec::new(), finish: Finish::Length };
            return Ok(Generation { completions: vec![empty; n], usage: Usage::default() });
        }
        let (reply, mut events) = mpsc::unbounded_channel();
        self.submit(
            tokens,
            more,
            adapter.as_deref(),
            Ask::Generate { request: Box::new(request), until, guide, deltas: sink.is_some(), reply },
        )?;
        loop {
            match events.recv().await {
                Some(Event::Delta(delta)) => {
                    if let Some(sink) = &mut sink {
                        sink(delta);
                    }
                }
                Some(Event::End(result)) => return result,
                None => return Err(stopped()),
            }
        }
    }
}

/// Each alternative is a line of the answer; nobody looks at more.
fn check_top(count: usize) -> lm::Result<()> {
    match count {
        0..=20 => Ok(()),
        _ => Err(lm::Error::Request { field: "top_logprobs", problem: format!("is {count}, but must lie in 0..=20") }),
    }
}

fn until(pattern: &str) -> lm::Result<Regex> {
    Regex::new(pattern)
        .map_err(|e| lm::Error::Request { field: "until", problem: format!("is no regular expression: {e}") })
}

fn stopped() -> lm::Error {
    lm::Error::Engine("stopped after an internal error; load the model again".into())
}

impl Drop for Inner {
    fn drop(&mut self) {
        lock(&self.commands).take();
        if let Some(thread) = lock(&self.thread).take() {
            // A panic in it was logged when it happened.
            let _ = thread.join();
        }
    }
}

#[async_trait::async_trait]
impl LanguageModel for LocalModel {
    fn name(&self) -> &str {
        &self.inner.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            context: Some(self.inner.architecture.context),
            logprobs: true,
            score: true,
            n: true,
            seeded: true,
            adapters: true,
            formats: true,
            parameters: Some(self.inner.architecture.parameters() as u64),
        }
    }

    fn tokenize(&self, prompt: &Prompt) -> lm::Result<Vec<u32>> {
        self.tokens(prompt)
    }

    fn detokenize(&self, tokens: &[u32]) -> lm::Result<String> {
        Ok(self.inner.tokenizer.decode(tokens))
    }

    async fn generate(&self, request: Generate) -> lm::Result<Generation> {
        self.complete(request, None).await
    }

    async fn stream(&self, request: Generate, sink: &mut (dyn FnMut(Delta) + Send)) -> lm::Result<Generation> {
        self.complete(request, Some(sink)).await
    }

    async fn score(&self, request: Score) -> lm::Result<Scored> {
        check_top(request.top_logprobs)?;
        let mut tokens = self.tokens(&request.prompt)?;
        let prompt = tokens.len();
        if prompt == 0 {
            let problem = "has no token, so the continuation's first token is given nothing".into();
            return Err(lm::Error::Request { field: "prompt", problem });
        }
        tokens.extend(self.span("continuation", &request.continuation)?);
        if tokens.len() == prompt {
            return Ok(Scored { tokens: Vec::new(), usage: Usage::default() });
        }
        let (reply, answer) = oneshot::channel();
        let ask = Ask::Score { prompt, top: request.top_logprobs, reply };
        self.submit(tokens, 0, request.adapter.as_deref(), ask)?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}
