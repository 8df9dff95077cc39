//! The weights and the text that everything is measured on.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use weights::{Checkpoint, Encoding, export_gguf};

const MODEL: &str = "models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf";

/// The model's file: the first argument that is no number, or SmolLM2 from the cache folder.
pub fn model_path() -> Result<PathBuf> {
    if let Some(path) = std::env::args().skip(1).find(|arg| arg.parse::<usize>().is_err()) {
        return Ok(path.into());
    }
    let cache = std::env::var_os("LYCEUM_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(dirs::cache_dir()?.join("lyceum"))).context("there is no cache folder")?;
    let path = cache.join(MODEL);
    ensure!(path.exists(), "{} is missing: run ./lyceum pull first", path.display());
    Ok(path)
}

/// The model written by us in another encoding, made once and kept beside the build.
pub fn encoded(checkpoint: &Checkpoint, encoding: Encoding) -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/models");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{}-{encoding:?}.gguf", &checkpoint.sha256[..12]));
    if !path.exists() {
        export_gguf(checkpoint, None, &path, encoding)?;
    }
    Ok(path)
}

/// Tokens of the station handbook, all chapters in order: real prose that no model has seen.
pub fn handbook(checkpoint: &Checkpoint) -> Result<(String, Vec<u32>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/station/handbook");
    let mut pages: Vec<_> =
        std::fs::read_dir(&folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    pages.sort();
    let pages: Vec<String> = pages.iter().map(std::fs::read_to_string).collect::<Result<_, _>>()?;
    let text = pages.join("\n");
    let tokens = checkpoint.tokenizer.encode(&text);
    Ok((text, tokens))
}
