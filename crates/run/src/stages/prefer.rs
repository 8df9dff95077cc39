use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use learn::{Learned, Look, PreferConfig};
use record::shard::{sha256, to_jsonl};
use record::{Drop, Input, Preference};
use weights::{Adapter, Checkpoint};

use crate::carry::Stage;
use crate::models::{ADAPTER, PRACTISED_WHOLE, input};
use crate::plan::{Output, Record};
use crate::{Error, Event, Result, Watch};

/// Preferences in, an adapter or a whole model out; no guard but the validation loss.
#[derive(Clone)]
pub(crate) struct Prefer {
    /// The run's folder.
    pub root: PathBuf,
    /// The untouched model.
    pub base: Arc<Checkpoint>,
    /// What training goes on from; with the base it is the reference.
    pub start: Option<Arc<Adapter>>,
    /// What to learn from.
    pub pairs: Vec<Preference>,
    /// Held-out preferences, for early stopping.
    pub validation: Vec<Preference>,
    /// The files and the models.
    pub inputs: Vec<Input>,
    /// Settings of the `learn` room.
    pub config: PreferConfig,
    /// What of the files could not be used.
    pub drops: Vec<Drop>,
}

impl Prefer {
    /// Where the result goes, seen from the run's folder, and its file of weights.
    pub fn result(&self) -> (&'static str, &'static str) {
        match self.config.whole {
            true => (PRACTISED_WHOLE, "model.safetensors"),
            false => (ADAPTER, "adapter_model.safetensors"),
        }
    }

    fn train(&self, folder: &Path, watch: &Watch) -> Result<Output> {
        // Checkpoints of another plan must not be taken up: they lie under the plan's own address.
        let made_of = serde_json::to_vec(&(self.settings(), &self.inputs)).unwrap_or_default();
        let checkpoints = folder.join("checkpoints").join(&sha256(&made_of)[..16]);
        let mut read = None;
        let mut progress = |look: &Look<'_>| {
            let step = look.step;
            // Tokens of earlier calls were spent by them.
            watch.spend(step.tokens - read.unwrap_or(step.tokens));
            read = Some(step.tokens);
            let mut detail = format!("loss {:.3}", step.loss);
            if let Some(preference) = &step.preference {
                detail += &format!(", margin {:.3}, {:.0} % right", preference.margin, 100.0 * preference.accuracy);
            }
            watch.tell(Event::Progress { stage: "learn".into(), done: step.step, total: look.steps, detail });
            if watch.check().is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let (start, config) = (self.start.as_deref(), &self.config);
        let preferred =
            learn::prefer(&self.base, start, &self.pairs, &self.validation, config, &checkpoints, &mut progress)?;
        // A break keeps a checkpoint; the stage is not finished.
        watch.check()?;
        let (place, file) = self.result();
        let result = self.root.join(place);
        match &preferred.learned {
            Learned::Adapter(adapter) => adapter.save(&result)?,
            Learned::Whole(checkpoint) => weights::export_hf(checkpoint, None, &result)?,
        }
        let mut records: Vec<_> = preferred.curve.into_iter().map(Record::Step).collect();
        records.extend(self.drops.iter().cloned().chain(preferred.skipped).map(Record::Drop));
        if let Some(spike) = preferred.spike {
            let text =
                format!("the loss leapt up at step {}; training went back to step {}", spike.step, spike.back_to);
            watch.tell(Event::Note { text });
        }
        records.push(Record::File(Input { path: format!("{place}/{file}"), ..input(&result.join(file))? }));
        Ok(Output { records, ..Output::default() })
    }
}

#[async_trait::async_trait]
impl Stage for Prefer {
    fn name(&self) -> String {
        "learn".into()
    }

    fn settings(&self) -> serde_json::Value {
        let hash = |pairs: &[Preference]| sha256(&to_jsonl(pairs).unwrap_or_default());
        serde_json::json!({
            // The number of threads changes no byte.
            "learn": PreferConfig { threads: 0, ..self.config.clone() },
            "pairs": hash(&self.pairs),
            "validation": hash(&self.validation),
        })
    }

    fn inputs(&self) -> Vec<Input> {
        self.inputs.clone()
    }

    fn shards(&self) -> u32 {
        1
    }

    async fn run_shard(&self, _: u32, folder: &Path, watch: &Watch) -> Result<Output> {
        let (stage, folder, watch) = (self.clone(), folder.to_path_buf(), watch.clone());
        // Training is minutes of arithmetic: a thread of its own keeps the runtime answering.
        tokio::task::spawn_blocking(move || stage.train(&folder, &watch)).await.map_err(|e| Error::Model {
            problem: format!("training broke off: {e}"),
            hint: "please report this".into(),
        })?
    }
}
