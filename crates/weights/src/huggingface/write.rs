use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::config;
use crate::{Adapter, Checkpoint, Error, Result, shards};

/// Writes a model, with an adapter merged into it if given, as a Hugging Face folder: F32
/// model.safetensors, config.json, generation_config.json, tokenizer.json, tokenizer_config.json.
pub fn export_hf(checkpoint: &Checkpoint, adapter: Option<&Adapter>, folder: &Path) -> Result<()> {
    let merged = adapter.map(|adapter| checkpoint.merged(adapter)).transpose()?;
    let checkpoint = merged.as_ref().unwrap_or(checkpoint);
    let (architecture, tokenizer) = (&checkpoint.architecture, &checkpoint.tokenizer);
    std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
    let config =
        config::describe(architecture, tokenizer.bos, &tokenizer.eos).map_err(|feature| Error::Unsupported {
            path: checkpoint.path.clone(),
            feature: feature.into(),
            hint: "a Hugging Face folder cannot say it, export to GGUF instead",
        })?;
    write_json(&folder.join("config.json"), &config)?;
    let generation = json!({ "bos_token_id": tokenizer.bos, "eos_token_id": tokenizer.eos });
    write_json(&folder.join("generation_config.json"), &generation)?;
    write_text(&folder.join("tokenizer.json"), tokenizer.json())?;
    let name = |id: Option<u32>| id.map(|id| tokenizer.name(id));
    let eos = name(tokenizer.eos.first().copied());
    let settings = json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": name(tokenizer.bos), "eos_token": eos,
        "pad_token": eos, "add_bos_token": tokenizer.adds_bos(), "clean_up_tokenization_spaces": false,
        "model_max_length": architecture.context, "chat_template": tokenizer.chat_template(),
    });
    write_json(&folder.join("tokenizer_config.json"), &settings)?;
    let parts = architecture.parts();
    let shape = |part| {
        let (rows, cols) = architecture.shape(part);
        if part.is_vector() { vec![cols] } else { vec![rows, cols] }
    };
    let tensors: Vec<_> = parts.iter().map(|part| (part.hf_name(), shape(*part))).collect();
    shards::write(&folder.join("model.safetensors"), &tensors, |index| Ok(checkpoint.matrix(parts[index])?.into_f32()))
}

/// Writes JSON for people and programs.
pub(crate) fn write_json(path: &Path, value: &Value) -> Result<()> {
    write_text(path, &format!("{value:#}\n"))
}

fn write_text(path: &Path, text: &str) -> Result<()> {
    crate::checkpoint::replace(path, |mut file| {
        file.write_all(text.as_bytes()).map_err(|e| Error::io("write", path, e))
    })
}
