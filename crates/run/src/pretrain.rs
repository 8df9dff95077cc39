//! Texts → a small model of one's own, trained from nothing.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use learn::{PretrainConfig, Pretrained};
use record::shard::{read_jsonl, to_jsonl, write_atomic, write_json};
use record::{Manifest, Sample, Usage, seed};
use serde::Serialize;
use weights::{Architecture, Checkpoint, Tokenizer};

use crate::models::input;
use crate::{Error, Event, Result, Watch};

/// What a model is trained on from nothing, and how.
#[derive(Debug, Clone, Serialize)]
pub struct Pretraining {
    /// Samples (JSON lines).
    pub data: PathBuf,
    /// Held-out samples that measure the loss (JSON lines).
    pub validation: Option<PathBuf>,
    /// One of [`Architecture::picos`].
    pub size: String,
    /// Tokens of the vocabulary, about; 257 or fewer gives characters.
    pub vocab: usize,
    /// Seed of the first weights and of the order of samples; it takes the place of the one in `config`.
    pub seed: u64,
    /// Settings of the `learn` room.
    pub config: PretrainConfig,
}

/// Trains in `out`, which becomes a Hugging Face folder with state, curve and manifest beside the
/// model; the same call continues where an interrupted one stood.
pub async fn learn_pretrain(settings: &Pretraining, out: &Path, watch: &Watch) -> Result<Pretrained> {
    let (settings, out, watch) = (settings.clone(), out.to_path_buf(), watch.clone());
    let broke = |e| Error::Model { problem: format!("training broke off: {e}"), hint: "please report this".into() };
    // Training is minutes of arithmetic: a thread of its own keeps the runtime answering.
    tokio::task::spawn_blocking(move || train(&settings, &out, &watch)).await.map_err(broke)?
}

fn train(settings: &Pretraining, out: &Path, watch: &Watch) -> Result<Pretrained> {
    let begin = Instant::now();
    let mut inputs = vec![input(&settings.data)?];
    let texts: Vec<Sample> = read_jsonl(&settings.data)?;
    let mut validation: Vec<Sample> = Vec::new();
    if let Some(path) = &settings.validation {
        inputs.push(input(path)?);
        validation = read_jsonl(path)?;
    }
    let start = fresh(&texts, &settings.size, settings.vocab, settings.seed)?;
    let seed = seed::derive(settings.seed, "pretrain", "");
    let config = PretrainConfig { seed, ..settings.config.clone() };
    std::fs::create_dir_all(out).map_err(|e| record::Error::io("create", out, e))?;
    watch.tell(Event::Stage { stage: "pretrain".into(), shards: 1, done: 0 });
    let (mut read, mut clock) = (None, Instant::now());
    let mut progress = |step: &record::TrainStep| {
        // Tokens of earlier calls were spent by them.
        let before = *read.get_or_insert(step.tokens);
        watch.spend(step.tokens - before);
        let rate = (step.tokens - before) as f64 / clock.elapsed().as_secs_f64().max(1e-9);
        (read, clock) = (Some(step.tokens), Instant::now());
        let passes =
            config.tokens.map_or(step.tokens as f64 / step.epoch * config.epochs as f64, |tokens| tokens as f64);
        watch.tell(Event::Progress {
            stage: "pretrain".into(),
            done: step.tokens,
            total: (passes as u64).max(step.tokens),
            detail: match step.validation_loss {
                Some(held_out) => format!("tokens, loss {:.3}, held out {held_out:.3}", step.loss),
                None => format!("tokens, loss {:.3}, {rate:.0} tokens/s", step.loss),
            },
        });
        if watch.check().is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let trained = learn::pretrain(&start, &texts, &validation, &config, out, &mut progress)?;
    write_atomic(&out.join("curve.jsonl"), &to_jsonl(&trained.curve)?)?;
    let manifest = Manifest {
        schema_version: 1,
        stage: "pretrain".into(),
        recipe: serde_json::to_value(settings).unwrap_or_default(),
        inputs,
        outputs: vec![input(&out.join("model.safetensors"))?],
        seed: settings.seed,
        version: env!("CARGO_PKG_VERSION").into(),
        git_revision: option_env!("LYCEUM_GIT_REVISION").map(Into::into),
        git_dirty: option_env!("LYCEUM_GIT_DIRTY").map(|dirty| dirty == "true"),
        kernels: None,
        usage: Usage::default(),
        cost_usd: 0.0,
        seconds: begin.elapsed().as_secs_f64(),
        delivered: trained.curve.len() as u64,
        dropped: Default::default(),
    };
    write_json(&out.join("manifest.json"), &manifest)?;
    // State and model so far are kept; the training is not finished.
    watch.check()?;
    let summary = format!("{} tokens", trained.curve.last().map_or(0, |step| step.tokens));
    watch.tell(Event::Finished { stage: "pretrain".into(), summary, seconds: begin.elapsed().as_secs_f64() });
    Ok(trained)
}

/// An untrained decoder with a tokenizer of the texts.
pub(crate) fn fresh(texts: &[Sample], size: &str, vocab: usize, seed: u64) -> Result<Checkpoint> {
    let said = texts.iter().flat_map(|text| &text.messages).map(|message| message.content.as_str());
    let tokenizer = Tokenizer::learned(said, vocab)?;
    let architecture = Architecture::pico(size, tokenizer.vocab()).ok_or_else(|| Error::Model {
        problem: format!("there is no decoder of size {size}"),
        hint: format!("known sizes: {}", Architecture::picos().collect::<Vec<_>>().join(", ")),
    })?;
    Ok(Checkpoint::fresh(architecture, tokenizer, seed)?)
}
