//! Times steps of learning from preferences, as `learn::prefer` does them:
//! `prefer_step MODEL PAIRS.jsonl [--loss dpo] [--first N] [--pairs N] [--steps N] [--threads T]
//! [--recompute] [--export FOLDER]`.
//!
//! A step reads the N pairs from line `--first` on (pairs that Genius found stand question by
//! question), always the same ones; references are computed before the first step and not timed.
//! Prints a line of JSON: losses, seconds of each step but the first, pairs a second, seconds of the
//! references, tokens with and without what pairs share, peak memory, the machine's matrix product.
//! With `--export` the base (Hugging Face layout), the first adapter (PEFT) and the pairs as tokens are
//! written there and nothing is timed, so that another program can do the same steps.
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use learn::losses::{Aco, Dpo, Loss};
use learn::{Example, Layout, PreferConfig, Row, Schedule, Sequence};
use record::Preference;
use weights::Checkpoint;

type Failure = Box<dyn std::error::Error>;

const RATE: f64 = 1e-3;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let named = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
    let number = |name: &str, default: usize| named(name).map_or(Ok(default), |a| a.parse());
    let [model, file, ..] = &arguments[..] else { return Err("which model, and which pairs?".into()) };
    let (first, count) = (number("--first", 0)?, number("--pairs", 16)?);
    let (steps, threads) = (number("--steps", 5)?, number("--threads", 2)?);
    let all: Vec<Preference> = record::shard::read_jsonl(Path::new(file))?;
    let pairs: Vec<Preference> = all.into_iter().skip(first).take(count).collect();
    if pairs.len() < count {
        return Err("too few pairs".into());
    }
    let base = Checkpoint::open(Path::new(model))?;
    let loss = Loss::parse(named("--loss").map_or("dpo", |name| name))?;
    let config = PreferConfig {
        loss,
        epochs: steps + 1,
        batch_pairs: count,
        learning_rate: RATE,
        warmup: 0.0,
        schedule: Schedule::Constant,
        weight_decay: 0.0,
        checkpoint_every: 0,
        recompute: arguments.iter().any(|a| a == "--recompute"),
        threads,
        ..PreferConfig::default()
    };
    let mut sequences = Vec::new();
    for pair in &pairs {
        let (Some(chosen), Some(rejected)) = (&pair.chosen, &pair.rejected) else { return Err("not a pair".into()) };
        sequences.push([chosen, rejected].map(|answer| Example::answer(pair, answer, &base.tokenizer)));
    }
    let sequences: Vec<Example> = sequences.into_iter().flatten().collect::<Result<_, _>>()?;
    if let Some(folder) = named("--export").map(PathBuf::from) {
        return export(&base, &sequences, &config, &folder);
    }

    let apart: usize = sequences.iter().map(|example| example.tokens.len()).sum();
    let longest = sequences.iter().map(|example| example.tokens.len()).max();
    let tree: Vec<Sequence> = sequences
        .iter()
        .map(|example| Sequence { tokens: &example.tokens, learned_from: example.learned_from, group: 0 })
        .collect();
    let computed = Row::sequences(&tree).tokens.len();
    let layout = Layout::new(&base.architecture, config.rank, config.alpha, config.targets.clone());
    // A GGUF file is held in memory too.
    let file = std::fs::metadata(model)?.len();
    let estimate = file + learn::memory(&base.architecture, &layout, config.row_tokens, 1, config.recompute);
    let before = learn::gflops(threads);
    let folder = std::env::temp_dir().join(format!("prefer-step-{}", std::process::id()));
    let (mut losses, mut seconds, mut last, begin) = (Vec::new(), Vec::new(), None::<Instant>, Instant::now());
    let (mut peak, mut start) = (None, 0.0);
    let preferred = learn::prefer(&base, None, &pairs, &[], &config, &folder, &mut |look| {
        match last {
            Some(last) => seconds.push(last.elapsed().as_secs_f64()),
            None => start = begin.elapsed().as_secs_f64(),
        }
        losses.push(look.step.loss);
        peak = peak_mb();
        last = Some(Instant::now());
        ControlFlow::Continue(())
    })?;
    std::fs::remove_dir_all(folder)?;
    if let Some(skipped) = preferred.skipped.first() {
        return Err(format!("pair {} was skipped: {}", skipped.record, skipped.reason).into());
    }
    let mut sorted = seconds.clone();
    sorted.sort_by(f64::total_cmp);
    let line = serde_json::json!({
        "engine": "lyceum", "loss": config.loss.name(), "pairs": count, "losses": losses, "seconds": seconds,
        "pairs_per_second": count as f64 / sorted[steps / 2], "start_seconds": start, "tokens": apart,
        "computed_tokens": computed, "longest": longest, "peak_mb": peak, "estimate_mb": estimate as f64 / 1048576.0,
        "machine_gflops": before.max(learn::gflops(threads)).round(),
    });
    println!("{line}");
    Ok(())
}

/// What another program needs to do the same steps.
fn export(base: &Checkpoint, sequences: &[Example], config: &PreferConfig, folder: &Path) -> Result<(), Failure> {
    let layout = Layout::new(&base.architecture, config.rank, config.alpha, config.targets.clone());
    weights::export_hf(base, None, &folder.join("base"))?;
    layout.adapter(&layout.initial(config.seed), &base.name).save(&folder.join("adapter"))?;
    let pair = |pair: &[Example]| {
        let [chosen, rejected] = [0, 1].map(|side| &pair[side].tokens[pair[side].learned_from..]);
        let prompt = &pair[0].tokens[..pair[0].learned_from];
        serde_json::json!({ "prompt": prompt, "chosen": chosen, "rejected": rejected })
    };
    let beta = match config.loss {
        Loss::Dpo(Dpo { beta, .. }) | Loss::Aco(Aco { beta, .. }) => beta,
        _ => return Err("another program's steps are those of DPO".into()),
    };
    let all = serde_json::json!({
        "pairs": sequences.chunks_exact(2).map(pair).collect::<Vec<_>>(),
        "beta": beta, "rate": RATE, "beta2": config.beta2, "clip": config.clip_norm,
    });
    Ok(std::fs::write(folder.join("pairs.json"), all.to_string())?)
}

fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kb| kb / 1024.0)
}
