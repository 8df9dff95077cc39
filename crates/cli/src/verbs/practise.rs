use std::path::{Path, PathBuf};

use clap::Args;

use crate::context::Context;

/// Practises on questions without answers: the model samples preferences (Genius by default) and
/// learns from them, while a guard looks on that keeps the best point, or the model as it was.
///
/// QUESTIONS is a file (JSON lines or Parquet: `question`, `prompt` or `messages`), `asdiv`,
/// `asdiv-small`, or `tasks:KIND-DIFFICULTY:COUNT`. Of questions that have answers, half are practised
/// on without them, a fifth is the guard's, and the rest is the exam before and after.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum practise asdiv-small --out runs/sums\n           \
                        lyceum practise questions.jsonl --bank bank.jsonl --model runs/handbook --out runs/practised\n           \
                        lyceum practise tasks:chain-3:500 --method vote-8 --loss dpo --model runs/my-pico\n           \
                        lyceum practise questions.jsonl --model http://localhost:8000/v1 --learner smollm2-135m\n           \
                        lyceum practise --pairs preferences.jsonl --set practise.learn.learning_rate=5e-5\n\n\
                  More settings: --set practise.steps=4, .beams, .rollouts, .max_tokens, .guard.kl, .learn.rank …\n\
                  The result talks at once: lyceum chat --model RUN")]
pub struct Arguments {
    /// File of questions, named set, or tasks:KIND-DIFFICULTY:COUNT
    #[arg(required_unless_present = "pairs")]
    questions: Option<String>,
    /// Questions with answers: those marked `"bank": "validation"` are the guard's, those marked
    /// `exam` are asked before and after, in place of what the set itself holds out
    #[arg(long, value_name = "FILE")]
    bank: Option<PathBuf>,
    /// How preferences are made: genius, genius-released, genius-no-foresight, genius-greedy, greedy,
    /// vote-8, self-rewarding-4, star-8
    #[arg(long, value_name = "NAME")]
    method: Option<String>,
    /// What is made small: aco, aco-released, dpo, ipo, simpo, ropo, kto, npo, sft
    #[arg(long, value_name = "NAME")]
    loss: Option<String>,
    /// Preferences that were made already (TRL, OpenAI or lyceum's own form); nothing is sampled
    #[arg(long, value_name = "FILE")]
    pairs: Option<PathBuf>,
    /// Questions to practise on, at most
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Weights that learn from the answers of --model
    #[arg(long, value_name = "NAME|PATH")]
    learner: Option<String>,
}

/// Practises, prints what came of it and writes its page.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let mut recipe = context.recipe()?;
    if let Some(method) = &arguments.method {
        recipe.practise.method.clone_from(method);
    }
    if let Some(loss) = &arguments.loss {
        recipe.practise.learn.loss = learn::Loss::parse(loss).map_err(run::Error::from)?;
    }
    if arguments.learner.is_some() {
        recipe.practise.learner.clone_from(&arguments.learner);
    }
    let named = arguments.questions.as_deref().or(arguments.pairs.as_deref().and_then(Path::to_str));
    let out = context.out(&format!("{}-practised", folder(named.unwrap_or("questions"))));
    let settings = run::Practising {
        questions: arguments.questions.clone(),
        bank: arguments.bank.clone(),
        pairs: arguments.pairs.clone(),
        count: arguments.count,
    };
    let practised = context.block_on(run::practise(&recipe, &settings, &out, &context.sources(), &context.watch))?;
    let mut text = format!("{}\n\n  page: {}", report::practice_text(&practised.practice), practised.page.display());
    if let Some(kept) = &practised.kept {
        text += &format!("\n  kept: {}\n  chat: lyceum chat --model {}", kept.display(), out.display());
    }
    context.print(&practised.practice, text)
}

/// `data/my-questions.jsonl` → `my-questions`, `tasks:chain-3:500` → `tasks-chain-3-500`.
fn folder(name: &str) -> String {
    let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or(name);
    stem.replace(':', "-")
}
