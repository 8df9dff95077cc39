use std::path::{Path, PathBuf};

use clap::Args;

use crate::context::Context;

/// Documents in, a better model out, with the proof: samples made from the documents, an adapter
/// learned from them, an exam before and after, a report.
#[derive(Args)]
#[command(
    after_help = "Examples:  lyceum evolve                                 the SQLite manual, SmolLM2-135M\n           \
                        lyceum evolve examples/station/handbook --bank examples/station/bank.jsonl\n           \
                        lyceum evolve my-docs --model hf:HuggingFaceTB/SmolLM2-360M-Instruct --set learn.epochs=4\n\n\
                        Ctrl-C, a kill or a full disk lose nothing: the same command continues."
)]
pub struct Arguments {
    /// Folder of documents (HTML, Markdown, text, PDF), or a named document set
    documents: Option<String>,
    /// A bank of your own questions to sit beside the generated ones (JSON lines)
    #[arg(long, value_name = "FILE")]
    bank: Option<PathBuf>,
    /// Show the plan and stop
    #[arg(long)]
    dry_run: bool,
}

/// Carries the recipe out.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let mut recipe = context.recipe()?;
    if let Some(documents) = &arguments.documents {
        recipe.documents.clone_from(documents);
    }
    if let Some(bank) = &arguments.bank {
        recipe.exam.bank = Some(bank.clone());
    }
    if arguments.dry_run {
        return super::plan::show(&recipe, context);
    }
    let out = context.out(&name_of(&recipe.documents));
    let sources = context.sources();
    let evolved = context.block_on(run::evolve(&recipe, &out, &sources, &context.watch))?;
    let text = format!(
        "{}\n\nreport: {}\n  chat: lyceum chat --model {}",
        report::text(&evolved.report),
        evolved.page.display(),
        out.display()
    );
    context.print(&evolved.report, text)
}

/// A run folder's name, from the documents' name: `examples/station/handbook` → `station-handbook`.
pub fn name_of(documents: &str) -> String {
    let parts: Vec<_> = Path::new(documents)
        .components()
        .filter_map(|part| match part {
            std::path::Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    let tail = &parts[parts.len().saturating_sub(2)..];
    if tail.is_empty() { "evolve".into() } else { tail.join("-") }
}
