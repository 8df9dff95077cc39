//! llama.cpp's tokens of texts, for golden vectors: `tokens MODEL.gguf < texts.json > tokens.json`.
//! Texts are a JSON list of strings; control tokens in them are not interpreted, none are added.

use std::io::Read;

use anyhow::{Context, Result};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("usage: tokens MODEL.gguf < texts.json")?;
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let texts: Vec<String> = serde_json::from_str(&input)?;
    let mut backend = LlamaBackend::init()?;
    backend.void_logs();
    let params = LlamaModelParams::default().with_vocab_only(true);
    let model = LlamaModel::load_from_file(&backend, path, &params)?;
    let tokens: Vec<Vec<i32>> = texts
        .iter()
        .map(|text| model.vocab().tokenize(text.as_bytes(), false, false).iter().map(|token| token.0).collect())
        .collect();
    println!("{}", serde_json::to_string(&tokens)?);
    Ok(())
}
