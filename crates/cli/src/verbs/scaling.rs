use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use run::hall::scaling::{self, Asked, HoldOut, Settings, Sources, Tie};

use crate::context::Context;

/// Predicts models that were held out by salience vectors and by every other law, and says what cannot
/// be predicted.
///
/// LOSSES is a folder of `lyceum score`, or a CSV file: columns called `loss:NAME` are losses, columns
/// before them tell of the models (`model`, `params` or `n`, `tokens` or `d`, `family` or `data`), and
/// columns behind them are tasks. λ is chosen on folds of the training models alone. A way of holding
/// out gives every method the same tasks and models; limits are drawn by family and size.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum scaling losses --accuracies accuracies.csv --meta models.csv\n           \
                        lyceum scaling published.csv --tasks hellaswag,arc_easy,piqa --hold-out family,largest\n           \
                        lyceum scaling losses --accuracies a.csv --form positive --tie domain --hold-out random")]
pub struct Arguments {
    /// Folder of `lyceum score`, or CSV file of models and losses
    losses: PathBuf,
    /// CSV: `model`, then a task a column, shares from 0 to 1
    #[arg(long, value_name = "FILE")]
    accuracies: Option<PathBuf>,
    /// CSV: `model`, `params`, `tokens`, `family`
    #[arg(long, value_name = "FILE")]
    meta: Option<PathBuf>,
    /// Items of each task: a number, or a CSV of `task,items`
    #[arg(long, value_name = "N|FILE")]
    items: Option<String>,
    /// Only these tasks, separated by commas
    #[arg(long, value_delimiter = ',')]
    tasks: Vec<String>,
    /// What is held out; several with commas [default: family where families are known, else random]
    #[arg(long, value_enum, value_delimiter = ',')]
    hold_out: Vec<Held>,
    /// Which weights a token may have
    #[arg(long, value_enum, default_value_t = Form::Signed)]
    form: Form,
    /// Which columns share a weight: none, type (same text; writes salience.csv, which a recipe's
    /// early_stop takes), domain, or bins:K of like loss
    #[arg(long, default_value = "none", value_parser = tie)]
    tie: Tie,
    /// Chance: free, or a share
    #[arg(long, default_value = "free", value_parser = level)]
    floor: scaling::Level,
    /// Ceiling: free, or a share
    #[arg(long, default_value = "1", value_parser = level)]
    ceiling: scaling::Level,
    /// Top tokens of each task that are shown
    #[arg(long, default_value_t = 12)]
    top: usize,
    /// Draws of every interval
    #[arg(long, default_value_t = 200)]
    replicates: usize,
}

/// What is held out.
#[derive(Clone, Copy, ValueEnum)]
enum Held {
    /// One family of models after the other
    Family,
    /// The models of the largest size
    Largest,
    /// A fifth of the models after the other
    Random,
}

/// Which weights a token may have.
#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// Any sign, summing to 1
    Signed,
    /// On the simplex, by softmax
    Simplex,
    /// Positive, penalised on their logarithms
    Positive,
}

fn tie(text: &str) -> Result<Tie, String> {
    match text.split_once(':') {
        None if text == "none" => Ok(Tie::None),
        None if text == "type" => Ok(Tie::Type),
        None if text == "domain" => Ok(Tie::Domain),
        Some(("bins", count)) => count.parse().map(Tie::Bins).map_err(|_| format!("{count:?} is no number of bins")),
        _ => Err("give none, type, domain or bins:K".into()),
    }
}

fn level(text: &str) -> Result<scaling::Level, String> {
    match text {
        "free" => Ok(scaling::Level::Free),
        _ => text.parse().map(scaling::Level::Fixed).map_err(|_| "give free, or a share like 0.25".into()),
    }
}

/// Fits and predicts, prints the tables, writes page, figures and files.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let (begin, out) = (Instant::now(), context.out("scaling"));
    let sources = Sources {
        losses: arguments.losses.clone(),
        accuracies: arguments.accuracies.clone(),
        meta: arguments.meta.clone(),
        items: arguments.items.clone(),
        tasks: arguments.tasks.clone(),
    };
    let ways = arguments.hold_out.iter().map(|held| match held {
        Held::Family => HoldOut::Family,
        Held::Largest => HoldOut::Largest,
        Held::Random => HoldOut::Random,
    });
    let mut settings = Settings { seed: context.recipe()?.seed, ..Settings::default() };
    settings.config.form = match arguments.form {
        Form::Signed => scaling::Form::Signed,
        Form::Simplex => scaling::Form::Simplex,
        Form::Positive => scaling::Form::Positive,
    };
    (settings.config.floor, settings.config.ceiling) = (arguments.floor, arguments.ceiling);
    (settings.bootstrap.replicates, settings.bootstrap.seed) = (arguments.replicates, settings.seed);
    let hold_out = ways.collect();
    let asked = Asked { sources, tie: arguments.tie, hold_out, settings, top: arguments.top };
    let laws = scaling::laws(&asked, &context.watch)?;
    let page = scaling::write(&laws, &asked, &out, begin)?;
    let sheet = scaling::scaling_sheet(&laws, "Scaling laws");
    context.print(&laws, format!("{}\npage: {}", report::sheet_text(&sheet), page.display()))
}
