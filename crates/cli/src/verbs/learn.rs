use std::path::PathBuf;

use clap::{Args, Subcommand};
use record::Sample;

use crate::context::Context;

/// Learns an adapter from samples, or shows what would be learned.
#[derive(Args)]
#[command(
    after_help = "Examples:  lyceum learn sft runs/my-synth/samples/samples.jsonl --out runs/my-adapter\n           \
                        lyceum learn inspect runs/my-synth/samples/samples.jsonl"
)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

/// Ways to learn.
#[derive(Subcommand)]
enum What {
    /// LoRA supervised fine-tuning on the completions
    Sft {
        /// Samples (JSON lines)
        samples: PathBuf,
        /// Held-out samples for early stopping (JSON lines)
        #[arg(long)]
        validation: Option<PathBuf>,
    },
    /// Print samples as the model reads them, the learned tokens marked
    Inspect {
        /// Samples (JSON lines)
        samples: PathBuf,
        /// How many
        #[arg(short, default_value_t = 3)]
        n: usize,
    },
}

/// Learns or shows.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let recipe = context.recipe()?;
    let sources = context.sources();
    match &arguments.what {
        What::Sft { samples, validation } => {
            let name = samples.file_stem().and_then(|s| s.to_str()).unwrap_or("samples");
            let out = context.out(&format!("{name}-sft"));
            let work = run::learn_sft(&recipe, samples, validation.as_deref(), &out, &sources, &context.watch);
            let (adapter, loss) = context.block_on(work)?;
            context.print(
                &serde_json::json!({ "adapter": adapter, "loss": loss }),
                format!(
                    "last loss {loss:.4}\nadapter: {}\n   chat: lyceum chat --model {}",
                    adapter.display(),
                    out.display()
                ),
            )
        }
        What::Inspect { samples, n } => {
            let (weights, _) = run::models::locate(&recipe.model, &sources)?;
            let checkpoint = weights::Checkpoint::open(&weights).map_err(run::Error::from)?;
            let mut samples: Vec<Sample> = record::shard::read_jsonl(samples).map_err(run::Error::from)?;
            samples.truncate(*n);
            let seen = learn::inspect(&samples, &checkpoint.tokenizer).map_err(run::Error::from)?;
            for (sample, tokens) in samples.iter().zip(&seen) {
                let shown: Vec<_> = tokens.iter().map(|t| (&t.piece, t.learned)).collect();
                context.print(&shown, coloured(&sample.id, tokens))?;
            }
            Ok(())
        }
    }
}

/// Learned tokens in green on a terminal, in ⟦brackets⟧ elsewhere.
fn coloured(id: &str, pieces: &[learn::Inspected]) -> String {
    use std::io::IsTerminal;
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (open, close) = if colour { ("\x1b[32;4m", "\x1b[0m") } else { ("⟦", "⟧") };
    let learned = pieces.iter().filter(|p| p.learned).count();
    let mut text = format!("── {id}: {} tokens, {learned} learned\n", pieces.len());
    for piece in pieces {
        if piece.learned {
            text += &format!("{open}{}{close}", piece.piece);
        } else {
            text += &piece.piece;
        }
    }
    text
}
