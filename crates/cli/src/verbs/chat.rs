use std::io::{BufRead, IsTerminal, Write};

use clap::Args;
use lm::{Message, Prompt, SharedModel};

use super::generate::SamplingArguments;
use crate::context::Context;

/// Talks with a model; a run folder talks through the adapter that it learned.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum chat\n           \
                        lyceum chat --model runs/handbook 'What is the call sign of the station?'")]
pub struct Arguments {
    /// One question; without it a conversation on the terminal
    question: Option<String>,
    /// Frames the conversation
    #[arg(long)]
    system: Option<String>,
    #[command(flatten)]
    sampling: SamplingArguments,
}

/// Asks once, or talks until the end of input.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let recipe = context.recipe()?;
    let model = run::models::load(&recipe.model, &recipe, &context.sources())?;
    context.end();
    let mut messages: Vec<_> = arguments.system.iter().map(Message::system).collect();
    let mut turn = |question: String| -> anyhow::Result<()> {
        messages.push(Message::user(question));
        let request =
            arguments.sampling.request(Prompt::Messages(messages.clone()), recipe.seed, model.adapter.clone());
        let text = context.ask(answer(&model.shared, request, context.shared.json))?;
        messages.push(Message::assistant(text));
        Ok(())
    };
    if let Some(question) = &arguments.question {
        return turn(question.clone());
    }
    let terminal = std::io::stdin().is_terminal();
    if terminal {
        eprintln!("{} — an empty line or Ctrl-D ends", recipe.model);
    }
    loop {
        if terminal {
            eprint!("> ");
        }
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(());
        }
        turn(line.trim().to_string())?;
    }
}

async fn answer(model: &SharedModel, request: lm::Generate, json: bool) -> run::Result<String> {
    let mut sink = |delta: lm::Delta| {
        if !json {
            print!("{}", delta.text);
            let _ = std::io::stdout().flush();
        }
    };
    let answer = model.stream(request, &mut sink).await?;
    if json {
        println!("{}", serde_json::to_string(&answer).unwrap_or_default());
    } else {
        println!();
    }
    Ok(answer.completions.into_iter().next().map(|c| c.text).unwrap_or_default())
}
