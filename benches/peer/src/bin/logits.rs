//! Numbers beside numbers: `logits [MODEL.gguf]`.
//!
//! Our f32 path against llama.cpp on an F32 GGUF that we exported (keys and values in f32), our int8
//! path against our f32 path, and both again on one prompt of 4,000 tokens.

use anyhow::{Result, ensure};
use llama_cpp_2::llama_backend::LlamaBackend;
use lm_local::{Config, LocalModel, Precision};
use peer::llama::{Llama, load};
use peer::numbers::Comparison;
use peer::text::{encoded, handbook, model_path};
use weights::{Checkpoint, Encoding};

const WINDOW: usize = 512;
const WINDOWS: usize = 4;
const LONG: usize = 4000;

fn main() -> Result<()> {
    let mut backend = LlamaBackend::init()?;
    backend.void_logs();
    let checkpoint = Checkpoint::open(&model_path()?)?;
    let (text, tokens) = handbook(&checkpoint)?;
    let reference = load(&backend, &encoded(&checkpoint, Encoding::F32)?)?;
    let theirs: Vec<u32> =
        reference.vocab().tokenize(text.as_bytes(), false, false).iter().map(|t| t.0 as u32).collect();
    ensure!(theirs == tokens, "the tokenizers differ on the handbook");
    println!("tokens of the station handbook, ours and llama.cpp's: the same {}\n", tokens.len());
    ensure!(tokens.len() >= WINDOW * WINDOWS + LONG, "the text is too short");

    let engine = |precision| LocalModel::load(&checkpoint, Config { threads: 2, precision, ..Config::default() });
    let (exact, fast) = (engine(Precision::F32)?, engine(Precision::Int8)?);
    println!("model {}, kernels {}\n", checkpoint.name, exact.kernels());
    let mut llama = Llama::new(&backend, &reference, 2, LONG + 96, 1, true)?;
    let vocab = checkpoint.architecture.vocab;
    let mut compare = |text: &[u32]| -> Result<(Comparison, Comparison)> {
        let ours = exact.logits(text, None)?;
        let quick = fast.logits(text, None)?;
        let (mut to_llama, mut to_fast) = (Comparison::default(), Comparison::default());
        llama.clear();
        llama.read(text, 0, true, &mut |i, logits| {
            let row = &ours[i * vocab..(i + 1) * vocab];
            to_llama.add(logits, row, text.get(i + 1).copied());
            to_fast.add(row, &quick[i * vocab..(i + 1) * vocab], text.get(i + 1).copied());
        })?;
        Ok((to_llama, to_fast))
    };
    let (mut to_llama, mut to_fast) = (Comparison::default(), Comparison::default());
    for window in tokens.chunks(WINDOW).take(WINDOWS) {
        let (a, b) = compare(window)?;
        to_llama.merge(&a);
        to_fast.merge(&b);
    }
    let (long_llama, long_fast) = compare(&tokens[WINDOW * WINDOWS..WINDOW * WINDOWS + LONG])?;

    println!(
        "| compared (reference → other) | positions | top-1 equal | mean KL | worst KL | worst Δ log p | perplexity |"
    );
    println!("|---|---|---|---|---|---|---|");
    let row = |name: &str, c: &Comparison| {
        let (reference, other) = c.perplexities();
        println!(
            "| {name} | {} | {:.2} % | {:.2e} | {:.2e} | {:.2e} | {reference:.4} → {other:.4} ({:+.3} %) |",
            c.positions,
            100.0 * c.agreement(),
            c.mean_kl(),
            c.worst_kl,
            c.worst_logprob,
            100.0 * (other / reference - 1.0)
        );
    };
    row("llama.cpp F32 → ours f32, windows of 512", &to_llama);
    row("ours f32 → ours int8, windows of 512", &to_fast);
    row("llama.cpp F32 → ours f32, one prompt of 4,000", &long_llama);
    row("ours f32 → ours int8, one prompt of 4,000", &long_fast);
    println!();
    let mut failed = 0;
    let mut bar = |name: &str, holds: bool| {
        println!("{} {name}", if holds { "holds:" } else { "FAILS:" });
        failed += usize::from(!holds);
    };
    for (name, c) in [("windows", &to_llama), ("4,000 tokens", &long_llama)] {
        bar(&format!("f32 against llama.cpp, {name}: top-1 ≥ 99.5 %"), c.agreement() >= 0.995);
        bar(&format!("f32 against llama.cpp, {name}: mean KL ≤ 1e-4"), c.mean_kl() <= 1e-4);
    }
    for (name, c) in [("windows", &to_fast), ("4,000 tokens", &long_fast)] {
        let (reference, other) = c.perplexities();
        bar(&format!("int8 against f32, {name}: mean KL ≤ 0.005"), c.mean_kl() <= 0.005);
        bar(&format!("int8 against f32, {name}: perplexity within 0.5 %"), (other / reference - 1.0).abs() <= 0.005);
    }
    ensure!(failed == 0, "{failed} bars fail");
    Ok(())
}
