use std::path::{Path, PathBuf};

use clap::Args;
use learn::data::{Either, Format, Turns};
use record::Drop;

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
        Ok(Either::Samples(data)) => clean(file, &told("samples", data.format), &data.records, &data.drops),
        Ok(Either::Preferences(data)) => clean(file, &told("preferences", data.format), &data.records, &data.drops),
        // Banks and bare questions have none of the data formats; their own readers know them best.
        Err(error) => {
            let first = first_line(file);
            let has = |names: &[&str]| names.iter().any(|name| first.get(name).is_some());
            if has(&["answers"]) {
                let items = exam::read_bank(file).map_err(run::Error::from)?;
                return Ok(format!("a bank of {} questions", items.len()));
            }
            if !has(&["question", "prompt"]) || has(&["answer", "completion", "chosen", "rejected", "messages"]) {
                return Err(run::Error::from(error).into());
            }
            let (records, drops) = learn::data::questions(file).map_err(run::Error::from)?;
            clean(file, "questions to practise on", &records, &drops)
        }
    }
}

/// The first line of a file of JSON lines, null where it is none.
fn first_line(file: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let first = text.trim_start_matches('\u{feff}').lines().find(|line| !line.trim().is_empty());
    first.and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
}

fn told(what: &str, format: Format) -> String {
    format!("{what}, as {}", format.words())
}

/// Refuses a file of which a training would leave lines out.
fn clean<T>(file: &Path, what: &str, records: &[T], drops: &[Drop]) -> anyhow::Result<String> {
    const SHOWN: usize = 5;
    if drops.is_empty() {
        return Ok(format!("{} {what}", records.len()));
    }
    let counts: Vec<String> = learn::data::counts(drops).iter().map(|(reason, n)| format!("{n} {reason}")).collect();
    let shown: Vec<String> = drops.iter().take(SHOWN).map(|drop| format!("  {}", drop.detail)).collect();
    let more = drops.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    let problem = format!(
        "{}: of {} lines {} would be left out ({})\n{}{rest}",
        file.display(),
        records.len() + drops.len(),
        drops.len(),
        counts.join(", "),
        shown.join("\n")
    );
    Err(run::Error::Nothing { problem, hint: "training leaves these lines out and goes on with the others".into() }
        .into())
}
