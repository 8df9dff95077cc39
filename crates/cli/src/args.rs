use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::verbs;

/// A school for language models: it reads your documents, learns from them and proves it.
#[derive(Parser)]
#[command(
    name = "lyceum",
    version,
    about,
    max_term_width = 100,
    after_help = "Start here:  lyceum evolve examples/station/handbook\n\
                  Every verb has an example under --help. Finished work is kept: the same command continues."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// What every verb shares.
    #[command(flatten)]
    pub shared: Shared,
}

/// Flags that every verb understands.
#[derive(Args, Clone)]
pub struct Shared {
    /// Folder to write to
    #[arg(long, global = true, value_name = "DIR", help_heading = "Shared")]
    pub out: Option<PathBuf>,
    /// Named asset, GGUF file, Hugging Face folder, run folder, or http(s) address
    #[arg(long, global = true, value_name = "NAME|PATH|URL", help_heading = "Shared")]
    pub model: Option<String>,
    /// Recipe file (TOML)
    #[arg(long, global = true, value_name = "FILE", help_heading = "Shared")]
    pub recipe: Option<PathBuf>,
    /// Override one setting of the recipe, e.g. learn.epochs=4; repeatable
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", help_heading = "Shared")]
    pub sets: Vec<String>,
    /// Seed of everything random
    #[arg(long, global = true, help_heading = "Shared")]
    pub seed: Option<u64>,
    /// Threads of the engine and the trainer; all cores by default
    #[arg(long, global = true, help_heading = "Shared")]
    pub threads: Option<usize>,
    /// Stop cleanly after this time, e.g. 90s, 10m, 2h
    #[arg(long, global = true, value_name = "TIME", value_parser = duration, help_heading = "Shared")]
    pub budget: Option<std::time::Duration>,
    /// Stop cleanly once models and trainer have spent so many tokens
    #[arg(long, global = true, value_name = "N", help_heading = "Shared")]
    pub token_budget: Option<u64>,
    /// Use only what is on this machine
    #[arg(long, global = true, help_heading = "Shared")]
    pub offline: bool,
    /// Results and progress as JSON lines on standard output
    #[arg(long, global = true, help_heading = "Shared")]
    pub json: bool,
    /// No progress
    #[arg(long, short, global = true, help_heading = "Shared")]
    pub quiet: bool,
}

/// The verbs, in the order of the data flow.
#[derive(Subcommand)]
pub enum Verb {
    /// Fetch a named model, encoder or document set
    Pull(verbs::pull::Arguments),
    /// Documents → training samples and exam questions
    Synth(verbs::synth::Arguments),
    /// Make seeded problems with worked steps, to train and to compare on
    Tasks(verbs::tasks::Arguments),
    /// Samples → adapter; or look at what is learned
    Learn(verbs::learn::Arguments),
    /// Questions without answers → preferences → adapter, with a guard
    Practise(verbs::practise::Arguments),
    /// Sit an exam; compare two models
    Exam(verbs::exam::Arguments),
    /// Place persons and items of exam logs on one scale, with errors and fit
    Irt(verbs::irt::Arguments),
    /// Compare models by their logs, item by item; who is tied
    Compare(verbs::compare::Arguments),
    /// Choose few items that stand for a whole exam
    Short(verbs::short::Arguments),
    /// Mark the answers to a paper: by rule, by judge models, by people
    Grade(verbs::grade::Arguments),
    /// All of it: documents → better model, with the proof
    Evolve(verbs::evolve::Arguments),
    /// Show a run's report
    Report(verbs::report::Arguments),
    /// Talk with a model
    Chat(verbs::chat::Arguments),
    /// Complete a text
    Generate(verbs::generate::Arguments),
    /// Serve models to any OpenAI client, and a page that shows the search
    Serve(verbs::serve::Arguments),
    /// Hold decoding strategies against each other
    Lab(verbs::lab::Arguments),
    /// Measure a model's losses on texts, token by token
    Score(verbs::score::Arguments),
    /// Predict models from losses or sizes by every law, and say what cannot be predicted
    Scaling(verbs::scaling::Arguments),
    /// Write a learned model for llama.cpp, transformers or peft
    Export(verbs::export::Arguments),
    /// Check a recipe, bank or sample file before work starts
    Validate(verbs::validate::Arguments),
    /// Print stages, shards, tokens, memory and time of a recipe
    Plan(verbs::plan::Arguments),
    /// List or clean what was fetched
    Cache(verbs::cache::Arguments),
    /// Shell completions
    Completions(verbs::completions::Arguments),
}

/// Reads `90s`, `10m`, `2h` or plain seconds.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit:?} is no unit of time; write 90s, 10m or 2h")),
    };
    let seconds: f64 = number.parse().map_err(|_| "write 90s, 10m or 2h".to_string())?;
    std::time::Duration::try_from_secs_f64(seconds * factor).map_err(|e| e.to_string())
}
