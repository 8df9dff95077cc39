use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use decode::{Boundary, Clustering, Event, Search, Stopped, Strategy, Tools};
use lm::{Generate, Prompt, Sampling};

use crate::context::Context;

/// Completes a text as it is, without a chat template.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum generate 'The capital of France is' --max-tokens 8\n           \
                        echo 'Once upon a time' | lyceum generate --temperature 0.8 -n 3 --seed 1\n           \
                        lyceum generate --chat --strategy phi --token-budget 2000 --tree tree.json 'Is 91 prime?'\n           \
                        lyceum generate --strategy help")]
pub struct Arguments {
    /// The text; read from standard input if absent
    text: Option<String>,
    /// Put the text into the model's chat template as a question
    #[arg(long)]
    chat: bool,
    #[command(flatten)]
    sampling: SamplingArguments,
    /// How many completions
    #[arg(short, default_value_t = 1)]
    n: usize,
    /// Search for the answer: phi, self-consistency-8, mcts, … (`help` lists them), or JSON with
    /// settings; --token-budget limits the tokens that it decodes
    #[arg(
        long,
        value_name = "NAME|JSON",
        conflicts_with_all = ["temperature", "top_k", "top_p", "min_p", "repetition_penalty", "n"]
    )]
    strategy: Option<String>,
    /// Where a step of the search ends: newline, sentence, tokens:N or regex:PATTERN
    #[arg(long, requires = "strategy", default_value_t = Boundary::Newline)]
    boundary: Boundary,
    /// Write the search with its tree of steps to this file
    #[arg(long, requires = "strategy", value_name = "FILE")]
    tree: Option<PathBuf>,
}

/// How tokens are drawn.
#[derive(Args)]
pub struct SamplingArguments {
    /// Tokens at most
    #[arg(long, default_value_t = 256)]
    pub max_tokens: usize,
    /// 0 takes the most probable token
    #[arg(long, default_value_t = 0.0)]
    temperature: f32,
    /// Keep the k most probable tokens; 0 keeps all
    #[arg(long, default_value_t = 0)]
    top_k: usize,
    /// Keep the smallest set of tokens that reaches this probability
    #[arg(long, default_value_t = 1.0)]
    top_p: f32,
    /// Drop tokens below this share of the most probable one
    #[arg(long, default_value_t = 0.0)]
    min_p: f32,
    /// Above 1 discourages tokens already seen
    #[arg(long, default_value_t = 1.0)]
    repetition_penalty: f32,
    /// End before this text; repeatable
    #[arg(long)]
    stop: Vec<String>,
}

impl Arguments {
    /// The text as given, or from standard input.
    fn text(&self) -> std::io::Result<String> {
        match &self.text {
            Some(text) => Ok(text.clone()),
            None => std::io::read_to_string(std::io::stdin()),
        }
    }
}

impl SamplingArguments {
    /// The request for one prompt.
    pub fn request(&self, prompt: Prompt, seed: u64, adapter: Option<String>) -> Generate {
        Generate {
            stop: self.stop.clone(),
            sampling: Sampling {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                min_p: self.min_p,
                repetition_penalty: self.repetition_penalty,
            },
            seed,
            adapter,
            ..Generate::greedy(prompt, self.max_tokens)
        }
    }
}

/// Generates, and streams a single completion.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    match arguments.strategy.as_deref() {
        None => {}
        Some("help" | "list") => return list(context),
        Some(name) => return search(arguments, &Strategy::parse(name)?, context),
    }
    let text = arguments.text()?;
    let recipe = context.recipe()?;
    let model = run::models::load(&recipe.model, &recipe, &context.sources())?;
    let prompt = if arguments.chat { Prompt::ask(text) } else { Prompt::Raw(text) };
    let request = Generate { n: arguments.n, ..arguments.sampling.request(prompt, recipe.seed, model.adapter.clone()) };
    let live = arguments.n == 1 && !context.shared.json;
    context.end();
    let answer = context.ask(async {
        let mut sink = |delta: lm::Delta| {
            if live {
                print!("{}", delta.text);
                let _ = std::io::stdout().flush();
            }
        };
        Ok(model.shared.stream(request, &mut sink).await?)
    })?;
    if live {
        println!();
        return Ok(());
    }
    let texts: Vec<_> = answer.completions.iter().enumerate().map(|(i, c)| format!("[{}]{}", i + 1, c.text)).collect();
    context.print(&answer, texts.join("\n"))
}

