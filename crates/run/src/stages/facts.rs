use std::path::Path;

use record::{Document, Input};

use super::{piece, pieces};
use crate::carry::Stage;
use crate::plan::{Output, Record};
use crate::{Result, Watch};

/// Documents a shard.
const DOCUMENTS: usize = 24;

/// Documents in, proposed facts out.
pub(crate) struct Facts {
    /// What to propose from.
    pub documents: Vec<Document>,
    /// Their merged file.
    pub inputs: Vec<Input>,
    /// Settings of the `synth` room.
    pub config: synth::Config,
}

#[async_trait::async_trait]
impl Stage for Facts {
    fn name(&self) -> String {
        "facts".into()
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({ "synth": self.config })
    }

    fn inputs(&self) -> Vec<Input> {
        self.inputs.clone()
    }

    fn shards(&self) -> u32 {
        pieces(self.documents.len(), DOCUMENTS)
    }

    async fn run_shard(&self, shard: u32, _: &Path, watch: &Watch) -> Result<Output> {
        let mut records = Vec::new();
        for document in piece(&self.documents, DOCUMENTS, shard) {
            watch.check()?;
            records.extend(synth::facts(document, &self.config).into_iter().map(|fact| Record::Fact(fact, None)));
        }
        Ok(Output { records, ..Output::default() })
    }
}
