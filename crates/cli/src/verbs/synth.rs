use clap::Args;

use crate::context::Context;

/// Makes training samples and exam questions from documents.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum synth my-docs --out runs/my-synth\n           \
                        lyceum synth my-docs --review | less        50 questions to check by hand")]
pub struct Arguments {
    /// Folder of documents, or a named document set
    documents: Option<String>,
    /// Print 50 random questions with the sentences that prove them
    #[arg(long)]
    review: bool,
}

/// Synthesises, and says what came of it.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let mut recipe = context.recipe()?;
    if let Some(documents) = &arguments.documents {
        recipe.documents.clone_from(documents);
    }
    let out = context.out(&format!("{}-synth", super::evolve::name_of(&recipe.documents)));
    let sources = context.sources();
    let made = context.block_on(run::synthesise(&recipe, &out, &sources, &context.watch))?;
    if arguments.review {
        return context.print(&made.items, synth::review(&made.items, &made.samples, 50, recipe.seed).join("\n"));
    }
    let mut text = format!(
        "{} samples and {} questions about {} of {} facts, from {} documents\n",
        made.samples.len(),
        made.items.len(),
        made.taken.len(),
        made.proposed.len(),
        made.read.len()
    );
    for (reason, count) in &made.dropped {
        text += &format!("  dropped {count:>5}  {reason}\n");
    }
    text += &format!("  in {}/samples/: samples.jsonl, items.jsonl, drops.jsonl", out.display());
    context.print(&made.summary(), text)
}
