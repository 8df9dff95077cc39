//! The `.npz` checkpoints of glassllm, a small Llama written in NumPy: real trained weights of three
//! megabytes for tests. Matrices are stored inputs × outputs, and rotary pairs are interleaved.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use half::f16;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::checkpoint::Source;
use crate::error::FETCH_AGAIN;
use crate::matrix::{floats, interleaved};
use crate::tokenizer::Spec;
use crate::{Architecture, Checkpoint, Error, Family, Matrix, Part, Projection, Result, Rope, Scaling, Tokenizer};

/// The largest array that is read, in bytes; a small file could claim to unpack into terabytes.
const LARGEST: u64 = 1 << 28;

pub(crate) fn open(path: &Path) -> Result<Checkpoint> {
    let map = crate::gguf::map(path)?;
    let mut arrays =
        Arrays { path, archive: zip::ZipArchive::new(std::io::Cursor::new(&map[..])).map_err(|e| bad(path, e))? };
    let config = arrays.text("__config__")?;
    let config: Value =
        serde_json::from_str(&config).map_err(|e| bad(path, format!("its __config__ is no JSON: {e}")))?;
    let number = |key: &str| config[key].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let real = |key: &str| config[key].as_f64().unwrap_or(0.0) as f32;
    let (width, heads) = (number("d_model"), number("n_heads"));
    let architecture = Architecture {
        family: Family::Llama,
        blocks: number("n_layers"),
        width,
        heads,
        kv_heads: number("n_kv_heads"),
        head_dim: width.checked_div(heads).unwrap_or(0),
        hidden: 8 * width / 3,
        vocab: number("vocab_size"),
        context: number("max_len"),
        norm_eps: real("eps"),
        rope: Rope { theta: real("rope_base"), scaling: Scaling::None },
        qkv_bias: false,
        qk_norm: false,
        tied_head: true,
    };
    if let Some((field, problem)) = architecture.contradiction() {
        return Err(Error::Setting { path: path.to_path_buf(), key: field.into(), problem });
    }
    let mut parts = BTreeMap::new();
    for part in architecture.parts() {
        parts.insert(part, arrays.part(part, &architecture)?);
    }
    let vocabulary = path.with_extension("tokenizer.json");
    let spec = tokenizer(&crate::huggingface::json(&vocabulary)?, &vocabulary)?;
    let checkpoint = Checkpoint {
        name: format!("glassllm-{}", crate::checkpoint::name(path)),
        sha256: crate::checkpoint::hex(&Sha256::digest(&map[..])),
        tokenizer: Tokenizer::build(spec, architecture.vocab, &vocabulary)?,
        architecture,
        path: path.to_path_buf(),
        metadata: None,
        source: Source::Memory(Arc::new(parts)),
    };
    checkpoint.check()?;
    Ok(checkpoint)
}

fn bad(path: &Path, problem: impl ToString) -> Error {
    Error::Format { path: path.to_path_buf(), problem: problem.to_string(), hint: FETCH_AGAIN }
}

/// NumPy arrays in a zip file.
struct Arrays<'a> {
    path: &'a Path,
    archive: zip::ZipArchive<std::io::Cursor<&'a [u8]>>,
}

