use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};

use weights::Tokenizer;

use crate::adapter::Loaded;
use crate::forward::Decoder;
use crate::plan::plan;
use crate::request::{Branch, Job, Live};
use crate::tree::{Tree, pages_for};

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
    pub tree: Tree,
    waiting: VecDeque<Job>,
    pub live: BTreeMap<u64, Live>,
    /// In order of arrival.
    pub branches: Vec<Branch>,
    /// Adapters to forget when their last request is done.
    retired: Vec<u64>,
    next: u64,
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
    pub fn remove(&mut self, request: u64) -> Option<Live> {
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
                served: 0,
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
        let step = self.counters.steps.load(Ordering::Relaxed);
        let plan = plan(&self.tree, &mut self.branches, &loaded, self.decoder.most(), step);
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
}
