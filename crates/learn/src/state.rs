use std::collections::HashMap;
use std::path::{Path, PathBuf};

use record::TrainStep;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::adamw::AdamW;
use crate::spike::Spike;
use crate::train::Stop;
use crate::{Error, Result};

/// What a training is made of; two with equal fingerprints give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    pub model: String,
    pub settings: String,
    pub samples: String,
}

impl Fingerprint {
    /// The first part in which another one differs.
    pub fn other(&self, asked: &Self) -> Option<&'static str> {
        let parts = [
            ("weights", &self.model, &asked.model),
            ("settings", &self.settings, &asked.settings),
            ("samples", &self.samples, &asked.samples),
        ];
        parts.into_iter().find(|(_, found, asked)| found != asked).map(|(what, ..)| what)
    }
}

/// Everything from which training goes on bit for bit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    pub progress: Progress,
    pub parameters: Vec<f32>,
    pub moments: AdamW,
    /// Parameters with the lowest validation loss so far.
    pub best: Option<Vec<f32>>,
}

/// The part of the state that is no tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    pub fingerprint: Fingerprint,
    /// Steps done.
    pub step: u64,
    pub tokens: u64,
    pub learned_tokens: u64,
    pub curve: Vec<TrainStep>,
    pub best_loss: Option<f64>,
    /// Measurements since the lowest validation loss.
    pub stale: usize,
    /// Why training ended for good.
    pub ended: Option<Stop>,
    /// The spike that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spike: Option<Spike>,
}

/// The file in a training's folder.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("training.safetensors")
}

/// The key of the progress in the file's metadata.
const PROGRESS: &str = "progress";

impl State {
    /// Before the first step.
    pub fn new(fingerprint: Fingerprint, parameters: Vec<f32>) -> Self {
        let progress = Progress {
            fingerprint,
            step: 0,
            tokens: 0,
            learned_tokens: 0,
            curve: Vec::new(),
            best_loss: None,
            stale: 0,
            ended: None,
            spike: None,
        };
        Self { progress, moments: AdamW::new(parameters.len()), parameters, best: None }
    }

    /// Reads the state in `folder`, if there is one, for a training with this fingerprint and this
    /// number of parameters.
    pub fn read(folder: &Path, fingerprint: &Fingerprint, length: usize) -> Result<Option<Self>> {
        let path = path(folder);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(record::Error::io("read", path, e).into()),
        };
        let fail = |problem: String| Error::State { path: path.clone(), problem };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| fail(e.to_string()))?;
        let text = header.metadata().as_ref().and_then(|m| m.get(PROGRESS));
        let text = text.ok_or_else(|| fail("it holds no progress".into()))?;
        let progress: Progress = serde_json::from_str(text).map_err(|e| fail(e.to_string()))?;
        if let Some(what) = progress.fingerprint.other(fingerprint) {
            return Err(Error::OtherTraining { path, what });
        }
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| fail(e.to_string()))?;
        let vector = |name: &str| -> Result<Option<Vec<f32>>> {
            let Ok(tensor) = tensors.tensor(name) else { return Ok(None) };
            if tensor.dtype() != Dtype::F32 || tensor.shape() != [length] {
                return Err(fail(format!("`{name}` is not a vector of {length} numbers")));
            }
            // The bytes may stand at an odd address, so they are copied number by number.
            Ok(Some(tensor.data().chunks_exact(4).map(bytemuck::pod_read_unaligned).collect()))
        };
        let needed = |name: &str| vector(name)?.ok_or_else(|| fail(format!("it lacks `{name}`")));
        let moments = AdamW { first: needed("first_moment")?, second: needed("second_moment")? };
        Ok(Some(Self { parameters: needed("parameters")?, moments, best: vector("best")?, progress }))
    }

    /// Writes the state, atomically; the same state gives the same bytes.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = path(folder);
        let fail = |problem: String| Error::State { path: path.clone(), problem };
        let vectors = [
            ("parameters", Some(&self.parameters)),
            ("first_moment", Some(&self.moments.first)),
            ("second_moment", Some(&self.moments.second)),
            ("best", self.best.as_ref()),
        ];
        let mut tensors = Vec::new();
        for (name, vector) in vectors.into_iter().filter_map(|(name, vector)| Some((name, vector?))) {
            let view = TensorView::new(Dtype::F32, vec![vector.len()], bytemuck::cast_slice(vector));
            tensors.push((name, view.map_err(|e| fail(e.to_string()))?));
        }
        let text = serde_json::to_string(&self.progress).map_err(|e| fail(e.to_string()))?;
        let metadata = HashMap::from([(PROGRESS.to_string(), text)]);
        let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(|e| fail(e.to_string()))?;
        Ok(record::shard::write_atomic(&path, &bytes)?)
    }
}
