use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use tokenizers::{Tokenizer, TruncationParams};

use crate::bert::{Bert, Block, Linear, Norm};
use crate::{Error, Result};

/// The fields of `config.json` that the computation needs.
#[derive(Deserialize)]
struct Config {
    model_type: String,
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    vocab_size: usize,
    layer_norm_eps: f32,
}

fn absolute() -> String {
    "absolute".into()
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Io { path: path.into(), source })
}

fn config(path: &Path) -> Result<Config> {
    let config: Config = serde_json::from_slice(&bytes(path)?)
        .map_err(|e| Error::Format { path: path.into(), problem: e.to_string() })?;
    let fail = |key, problem: String| Err(Error::Setting { path: path.into(), key, problem });
    let words = [
        ("model_type", &config.model_type, "bert"),
        ("hidden_act", &config.hidden_act, "gelu"),
        ("position_embedding_type", &config.position_embedding_type, "absolute"),
    ];
    for (key, found, wanted) in words {
        if found != wanted {
            return fail(key, format!("is {found:?}"));
        }
    }
    let (width, heads) = (config.hidden_size, config.num_attention_heads);
    if width == 0 || heads == 0 || width % heads != 0 {
        return fail("num_attention_heads", format!("is {heads}, which does not divide the width {width}"));
    }
    if config.max_position_embeddings < 2 {
        return fail("max_position_embeddings", "leaves no room for the two tokens that frame a text".into());
    }
    Ok(config)
}

/// The tokenizer, set to cut a text at `limit` tokens and never to pad it.
pub(crate) fn tokenizer(folder: &Path, limit: usize, vocabulary: usize) -> Result<Tokenizer> {
    let path = folder.join("tokenizer.json");
    let fail = |problem: String| Error::Format { path: path.clone(), problem };
    let mut tokenizer = Tokenizer::from_bytes(bytes(&path)?).map_err(|e| fail(e.to_string()))?;
    let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0) as usize;
    if largest >= vocabulary {
        return Err(fail(format!("it knows token {largest}, the model only {vocabulary} tokens")));
    }
    tokenizer.with_padding(None);
    let cut = TruncationParams { max_length: limit, ..TruncationParams::default() };
    tokenizer.with_truncation(Some(cut)).map_err(|e| fail(e.to_string()))?;
    // Vectors would differ from everybody's if the frame were missing: [CLS] text [SEP].
    let empty = tokenizer.encode("", true).map_err(|e| fail(e.to_string()))?;
    if empty.is_empty() {
        return Err(fail("it adds no tokens around a text".into()));
    }
    Ok(tokenizer)
}

struct Weights<'a> {
    path: PathBuf,
    tensors: SafeTensors<'a>,
    prefix: &'static str,
}

impl Weights<'_> {
    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = format!("{}{name}", self.prefix);
        let fail = |problem| Error::Tensor { path: self.path.clone(), tensor: tensor.clone(), problem };
        let view = self.tensors.tensor(&tensor).map_err(|_| fail("is missing".into()))?;
        if view.dtype() != Dtype::F32 || view.shape() != shape {
            return Err(fail(format!("is {:?} {:?}, not F32 {shape:?}", view.dtype(), view.shape())));
        }
        let numbers = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let numbers: Vec<f32> = numbers.collect();
        match numbers.iter().all(|x| x.is_finite()) {
            true => Ok(numbers),
            false => Err(fail("holds a number that is not finite".into())),
        }
    }

    fn linear(&self, name: &str, outputs: usize, inputs: usize) -> Result<Linear> {
        let weight = self.read(&format!("{name}.weight"), &[outputs, inputs])?;
        Ok(Linear { weight, bias: self.read(&format!("{name}.bias"), &[outputs])? })
    }

    fn norm(&self, name: &str, width: usize) -> Result<Norm> {
        let scale = self.read(&format!("{name}.weight"), &[width])?;
        Ok(Norm { scale, shift: self.read(&format!("{name}.bias"), &[width])? })
    }
}

/// The network of a folder.
pub(crate) fn bert(folder: &Path) -> Result<Bert> {
    let config = config(&folder.join("config.json"))?;
    let path = folder.join("model.safetensors");
    let file = bytes(&path)?;
    let tensors =
        SafeTensors::deserialize(&file).map_err(|e| Error::Format { path: path.clone(), problem: e.to_string() })?;
    // Models saved with a head on top keep the encoder under a name of its own.
    let headed = tensors.names().iter().any(|name| name.starts_with("bert."));
    let weights = Weights { path, tensors, prefix: if headed { "bert." } else { "" } };
    let (width, hidden) = (config.hidden_size, config.intermediate_size);
    let block = |layer: usize| {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let mut attention = Linear { weight: Vec::new(), bias: Vec::new() };
        // One product makes query, key and value.
        for part in ["query", "key", "value"] {
            let Linear { weight, bias } = weights.linear(&name(&format!("attention.self.{part}")), width, width)?;
            attention.weight.extend(weight);
            attention.bias.extend(bias);
        }
        Ok(Block {
            attention,
            gather: weights.linear(&name("attention.output.dense"), width, width)?,
            attention_norm: weights.norm(&name("attention.output.LayerNorm"), width)?,
            up: weights.linear(&name("intermediate.dense"), hidden, width)?,
            down: weights.linear(&name("output.dense"), width, hidden)?,
            norm: weights.norm(&name("output.LayerNorm"), width)?,
        })
    };
    let types = weights.read("embeddings.token_type_embeddings.weight", &[config.type_vocab_size, width])?;
    let mut positions =
        weights.read("embeddings.position_embeddings.weight", &[config.max_position_embeddings, width])?;
    // A single text is of type 0 throughout.
    for position in positions.chunks_exact_mut(width) {
        position.iter_mut().zip(&types).for_each(|(x, y)| *x += y);
    }
    Ok(Bert {
        width,
        heads: config.num_attention_heads,
        epsilon: config.layer_norm_eps,
        words: weights.read("embeddings.word_embeddings.weight", &[config.vocab_size, width])?,
        positions,
        norm: weights.norm("embeddings.LayerNorm", width)?,
        blocks: (0..config.num_hidden_layers).map(block).collect::<Result<_>>()?,
    })
}
