use std::io::{Read, Write};

use clap::Args;
use lm::{Generate, Prompt, Sampling};

use crate::context::Context;

/// Completes a text as it is, without a chat template.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum generate 'The capital of France is' --max-tokens 8\n           \
                        echo 'Once upon a time' | lyceum generate --temperature 0.8 -n 3 --seed 1")]
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
    let text = match &arguments.text {
        Some(text) => text.clone(),
        None => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
    };
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
