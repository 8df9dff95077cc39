//! Where the time of a step goes, looked at by its first thread while somebody asks.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a step's time is spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Looking up embeddings and sorting rows, on one thread.
    Begin,
    /// Norms, and rows quantised where that is a phase of its own.
    Pack,
    /// The product with q, k and v.
    QueryKeyValue,
    /// Writing keys and values.
    Keep,
    /// Attention.
    Attend,
    /// The product with o.
    Output,
    /// The product with gate and up, and SiLU.
    GateUp,
    /// The product with down.
    Down,
    /// The output head.
    Head,
    /// Looking at logits and drawing tokens.
    Read,
    /// What one thread does from the end of reading to the next step: texts, paths, plans.
    Between,
}

impl Stage {
    /// Every stage, in the order of a step.
    pub const ALL: [Self; 11] = [
        Self::Begin,
        Self::Pack,
        Self::QueryKeyValue,
        Self::Keep,
        Self::Attend,
        Self::Output,
        Self::GateUp,
        Self::Down,
        Self::Head,
        Self::Read,
        Self::Between,
    ];
}

/// Time by stage. `waited` is the part of it for which the first thread waited for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// What it was spent on.
    pub stage: Stage,
    /// Time of the first thread, waiting included.
    pub time: Duration,
    /// Time that it waited at the ends of phases.
    pub waited: Duration,
}

/// Sums of times; off unless asked, because looking at the time takes some itself.
#[derive(Default)]
pub(crate) struct Clock {
    on: AtomicBool,
    time: [AtomicU64; Stage::ALL.len()],
    waited: [AtomicU64; Stage::ALL.len()],
}

impl Clock {
    /// Begins anew, or stops; returns what was summed up.
    pub fn set(&self, on: bool) -> Vec<Spent> {
        self.on.store(on, Ordering::Relaxed);
        let take = |sum: &AtomicU64| Duration::from_nanos(sum.swap(0, Ordering::Relaxed));
        let spent = |stage: Stage| Spent {
            stage,
            time: take(&self.time[stage as usize]),
            waited: take(&self.waited[stage as usize]),
        };
        Stage::ALL.into_iter().map(spent).collect()
    }

    /// A watch for one thread's work that counts from `moment`, else from now.
    pub fn watch(&self, moment: Option<Instant>) -> Watch<'_> {
        let on = self.on.load(Ordering::Relaxed);
        Watch { clock: on.then_some(self), last: Cell::new(on.then(|| moment.unwrap_or_else(Instant::now))) }
    }
}

/// Counts the time from one look to the next; of no effect where nobody asks.
pub(crate) struct Watch<'a> {
    clock: Option<&'a Clock>,
    /// When it was looked at last.
    pub last: Cell<Option<Instant>>,
}

impl Watch<'_> {
    /// Gives the time since the last look to a stage, `waited` of it spent waiting.
    pub fn lap(&self, stage: Stage, waited: Duration) {
        if let (Some(clock), Some(last)) = (self.clock, self.last.get()) {
            let now = Instant::now();
            clock.time[stage as usize].fetch_add((now - last).as_nanos() as u64, Ordering::Relaxed);
            clock.waited[stage as usize].fetch_add(waited.as_nanos() as u64, Ordering::Relaxed);
            self.last.set(Some(now));
        }
    }
}
