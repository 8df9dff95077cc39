//! One half of `goldens/adapters.py`: logits of our forward pass with adapters that go out and come in.
//!
//! `logits make FOLDER [MODEL]` exports a base (the tiny random Llama of the tests, or MODEL) to
//! FOLDER/base, an adapter on it to FOLDER/ours, and tokens with our logits to FOLDER/ours.json.
//! `logits check FOLDER` reads FOLDER/theirs, an adapter that peft wrote, and compares our logits with
//! those in FOLDER/theirs.json.
use std::path::{Path, PathBuf};

use learn::{Layout, Model, Row};
use serde_json::{Value, json};
use weights::{Adapter, Architecture, Checkpoint, Projection};

type Failure = Box<dyn std::error::Error>;

/// Positions whose logits are compared.
const EVERY: usize = 8;

fn logits(base: &Checkpoint, adapter: &Adapter, tokens: &[u32]) -> Result<Vec<f32>, Failure> {
    let (layout, parameters) = Layout::of(adapter, &base.architecture);
    let model = Model::new(base, layout, tokens.len(), 2)?;
    let at: Vec<usize> = (0..tokens.len()).step_by(EVERY).collect();
    Ok(model.logits(&parameters, &Row::prompt(tokens), &at, &mut model.tape(tokens.len(), false)))
}

fn make(folder: &Path, model: Option<&String>) -> Result<(), Failure> {
    let base = match model {
        Some(path) => Checkpoint::open(Path::new(path))?,
        None => Checkpoint::random(Architecture::tiny(), 1)?,
    };
    weights::export_hf(&base, None, &folder.join("base"))?;
    let layout = Layout::new(&base.architecture, 2, 6.0, Projection::ALL.into());
    let mut parameters = layout.initial(1);
    // B begins at zero, where an adapter changes nothing; here it must change something.
    for (i, value) in parameters.iter_mut().enumerate().filter(|(_, value)| **value == 0.0) {
        *value = ((i * 7919 % 1000) as f32 / 1000.0 - 0.5) * 0.2;
    }
    let adapter = layout.adapter(&parameters, &base.name);
    adapter.save(&folder.join("ours"))?;
    let tokens: Vec<u32> = (0..64).map(|t: u32| t * t * 31 % base.architecture.vocab as u32).collect();
    let ours = json!({ "tokens": tokens, "every": EVERY, "logits": logits(&base, &adapter, &tokens)? });
    Ok(std::fs::write(folder.join("ours.json"), ours.to_string())?)
}

fn check(folder: &Path) -> Result<(), Failure> {
    let base = Checkpoint::open(&folder.join("base"))?;
    let adapter = Adapter::load(&folder.join("theirs"), &base.architecture)?;
    let theirs: Value = serde_json::from_slice(&std::fs::read(folder.join("theirs.json"))?)?;
    let tokens: Vec<u32> = serde_json::from_value(theirs["tokens"].clone())?;
    let expected: Vec<f32> = serde_json::from_value(theirs["logits"].clone())?;
    let ours = logits(&base, &adapter, &tokens)?;
    assert_eq!(ours.len(), expected.len());
    let apart = ours.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("peft's adapter in ours: {} logits, largest difference {apart:.2e}", ours.len());
    if apart < 1e-3 { Ok(()) } else { Err("the logits differ by more than 1e-3".into()) }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = PathBuf::from(arguments.get(1).ok_or("which folder?")?);
    match arguments[0].as_str() {
        "make" => make(&folder, arguments.get(2)),
        "check" => check(&folder),
        other => Err(format!("`{other}` is neither make nor check").into()),
    }
}
