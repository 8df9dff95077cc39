use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use learn::data::Turns;
use record::{Bank, Drop, Input, Item, Message, Sample};
use weights::Checkpoint;

use crate::carry::Stage;
use crate::models::input;
use crate::plan::{Output, Record};
use crate::{Error, Event, Result, Watch};

/// Samples in, an adapter out.
pub(crate) struct Learn {
    /// The untouched model.
    pub base: Arc<Checkpoint>,
    /// What to learn from.
    pub samples: Vec<Sample>,
    /// Held-out wordings of the validation facts, for early stopping.
    pub validation: Vec<Sample>,
    /// A weight for each token, by which the validation loss chooses the kept point.
    pub weights: Option<Vec<f32>>,
    /// Merged files and the base model.
    pub inputs: Vec<Input>,
    /// Settings of the `learn` room.
    pub config: learn::SftConfig,
    /// Which turns of a conversation became samples.
    pub turns: Turns,
    /// What of the file could not be used.
    pub drops: Vec<Drop>,
}

/// The validation bank's questions as samples; no other bank may steer the training.
pub(crate) fn validation(items: &[Item]) -> Vec<Sample> {
    items
        .iter()
        .filter(|item| item.bank == Bank::Validation)
        .map(|item| Sample {
            id: item.id.clone(),
            fact: item.fact.clone(),
            document: item.document.clone(),
            messages: vec![Message::user(&item.question), Message::assistant(&item.answers[0])],
            wording: item.wording.clone(),
            citations: item.citation.clone().into_iter().collect(),
        })
        .collect()
}

#[async_trait::async_trait]
impl Stage for Learn {
    fn name(&self) -> String {
        "learn".into()
    }

    fn settings(&self) -> serde_json::Value {
        let mut settings = serde_json::json!({ "learn": self.config, "turns": self.turns });
        if let Some(weights) = &self.weights {
            let bytes: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
            settings["weights"] = record::shard::sha256(&bytes).into();
        }
        settings
    }

    fn inputs(&self) -> Vec<Input> {
        self.inputs.clone()
    }

    fn shards(&self) -> u32 {
        1
    }

    async fn run_shard(&self, _: u32, folder: &Path, watch: &Watch) -> Result<Output> {
        let (base, samples, validation) = (self.base.clone(), self.samples.clone(), self.validation.clone());
        let (config, folder, watch, drops) =
            (self.config.clone(), folder.to_path_buf(), watch.clone(), self.drops.clone());
        let weights = self.weights.clone();
        // Training is minutes of arithmetic: a thread of its own keeps the runtime answering.
        tokio::task::spawn_blocking(move || {
            // Checkpoints of another plan must not be taken up: they lie under the plan's own address.
            let address = record::shard::sha256(
                &[serde_json::to_vec(&(&config, &weights)).unwrap_or_default(), record::shard::to_jsonl(&samples)?]
                    .concat(),
            );
            let checkpoints = folder.join("checkpoints").join(&address[..16]);
            let steps = config.steps_per_pass(samples.len()) * config.passes(samples.len());
            let mut read = None;
            let mut progress = |step: &record::TrainStep| {
                // Tokens of earlier calls were spent by them.
                watch.spend(step.tokens - read.unwrap_or(step.tokens));
                read = Some(step.tokens);
                watch.tell(Event::Progress {
                    stage: "learn".into(),
                    done: step.step,
                    total: steps,
                    detail: format!("loss {:.3}", step.loss),
                });
                if watch.check().is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let weights = weights.as_deref();
            let trained = learn::sft(&base, &samples, &validation, weights, &config, &checkpoints, &mut progress)?;
            // A break keeps a checkpoint; the stage is not finished.
            watch.check()?;
            let adapter = folder.join("adapter");
            trained.adapter.save(&adapter)?;
            let mut records: Vec<_> = trained.curve.into_iter().map(Record::Step).collect();
            let file = input(&adapter.join("adapter_model.safetensors"))?;
            records.push(Record::File(Input { path: "learn/adapter/adapter_model.safetensors".into(), ..file }));
            records.extend(drops.into_iter().map(Record::Drop));
            Ok(Output { records, ..Output::default() })
        })
        .await
        .map_err(|e| Error::Model { problem: format!("training broke off: {e}"), hint: "please report this".into() })?
    }
}
