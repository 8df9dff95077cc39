use std::path::PathBuf;

use clap::Args;
use record::{Item, Sample};

use crate::context::Context;

/// Finds mistakes before work starts: recipes (.toml), banks and samples (.jsonl), weights (.gguf).
#[derive(Args)]
#[command(after_help = "Example:  lyceum validate recipes/evolve.toml bank.jsonl")]
pub struct Arguments {
    /// Files to check
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Checks every file and stops at the first mistake.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    for file in &arguments.files {
        let what = match file.extension().and_then(|e| e.to_str()) {
            Some("toml") => {
                context.recipe_from(Some(file))?;
                "a recipe".to_string()
            }
            Some("gguf") => {
                let checkpoint = weights::Checkpoint::open(file).map_err(run::Error::from)?;
                format!("weights of {}", checkpoint.name)
            }
            _ => records(file)?,
        };
        context.print(
            &serde_json::json!({ "file": file, "valid": true, "what": what }),
            format!("{}: {what}, no mistake found", file.display()),
        )?;
    }
    Ok(())
}

/// A bank or a sample file: whichever its first line is.
fn records(file: &std::path::Path) -> anyhow::Result<String> {
    let samples = record::shard::read_jsonl::<Sample>(file).map_err(run::Error::from);
    if let Ok(samples) = &samples
        && !samples.is_empty()
    {
        learn::check(samples).map_err(run::Error::from)?;
        return Ok(format!("{} training samples", samples.len()));
    }
    let first: Vec<serde_json::Value> = record::shard::read_jsonl(file).map_err(run::Error::from)?;
    if first.first().is_some_and(|line| line.get("messages").is_some()) {
        samples?;
    }
    let items: Vec<Item> = exam::read_bank(file).map_err(run::Error::from)?;
    Ok(format!("a bank of {} questions", items.len()))
}
