use std::path::PathBuf;

use clap::{Args, ValueEnum};
use exam::gaokao::Source;
use run::hall::irt::{Choice, Method, Settings, irt};

use super::logs::Logs;
use crate::context::Context;

/// What do logs of an exam prove? Abilities and difficulties on one scale, with errors and fit.
///
/// Reads logs of lm-evaluation-harness, Inspect, HELM, OpenCompass, CSV and Parquet; each model is a
/// person. Writes items.csv, persons.csv, fit.json, analysis.json, irt.html and
/// figures. `--anchor` takes the fit.json of an earlier sitting: its items stay as they are, so that
/// abilities of both sittings stand on one scale.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum irt scores.csv\n           \
                        lyceum irt results/ --fit 2pl --dif group=base:tuned --figures svg,png --out runs/irt\n           \
                        lyceum irt after.csv --anchor runs/before/fit.json --out runs/after\n           \
                        lyceum irt marks.csv --fit facets       a column `grader` beside person, item, score\n           \
                        lyceum irt results/ --mode paper          the questions of GAOKAO-Eval, with their nulls")]
pub struct Arguments {
    #[command(flatten)]
    logs: Logs,
    /// Model of responses: auto (what the number of persons bears, with the reason), rasch, 2pl, 3pl, 4pl,
    /// rsm, pcm, gpcm, grm, facets (graders on the same scale), mirt-2 (two abilities)
    #[arg(long, default_value = "auto", value_name = "MODEL")]
    fit: String,
    /// How the model is fitted [default: what the data ask for]
    #[arg(long, value_enum)]
    method: Option<Fitting>,
    /// Items that favour a group: COLUMN=reference:focal, or COLUMN with two values; columns are group,
    /// base, date and name of the persons
    #[arg(long, value_name = "COLUMN=REF:FOCAL")]
    dif: Option<String>,
    /// fit.json of an earlier sitting, whose items stay as they are
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// proper: what psychometrics says; paper: the questions of GAOKAO-Eval as published too
    #[arg(long, value_enum, default_value_t = Mode::Proper)]
    mode: Mode,
    /// Where the difficulty of paper mode comes from
    #[arg(long, value_enum, default_value_t = Difficulty::Auto)]
    difficulty: Difficulty,
    /// Judgements which of two items is harder: CSV of first,second,points (1, 0.5 or 0)
    #[arg(long, value_name = "FILE")]
    judgements: Option<PathBuf>,
    /// Slope of paper mode's curve: fixed at 1 a step of difficulty, as published, or fitted
    #[arg(long, value_enum, default_value_t = Slope::Fixed)]
    slope: Slope,
    /// Equal classes for scores that are no whole steps, such as F1; 2 for right and wrong at half
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=10))]
    levels: u8,
    /// Write the figures as files too
    #[arg(long, value_enum, value_delimiter = ',')]
    figures: Vec<Format>,
    /// Person whose answers are drawn by difficulty [default: the least expected one]
    #[arg(long, value_name = "PERSON")]
    kidmap: Option<String>,
}

/// `--method`.
#[derive(Clone, Copy, ValueEnum)]
enum Fitting {
    /// Marginal maximum likelihood
    Mml,
    /// Conditional maximum likelihood (rasch, pcm): no assumption about persons
    Cml,
    /// Joint maximum likelihood with correction (rasch, pcm); biased
    Jml,
    /// Posterior by Hamiltonian Monte Carlo (rasch, 2pl), for few persons
    Bayes,
}

/// `--mode`.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Mode {
    Proper,
    Paper,
}

/// `--difficulty`.
#[derive(Clone, Copy, ValueEnum)]
enum Difficulty {
    /// Stated if the logs state it, else judged, else by the other persons
    Auto,
    /// What people stated (column `difficulty`)
    Stated,
    /// Elo of --judgements
    Elo,
    /// Half stated, half Elo
    Blend,
    /// The share of marks that the other persons missed
    Others,
}

/// `--slope`.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Slope {
    Fixed,
    Free,
}

/// `--figures`.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Svg,
    Png,
}

/// Fits, prints a summary and writes files.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let recipe = context.recipe()?;
    let settings = Settings {
        read: arguments.logs.options(),
        model: Choice::parse(&arguments.fit)?,
        method: arguments.method.map(|method| match method {
            Fitting::Mml => Method::Mml,
            Fitting::Cml => Method::Cml,
            Fitting::Jml => Method::Jml,
            Fitting::Bayes => Method::Bayes,
        }),
        dif: arguments.dif.clone(),
        anchor: arguments.anchor.clone(),
        paper: arguments.mode == Mode::Paper,
        difficulty: match arguments.difficulty {
            Difficulty::Auto => Source::Auto,
            Difficulty::Stated => Source::Stated,
            Difficulty::Elo => Source::Elo,
            Difficulty::Blend => Source::Blend,
            Difficulty::Others => Source::Others,
        },
        judgements: arguments.judgements.clone(),
        free_slope: arguments.slope == Slope::Free,
        levels: arguments.levels.into(),
        figures: arguments
            .figures
            .iter()
            .map(|format| match format {
                Format::Svg => "svg".into(),
                Format::Png => "png".into(),
            })
            .collect(),
        kidmap: arguments.kidmap.clone(),
        seed: recipe.seed,
    };
    let out = context.out("irt");
    let found = irt(&arguments.logs.paths, &settings, &out, &context.watch)?;
    let text = format!("{}\n\npage: {}", found.text, found.page.display());
    context.print(&found, text)
}
