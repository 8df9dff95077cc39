use std::path::PathBuf;

use clap::{Args, Subcommand};
use learn::data::Turns;

use crate::context::Context;

/// Learns an adapter or a small model of its own from samples, or shows what would be learned.
#[derive(Args)]
#[command(
    after_help = "Examples:  lyceum learn sft runs/my-synth/samples/samples.jsonl --out runs/my-adapter\n           \
                        lyceum learn pretrain problems.jsonl --size pico-1m --out runs/my-pico\n           \
                        lyceum learn prefer pairs.jsonl --loss dpo --out runs/my-adapter\n           \
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
    #[command(after_help = FORMATS)]
    Sft {
        /// Samples, or preferences, of which the better answer is learned (JSON lines or Parquet)
        samples: PathBuf,
        /// Held-out samples for early stopping
        #[arg(long)]
        validation: Option<PathBuf>,
        /// Which answers of a conversation are learned: last or all
        #[arg(long, default_value = "last")]
        turns: Turns,
    },
    /// Learn from answers that are known to be better and worse: dpo, ipo, simpo, kto and others
    #[command(
        after_help = "Settings beside these stand under practise.learn in the recipe, e.g. --set practise.learn.epochs=2.\n\
                      Examples:  lyceum learn prefer pairs.jsonl --loss dpo --out runs/my-adapter\n           \
                      lyceum learn prefer pairs.parquet --model runs/my-adapter --out runs/better"
    )]
    Prefer {
        /// Preferences (JSON lines or Parquet); formats as `learn inspect --help` lists them
        pairs: PathBuf,
        /// Held-out preferences for early stopping
        #[arg(long)]
        validation: Option<PathBuf>,
        /// What is made small: aco, aco-released, dpo, ipo, simpo, ropo, kto, npo or sft [default: the recipe's
        /// practise.learn.loss where it says one, else dpo]
        #[arg(long, value_parser = learn::Loss::parse)]
        loss: Option<learn::Loss>,
        /// PEFT folder to go on from, which is the reference too [default: the adapter of --model, if it is a run]
        #[arg(long, value_name = "DIR")]
        start: Option<PathBuf>,
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
    /// Show samples and preferences as the model reads them, the learned tokens marked, and count them
    #[command(after_help = FORMATS)]
    Inspect {
        /// Samples or preferences (JSON lines or Parquet)
        file: PathBuf,
        /// How many to show
        #[arg(short, default_value_t = 3)]
        n: usize,
        /// Which answers of a conversation are learned: last or all
        #[arg(long, default_value = "last")]
        turns: Turns,
    },
}

/// What files may hold.
const FORMATS: &str = "Formats, told by the first line's fields:\n  \
    messages                                         conversations (TRL, OpenAI; with weight 0 or 1 on answers)\n  \
    prompt, completion                               texts or lists of turns (TRL)\n  \
    prompt, completion, label                        the same, good or bad (TRL, for KTO)\n  \
    prompt, chosen, rejected                         texts or lists of turns (TRL)\n  \
    chosen, rejected                                 whole conversations (TRL)\n  \
    input, preferred_output, non_preferred_output    OpenAI\n  \
    question, answer                                 texts\n  \
    lyceum's own samples and preferences\n\
    A prompt that is a text becomes a turn of the user: the model's chat template frames it.\n\
    Lines that cannot be used are counted and named, never guessed at.";

/// Learns or shows.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let recipe = context.recipe()?;
    let sources = context.sources();
    match &arguments.what {
        What::Sft { samples, validation, turns } => {
            let name = samples.file_stem().and_then(|s| s.to_str()).unwrap_or("samples");
            let out = context.out(&format!("{name}-sft"));
            let work = run::learn_sft(&recipe, samples, validation.as_deref(), *turns, &out, &sources, &context.watch);
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
        What::Prefer { pairs, validation, loss, start } => {
            let name = pairs.file_stem().and_then(|s| s.to_str()).unwrap_or("pairs");
            let out = context.out(&format!("{name}-prefer"));
            let asked = run::Preferring {
                pairs: pairs.clone(),
                validation: validation.clone(),
                start: start.clone(),
                loss: loss.clone(),
            };
            let (result, steps) =
                context.block_on(run::learn_prefer(&recipe, &asked, &out, &sources, &context.watch))?;
            let last = steps.last();
            let told = last.and_then(|step| step.preference.as_ref());
            let mut text = format!("{} steps, last loss {:.4}", steps.len(), last.map_or(f64::NAN, |step| step.loss));
            if let Some(told) = told {
                text += &format!(", margin {:.3}, {:.0} % of pairs right", told.margin, 100.0 * told.accuracy);
            }
            context.print(
                &serde_json::json!({ "learned": result, "steps": steps.len(), "last": last }),
                format!("{text}\nlearned: {}\n   chat: lyceum chat --model {}", result.display(), out.display()),
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
        What::Inspect { file, n, turns } => {
            let (weights, _) = run::models::locate(&recipe.model, &sources)?;
            let data = learn::data::open(file, *turns).map_err(run::Error::from)?;
            let checkpoint = weights::Checkpoint::open(&weights).map_err(run::Error::from)?;
            // Each kind is shown as the verb that learns it would take it.
            let (row, truncate) = match &data {
                learn::data::Either::Samples(_) => (recipe.learn.row_tokens, recipe.learn.truncate),
                learn::data::Either::Preferences(_) => {
                    (recipe.practise.learn.row_tokens, recipe.practise.learn.truncate)
                }
            };
            let most = row.min(checkpoint.architecture.context);
            let seen = learn::inspect(&data, &checkpoint.tokenizer, most, truncate, *n);
            context.print(&seen, told(&seen))
        }
    }
}

/// What was seen, in words: the first records, then the counts, which stay in sight.
fn told(seen: &learn::Inspection) -> String {
    const SHOWN: usize = 5;
    let mut text: String = seen.views.iter().map(coloured).collect();
    text += &format!("{} × {}\n{} tokens, {} learned", seen.records, seen.format.words(), seen.tokens, seen.learned);
    if let Some((id, longest)) = &seen.longest {
        text += &format!("; the longest has {longest} ({id})");
    }
    if seen.several > 0 {
        text += &format!("\n{} conversations have several answers; see --turns", seen.several);
    }
    if seen.seams > 0 {
        text += &format!(
            "\n{} answers begin with white space that would melt into the prompt in one text; prompt and answer are kept apart, as when generating",
            seen.seams
        );
    }
    for (reason, count) in &seen.dropped {
        text += &format!("\nleft out: {count} {reason}");
    }
    for drop in seen.drops.iter().take(SHOWN) {
        text += &format!("\n  {}", drop.detail);
    }
    if seen.drops.len() > SHOWN {
        text += &format!("\n  and {} more", seen.drops.len() - SHOWN);
    }
    text
}

/// Learned tokens in green on a terminal, a run of them in ⟦brackets⟧ elsewhere.
fn coloured(view: &learn::View) -> String {
    use std::io::IsTerminal;
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (open, close) = if colour { ("\x1b[32;4m", "\x1b[0m") } else { ("⟦", "⟧") };
    let learned = view.tokens.iter().filter(|token| token.learned).count();
    let mut text = format!("── {} {}: {} tokens, {learned} learned\n", view.side, view.id, view.tokens.len());
    // On a terminal each token is marked by itself, so that its ends are seen.
    for run in view.tokens.chunk_by(|a, b| !colour && a.learned == b.learned) {
        let piece: String = run.iter().map(|token| &*token.piece).collect();
        text += &if run[0].learned { format!("{open}{piece}{close}") } else { piece };
    }
    text + "\n"
}
