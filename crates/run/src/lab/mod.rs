//! The lab: decoding strategies on many problems, and what the problems say to the paper's claims.
//!
//! On the set `pico` each seed trains a small decoder of its own from scratch and asks it unseen
//! problems of the generator; seeds are the clusters of every interval. On a public set the model of
//! the recipe is asked, and each problem is a cluster. Training and every 100 problems are shards:
//! the same command continues where it stood. [`practice`] is the lab of learning, [`ladder`] that of
//! scaling laws.

mod contestant;
mod judge;
pub mod ladder;
mod pico;
pub mod practice;
mod public;
mod trial;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use decode::Strategy;
use lm::SharedModel;
use record::Input;
use report::Lab;

use self::contestant::{Contestant, MEASURE, Spend};
use self::judge::Sitting;
use self::trial::{Question, Trials};
use crate::models::Meter;
use crate::plan::Record;
use crate::pull::Sources;
use crate::verbs::Flow;
use crate::{Error, Recipe, Result, Watch};

pub use self::trial::Trial;

/// The sets of problems.
pub const SETS: [&str; 5] = ["pico", "asdiv-small", "disflqa", "asdiv", "openbookqa"];

/// The set of [`ladder`]: sizes and mixtures.
pub const LADDER: &str = "ladder";

/// What [`practice`] compares, beside those: ways of learning.
pub const LEARNING: [&str; 3] = ["practice", "practice-rates", "collapse"];

/// What the lab is asked to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// One of [`SETS`].
    pub set: String,
    /// Problems a seed.
    pub problems: usize,
    /// Seeds, each with a model of its own; public sets have one.
    pub seeds: usize,
    /// Names of contestants; empty for the set's own list.
    pub strategies: Vec<String>,
}

/// A model and what it is asked.
struct Class {
    /// Name in the table.
    name: String,
    /// Name of its folder.
    folder: String,
    seed: u64,
    model: SharedModel,
    adapter: Option<String>,
    identity: Vec<Input>,
    meter: Meter,
    questions: Arc<Vec<Question>>,
    max_tokens: usize,
    boundary: decode::Boundary,
}

/// Runs the lab in `out` and writes `lab.json` and `lab.html` there.
pub async fn lab(recipe: &Recipe, settings: &Settings, out: &Path, sources: &Sources, watch: &Watch) -> Result<Lab> {
    if settings.problems == 0 || settings.seeds == 0 {
        return Err(Error::Nothing {
            problem: "a lab without problems or seeds shows nothing".into(),
            hint: "give --problems and --seeds of 1 or more".into(),
        });
    }
    let contestants = chosen(settings)?;
    let flow = Flow::open(recipe, out, sources, watch)?;
    let classes = match settings.set.as_str() {
        "pico" => pico::classes(&flow, settings).await?,
        _ => vec![public::class(&flow, settings)?],
    };
    let mut sittings = Vec::new();
    for class in &classes {
        sittings.push(sit(&flow, class, &contestants).await?);
    }
    let parameters = classes[0].model.capabilities().parameters;
    let few = || Error::Nothing {
        problem: "an interval needs two seeds, or two problems of a public set".into(),
        hint: "give --seeds 2 or more".into(),
    };
    let rows =
        contestants.iter().map(|c| judge::row(&sittings, c, parameters).ok_or_else(few)).collect::<Result<_>>()?;
    let lab = Lab {
        schema_version: 1,
        set: settings.set.clone(),
        models: classes.iter().map(|class| class.name.clone()).collect(),
        clusters: if classes.len() > 1 { "seed" } else { "problem" }.into(),
        rows,
        claims: judge::claims(&sittings),
    };
    record::shard::write_json(&out.join("lab.json"), &lab)?;
    record::shard::write_atomic(&out.join("lab.html"), report::render_lab(&lab).as_bytes())?;
    Ok(lab)
}

/// The contestants that were asked for; the measure first, wherever one needs it.
fn chosen(settings: &Settings) -> Result<Vec<Contestant>> {
    let mut chosen = match (settings.strategies.is_empty(), settings.set.as_str()) {
        (true, "pico") => contestant::contestants(),
        (true, _) => contestant::few(),
        (false, _) => settings.strategies.iter().map(|name| Contestant::named(name)).collect(),
    };
    for contestant in &chosen {
        Strategy::parse(&contestant.strategy)?;
    }
    let measure = |c: &Contestant| c.strategy == MEASURE && c.spend == Spend::Own;
    if chosen.iter().any(|c| c.spend == Spend::Equal) && !chosen.iter().any(measure) {
        chosen.push(Contestant::named(MEASURE));
    }
    // What it spends on a problem must be known before others spend the same.
    chosen.sort_by_key(|c| !measure(c));
    Ok(chosen)
}

/// One class's trials of every contestant.
async fn sit(flow: &Flow<'_>, class: &Class, contestants: &[Contestant]) -> Result<Sitting> {
    let mut sitting = Sitting::new();
    let mut spent: HashMap<String, u64> = HashMap::new();
    for contestant in contestants {
        let trials = Trials {
            folder: format!("trials/{}/{}", class.folder, contestant.name()),
            contestant: contestant.name(),
            strategy: Strategy::parse(&contestant.strategy)?,
            questions: class.questions.clone(),
            budgets: (contestant.spend == Spend::Equal).then(|| spent.clone()),
            model: class.model.clone(),
            adapter: class.adapter.clone(),
            identity: class.identity.clone(),
            meter: class.meter.clone(),
            max_tokens: class.max_tokens,
            boundary: class.boundary.clone(),
            seed: class.seed,
            shard_items: 100,
        };
        let carried = flow.carry(&trials).await?;
        let trials: Vec<Trial> =
            carried.records.into_iter().filter_map(|r| if let Record::Trial(t) = r { Some(t) } else { None }).collect();
        if contestant.name() == MEASURE {
            // A search that failed has spent nothing that could be matched.
            spent = trials.iter().map(|t| (t.problem.clone(), t.decode.max(1))).collect();
        }
        sitting.insert(contestant.name(), trials);
    }
    Ok(sitting)
}
