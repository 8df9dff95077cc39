//! GGUF files: memory-mapped, read by candle's parser, q and k rows put back into rotate-half order.

mod architecture;
mod tokenizer;
mod write;

use std::collections::BTreeMap;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, TensorInfo, Value};
use half::{bf16, f16};
use memmap2::Mmap;
use sha2::{Digest, Sha256};

use crate::checkpoint::Source;
use crate::error::FETCH_AGAIN;
use crate::matrix::interleaved;
use crate::{Architecture, BLOCK, Checkpoint, Error, Family, Matrix, Part, Result, Storage, Tokenizer};

pub use write::{Encoding, export_gguf};

/// Metadata of a file, or as much of it as a new file takes over.
pub(crate) type Metadata = BTreeMap<String, Value>;

/// An open file.
pub(crate) struct File {
    path: PathBuf,
    map: Mmap,
    tensors: BTreeMap<String, TensorInfo>,
    data: u64,
}

pub(crate) fn open(path: &Path) -> Result<Checkpoint> {
    let map = map(path)?;
    let format = |problem: String| Error::Format { path: path.to_path_buf(), problem, hint: FETCH_AGAIN };
    if !map.starts_with(b"GGUF") {
        let hint = "give a .gguf file or a folder with config.json and safetensors";
        return Err(Error::Format { path: path.to_path_buf(), problem: "it does not begin with `GGUF`".into(), hint });
    }
    // candle checks lengths but divides by an alignment that the file gives.
    let content = catch_unwind(|| Content::read(&mut Cursor::new(&map[..])))
        .map_err(|_| format("its header contradicts itself".into()))?
        .map_err(|e| format(e.to_string()))?;
    let settings = Settings { path, metadata: content.metadata.into_iter().collect() };
    if settings.optional("split.count", number)?.is_some_and(|count| count > 1) {
        return Err(settings.unsupported("a model split into several files", "join them with llama-gguf-split --merge"));
    }
    let file = File {
        path: path.to_path_buf(),
        tensors: content.tensor_infos.into_iter().collect(),
        data: content.tensor_data_offset,
        map,
    };
    for name in file.tensors.keys() {
        file.bytes(name)?;
    }
    let architecture = architecture::read(&settings, &file)?;
    let tokenizer = Tokenizer::build(tokenizer::read(&settings)?, architecture.vocab, path)?;
    let sha256 = crate::checkpoint::hex(&Sha256::digest(&file.map[..]));
    let kept = settings.metadata.into_iter().filter(|(key, _)| {
        (key.starts_with("general.") || key.starts_with("tokenizer.")) && key != "general.alignment"
    });
    let checkpoint = Checkpoint {
        name: crate::checkpoint::name(path),
        sha256,
        architecture,
        tokenizer,
        path: path.to_path_buf(),
        metadata: Some(Arc::new(kept.collect())),
        source: Source::Gguf(Arc::new(file)),
    };
    checkpoint.check()?;
    Ok(checkpoint)
}

/// Maps a file for reading.
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    let file = std::fs::File::open(path).map_err(|e| Error::io("open", path, e))?;
    // SAFETY: the crate's documentation asks that the file is not changed while it is open; it is
    // only read here.
    unsafe { Mmap::map(&file) }.map_err(|e| Error::io("map", path, e))
}

/// Gives the memory of a mapped file's pages back; what is read again comes from the file again.
pub(crate) fn release(map: &Mmap) {
    // Advice: where the system knows none, pages stay until they are needed elsewhere.
    #[cfg(unix)]
    // SAFETY: the mapping is shared with the file and never written to, so that no change is lost.
    let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
}

impl File {
    /// Gives the memory of the file's pages back.
    pub fn release(&self) {
        release(&self.map);
    }

    /// Names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Rows and columns, where there are one or two dimensions.
    pub fn shape(&self, name: &str) -> Option<(usize, usize)> {
        match *self.tensors.get(name)?.shape.dims() {
            [cols] => Some((1, cols)),
            [rows, cols] => Some((rows, cols)),
            _ => None,
        }
    }

    fn error(&self, tensor: &str, problem: String) -> Error {
        Error::Tensor { path: self.path.clone(), tensor: tensor.into(), problem, hint: FETCH_AGAIN }
    }

