use std::path::Path;

use lm::SharedModel;
use record::{Bank, Fact, Input};

use super::{piece, pieces};
use crate::carry::Stage;
use crate::models::Meter;
use crate::plan::{Output, Record};
use crate::{Result, Watch};

/// Facts a shard.
const FACTS: usize = 24;

/// Facts in; training samples and exam questions out.
pub(crate) struct Word {
    /// The facts to teach.
    pub facts: Vec<(Fact, Bank)>,
    /// Their merged file, and the model that helps to word.
    pub inputs: Vec<Input>,
    /// The untouched model.
    pub model: SharedModel,
    /// What it costs.
    pub meter: Meter,
    /// Settings of the `synth` room.
    pub config: synth::Config,
    /// Seed of the wordings.
    pub seed: u64,
}

#[async_trait::async_trait]
impl Stage for Word {
    fn name(&self) -> String {
        "samples".into()
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({ "synth": self.config })
    }

    fn inputs(&self) -> Vec<Input> {
        self.inputs.clone()
    }

    fn shards(&self) -> u32 {
        pieces(self.facts.len(), FACTS)
    }

    async fn run_shard(&self, shard: u32, _: &Path, _: &Watch) -> Result<Output> {
        let facts = piece(&self.facts, FACTS, shard);
        let paid = (self.meter)();
        let made = synth::word(facts, &self.model, &self.config, self.seed).await?;
        let mut records: Vec<_> = made.samples.into_iter().map(Record::Sample).collect();
        records.extend(made.items.into_iter().map(Record::Item));
        records.extend(made.drops.into_iter().map(Record::Drop));
        Ok(Output { records, usage: made.usage, cost_usd: (self.meter)() - paid })
    }
}
