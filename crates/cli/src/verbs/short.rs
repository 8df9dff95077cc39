use std::path::PathBuf;

use clap::Args;
use run::hall::short::{METHODS, Settings, method, score_by_form, short};

use super::logs::Logs;
use crate::context::Context;

/// Chooses few items that stand for a whole exam, and measures what they cost on models that the choice did
/// not see.
///
/// Logs are of models that sat the whole exam; ten or more base models make the error worth stating. The form
/// is written as form.json, items.jsonl (ids and weights) and, for lm-evaluation-harness, samples.json for its
/// `--samples`. With --form, models that sat only the form are scored by it.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum short results/ --items 100\n           \
                        lyceum short results/ --error 0.02         the fewest items within two points\n           \
                        lyceum short new.jsonl --form runs/short/form.json")]
pub struct Arguments {
    #[command(flatten)]
    logs: Logs,
    /// Items of the form; without it the fewest that keep --error
    #[arg(long, value_name = "K", conflicts_with = "form")]
    items: Option<usize>,
    /// Mean absolute error of the score, a share of 1, that the upper 95 % limit on held-out models must not
    /// exceed
    #[arg(long, default_value_t = 0.02, conflicts_with = "form")]
    error: f64,
    /// How items are chosen and the score is told; mixed by itself, or anchor where scores are no whole points
    #[arg(long, value_parser = METHODS)]
    method: Option<String>,
    /// Learn only from these persons; several with commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Folds of models that are held out in turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(2..))]
    folds: u8,
    /// Draws of random and stratified forms that their error is a mean of
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    draws: u16,
    /// Score the persons of the logs by this form instead of making one
    #[arg(long, value_name = "FILE")]
    form: Option<PathBuf>,
}

/// Makes a form, or scores by one.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let read = arguments.logs.options();
    if let Some(form) = &arguments.form {
        let scored = score_by_form(form, &arguments.logs.paths, &read, &context.watch)?;
        return context.print(&scored, &scored.text);
    }
    let settings = Settings {
        read,
        only: arguments.only.clone(),
        items: arguments.items,
        error: arguments.error,
        method: arguments.method.as_deref().and_then(method),
        folds: usize::from(arguments.folds),
        draws: usize::from(arguments.draws),
        seed: context.recipe()?.seed,
    };
    let out = context.out("short");
    let found = short(&arguments.logs.paths, &settings, &out, &context.watch)?;
    context.print(&found, format!("{}\n\npage: {}", found.text, out.join("short.html").display()))
}
