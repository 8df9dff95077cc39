use clap::Args;
use run::hall::compare::{Count, Settings, compare};

use super::logs::Logs;
use crate::context::Context;

/// Compares the persons of evaluation logs, each with each, item by item: who is better, by how much, and
/// who cannot be told apart.
///
/// A person is a model with its settings. Differences are paired by item, errors clustered by what items
/// share (`cluster`: a passage, a fact), p adjusted over all pairs. Persons with a common letter are not
/// told apart. Groups that the logs name are compared too, clustered by base model.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum compare results/            all models of a folder of logs\n           \
                        lyceum compare a.jsonl b.eval c.csv --baseline gpt2 --by subject\n           \
                        lyceum compare results/ --score pass@4 --only big,small --json")]
pub struct Arguments {
    #[command(flatten)]
    logs: Logs,
    /// The person whom all are held against; the one with the highest score by itself
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Compare only these persons; several with commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Compare each subject (task) by itself, too
    #[arg(long, value_name = "WHAT", value_parser = ["subject"])]
    by: Option<String>,
    /// What several attempts at an item count: mean, full (all points) or pass@K
    #[arg(long, default_value = "mean", value_name = "WHAT")]
    score: Count,
    /// Bootstrap resamples, and sign flips where not all can be counted; 0 for neither
    #[arg(long, default_value_t = 2000, value_name = "N")]
    resamples: usize,
    /// Level of the family of all pairs; intervals cover 1 less this
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
}

/// Compares, prints the table and writes page, figures and CSV files.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let settings = Settings {
        read: arguments.logs.options(),
        baseline: arguments.baseline.clone(),
        only: arguments.only.clone(),
        by_subject: arguments.by.is_some(),
        count: arguments.score,
        pairing: exam::Pairing {
            alpha: arguments.alpha,
            resamples: arguments.resamples,
            seed: context.recipe()?.seed,
            ..exam::Pairing::default()
        },
    };
    let out = context.out("compare");
    let found = compare(&arguments.logs.paths, &settings, &out, &context.watch)?;
    context.print(&found, format!("{}\n\npage: {}", found.text, out.join("compare.html").display()))
}
