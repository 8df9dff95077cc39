use std::path::Path;

use record::{Fact, Input};

use crate::carry::Stage;
use crate::plan::{Output, Record};
use crate::{Result, Watch};

/// Proposed facts in, the facts to teach out, each with the bank of its held-out wording.
pub(crate) struct Select {
    /// All proposals.
    pub facts: Vec<Fact>,
    /// Their merged file.
    pub inputs: Vec<Input>,
    /// Settings of the `synth` room.
    pub config: synth::Config,
    /// Seed of the choice.
    pub seed: u64,
}

#[async_trait::async_trait]
impl Stage for Select {
    fn name(&self) -> String {
        "select".into()
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({ "synth": self.config })
    }

    fn inputs(&self) -> Vec<Input> {
        self.inputs.clone()
    }

    fn shards(&self) -> u32 {
        1
    }

    async fn run_shard(&self, _: u32, _: &Path, _: &Watch) -> Result<Output> {
        let selection = synth::select(self.facts.clone(), &self.config, self.seed);
        let mut records: Vec<_> =
            selection.facts.into_iter().map(|(fact, bank)| Record::Fact(fact, Some(bank))).collect();
        records.extend(selection.drops.into_iter().map(Record::Drop));
        Ok(Output { records, ..Output::default() })
    }
}