/// Prints the strategies, but for the one that needs a scorer, which a command line cannot give.
fn list(context: &Context) -> anyhow::Result<()> {
    let mut all = Strategy::list();
    all.retain(|(name, _)| !name.ends_with("-scorer"));
    let width = all.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = all.iter().map(|(name, what)| format!("{name:width$}  {what}")).collect();
    context.print(&all, lines.join("\n"))
}

/// Searches for the answer, and says what the search cost.
fn search(arguments: &Arguments, strategy: &Strategy, context: &Context) -> anyhow::Result<()> {
    let text = arguments.text()?;
    let recipe = context.recipe()?;
    let model = run::models::load(&recipe.model, &recipe, &context.sources())?;
    let prompt = if arguments.chat { Prompt::ask(text) } else { Prompt::Raw(text) };
    let request = decode::Request {
        adapter: model.adapter.clone(),
        stop: arguments.sampling.stop.clone(),
        boundary: arguments.boundary.clone(),
        budget: context.shared.token_budget,
        ..decode::Request::new(prompt, arguments.sampling.max_tokens, recipe.seed)
    };
    let encoder = match strategy {
        Strategy::Phi(phi) if phi.clustering == Clustering::Encoder => Some(run::models::encoder(&context.sources())?),
        _ => None,
    };
    context.end();
    let shared = &context.shared;
    // A single path comes word by word; a search shows how far it is, and its answer at the end.
    let live = matches!(strategy, Strategy::Greedy | Strategy::Sampling(_)) && !shared.json;
    let line = !live && !shared.quiet && !shared.json && std::io::stderr().is_terminal();
    let (mut steps, mut rounds) = (0, 0);
    let mut progress = |event: Event| match event {
        Event::Text(piece) if live => {
            print!("{piece}");
            let _ = std::io::stdout().flush();
        }
        Event::Node(node) => steps = steps.max(node.id),
        Event::Round(_) => rounds += 1,
        Event::Cost(cost) if line => {
            eprint!("\r\x1b[2Ksearch: {rounds} rounds, {steps} steps, {} tokens, {:.1} s", cost.decode, cost.seconds);
        }
        _ => {}
    };
    let tools = Tools { embedder: encoder.as_deref(), ..Tools::default() };
    let found =
        context.ask(async { Ok(decode::search(&model.shared, strategy, &request, &tools, &mut progress).await) });
    if line {
        eprint!("\r\x1b[2K");
    }
    let found = found??;
    if let Some(file) = &arguments.tree {
        found.save(file)?;
    }
    match live {
        true => println!(),
        false => context.print(&found, &found.answer)?,
    }
    if !shared.quiet && !shared.json {
        eprintln!("{}", summary(&found, arguments.tree.as_ref()));
    }
    Ok(())
}

/// What a search did, in a sentence.
fn summary(found: &Search, tree: Option<&PathBuf>) -> String {
    let cost = &found.cost;
    let mut text = format!(
        "{}: {} steps, {} calls, {} tokens decoded, {} of {} prompt tokens computed, {:.1} s",
        found.name,
        found.nodes.len() - 1,
        cost.calls,
        cost.decode,
        cost.prefill,
        cost.prefill + cost.cached,
        cost.seconds
    );
    if found.stopped == Stopped::Budget {
        text.push_str("; the budget ended the search, and this is the best so far");
    }
    if let Some(tree) = tree {
        text.push_str(&format!("; the tree is in {}", tree.display()));
    }
    text
}
