use std::path::Path;
use std::sync::Arc;

use lm::SharedModel;
use rag::Retriever;
use record::{Input, Item, Mode, Usage};

use super::{piece, pieces};
use crate::carry::Stage;
use crate::models::Meter;
use crate::plan::{Output, Record};
use crate::{Event, Result, Watch};

/// One exam: a bank and how it is sat.
pub(crate) struct Paper {
    /// Name in the report: `generated`, `hand`, `control`.
    pub name: String,
    /// The questions.
    pub items: Vec<Item>,
    /// From memory, or with the documents at hand.
    pub mode: Mode,
}

/// What the candidate answers with.
#[derive(Clone)]
pub(crate) struct Bench {
    /// The model.
    pub model: SharedModel,
    /// Through which adapter.
    pub adapter: Option<String>,
    /// What they are made of.
    pub identity: Vec<Input>,
    /// What answers cost.
    pub meter: Meter,
    /// The passages of an open-book exam.
    pub library: Option<Arc<Retriever>>,
}

/// Exams in, marked answers out.
pub(crate) struct Sit {
    /// Label of the candidate: `before`, `after`.
    pub label: String,
    /// The candidate.
    pub bench: Bench,
    /// The exams.
    pub papers: Vec<Paper>,
    /// Where the questions come from.
    pub inputs: Vec<Input>,
    /// Settings of the `exam` room.
    pub config: exam::Config,
    /// Questions a shard.
    pub shard_items: usize,
}

impl Sit {
    /// The paper and the piece of it that a shard stands for.
    fn place(&self, mut shard: u32) -> Option<(&Paper, u32)> {
        for paper in &self.papers {
            let count = pieces(paper.items.len(), self.shard_items);
            if shard < count {
                return Some((paper, shard));
            }
            shard -= count;
        }
        None
    }

    /// Questions before those of a shard.
    fn first(&self, mut shard: u32) -> usize {
        let mut first = 0;
        for paper in &self.papers {
            let count = pieces(paper.items.len(), self.shard_items);
            if shard < count {
                return first + shard as usize * self.shard_items;
            }
            shard -= count;
            first += paper.items.len();
        }
        first
    }
}

#[async_trait::async_trait]
impl Stage for Sit {
    fn name(&self) -> String {
        self.label.clone()
    }

    fn settings(&self) -> serde_json::Value {
        let papers: Vec<_> = self.papers.iter().map(|p| (&p.name, p.mode, p.items.len())).collect();
        // The adapter counts by its content, which stands among the inputs.
        serde_json::json!({
            "sit": self.config, "papers": papers, "shard_items": self.shard_items, "adapter": self.bench.adapter.is_some(),
        })
    }

    fn inputs(&self) -> Vec<Input> {
        let mut inputs = self.inputs.clone();
        inputs.extend(self.bench.identity.iter().cloned());
        for paper in &self.papers {
            let bytes = record::shard::to_jsonl(&paper.items).unwrap_or_default();
            inputs.push(Input { path: paper.name.clone(), sha256: record::shard::sha256(&bytes) });
        }
        inputs
    }

    fn shards(&self) -> u32 {
        self.papers.iter().map(|paper| pieces(paper.items.len(), self.shard_items)).sum()
    }

    async fn run_shard(&self, shard: u32, _: &Path, watch: &Watch) -> Result<Output> {
        let Some((paper, k)) = self.place(shard) else { return Ok(Output::default()) };
        let items = piece(&paper.items, self.shard_items, k);
        let all: usize = self.papers.iter().map(|paper| paper.items.len()).sum();
        let first = self.first(shard);
        let mut progress = |done: usize| {
            watch.tell(Event::Progress {
                stage: self.label.clone(),
                done: (first + done) as u64,
                total: all as u64,
                detail: paper.name.clone(),
            });
        };
        let Bench { model, adapter, library, meter, .. } = &self.bench;
        let paid = meter();
        let library = library.as_deref().filter(|_| paper.mode == Mode::Open);
        let adapter = adapter.as_deref();
        let (label, config) = (&self.label, &self.config);
        let responses = exam::sit(items, label, model, adapter, paper.mode, library, config, &mut progress).await?;
        let mut usage = Usage::default();
        for response in &responses {
            usage += response.usage;
        }
        let records = responses.into_iter().map(Record::Response).collect();
        Ok(Output { records, usage, cost_usd: meter() - paid })
    }
}
