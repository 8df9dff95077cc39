use std::path::PathBuf;

use clap::{Args, ValueEnum};
use run::hall::score::{self, Ratio, Scores, Scoring, Unit};

use crate::context::Context;

/// Measures how well a model foretells texts, token by token, and puts its losses as a row into a
/// matrix for `lyceum scaling`.
///
/// Texts are files, JSON lines (`text`, and if wanted `id`, `domain`, `prompt`, of which the prompt is
/// read but not scored) or folders of both. The same command with another --model adds a row to the
/// matrix in --out; the texts must be the same. Models with other tokenizers are put on the columns by
/// bytes: a token's loss is spread evenly over its bytes, so that a text's loss stays what it is.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum score notes.txt --model smollm2-135m\n           \
                        lyceum score texts.jsonl --model runs/pico/model --out losses\n           \
                        lyceum score texts.jsonl --model http://localhost:8000 --out losses --name theirs\n           \
                        lyceum scaling losses --accuracies accuracies.csv")]
pub struct Arguments {
    /// Text files, JSON lines, or folders of both
    #[arg(required = true, value_name = "TEXTS")]
    texts: Vec<PathBuf>,
    /// Name of the model's row [default: the model's own]
    #[arg(long)]
    name: Option<String>,
    /// What a column is; only the first model of a matrix decides [default: token]
    #[arg(long, value_enum)]
    grid: Option<Grid>,
    /// Tokens of a window, at most what the model reads
    #[arg(long, default_value_t = 1024)]
    context: usize,
    /// Tokens that each window after the first one scores [default: half of a window]
    #[arg(long)]
    stride: Option<usize>,
}

/// What a column is.
#[derive(Clone, Copy, ValueEnum)]
enum Grid {
    /// A token of the first model that is scored
    Token,
    /// A word with the space before it
    Word,
    /// A byte
    Byte,
}

/// Scores the model and prints the matrix' rows.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let recipe = context.recipe()?;
    let out = context.out("losses");
    let scoring = Scoring {
        texts: arguments.texts.clone(),
        name: arguments.name.clone(),
        unit: arguments.grid.map(|grid| match grid {
            Grid::Token => Unit::Token,
            Grid::Word => Unit::Word,
            Grid::Byte => Unit::Byte,
        }),
        context: arguments.context,
        stride: arguments.stride,
    };
    let scores = context.block_on(score::score(&recipe, &scoring, &out, &context.sources(), &context.watch))?;
    context.print(&scores, format!("{}\nlosses: {}", text(&scores), out.display()))
}

/// The matrix as a table in Markdown.
fn text(scores: &Scores) -> String {
    let with = |ratio: &Ratio, digits: usize| match ratio.standard_error {
        Some(error) => format!("{:.digits$} ± {error:.digits$}", ratio.value),
        None => format!("{:.digits$}", ratio.value),
    };
    let mut said = format!(
        "{} texts, {} bytes, {} columns of a {}; ± one standard error, clustered by text{}\n\n\
         | model | tokens | nats a token | perplexity | bits a byte | most probable | columns |\n|---|---|---|---|---|---|---|\n",
        scores.texts,
        scores.bytes,
        scores.columns,
        scores.unit,
        if scores.texts < 2 { ", which one text does not have" } else { "" },
    );
    for row in &scores.models {
        let greedy = row.greedy.map_or("–".into(), |share| format!("{} %", with(&share.times(100.0), 1)));
        let columns = if row.spread { "spread by bytes" } else { "its own" };
        said += &format!(
            "| {} | {} | {} | {} | {} | {greedy} | {columns} |\n",
            row.name,
            row.loss.n,
            with(&row.loss, 4),
            with(&row.perplexity, 3),
            with(&row.bits_per_byte, 4),
        );
    }
    if let Some(row) = scores.models.last().filter(|row| row.domains.len() > 1) {
        said += &format!("\n| domain | texts | bits a byte, {} |\n|---|---|---|\n", row.name);
        for (domain, bits) in &row.domains {
            said += &format!("| {domain} | {} | {} |\n", bits.texts, with(bits, 4));
        }
    }
    if scores.kept {
        said += "\nThe model stood there already: nothing was scored anew.\n";
    }
    said
}