impl Arrays<'_> {
    /// An array's type, shape and bytes. Only the plain row-major form is read.
    fn array(&mut self, name: &str) -> Result<(String, Vec<usize>, Vec<u8>)> {
        let fail =
            |problem: String| Error::Tensor { path: self.path.into(), tensor: name.into(), problem, hint: FETCH_AGAIN };
        let entry = self.archive.by_name(&format!("{name}.npy")).map_err(|e| fail(format!("is missing: {e}")))?;
        let mut bytes = Vec::new();
        entry.take(LARGEST).read_to_end(&mut bytes).map_err(|e| fail(format!("cannot be unpacked: {e}")))?;
        let header = header(&bytes).ok_or_else(|| fail("is no NumPy array of version 1 to 3".into()))?;
        let field = |key: &str, end: char| {
            let (_, rest) = header.text.split_once(&format!("'{key}':"))?;
            Some(rest.trim_start().split_once(end)?.0.to_string())
        };
        let kind = field("descr", ',').ok_or_else(|| fail("has a header without a type".into()))?;
        if field("fortran_order", ',').as_deref() != Some("False") {
            return Err(fail("is not stored row by row".into()));
        }
        let shape = field("shape", ')').ok_or_else(|| fail("has a header without a shape".into()))?;
        let shape = shape.trim_start_matches('(').split(',').map(str::trim).filter(|n| !n.is_empty());
        let shape: Option<Vec<usize>> = shape.map(|n| n.parse().ok()).collect();
        let shape = shape.ok_or_else(|| fail("has an unreadable shape".into()))?;
        let data = bytes[header.end..].to_vec();
        Ok((kind.trim_matches('\'').to_string(), shape, data))
    }

    /// A scalar of text, which NumPy stores as 4-byte characters.
    fn text(&mut self, name: &str) -> Result<String> {
        let (kind, _, data) = self.array(name)?;
        if !kind.starts_with("<U") {
            return Err(bad(self.path, format!("`{name}` is of type {kind}, not text")));
        }
        let characters = data.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Ok(characters.take_while(|c| *c != 0).filter_map(char::from_u32).collect())
    }

    fn part(&mut self, part: Part, architecture: &Architecture) -> Result<Matrix> {
        let (name, is_matrix) = match part {
            Part::Embedding | Part::Head => ("E".to_string(), false),
            Part::FinalNorm => ("norm_f.gamma".into(), false),
            Part::AttentionNorm(n) => (format!("blocks.{n}.norm1.gamma"), false),
            Part::FeedForwardNorm(n) => (format!("blocks.{n}.norm2.gamma"), false),
            Part::Projection(n, p) => {
                let name = match p {
                    Projection::Q => "attn.W_Q",
                    Projection::K => "attn.W_K",
                    Projection::V => "attn.W_V",
                    Projection::O => "attn.W_O",
                    Projection::Gate => "ffn.W1",
                    Projection::Up => "ffn.W3",
                    Projection::Down => "ffn.W2",
                };
                (format!("blocks.{n}.{name}"), true)
            }
            Part::Bias(..) | Part::QueryNorm(_) | Part::KeyNorm(_) => (part.to_string(), false),
        };
        let (kind, shape, data) = self.array(&name)?;
        let fail = |problem: String| Error::Tensor {
            path: self.path.into(),
            tensor: name.clone(),
            problem,
            hint: FETCH_AGAIN,
        };
        let numbers: Vec<f32> = match kind.as_str() {
            "<f4" => floats(&data),
            "<f2" => data.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            other => return Err(fail(format!("is of type {other}, not <f2 or <f4"))),
        };
        let (rows, cols) = architecture.shape(part);
        let expected = if part.is_vector() {
            vec![cols]
        } else if is_matrix {
            vec![cols, rows]
        } else {
            vec![rows, cols]
        };
        if shape != expected || numbers.len() != rows * cols {
            return Err(fail(format!("has shape {shape:?} and {} numbers, not {expected:?}", numbers.len())));
        }
        if !is_matrix {
            return Ok(Matrix::f32(rows, cols, numbers));
        }
        let transposed = (0..rows * cols).map(|i| numbers[i % cols * rows + i / cols]).collect();
        let matrix = Matrix::f32(rows, cols, transposed);
        if part.is_rotated() {
            return Ok(matrix.permuted(|row| interleaved(row, architecture.head_dim)));
        }
        Ok(matrix)
    }
}

struct Header {
    text: String,
    end: usize,
}

/// The text of a .npy header, a Python dictionary, and where it ends.
fn header(bytes: &[u8]) -> Option<Header> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (start, length) = match rest.first()? {
        1 => (10, usize::from(u16::from_le_bytes(rest.get(2..4)?.try_into().ok()?))),
        2 | 3 => (12, usize::try_from(u32::from_le_bytes(rest.get(2..6)?.try_into().ok()?)).ok()?),
        _ => return None,
    };
    let end = start + length;
    Some(Header { text: String::from_utf8_lossy(bytes.get(start..end)?).into_owned(), end })
}

/// Character BPE over NFC text with `▁` for spaces; merges cross neither words nor line ends.
fn tokenizer(file: &Value, path: &Path) -> Result<Spec> {
    const CONTROLS: [&str; 4] = ["<pad>", "<unk>", "<bos>", "<eos>"];
    let fail = || Error::Tokenizer { path: path.to_path_buf(), problem: "it holds no `alphabet` and `merges`".into() };
    let alphabet = file["alphabet"].as_array().ok_or_else(fail)?.iter().map(|c| c.as_str().map(String::from));
    let alphabet: Vec<String> = alphabet.collect::<Option<_>>().ok_or_else(fail)?;
    let merges = file["merges"].as_array().ok_or_else(fail)?.iter();
    let merges = merges.map(|pair| Some((pair[0].as_str()?.to_string(), pair[1].as_str()?.to_string())));
    let merges: Vec<(String, String)> = merges.collect::<Option<_>>().ok_or_else(fail)?;
    let names = CONTROLS.iter().map(|name| name.to_string()).chain(alphabet);
    let names = names.chain(merges.iter().map(|(a, b)| format!("{a}{b}")));
    let vocab: Map<String, Value> = names.enumerate().map(|(id, name)| (name, id.into())).collect();
    let added: Vec<_> = CONTROLS
        .iter()
        .enumerate()
        .map(|(id, name)| {
            json!({ "id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true })
        })
        .collect();
    let space = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": { "type": "Sequence", "normalizers": [{ "type": "NFC" }, space] },
        "pre_tokenizer": { "type": "Split", "pattern": { "Regex": r"\n|▁*[^▁\n]+|▁+" }, "behavior": "Isolated", "invert": false },
        "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " }, { "type": "Fuse" }] },
        "model": { "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                   "vocab": vocab, "merges": merges },
    });
    Ok(Spec { json, bos: None, eos: vec![3], add_bos: Some(false), template: None })
}
