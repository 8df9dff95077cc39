use clap::Args;
use run::Recipe;

use crate::context::Context;

/// Prints what a recipe will do before any of it is done.
#[derive(Args)]
#[command(after_help = "Example:  lyceum plan my-docs --recipe recipes/evolve.toml")]
pub struct Arguments {
    /// Folder of documents, or a named document set
    documents: Option<String>,
    /// Accepted for symmetry with `evolve --dry-run`: a plan never runs anything
    #[arg(long, hide = true)]
    dry_run: bool,
}

/// Prints the plan.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let mut recipe = context.recipe()?;
    if let Some(documents) = &arguments.documents {
        recipe.documents.clone_from(documents);
    }
    show(&recipe, context)
}

/// Prints the plan of a recipe.
pub fn show(recipe: &Recipe, context: &Context) -> anyhow::Result<()> {
    let estimate = run::estimate(recipe, &context.sources())?;
    let mut text = format!("{:<12} {:>7} {:>12} {:>9}", "stage", "shards", "tokens", "time");
    for stage in &estimate.stages {
        text += &format!("\n{:<12} {:>7} {:>12} {:>7.0} s", stage.stage, stage.shards, stage.tokens, stage.seconds);
    }
    text += &format!(
        "\n\nabout {:.0} minutes, {:.1} GB of memory ({:.2} GB of it for training), {:.1} GB of disk; measured speed of this machine: {:.0} GFLOPS",
        (estimate.seconds / 60.0).ceil(),
        estimate.memory_bytes as f64 / 1e9,
        estimate.training_bytes as f64 / 1e9,
        estimate.disk_bytes as f64 / 1e9,
        estimate.gflops
    );
    context.print(&estimate, text)
}
