use std::path::Path;
use std::sync::Arc;

use record::{FactKind, Input, Item, Mode, Response};

use super::measure::{Candidate, answer};
use super::task::Task;
use crate::carry::Stage;
use crate::plan::{Output, Record};
use crate::stages::{piece, pieces};
use crate::{Event, Result, Watch};

/// Held-out questions in, marked greedy answers out: the exam before or after practice.
pub(crate) struct Sitting {
    /// Name of the stage's folder, and label of the answers.
    pub folder: String,
    /// The questions, each with its answer.
    pub tasks: Arc<Vec<Task>>,
    /// Who answers.
    pub candidate: Candidate,
    /// What it is made of.
    pub identity: Vec<Input>,
    /// Tokens of an answer at most.
    pub max_tokens: usize,
    /// Questions a shard.
    pub shard_items: usize,
}

/// A question as an item of a bank, for reports.
pub(crate) fn item(task: &Task) -> Item {
    Item {
        id: task.id.clone(),
        fact: task.fact.clone(),
        document: task.source.clone(),
        kind: FactKind::Other,
        bank: record::Bank::Exam,
        question: task.question().into(),
        answers: task.answers.clone(),
        choices: Vec::new(),
        sentence: String::new(),
        citation: None,
        wording: "hand".into(),
    }
}

#[async_trait::async_trait]
impl Stage for Sitting {
    fn name(&self) -> String {
        self.folder.clone()
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({
            "max_tokens": self.max_tokens, "adapter": self.candidate.adapter.is_some(), "shard_items": self.shard_items,
            "questions": self.tasks.iter().map(Task::identity).collect::<Vec<_>>(),
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
        let said = answer(&self.candidate, tasks, self.max_tokens, false).await?;
        let mut output = Output::default();
        for (task, said) in tasks.iter().zip(said) {
            let right = task.right.as_ref().is_some_and(|right| right(&said.text));
            let score = f64::from(u8::from(right));
            output.usage += said.usage;
            output.records.push(Record::Response(Response {
                item: task.id.clone(),
                fact: task.fact.clone(),
                document: task.source.clone(),
                kind: FactKind::Other,
                model: self.folder.clone(),
                mode: Mode::Closed,
                question: task.question().into(),
                expected: task.answers.first().cloned().unwrap_or_default(),
                abstained: !right && exam::abstains(&said.text),
                text: said.text,
                score,
                secondary: score,
                choice_logprobs: Vec::new(),
                failed: None,
                usage: said.usage,
            }));
        }
        watch.tell(Event::Progress {
            stage: self.folder.clone(),
            done: (shard as usize * self.shard_items + tasks.len()) as u64,
            total: self.tasks.len() as u64,
            detail: String::new(),
        });
        Ok(output)
    }
}
