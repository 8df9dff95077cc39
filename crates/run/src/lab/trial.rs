use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use decode::{Request, Search, Strategy, Tools};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use lm::{Prompt, SharedModel};
use record::{Input, Usage};
use serde::{Deserialize, Serialize};

use crate::carry::Stage;
use crate::models::Meter;
use crate::plan::{Output, Record};
use crate::stages::{piece, pieces};
use crate::{Event, Result, Watch};

/// Searches that run at once; the engine puts their rows into common steps.
const AT_ONCE: usize = 16;

/// What a text answers, if anything.
type Said = dyn Fn(&str) -> Option<String> + Send + Sync;

/// A problem as it is put to a model.
pub(crate) struct Question {
    /// Unique in its set.
    pub id: String,
    /// What the model reads.
    pub prompt: Prompt,
    /// Ends an answer, beside the end of text.
    pub stop: Vec<String>,
    /// What a text answers, for votes.
    pub said: Box<Said>,
    /// Whether a text answers rightly.
    pub right: Box<dyn Fn(&str) -> bool + Send + Sync>,
}

/// What became of one problem under one strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Id of the problem.
    pub problem: String,
    /// Name of the contestant.
    pub contestant: String,
    /// Whether the answer was right; a failed search counts as wrong.
    pub right: bool,
    /// What the model said.
    pub text: String,
    /// Requests to the model.
    pub calls: u64,
    /// Decode tokens of the whole search.
    pub decode: u64,
    /// Prompt tokens of all requests, computed or found in the prefix tree: which of the two depends
    /// on who came before, and records must not.
    pub prompt: u64,
    /// Why the search failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// Problems in, trials of one contestant out.
pub(crate) struct Trials {
    /// Name of the stage's folder.
    pub folder: String,
    /// Name of the contestant.
    pub contestant: String,
    /// How it searches.
    pub strategy: Strategy,
    /// The problems.
    pub questions: Arc<Vec<Question>>,
    /// Decode tokens that it may spend on each problem; none for its own.
    pub budgets: Option<HashMap<String, u64>>,
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
    pub boundary: decode::Boundary,
    /// Seed of the draws.
    pub seed: u64,
    /// Problems a shard.
    pub shard_items: usize,
}

impl Trials {
    async fn ask(&self, question: &Question) -> (Trial, Usage) {
        let request = Request {
            adapter: self.adapter.clone(),
            stop: question.stop.clone(),
            boundary: self.boundary.clone(),
            budget: self.budgets.as_ref().and_then(|budgets| budgets.get(&question.id).copied()),
            // Every contestant draws from the same stream on the same problem.
            ..Request::new(
                question.prompt.clone(),
                self.max_tokens,
                record::seed::derive(self.seed, "lab", &question.id),
            )
        };
        let tools = Tools { answer: &question.said, ..Tools::default() };
        let mut trial = Trial {
            problem: question.id.clone(),
            contestant: self.contestant.clone(),
            right: false,
            text: String::new(),
            calls: 0,
            decode: 0,
            prompt: 0,
            failed: None,
        };
        let mut usage = Usage::default();
        match decode::search(&self.model, &self.strategy, &request, &tools, &mut |_| {}).await {
            Ok(Search { answer, cost, .. }) => {
                trial.right = (question.right)(&answer);
                trial.text = answer;
                (trial.calls, trial.decode, trial.prompt) = (cost.calls, cost.decode, cost.prefill + cost.cached);
                usage = Usage { prefill: cost.prefill, cached: cost.cached, decode: cost.decode };
            }
            Err(error) => trial.failed = Some(error.to_string()),
        }
        (trial, usage)
    }
}

#[async_trait::async_trait]
impl Stage for Trials {
    fn name(&self) -> String {
        self.folder.clone()
    }

    fn settings(&self) -> serde_json::Value {
        let budgets: Option<std::collections::BTreeMap<_, _>> = self.budgets.as_ref().map(|b| b.iter().collect());
        serde_json::json!({
            "strategy": self.strategy, "budgets": budgets, "max_tokens": self.max_tokens,
            "boundary": self.boundary, "seed": self.seed, "shard_items": self.shard_items,
            "problems": self.questions.iter().map(|q| (&q.id, &q.prompt, &q.stop)).collect::<Vec<_>>(),
        })
    }

    fn inputs(&self) -> Vec<Input> {
        self.identity.clone()
    }

    fn shards(&self) -> u32 {
        pieces(self.questions.len(), self.shard_items)
    }

    async fn run_shard(&self, shard: u32, _: &Path, watch: &Watch) -> Result<Output> {
        let questions = piece(&self.questions, self.shard_items, shard);
        let paid = (self.meter)();
        let mut asks: Vec<BoxFuture<'_, (Trial, Usage)>> = Vec::new();
        for question in questions {
            asks.push(self.ask(question).boxed());
        }
        let mut answers = futures::stream::iter(asks).buffered(AT_ONCE);
        let (mut records, mut usage) = (Vec::new(), Usage::default());
        let first = shard as usize * self.shard_items;
        while let Some((trial, spent)) = answers.next().await {
            usage += spent;
            records.push(Record::Trial(trial));
            watch.tell(Event::Progress {
                stage: self.folder.clone(),
                done: (first + records.len()) as u64,
                total: self.questions.len() as u64,
                detail: String::new(),
            });
        }
        Ok(Output { records, usage, cost_usd: (self.meter)() - paid })
    }
}
