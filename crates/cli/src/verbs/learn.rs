use std::path::PathBuf;

use clap::{Args, Subcommand};
use record::Sample;

use crate::context::Context;

/// Learns an adapter or a small model of its own from samples, or shows what would be learned.
#[derive(Args)]
#[command(
    after_help = "Examples:  lyceum learn sft runs/my-synth/samples/samples.jsonl --out runs/my-adapter\n           \
                        lyceum learn pretrain problems.jsonl --size pico-1m --out runs/my-pico\n           \
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
    /// Train a small decoder from nothing; the same command continues
    #[command(
        after_help = "Example:  lyceum tasks --kind chain --difficulty 3 --count 10000 --format samples --out problems.jsonl\n          \
                            lyceum learn pretrain problems.jsonl --size pico-500k --tokens 1000000 --out runs/my-pico\n          \
                            lyceum generate 'Q: 7 +4 *2' --chat --model runs/my-pico"
    )]
    Pretrain {
        /// Samples (JSON lines); the last message of each is learned, one of a single message whole
        data: PathBuf,
        /// Held-out samples that measure the loss (JSON lines)
        #[arg(long)]
        validation: Option<PathBuf>,
        /// How many weights
        #[arg(long, default_value = "pico-1m", value_parser = weights::Architecture::picos().collect::<Vec<_>>())]
        size: String,
        /// Tokens to read; the samples are passed over as often as that takes. Absent: once
        #[arg(long)]
        tokens: Option<u64>,
        /// Tokens of the vocabulary, about; 257 or fewer gives characters
        #[arg(long, default_value_t = 0)]
        vocab: usize,
        /// Tokens in one optimiser step, about
        #[arg(long, default_value_t = learn::PretrainConfig::default().batch_tokens)]
        batch_tokens: usize,
        /// Highest learning rate
        #[arg(long, default_value_t = learn::PretrainConfig::default().learning_rate)]
        learning_rate: f64,
        /// Learn what stands before the last message too
        #[arg(long)]
        learn_prompts: bool,
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
        What::Pretrain { data, validation, size, tokens, vocab, batch_tokens, learning_rate, learn_prompts } => {
            let name = data.file_stem().and_then(|s| s.to_str()).unwrap_or("samples");
            let out = context.out(&format!("{name}-{size}"));
            let settings = run::Pretraining {
                data: data.clone(),
                validation: validation.clone(),
                size: size.clone(),
                vocab: *vocab,
                seed: recipe.seed,
                config: learn::PretrainConfig {
                    tokens: *tokens,
                    batch_tokens: *batch_tokens,
                    learning_rate: *learning_rate,
                    learn_prompts: *learn_prompts,
                    threads: recipe.learn.threads,
                    ..learn::PretrainConfig::default()
                },
            };
            let trained = context.block_on(run::learn_pretrain(&settings, &out, &context.watch))?;
            let last = trained.curve.last();
            let (loss, tokens) = (last.map_or(f64::NAN, |step| step.loss), last.map_or(0, |step| step.tokens));
            context.print(
                &serde_json::json!({ "model": out, "loss": loss, "validation_loss": trained.validation_loss,
                                     "tokens": tokens }),
                format!(
                    "last loss {loss:.4} after {tokens} tokens\n model: {}\nanswer: lyceum generate 'Q: …' --chat --model {}",
                    out.display(),
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
