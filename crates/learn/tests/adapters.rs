//! Our forward pass, adapters and optimiser against Python's peft and PyTorch; `goldens/adapters.py`
//! made the data with a tiny random Llama.

use std::path::{Path, PathBuf};

use learn::{AdamW, Layout, Model, Row, SftConfig};
use serde::Deserialize;
use weights::{Adapter, Architecture, Checkpoint};

#[derive(Deserialize)]
struct Golden {
    tokens: Vec<u32>,
    every: usize,
    ours: Vec<f32>,
    theirs: Vec<f32>,
    losses: Vec<f64>,
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn golden() -> Golden {
    serde_json::from_slice(&std::fs::read(data("adapters.json")).expect("golden file")).expect("golden JSON")
}

fn model(name: &str) -> (Model, Vec<f32>) {
    let base = Checkpoint::random(Architecture::tiny(), 1).expect("base");
    let adapter = Adapter::load(&data(name), &base.architecture).expect("adapter");
    let (layout, parameters) = Layout::of(&adapter, &base.architecture);
    (Model::new(&base, layout, 64, 2).expect("model"), parameters)
}

#[test]
fn logits_agree_with_peft_for_adapters_of_both_makers() {
    let golden = golden();
    for (name, expected) in [("ours", &golden.ours), ("theirs", &golden.theirs)] {
        let (model, parameters) = model(name);
        let at: Vec<usize> = (0..golden.tokens.len()).step_by(golden.every).collect();
        let logits = model.logits(&parameters, &Row::prompt(&golden.tokens), &at, &mut model.tape(64, false));
        assert_eq!(logits.len(), expected.len());
        let apart = logits.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-4, "{name}: logits differ by {apart}");
    }
}

#[test]
fn five_steps_lose_as_much_as_those_of_pytorch() {
    let golden = golden();
    let (model, mut parameters) = model("theirs");
    let config = SftConfig { weight_decay: 0.01, ..SftConfig::default() };
    let (mut tape, mut moments) = (model.tape(64, false), AdamW::new(parameters.len()));
    let row = Row::single(&golden.tokens, 1);
    for (step, expected) in (1..).zip(&golden.losses) {
        let mut gradient = vec![0.0; parameters.len()];
        let count = row.learned.len();
        let loss = model.gradient(&parameters, &row, 1.0 / count as f32, &mut tape, &mut gradient) / count as f64;
        assert!((loss - expected).abs() < 1e-5 * expected, "step {step}: {loss}, PyTorch {expected}");
        moments.step((&mut parameters, model.layout.decayed), (&gradient, 1.0), 5e-3, step, &config.course(1));
    }
    assert!(golden.losses[4] < golden.losses[0] - 0.01, "the steps must move the loss for this test to mean something");
}
