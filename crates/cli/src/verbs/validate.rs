use std::path::{Path, PathBuf};

use clap::Args;
use learn::data::{Data, Either, Turns};

use crate::context::Context;

/// Finds mistakes before work starts: recipes (.toml), banks, samples and preferences (.jsonl,
/// .parquet), weights (.gguf).
#[derive(Args)]
#[command(after_help = "Example:  lyceum validate recipes/evolve.toml bank.jsonl pairs.parquet")]
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

/// A bank or a data file: whichever its first line is.
fn records(file: &Path) -> anyhow::Result<String> {
    match learn::data::open(file, Turns::Last) {
        Ok(Either::Samples(data)) => clean(file, "samples", data),
        Ok(Either::Preferences(data)) => clean(file, "preferences", data),
        // A bank has none of the data formats; what is wrong with it, its own reader knows best.
        Err(error) => match record::shard::read_jsonl::<serde_json::Value>(file) {
            Ok(lines) if lines.first().is_some_and(|line| line.get("answers").is_some()) => {
                let items = exam::read_bank(file).map_err(run::Error::from)?;
                Ok(format!("a bank of {} questions", items.len()))
            }
            _ => Err(run::Error::from(error).into()),
        },
    }
}

/// Refuses a file of which a training would leave lines out.
fn clean<T>(file: &Path, what: &str, data: Data<T>) -> anyhow::Result<String> {
    const SHOWN: usize = 5;
    if data.drops.is_empty() {
        return Ok(format!("{} {what}, as {}", data.records.len(), data.format.words()));
    }
    let counts: Vec<String> =
        learn::data::counts(&data.drops).iter().map(|(reason, n)| format!("{n} {reason}")).collect();
    let shown: Vec<String> = data.drops.iter().take(SHOWN).map(|drop| format!("  {}", drop.detail)).collect();
    let more = data.drops.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    let problem = format!(
        "{}: of {} lines {} would be left out ({})\n{}{rest}",
        file.display(),
        data.records.len() + data.drops.len(),
        data.drops.len(),
        counts.join(", "),
        shown.join("\n")
    );
    Err(run::Error::Nothing { problem, hint: "training leaves these lines out and goes on with the others".into() }
        .into())
}
