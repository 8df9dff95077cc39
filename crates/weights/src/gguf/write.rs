use std::io::{BufWriter, Write};
use std::path::Path;

use candle_core::quantized::gguf_file::{Value, ValueType};
use half::f16;

use super::{Metadata, is_permuted};
use crate::matrix::{rotate_half, to_q8_0};
use crate::{Adapter, Architecture, BLOCK, Checkpoint, Error, Family, Part, Q8_0_BYTES, Result, Scaling};

/// How [`export_gguf`] writes matrices. Vectors are always F32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// 4 bytes a weight, exact.
    F32,
    /// 2 bytes a weight.
    F16,
    /// 34 bytes for 32 weights; a matrix whose rows are no multiple of 32 long stays F16.
    Q8_0,
}

/// ggml's numbers of the tensor types written here.
const F32: u32 = 0;
const F16: u32 = 1;
const Q8_0: u32 = 8;
/// Every tensor begins at a multiple of this.
const ALIGNMENT: usize = 32;

/// Writes a model, with an adapter merged into it if given, as a GGUF file that other programs load.
///
/// The tokenizer's metadata is carried over, so the model must come from a GGUF file.
pub fn export_gguf(checkpoint: &Checkpoint, adapter: Option<&Adapter>, path: &Path, encoding: Encoding) -> Result<()> {
    let merged = adapter.map(|adapter| checkpoint.merged(adapter)).transpose()?;
    let checkpoint = merged.as_ref().unwrap_or(checkpoint);
    let Some(carried) = &checkpoint.metadata else {
        return Err(Error::Unsupported {
            path: checkpoint.path.clone(),
            feature: "GGUF export of a model that was not read from a GGUF file".into(),
            hint: "export it as a Hugging Face folder and convert that with llama.cpp's script",
        });
    };
    let architecture = &checkpoint.architecture;
    let mut metadata = Metadata::clone(carried);
    metadata.extend(describe(architecture));
    let file_type = match encoding {
        Encoding::F32 => 0,
        Encoding::F16 => 1,
        Encoding::Q8_0 => 7,
    };
    metadata.insert("general.file_type".into(), Value::U32(file_type));
    let mut tensors: Vec<_> =
        architecture.parts().into_iter().map(|part| Tensor::of(part, architecture, encoding)).collect();
    if matches!(architecture.rope.scaling, Scaling::Llama3 { .. } | Scaling::Divisors { .. }) {
        tensors.insert(
            0,
            Tensor {
                name: "rope_freqs.weight".into(),
                part: None,
                rows: 1,
                cols: architecture.head_dim / 2,
                kind: F32,
            },
        );
    }
    crate::checkpoint::replace(path, |file| {
        let mut out = BufWriter::new(file);
        let io = |e| Error::io("write", path, e);
        out.write_all(&header(&metadata, &tensors)).map_err(io)?;
        for tensor in &tensors {
            let bytes = tensor.bytes(checkpoint)?;
            out.write_all(&bytes).map_err(io)?;
            out.write_all(&[0; ALIGNMENT][..padding(bytes.len())]).map_err(io)?;
        }
        out.flush().map_err(io)
    })
}

/// Metadata of an architecture under its GGUF name.
pub(crate) fn describe(architecture: &Architecture) -> Metadata {
    let name = match architecture.family {
        Family::Llama | Family::Mistral => "llama",
        Family::Qwen2 => "qwen2",
        Family::Qwen3 => "qwen3",
    };
    let mut metadata = Metadata::from([("general.architecture".to_string(), Value::String(name.into()))]);
    let numbers = [
        ("block_count", architecture.blocks),
        ("context_length", architecture.context),
        ("embedding_length", architecture.width),
        ("feed_forward_length", architecture.hidden),
        ("attention.head_count", architecture.heads),
        ("attention.head_count_kv", architecture.kv_heads),
        ("attention.key_length", architecture.head_dim),
        ("attention.value_length", architecture.head_dim),
        ("rope.dimension_count", architecture.head_dim),
        ("vocab_size", architecture.vocab),
    ];
    metadata.extend(numbers.map(|(key, value)| (format!("{name}.{key}"), Value::U32(value as u32))));
    let mut real = |key: &str, value| metadata.insert(format!("{name}.{key}"), Value::F32(value));
    real("attention.layer_norm_rms_epsilon", architecture.norm_eps);
    real("rope.freq_base", architecture.rope.theta);
    if let Scaling::Linear { factor } = architecture.rope.scaling {
        real("rope.scaling.factor", factor);
        metadata.insert(format!("{name}.rope.scaling.type"), Value::String("linear".into()));
    }
    metadata
}

