use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use serde::Serialize;

use crate::{Error, Result};

/// Something that a person who waits would like to know.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A stage begins; `done` of its shards were finished by an earlier run.
    Stage {
        /// Name of the stage.
        stage: String,
        /// How many shards it has.
        shards: u32,
        /// How many of them are finished already.
        done: u32,
    },
    /// Work inside a stage moved on.
    Progress {
        /// Name of the stage.
        stage: String,
        /// Units finished.
        done: u64,
        /// Units in all.
        total: u64,
        /// The last figure of interest, e.g. the loss.
        detail: String,
    },
    /// A stage ended.
    Finished {
        /// Name of the stage.
        stage: String,
        /// What came out, in words.
        summary: String,
        /// Wall time in seconds.
        seconds: f64,
    },
    /// A remark.
    Note {
        /// In a sentence.
        text: String,
    },
}

/// How a run reports and how it is stopped. Cheap to clone.
#[derive(Clone)]
pub struct Watch {
    sink: Arc<dyn Fn(Event) + Send + Sync>,
    stop: Arc<AtomicBool>,
    deadline: Option<Instant>,
    spent: Arc<AtomicU64>,
    tokens: Option<u64>,
}

impl Watch {
    /// Events go to `sink`; the run ends cleanly soon after `deadline`, or once models and trainer
    /// have read and written so many `tokens`.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static, deadline: Option<Instant>, tokens: Option<u64>) -> Self {
        Self { sink: Arc::new(sink), stop: Arc::default(), deadline, spent: Arc::default(), tokens }
    }

    /// Counts tokens that were spent.
    pub(crate) fn spend(&self, tokens: u64) {
        self.spent.fetch_add(tokens, Ordering::Relaxed);
    }

    /// Reports an event.
    pub fn tell(&self, event: Event) {
        (self.sink)(event);
    }

    /// Asks the run to end after the piece of work in hand.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the run should end, as an error that says why.
    pub fn check(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped("interrupted".into()));
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Error::Stopped("the time budget is used up".into()));
        }
        if self.tokens.is_some_and(|tokens| self.spent.load(Ordering::Relaxed) >= tokens) {
            return Err(Error::Stopped("the token budget is used up".into()));
        }
        Ok(())
    }
}