    /// A tensor's bytes, or why they are not there.
    fn bytes(&self, name: &str) -> Result<&[u8]> {
        let info = self.tensors.get(name).ok_or_else(|| self.error(name, "is missing".into()))?;
        let weights = info.shape.dims().iter().try_fold(1usize, |product, dim| product.checked_mul(*dim));
        let block = info.ggml_dtype.block_size();
        let cols = info.shape.dims().last().copied().unwrap_or(1);
        if !cols.is_multiple_of(block) {
            return Err(self.error(name, format!("has rows of {cols} weights, not a multiple of {block}")));
        }
        let end = |weights: usize| {
            let start = self.data.checked_add(info.offset)?;
            let length = (weights / block).checked_mul(info.ggml_dtype.type_size())?;
            Some((usize::try_from(start).ok()?, usize::try_from(start).ok()?.checked_add(length)?))
        };
        let place = weights.and_then(end).and_then(|(start, end)| self.map.get(start..end));
        place.ok_or_else(|| self.error(name, format!("reaches beyond the file's {} bytes", self.map.len())))
    }

    /// Reads a tensor, q and k in the file's own order.
    fn tensor(&self, name: &str) -> Result<Matrix> {
        let bytes = self.bytes(name)?;
        let (rows, cols) = self.shape(name).ok_or_else(|| self.error(name, "has more than two dimensions".into()))?;
        let info = &self.tensors[name];
        let two = |convert: fn([u8; 2]) -> f32| bytes.chunks_exact(2).map(|b| convert([b[0], b[1]])).collect();
        let storage = match info.ggml_dtype {
            GgmlDType::Q4_1 if rows > 1 && cols.is_multiple_of(BLOCK) => Storage::Q4_1(bytes.to_vec()),
            GgmlDType::Q8_0 if rows > 1 && cols.is_multiple_of(BLOCK) => Storage::Q8_0(bytes.to_vec()),
            GgmlDType::F32 => Storage::F32(crate::matrix::floats(bytes)),
            GgmlDType::F16 => Storage::F32(two(|b| f16::from_le_bytes(b).to_f32())),
            GgmlDType::BF16 => Storage::F32(two(|b| bf16::from_le_bytes(b).to_f32())),
            _ => {
                let read = || {
                    let tensor = info.read(&mut Cursor::new(&self.map[..]), self.data, &Device::Cpu)?;
                    tensor.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()
                };
                let numbers = catch_unwind(AssertUnwindSafe(read))
                    .map_err(|_| self.error(name, "cannot be dequantised".into()))?
                    .map_err(|e| self.error(name, format!("cannot be dequantised: {e}")))?;
                Storage::F32(numbers)
            }
        };
        Ok(Matrix { rows, cols, storage })
    }

    /// Reads a part, rows in rotate-half order.
    pub fn matrix(&self, part: Part, architecture: &Architecture) -> Result<Matrix> {
        let matrix = self.tensor(&part.gguf_name())?;
        if part.is_rotated() && is_permuted(architecture.family) {
            return Ok(matrix.permuted(|row| interleaved(row, architecture.head_dim)));
        }
        Ok(matrix)
    }
}

/// Whether a family's GGUF files keep q and k rows in interleaved order.
fn is_permuted(family: Family) -> bool {
    matches!(family, Family::Llama | Family::Mistral)
}

/// Metadata with errors that name file and key.
struct Settings<'a> {
    path: &'a Path,
    metadata: Metadata,
}

impl Settings<'_> {
    fn error(&self, key: &str, problem: impl Into<String>) -> Error {
        Error::Setting { path: self.path.to_path_buf(), key: key.into(), problem: problem.into() }
    }

    fn unsupported(&self, feature: impl Into<String>, hint: &'static str) -> Error {
        Error::Unsupported { path: self.path.to_path_buf(), feature: feature.into(), hint }
    }

    fn optional<'s, T: 's>(&'s self, key: &str, read: impl Fn(&'s Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.metadata.get(key) else { return Ok(None) };
        let kind = value.value_type();
        read(value).map(Some).ok_or_else(|| self.error(key, format!("has the unexpected type or value {kind:?}")))
    }

    fn required<'s, T: 's>(&'s self, key: &str, read: impl Fn(&'s Value) -> Option<T>) -> Result<T> {
        self.optional(key, read)?.ok_or_else(|| self.error(key, "is missing"))
    }
}

fn number(value: &Value) -> Option<usize> {
    match value {
        Value::I8(v) => usize::try_from(*v).ok(),
        Value::I16(v) => usize::try_from(*v).ok(),
        Value::I32(v) => usize::try_from(*v).ok(),
        Value::I64(v) => usize::try_from(*v).ok(),
        Value::Bool(_) => None,
        value => usize::try_from(value.to_u64().ok()?).ok(),
    }
}

fn real(value: &Value) -> Option<f32> {
    match value {
        Value::F32(v) => Some(*v),
        Value::F64(v) => Some(*v as f32),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    value.to_string().ok().map(String::as_str)
}

fn flag(value: &Value) -> Option<bool> {
    value.to_bool().ok()
}

fn list<'v, T>(value: &'v Value, read: fn(&'v Value) -> Option<T>) -> Option<Vec<T>> {
    value.to_vec().ok()?.iter().map(read).collect()
}
