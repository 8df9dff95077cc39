//! Times steps that train all weights of a pico model, as `learn::pretrain` does them:
//! `pico_step [--size pico-10m] [--texts N] [--length L] [--steps N] [--threads T] [--export FOLDER]`.
//!
//! A step reads N texts of L tokens (worked problems, byte by byte), all of which carry loss. Prints a
//! line of JSON: losses, seconds of each step but the first, tokens a second, peak memory, the share of
//! what the machine's matrix product reaches. With `--export` the first weights (Hugging Face layout)
//! and the tokens are written there and nothing is timed, so that another program can do the same
//! steps.
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use learn::{Layout, PretrainConfig, Schedule};
use record::{Message, Sample};
use tasks::{Kind, Problem, Split};
use weights::{Architecture, Checkpoint, Tokenizer};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let named = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
    let number = |name: &str, default: usize| named(name).map_or(Ok(default), |a| a.parse());
    let (texts, length) = (number("--texts", 32)?, number("--length", 256)?);
    let (steps, threads) = (number("--steps", 5)?, number("--threads", 2)?);

    let tokenizer = Tokenizer::learned(std::iter::empty(), 0)?;
    let default = String::from("pico-10m");
    let size = named("--size").unwrap_or(&default);
    let architecture = Architecture::pico(size, tokenizer.vocab()).ok_or("no such size")?;
    let samples = samples(texts, length)?;
    let base = Checkpoint::fresh(architecture.clone(), tokenizer, 1)?;
    if let Some(folder) = named("--export").map(PathBuf::from) {
        weights::export_hf(&base, None, &folder.join("base"))?;
        let whole = |sample| learn::Example::text(sample, &base.tokenizer, true).map(|example| example.tokens);
        let all = samples.iter().map(whole).collect::<Result<Vec<_>, _>>()?;
        std::fs::write(folder.join("tokens.json"), serde_json::to_vec(&all)?)?;
        return Ok(());
    }

    // One pass is one step, so every step reads the same texts whatever their order.
    let config = PretrainConfig {
        epochs: steps + 1,
        batch_tokens: texts * (length + 1),
        learning_rate: 1e-3,
        warmup: 0.0,
        schedule: Schedule::Constant,
        checkpoint_every: 0,
        validation_every: 0,
        threads,
        ..PretrainConfig::default()
    };
    let lanes = config.course(texts, (texts * (length + 1)) as u64, architecture.parameters()).lanes;
    let estimate = learn::memory(&architecture, &Layout::whole(&architecture), config.row_tokens, lanes, false);
    let before = learn::gflops(threads);
    let folder = std::env::temp_dir().join(format!("pico-step-{}", std::process::id()));
    let (mut losses, mut seconds, mut peak, mut last) = (Vec::new(), Vec::new(), None, None::<Instant>);
    learn::pretrain(&base, &samples, &[], &config, &folder, &mut |step| {
        seconds.extend(last.map(|last| last.elapsed().as_secs_f64()));
        losses.push(step.loss);
        // Before the model is written, which needs memory of its own.
        peak = peak_mb();
        last = Some(Instant::now());
        ControlFlow::Continue(())
    })?;
    std::fs::remove_dir_all(folder)?;
    let machine = before.max(learn::gflops(threads));
    let mut sorted = seconds.clone();
    sorted.sort_by(f64::total_cmp);
    let rate = |seconds: f64| ((texts * length) as f64 / seconds * 10.0).round() / 10.0;
    // Forward and backward multiply each weight three times a token; attention is left out.
    let speed = 6.0 * architecture.parameters() as f64 * rate(sorted[steps / 2]) / 1e9;
    let line = serde_json::json!({
        "engine": "lyceum", "rows": texts, "length": length, "trained": architecture.parameters(),
        "losses": losses, "seconds": seconds, "tokens_per_second": rate(sorted[steps / 2]), "best": rate(sorted[0]),
        "peak_mb": peak, "estimate_mb": estimate as f64 / 1048576.0, "machine_gflops": machine.round(), "share": speed / machine,
    });
    println!("{line}");
    Ok(())
}

/// Texts of exactly so many bytes, cut out of worked problems.
fn samples(texts: usize, length: usize) -> Result<Vec<Sample>, Failure> {
    let problems = tasks::generate(Kind::Chain, 3, Split::Train, texts * (1 + length / 60), 1)?;
    let all: Vec<Sample> = problems.iter().map(Problem::sample).collect::<Result<_, _>>()?;
    let all: String = all.iter().flat_map(|sample| &sample.messages).map(|m| m.content.as_str()).collect();
    let all: Vec<char> = all.chars().filter(char::is_ascii).collect();
    let cut = all.chunks_exact(length).take(texts).enumerate();
    let made: Vec<Sample> = cut
        .map(|(i, text)| Sample {
            id: format!("text-{i}"),
            fact: String::new(),
            document: String::new(),
            messages: vec![Message::assistant(text.iter().collect::<String>())],
            wording: String::new(),
            citations: Vec::new(),
        })
        .collect();
    if made.len() < texts { Err("too few problems for so many texts".into()) } else { Ok(made) }
}

fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kb| kb / 1024.0)
}
