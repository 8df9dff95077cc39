//! Hugging Face folders: config.json, safetensors, tokenizer.json and what stands beside them.

mod config;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::checkpoint::Source;
use crate::shards::Shards;
use crate::tokenizer::Spec;
use crate::{Checkpoint, Error, Result, Tokenizer};

pub use write::export_hf;
pub(crate) use write::write_json;

pub(crate) fn open(folder: &Path) -> Result<Checkpoint> {
    let config_path = folder.join("config.json");
    let config = json(&config_path)?;
    let architecture = config::read(&config, &config_path)?;
    let files = weight_files(folder)?;
    let shards = Shards::open(&files)?;
    let (spec, tokenizer_files) = tokenizer(folder, &config)?;
    let tokenizer = Tokenizer::build(spec, architecture.vocab, &folder.join("tokenizer.json"))?;
    let mut hash = Sha256::new();
    for path in [config_path].iter().chain(&tokenizer_files).chain(&files) {
        hash.update(Sha256::digest(&crate::gguf::map(path)?[..]));
    }
    let checkpoint = Checkpoint {
        name: crate::checkpoint::name(folder),
        sha256: crate::checkpoint::hex(&hash.finalize()),
        architecture,
        tokenizer,
        path: folder.to_path_buf(),
        metadata: None,
        source: Source::Folder(Arc::new(shards)),
    };
    checkpoint.check()?;
    Ok(checkpoint)
}

/// Reads a JSON file.
pub(crate) fn json(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    serde_json::from_slice(&text).map_err(|e| Error::Format {
        path: path.to_path_buf(),
        problem: format!("it is no valid JSON: {e}"),
        hint: crate::error::FETCH_AGAIN,
    })
}

fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let index_path = folder.join("model.safetensors.index.json");
    if index_path.exists() {
        let index = json(&index_path)?;
        let map = index["weight_map"].as_object().ok_or_else(|| Error::Setting {
            path: index_path.clone(),
            key: "weight_map".into(),
            problem: "is missing".into(),
        })?;
        let mut names: Vec<_> = map.values().filter_map(Value::as_str).collect();
        names.sort_unstable();
        names.dedup();
        // A name with a path in it would read outside the folder.
        let inside = names.iter().filter(|name| Path::new(name).file_name() == Some(name.as_ref()));
        return Ok(inside.map(|name| folder.join(name)).collect());
    }
    let single = folder.join("model.safetensors");
    if single.exists() {
        return Ok(vec![single]);
    }
    Err(Error::Format {
        path: folder.to_path_buf(),
        problem: "it holds neither model.safetensors nor model.safetensors.index.json".into(),
        hint: "convert .bin weights to safetensors, or give a GGUF file",
    })
}

/// What the folder says about its tokenizer, and which files say it.
fn tokenizer(folder: &Path, config: &Value) -> Result<(Spec, Vec<PathBuf>)> {
    let main = folder.join("tokenizer.json");
    let pipeline = json(&main)?;
    let mut files = vec![main];
    let mut optional = |name: &str| {
        let path = folder.join(name);
        if !path.exists() {
            return Ok(Value::Null);
        }
        files.push(path.clone());
        json(&path)
    };
    let settings = optional("tokenizer_config.json")?;
    let generation = optional("generation_config.json")?;
    let by_name = |key: &str| {
        let name = settings[key].as_str().or_else(|| settings[key]["content"].as_str())?;
        let added = pipeline["added_tokens"].as_array()?.iter().find(|token| token["content"] == name);
        added.map_or_else(|| pipeline["model"]["vocab"][name].as_u64(), |token| token["id"].as_u64())
    };
    let narrow = |id: u64| u32::try_from(id).ok();
    let ids = |value: &Value| -> Vec<u64> {
        value.as_array().map_or_else(
            || value.as_u64().into_iter().collect(),
            |list| list.iter().filter_map(Value::as_u64).collect(),
        )
    };
    // The tokenizer's own end comes first: in a model for chat it is the end of a turn.
    let mut eos: Vec<u64> = by_name("eos_token").into_iter().collect();
    eos.extend(ids(&generation["eos_token_id"]));
    eos.extend(ids(&config["eos_token_id"]));
    let bos = by_name("bos_token").or_else(|| config["bos_token_id"].as_u64());
    let template_path = folder.join("chat_template.jinja");
    let template = if template_path.exists() {
        let text = std::fs::read_to_string(&template_path).map_err(|e| Error::io("read", &template_path, e))?;
        files.push(template_path);
        Some(text)
    } else {
        let named = settings["chat_template"].as_array().and_then(|list| list.iter().find(|t| t["name"] == "default"));
        let template = named.map_or(&settings["chat_template"], |named| &named["template"]);
        template.as_str().map(String::from)
    };
    let spec = Spec {
        bos: bos.and_then(narrow),
        eos: eos.into_iter().filter_map(narrow).collect(),
        add_bos: settings["add_bos_token"].as_bool(),
        template,
        json: pipeline,
    };
    Ok((spec, files))
}
