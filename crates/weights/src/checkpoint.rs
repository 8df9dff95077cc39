use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::FETCH_AGAIN;
use crate::{Adapter, Architecture, Error, Matrix, Part, Result, Storage, Tokenizer};

/// A model's weights and everything that belongs to them. Cheap to clone; tensors are read on demand.
#[derive(Clone)]
pub struct Checkpoint {
    /// File or folder name without extension.
    pub name: String,
    /// SHA-256 of the file, or of the folder's configuration, tokenizer and weight files; lower-case hex.
    pub sha256: String,
    /// The decoder's shape and switches.
    pub architecture: Architecture,
    /// Vocabulary, end tokens and chat template.
    pub tokenizer: Tokenizer,
    pub(crate) path: PathBuf,
    pub(crate) source: Source,
}

/// Where tensors come from.
#[derive(Clone)]
pub(crate) enum Source {
    /// Tensors in memory, in Hugging Face order.
    Memory(Arc<BTreeMap<Part, Matrix>>),
    /// Another source with an adapter added to its projections as they are read.
    Merged(Box<Source>, Arc<Adapter>),
}

impl Checkpoint {
    /// Opens a GGUF file, a Hugging Face folder (config.json, safetensors, tokenizer.json) or a
    /// glassllm `.npz` with its tokenizer beside it. Shapes of all tensors and the values of all
    /// norms are checked here; other values are not read.
    pub fn open(path: &Path) -> Result<Self> {
        todo!("{}", path.display())
    }

    /// Reads a tensor. Rows of q and k come in Hugging Face (rotate-half) order, whatever the file;
    /// a tied [`Part::Head`] is the embedding.
    pub fn matrix(&self, part: Part) -> Result<Matrix> {
        self.source.matrix(self, part)
    }

    /// Whether [`Checkpoint::matrix`] has this part; a tied head counts.
    pub fn has(&self, part: Part) -> bool {
        self.architecture.parts().contains(&part) || part == Part::Head
    }

    /// The same model with an adapter added to its weights: W + scale·B·A, as numbers, computed as
    /// tensors are read.
    pub fn merged(&self, adapter: &Adapter) -> Result<Self> {
        adapter.check(&self.architecture, &self.path)?;
        let source = Source::Merged(Box::new(self.source.clone()), Arc::new(adapter.clone()));
        Ok(Self { source, ..self.clone() })
    }
}

impl Source {
    fn matrix(&self, checkpoint: &Checkpoint, part: Part) -> Result<Matrix> {
        let part = if part == Part::Head && checkpoint.architecture.tied_head { Part::Embedding } else { part };
        match self {
            Self::Memory(parts) => parts.get(&part).cloned().ok_or_else(|| Error::Tensor {
                path: checkpoint.path.clone(),
                tensor: part.to_string(),
                problem: "is missing".into(),
                hint: FETCH_AGAIN,
            }),
            Self::Merged(base, adapter) => {
                let matrix = base.matrix(checkpoint, part)?;
                let Part::Projection(block, projection) = part else { return Ok(matrix) };
                let Some(pair) = adapter.pairs.get(&(block, projection)) else { return Ok(matrix) };
                let (rows, cols) = (matrix.rows, matrix.cols);
                let mut data = matrix.into_f32();
                pair.add_to(&mut data, cols, adapter.rank, adapter.scale());
                Ok(Matrix { rows, cols, storage: Storage::F32(data) })
            }
        }
    }
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint")
            .field("name", &self.name)
            .field("sha256", &self.sha256)
            .field("architecture", &self.architecture)
            .finish_non_exhaustive()
    }
}
