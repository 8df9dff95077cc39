use clap::{Args, ValueEnum};
use tasks::{Kind, Problem, Split};

use crate::context::Context;

/// Makes seeded problems with worked steps: chained arithmetic, word problems, rewriting rules,
/// look-ups, hops, strings, programs. JSON lines on standard output, or in the file after --out.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum tasks --kind chain --difficulty 3 --count 3\n           \
                        lyceum tasks --kind chain,hops --difficulty 1,2,3 --count 2000 --format samples --out train.jsonl\n           \
                        lyceum tasks --kind words --difficulty 4 --split exam --count 500 --format items --out bank.jsonl")]
pub struct Arguments {
    /// chain, words, rules, lookup, hops, strings, programs, or all; several with commas
    #[arg(long, required = true, value_delimiter = ',')]
    kind: Vec<String>,
    /// 1 (easiest) to 9; several with commas
    #[arg(long, required = true, value_delimiter = ',')]
    difficulty: Vec<u8>,
    /// train, validation or exam; no question stands in two of them
    #[arg(long, default_value = "train")]
    split: Split,
    /// Problems of each kind and difficulty
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// What each line holds
    #[arg(long, value_enum, default_value_t = Format::Problems)]
    format: Format,
}

/// What each line holds.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Question, steps, answer
    Problems,
    /// Training samples for `lyceum learn`; refused for the exam split
    Samples,
    /// Questions of a bank for `lyceum exam`
    Items,
}

/// Writes the problems.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let mut kinds = Vec::new();
    for name in &arguments.kind {
        if name == "all" {
            kinds.extend(Kind::ALL);
        } else {
            kinds.push(name.parse::<Kind>()?);
        }
    }
    // Named twice is meant once: a question stands once in its file.
    let mut difficulties = arguments.difficulty.clone();
    kinds.sort_unstable();
    kinds.dedup();
    difficulties.sort_unstable();
    difficulties.dedup();
    let seed = context.recipe()?.seed;
    let mut problems: Vec<Problem> = Vec::new();
    for kind in kinds {
        for &difficulty in &difficulties {
            problems.extend(tasks::generate(kind, difficulty, arguments.split, arguments.count, seed)?);
        }
    }
    let lines = match arguments.format {
        Format::Problems => record::shard::to_jsonl(&problems)?,
        Format::Samples => {
            record::shard::to_jsonl(&problems.iter().map(Problem::sample).collect::<tasks::Result<Vec<_>>>()?)?
        }
        Format::Items => {
            record::shard::to_jsonl(&problems.iter().map(Problem::item).collect::<tasks::Result<Vec<_>>>()?)?
        }
    };
    let Some(file) = &context.shared.out else {
        use std::io::Write;
        context.end();
        return Ok(std::io::stdout().write_all(&lines)?);
    };
    record::shard::write_atomic(file, &lines)?;
    context.print(
        &serde_json::json!({ "file": file, "records": problems.len(), "split": arguments.split, "seed": seed }),
        format!("{} problems of the {} split in {}", problems.len(), arguments.split, file.display()),
    )
}
