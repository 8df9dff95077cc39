use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::FETCH_AGAIN;
use crate::gguf::{self, Metadata};
use crate::shards::Shards;
use crate::{Adapter, Architecture, Error, Matrix, Part, Result, Storage, Tokenizer, glass, huggingface};

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
    /// What a GGUF file says about the model's origin and tokenizer, for export.
    pub(crate) metadata: Option<Arc<Metadata>>,
    pub(crate) source: Source,
}

/// Where tensors come from.
#[derive(Clone)]
pub(crate) enum Source {
    /// A mapped GGUF file.
    Gguf(Arc<gguf::File>),
    /// Mapped safetensors files of a Hugging Face folder.
    Folder(Arc<Shards>),
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
        if path.is_dir() {
            return huggingface::open(path);
        }
        match path.extension().and_then(|e| e.to_str()) {
            Some("npz") => glass::open(path),
            _ => gguf::open(path),
        }
    }

    /// Reads a tensor. Rows of q and k come in Hugging Face (rotate-half) order, whatever the file;
    /// a tied [`Part::Head`] is the embedding.
    pub fn matrix(&self, part: Part) -> Result<Matrix> {
        let matrix = self.source.matrix(self, part)?;
        let expected = self.architecture.shape(part);
        if (matrix.rows, matrix.cols) != expected {
            let problem =
                format!("has shape {:?}, the model's settings ask for {expected:?}", (matrix.rows, matrix.cols));
            return Err(self.error(part, problem));
        }
        if !matrix.is_finite() {
            return Err(self.error(part, "holds a number that is not finite".into()));
        }
        Ok(matrix)
    }

    /// Gives the memory of mapped files back, once all that is needed of them has been read.
    pub fn release(&self) {
        self.source.release();
    }

    /// Whether [`Checkpoint::matrix`] has this part; a tied head counts.
    pub fn has(&self, part: Part) -> bool {
        self.architecture.parts().contains(&part) || part == Part::Head
    }

    /// Checks that settings agree with each other, that every tensor is there with its shape, that
    /// none is left over, and that norms and biases are finite.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some((field, problem)) = self.architecture.contradiction() {
            return Err(Error::Setting { path: self.path.clone(), key: field.into(), problem });
        }
        let parts = self.architecture.parts();
        for part in &parts {
            let expected = self.architecture.shape(*part);
            match self.source.shape(*part) {
                None => return Err(self.error(*part, "is missing, or is no matrix".into())),
                Some(found) if found != expected => {
                    let problem = format!("has shape {found:?}, the model's settings ask for {expected:?}");
                    return Err(self.error(*part, problem));
                }
                Some(_) if part.is_vector() => drop(self.matrix(*part)?),
                Some(_) => {}
            }
        }
        match self.source.stranger(&parts) {
            None => Ok(()),
            Some(name) => Err(Error::Unsupported {
                path: self.path.clone(),
                feature: format!("tensor `{name}`"),
                hint: "leaving it out would change the model's answers",
            }),
        }
    }

    fn error(&self, part: Part, problem: String) -> Error {
        let tensor = if matches!(self.source, Source::Gguf(_)) { part.gguf_name() } else { part.hf_name() };
        Error::Tensor { path: self.path.clone(), tensor, problem, hint: FETCH_AGAIN }
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
    fn shape(&self, part: Part) -> Option<(usize, usize)> {
        match self {
            Self::Gguf(file) => file.shape(&part.gguf_name()),
            Self::Folder(shards) => shards.shape(&part.hf_name()),
            Self::Memory(parts) => parts.get(&part).map(|matrix| (matrix.rows, matrix.cols)),
            Self::Merged(base, _) => base.shape(part),
        }
    }

    /// A tensor of the file that is none of the parts. Rotary tables are computed, not read, and a
    /// tied head may be stored twice.
    fn stranger(&self, parts: &[Part]) -> Option<String> {
        match self {
            Self::Gguf(file) => {
                let known: HashSet<_> = parts.iter().map(|part| part.gguf_name()).collect();
                file.names().find(|name| !known.contains(*name) && *name != "rope_freqs.weight").map(String::from)
            }
            Self::Folder(shards) => {
                let known: HashSet<_> = parts.iter().map(|part| part.hf_name()).collect();
                let derived = |name: &str| name.ends_with("rotary_emb.inv_freq") || name == "lm_head.weight";
                shards.names().find(|name| !known.contains(*name) && !derived(name)).map(String::from)
            }
            Self::Memory(_) | Self::Merged(..) => None,
        }
    }

    fn matrix(&self, checkpoint: &Checkpoint, part: Part) -> Result<Matrix> {
        let part = if part == Part::Head && checkpoint.architecture.tied_head { Part::Embedding } else { part };
        match self {
            Self::Gguf(file) => file.matrix(part, &checkpoint.architecture),
            Self::Folder(shards) => shards.matrix(&part.hf_name()),
            Self::Memory(parts) => parts.get(&part).cloned().ok_or_else(|| checkpoint.error(part, "is missing".into())),
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

    fn release(&self) {
        match self {
            Source::Gguf(file) => file.release(),
            Source::Folder(shards) => shards.release(),
            Source::Memory(_) => {}
            Source::Merged(source, _) => source.release(),
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

/// A file's or folder's name without folder and extension.
pub(crate) fn name(path: &Path) -> String {
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file under a temporary name, has it on disk, and renames it, so that a half-written file
/// never carries the final name.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&File) -> Result<()>) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let io = |operation| move |e| Error::io(operation, path, e);
    let file = File::create(&temporary).map_err(io("create"))?;
    let written = write(&file).and_then(|()| file.sync_all().map_err(io("sync")));
    let renamed = written.and_then(|()| std::fs::rename(&temporary, path).map_err(io("rename")));
    if renamed.is_err() {
        // The first error is the one that matters.
        let _ = std::fs::remove_file(&temporary);
    }
    renamed
}
