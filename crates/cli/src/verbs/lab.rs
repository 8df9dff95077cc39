use clap::Args;

use crate::context::Context;

/// Holds decoding strategies against each other, with intervals and verdicts.
///
/// The pico set trains one small decoder a seed (some minutes each) and asks each strategy the same
/// problems; a public set asks the model of `--model`. The same command continues where it stood.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum lab\n           \
                        lyceum lab --on asdiv-small --problems 150 --strategies phi,greedy,self-consistency-equal\n           \
                        lyceum lab --problems 100 --seeds 2 --out runs/quick-lab")]
pub struct Arguments {
    /// Which problems: pico, or a public set
    #[arg(long, default_value = "pico", value_name = "SET", value_parser = run::lab::SETS.to_vec())]
    on: String,
    /// Problems a seed
    #[arg(long, default_value_t = 400)]
    problems: usize,
    /// Models trained from scratch, each from its own seed (pico only)
    #[arg(long, default_value_t = 5)]
    seeds: usize,
    /// Contestants, separated by commas; `-equal` at the end of a name limits it to the tokens that phi spent
    #[arg(long, value_delimiter = ',')]
    strategies: Vec<String>,
}

/// Runs the lab, prints its tables and writes its page.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let recipe = context.recipe()?;
    let out = context.out(&format!("lab-{}", arguments.on));
    let settings = run::lab::Settings {
        set: arguments.on.clone(),
        problems: arguments.problems,
        seeds: arguments.seeds,
        strategies: arguments.strategies.clone(),
    };
    let lab = context.block_on(run::lab::lab(&recipe, &settings, &out, &context.sources(), &context.watch))?;
    let page = out.join("lab.html");
    context.print(&lab, format!("{}\npage: {}", report::lab_text(&lab), page.display()))
}
