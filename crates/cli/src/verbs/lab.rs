use clap::Args;
use run::lab;

use crate::context::Context;

/// Holds decoding strategies, or ways of learning without labels, against each other, with intervals
/// and verdicts.
///
/// The pico set trains one small decoder a seed (some minutes each) and asks each strategy the same
/// problems; a public set asks the model of `--model`. `practice` lets such decoders practise on
/// questions without answers, by Genius and its rivals, and examines them before and after;
/// `practice-rates` is how its learning rates were chosen; `collapse` drives practice too far and shows
/// what the guard does. `ladder` trains decoders of four sizes on three mixtures of problems with two
/// budgets, and asks what their losses say of what they and larger ones can do. The same command
/// continues where it stood.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum lab\n           \
                        lyceum lab --on asdiv-small --problems 150 --contestants phi,greedy,self-consistency-equal\n           \
                        lyceum lab --problems 100 --seeds 2 --out runs/quick-lab\n           \
                        lyceum lab --on practice --contestants genius+aco,genius+dpo,vote+dpo\n           \
                        lyceum lab --on collapse\n           \
                        lyceum lab --on ladder --tokens 300000,1200000")]
pub struct Arguments {
    /// What is compared on which problems: strategies on pico or a public set, ways of learning, or laws
    #[arg(long, default_value = "pico", value_name = "SET", value_parser = sets())]
    on: String,
    /// Problems a seed, or a capability of the ladder [default: 400; 1000 where learning is compared; 250 of
    /// the ladder]
    #[arg(long)]
    problems: Option<usize>,
    /// Models trained from scratch, each from its own seed [default: 5; 3 where learning is compared]
    #[arg(long)]
    seeds: Option<usize>,
    /// Questions without answers that each model practises on [default: 2000; 500 for collapse]
    #[arg(long)]
    questions: Option<usize>,
    /// Held-out problems by which the guard chooses the kept point of a training
    #[arg(long, default_value_t = 200)]
    guard: usize,
    /// Training tokens of the ladder's budgets, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "300000,1200000")]
    tokens: Vec<u64>,
    /// Held-out problems a capability whose solutions are the ladder's validation text
    #[arg(long, default_value_t = 60)]
    validation: usize,
    /// Contestants, separated by commas: strategies, `-equal` at the end limiting one to the tokens that
    /// phi spent, or ways of learning as METHOD+LOSS
    #[arg(long, value_delimiter = ',', alias = "strategies")]
    contestants: Vec<String>,
}

fn sets() -> Vec<&'static str> {
    lab::SETS.into_iter().chain(lab::LEARNING).chain([lab::LADDER]).collect()
}

/// Runs the lab, prints its tables and writes its page.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let recipe = context.recipe()?;
    let out = context.out(&format!("lab-{}", arguments.on));
    let (sources, watch) = (context.sources(), &context.watch);
    let page = format!("page: {}", out.join("lab.html").display());
    let settings = |questions| lab::practice::Settings {
        problems: arguments.problems.unwrap_or(1000),
        seeds: arguments.seeds.unwrap_or(3),
        questions: arguments.questions.unwrap_or(questions),
        guard: arguments.guard,
        contestants: arguments.contestants.clone(),
    };
    match arguments.on.as_str() {
        "practice" => {
            let settings = settings(2000);
            let lab = context.block_on(lab::practice::practice(&recipe, &settings, &out, &sources, watch))?;
            context.print(&lab, format!("{}\n{page}", report::learning_text(&lab)))
        }
        lab::LADDER => {
            let mut laws = run::hall::scaling::Settings { seed: recipe.seed, ..Default::default() };
            laws.bootstrap.seed = recipe.seed;
            let settings = lab::ladder::Settings {
                problems: arguments.problems.unwrap_or(250),
                validation: arguments.validation,
                budgets: arguments.tokens.clone(),
                laws,
            };
            let ladder = context.block_on(lab::ladder::ladder(&recipe, &settings, &out, &sources, watch))?;
            context.print(&ladder, format!("{}\n{page}", report::sheet_text(&lab::ladder::sheet(&ladder))))
        }
        "practice-rates" => {
            let settings = settings(2000);
            let lab = context.block_on(lab::practice::rates(&recipe, &settings, &out, &sources, watch))?;
            context.print(&lab, format!("{}\n{page}", report::learning_text(&lab)))
        }
        "collapse" => {
            let settings = settings(500);
            let lab = context.block_on(lab::practice::collapse(&recipe, &settings, &out, &sources, watch))?;
            context.print(&lab, format!("{}\n{page}", report::collapse_text(&lab)))
        }
        set => {
            let settings = lab::Settings {
                set: set.into(),
                problems: arguments.problems.unwrap_or(400),
                seeds: arguments.seeds.unwrap_or(5),
                strategies: arguments.contestants.clone(),
            };
            let lab = context.block_on(lab::lab(&recipe, &settings, &out, &sources, watch))?;
            context.print(&lab, format!("{}\n{page}", report::lab_text(&lab)))
        }
    }
}
