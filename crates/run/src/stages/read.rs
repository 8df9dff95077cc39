use std::path::{Path, PathBuf};

use record::{Document, Drop, Input};

use super::{piece, pieces};
use crate::carry::Stage;
use crate::models::input;
use crate::plan::{Output, Record};
use crate::{Error, Result, Watch};

/// Files a shard.
const FILES: usize = 24;

/// Documents in, text in chunks out.
pub(crate) struct Read {
    root: PathBuf,
    ids: Vec<String>,
    inputs: Vec<Input>,
    config: documents::Config,
}

impl Read {
    /// Lists the folder and hashes its files.
    pub fn new(root: &Path, config: documents::Config) -> Result<Self> {
        let mut ids = documents::list(root)?;
        ids.retain(|id| !in_a_run(root, id));
        let inputs = ids
            .iter()
            .map(|id| Ok(Input { path: id.clone(), ..input(&root.join(id))? }))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { root: root.into(), ids, inputs, config })
    }
}

/// Whether a document lies in a run's folder: a report holds exam questions with their answers, and
/// must never be read as a document.
fn in_a_run(root: &Path, id: &str) -> bool {
    root.join(id)
        .ancestors()
        .skip(1)
        .take_while(|folder| *folder != root)
        .chain([root])
        .any(|folder| folder.join("ledger.jsonl").is_file() && folder.join("recipe.toml").is_file())
}

#[async_trait::async_trait]
impl Stage for Read {
    fn name(&self) -> String {
        "documents".into()
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({ "read": self.config })
    }

    fn inputs(&self) -> Vec<Input> {
        self.inputs.clone()
    }

    fn shards(&self) -> u32 {
        pieces(self.ids.len(), FILES)
    }

    async fn run_shard(&self, shard: u32, _: &Path, watch: &Watch) -> Result<Output> {
        let mut output = Output::default();
        for id in piece(&self.ids, FILES, shard) {
            watch.check()?;
            match documents::read(&self.root, id, &self.config) {
                Ok(document) => output.records.push(Record::Document(document)),
                Err(error) => {
                    watch.tell(crate::Event::Note { text: format!("left out {id}: {error}") });
                    output.records.push(Record::Drop(Drop {
                        stage: self.name(),
                        record: id.clone(),
                        reason: error.reason().into(),
                        detail: error.to_string(),
                    }));
                }
            }
        }
        Ok(output)
    }
}

/// The documents that were read, or an error that says why there are none.
pub(crate) fn texts(records: &[Record], root: &Path) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    let mut reasons = Vec::new();
    for record in records {
        match record {
            Record::Document(document) => documents.push(document.clone()),
            Record::Drop(drop) => reasons.push(drop.detail.clone()),
            _ => {}
        }
    }
    if documents.iter().any(|d| !d.chunks.is_empty()) {
        return Ok(documents);
    }
    reasons.truncate(3);
    Err(Error::Nothing {
        problem: format!("no document with text under {}: {}", root.display(), reasons.join("; ")),
        hint: "give a folder with HTML, Markdown, text or PDF files that have text in them".into(),
    })
}