struct Tensor {
    name: String,
    /// None for the ready-made rope divisors.
    part: Option<Part>,
    rows: usize,
    cols: usize,
    kind: u32,
}

impl Tensor {
    fn of(part: Part, architecture: &Architecture, encoding: Encoding) -> Self {
        let (rows, cols) = architecture.shape(part);
        let kind = match encoding {
            _ if part.is_vector() => F32,
            Encoding::F32 => F32,
            Encoding::Q8_0 if cols.is_multiple_of(BLOCK) => Q8_0,
            Encoding::F16 | Encoding::Q8_0 => F16,
        };
        Self { name: part.gguf_name(), part: Some(part), rows, cols, kind }
    }

    fn length(&self) -> usize {
        let weights = self.rows * self.cols;
        match self.kind {
            F32 => weights * 4,
            F16 => weights * 2,
            _ => weights / BLOCK * Q8_0_BYTES,
        }
    }

    fn bytes(&self, checkpoint: &Checkpoint) -> Result<Vec<u8>> {
        let architecture = &checkpoint.architecture;
        let Some(part) = self.part else {
            let rope = &architecture.rope;
            let plain = crate::Rope { theta: rope.theta, scaling: Scaling::None }.frequencies(architecture.head_dim);
            let scaled = rope.frequencies(architecture.head_dim);
            let divisors = match &rope.scaling {
                Scaling::Divisors { divisors } => divisors.clone(),
                _ => plain.iter().zip(scaled).map(|(plain, scaled)| plain / scaled).collect(),
            };
            return Ok(divisors.into_iter().flat_map(f32::to_le_bytes).collect());
        };
        let mut matrix = checkpoint.matrix(part)?;
        if part.is_rotated() && is_permuted(architecture.family) {
            matrix = matrix.permuted(|row| rotate_half(row, architecture.head_dim));
        }
        let numbers = matrix.into_f32();
        Ok(match self.kind {
            F32 => numbers.iter().flat_map(|w| w.to_le_bytes()).collect(),
            F16 => numbers.iter().flat_map(|w| f16::from_f32(*w).to_le_bytes()).collect(),
            _ => to_q8_0(&numbers),
        })
    }
}

fn padding(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT) - length
}

/// Magic, version 3, counts, metadata, tensor list and the padding after it.
fn header(metadata: &Metadata, tensors: &[Tensor]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        put_text(&mut out, key);
        out.extend(kind(value.value_type()).to_le_bytes());
        put(&mut out, value);
    }
    let mut offset = 0;
    for tensor in tensors {
        put_text(&mut out, &tensor.name);
        let dimensions: &[usize] = if tensor.rows == 1 { &[tensor.cols] } else { &[tensor.cols, tensor.rows] };
        out.extend((dimensions.len() as u32).to_le_bytes());
        dimensions.iter().for_each(|d| out.extend((*d as u64).to_le_bytes()));
        out.extend(tensor.kind.to_le_bytes());
        out.extend((offset as u64).to_le_bytes());
        offset += tensor.length().next_multiple_of(ALIGNMENT);
    }
    out.extend(&[0; ALIGNMENT][..padding(out.len())]);
    out
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::U8(v) => out.push(*v),
        Value::I8(v) => out.extend(v.to_le_bytes()),
        Value::U16(v) => out.extend(v.to_le_bytes()),
        Value::I16(v) => out.extend(v.to_le_bytes()),
        Value::U32(v) => out.extend(v.to_le_bytes()),
        Value::I32(v) => out.extend(v.to_le_bytes()),
        Value::U64(v) => out.extend(v.to_le_bytes()),
        Value::I64(v) => out.extend(v.to_le_bytes()),
        Value::F32(v) => out.extend(v.to_le_bytes()),
        Value::F64(v) => out.extend(v.to_le_bytes()),
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::String(v) => put_text(out, v),
        Value::Array(values) => {
            // An empty list has lost its type; lists of text are the ones that may be empty.
            let element = values.first().map_or(ValueType::String, Value::value_type);
            out.extend(kind(element).to_le_bytes());
            out.extend((values.len() as u64).to_le_bytes());
            values.iter().for_each(|value| put(out, value));
        }
    }
}

/// GGUF's number of a type.
fn kind(value: ValueType) -> u32 {
    match value {
        ValueType::U8 => 0,
        ValueType::I8 => 1,
        ValueType::U16 => 2,
        ValueType::I16 => 3,
        ValueType::U32 => 4,
        ValueType::I32 => 5,
        ValueType::F32 => 6,
        ValueType::Bool => 7,
        ValueType::String => 8,
        ValueType::Array => 9,
        ValueType::U64 => 10,
        ValueType::I64 => 11,
        ValueType::F64 => 12,
    }
}
