use std::path::Path;
use std::sync::Arc;

use decode::practice::{self, Method};
use decode::{Boundary, Request, Tools};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use lm::{Prompt, SharedModel};
use record::{Drop, Input, Preference, Usage};
use serde::{Deserialize, Serialize};

use super::task::Task;
use crate::carry::Stage;
use crate::models::Meter;
use crate::plan::{Output, Record};
use crate::stages::{piece, pieces};
use crate::{Event, Result, Watch};

/// Questions that are practised at once; the engine puts their rows into common steps.
const AT_ONCE: usize = 16;

/// Questions in, preferences out.
pub(crate) struct Sample {
    /// Name of the stage's folder.
    pub folder: String,
    /// The questions.
    pub tasks: Arc<Vec<Task>>,
    /// How preferences are made.
    pub method: Method,
    /// Who answers.
    pub model: SharedModel,
    /// Through which adapter.
    pub adapter: Option<String>,
    /// What the model is made of.
    pub identity: Vec<Input>,
    /// What answers cost.
    pub meter: Meter,
    /// Tokens of an answer at most.
    pub max_tokens: usize,
    /// How a step ends.
    pub boundary: Boundary,
    /// Tokens that may be decoded for each question; none for what the method takes.
    pub budget: Option<u64>,
    /// Whether the learner reads the same tokens; else answers go on as texts.
    pub same_tokens: bool,
    /// Seed of the draws.
    pub seed: u64,
    /// Questions a shard.
    pub shard_items: usize,
}

/// A question that was asked: what it gave and what it cost, so that another method may spend as much.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Id of the question.
    pub question: String,
    /// Preferences that it gave.
    pub preferences: usize,
    /// Decode tokens of the whole search.
    pub decode: u64,
    /// Prompt tokens of all requests, computed or found in the prefix tree.
    pub prompt: u64,
}

/// What became of a question: its preferences, or why there are none.
struct Practised {
    preferences: Vec<Preference>,
    drops: Vec<Drop>,
    usage: Usage,
}

impl Sample {
    async fn ask(&self, task: &Task) -> Result<Practised> {
        let request = Request {
            adapter: self.adapter.clone(),
            stop: task.stop.clone(),
            boundary: self.boundary.clone(),
            budget: task.budget.or(self.budget),
            ..Request::new(
                Prompt::Messages(task.messages.clone()),
                self.max_tokens,
                record::seed::derive(self.seed, "practise", &task.id),
            )
        };
        let said = task.said.clone();
        let answer = move |text: &str| said(text);
        let tools = Tools { answer: &answer, ..Tools::default() };
        let question = practice::Question { id: &task.id, messages: &task.messages, right: task.right.as_deref() };
        let asked = practice::practise(&self.model, &self.method, &question, &request, &tools, &mut |_| {}).await;
        let mut lesson = match asked {
            Ok(lesson) => lesson,
            // The question's own fault: it will not go away by asking again.
            Err(error) if own_fault(&error) => {
                let drop = Drop {
                    stage: self.folder.clone(),
                    record: task.id.clone(),
                    reason: "failed".into(),
                    detail: error.to_string(),
                };
                return Ok(Practised { preferences: Vec::new(), drops: vec![drop], usage: Usage::default() });
            }
            Err(error) => return Err(error.into()),
        };
        if !self.same_tokens {
            for preference in &mut lesson.preferences {
                let sides = [&mut preference.chosen, &mut preference.rejected];
                sides.into_iter().flatten().for_each(|answer| answer.tokens.clear());
            }
        }
        let usage = Usage { prefill: lesson.cost.prefill, cached: lesson.cost.cached, decode: lesson.cost.decode };
        Ok(Practised { preferences: lesson.preferences, drops: lesson.drops, usage })
    }
}

/// Whether the question itself is at fault, and not the model or the way to it.
fn own_fault(error: &decode::Error) -> bool {
    matches!(
        error,
        decode::Error::Model { source: lm::Error::Context { .. } | lm::Error::Request { .. }, .. }
            | decode::Error::NonFinite { .. }
    )
}

#[async_trait::async_trait]
impl Stage for Sample {
    fn name(&self) -> String {
        self.folder.clone()
    }

    fn settings(&self) -> serde_json::Value {
        // Labels count only where the method looks at them, but a plan that differs too often costs
        // less than one that differs too seldom.
        serde_json::json!({
            "method": self.method, "max_tokens": self.max_tokens, "boundary": self.boundary, "budget": self.budget,
            "same_tokens": self.same_tokens, "adapter": self.adapter.is_some(), "seed": self.seed,
            "shard_items": self.shard_items, "questions": self.tasks.iter().map(Task::identity).collect::<Vec<_>>(),
        })
    }

    fn inputs(&self) -> Vec<Input> {
        self.identity.clone()
    }

    fn shards(&self) -> u32 {
        pieces(self.tasks.len(), self.shard_items)
    }

    async fn run_shard(&self, shard: u32, _: &Path, watch: &Watch) -> Result<Output> {
        let tasks = piece(&self.tasks, self.shard_items, shard);
        let paid = (self.meter)();
        let mut asks: Vec<BoxFuture<'_, Result<Practised>>> = Vec::new();
        for task in tasks {
            asks.push(self.ask(task).boxed());
        }
        let mut lessons = futures::stream::iter(asks).buffered(AT_ONCE);
        let mut output = Output::default();
        let first = shard as usize * self.shard_items;
        let (mut done, mut pairs) = (0, 0);
        while let Some(practised) = lessons.next().await {
            let practised = practised?;
            output.records.push(Record::Asked(Asked {
                question: tasks[done].id.clone(),
                preferences: practised.preferences.len(),
                decode: practised.usage.decode,
                prompt: practised.usage.prefill + practised.usage.cached,
            }));
            done += 1;
            pairs += practised.preferences.len();
            output.usage += practised.usage;
            output.records.extend(practised.preferences.into_iter().map(Record::Preference));
            output.records.extend(practised.drops.into_iter().map(Record::Drop));
            watch.tell(Event::Progress {
                stage: self.folder.clone(),
                done: (first + done) as u64,
                total: self.tasks.len() as u64,
                detail: format!("{pairs} preferences in this piece"),
            });
        }
        output.cost_usd = (self.meter)() - paid;
        Ok(output)
    }
}
