//! The ladder: what can be told of small models' abilities from their losses, and of larger ones?
//!
//! Decoders of four sizes are trained from nothing on three mixtures of problems with two budgets of
//! tokens each. Every one sits the same unseen problems of four capabilities, and its losses on each
//! token of the solutions of other, held-out problems become a row of a matrix. Then salience vectors
//! and every other law predict the models of a mixture that was held out, and those of the largest size.
//! Each model's training, its exam and its scoring are stages: the same command continues where it stood.

mod rung;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lm_local::Precision;
use record::seed;
use scaling::Target;
use serde::{Deserialize, Serialize};
use tasks::{Problem, Split};

use self::rung::{CAPABILITIES, Rung, SIZES};
use crate::hall::manifest::Made;
use crate::hall::scaling as laws;
use crate::hall::scaling::{HoldOut, Laws, Material, Tie, of_material, put_files, scaling_sheet};
use crate::hall::score::{Cut, Matrix, Ratio, Row, Text, Unit, add};
use crate::models::{Model, Weights};
use crate::plan::Record;
use crate::practise::{Candidate, Sitting, Task};
use crate::pull::Sources;
use crate::verbs::Flow;
use crate::{Error, Event, Recipe, Result, Watch};

/// Tokens of an answer at most; the longest solution has about half of it.
const MAX_TOKENS: usize = 128;
/// Questions a shard.
const SHARD: usize = 250;
/// A window holds every problem with its solution.
const WINDOW: Cut = Cut { context: 1024, stride: 512 };

/// What the ladder is asked to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Exam problems a capability.
    pub problems: usize,
    /// Problems a capability whose solutions are the validation text.
    pub validation: usize,
    /// Training tokens of the budgets, prompts included.
    pub budgets: Vec<u64>,
    /// How laws are compared.
    pub laws: laws::Settings,
}

/// The models and what the laws say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    /// Layout of this record; 1.
    pub schema_version: u32,
    /// Exam problems a capability.
    pub problems: usize,
    /// One line a model.
    pub models: Vec<Climber>,
    /// What losses say of accuracies.
    pub laws: Laws,
}

/// A trained model and its marks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Climber {
    /// Its name.
    pub name: String,
    /// Its mixture.
    pub family: String,
    /// Its weights.
    pub parameters: u64,
    /// Tokens that it read in training.
    pub tokens: u64,
    /// Nats a token of the validation text.
    pub loss: Ratio,
    /// Each task's accuracy, with errors clustered by problem: `chain:exact` is the share of problems
    /// answered rightly, `chain:tokens` the share of tokens of their solutions that were the most
    /// probable ones where they stand.
    pub accuracies: BTreeMap<String, Ratio>,
}

/// Trains, examines and scores what is not there yet, in `out`, and holds the laws against each other.
pub async fn ladder(
    recipe: &Recipe,
    settings: &Settings,
    out: &Path,
    sources: &Sources,
    watch: &Watch,
) -> Result<Ladder> {
    let wrong = |problem: &str, hint: &str| Error::Nothing { problem: problem.into(), hint: hint.into() };
    if settings.problems < 2 || settings.validation < 2 {
        return Err(wrong("a ladder with fewer than two problems shows nothing", "give --problems of 2 or more"));
    }
    let mut budgets = settings.budgets.clone();
    budgets.sort_unstable();
    budgets.dedup();
    if budgets.is_empty() || budgets.iter().any(|tokens| *tokens < 10_000) {
        return Err(wrong("a budget below 10,000 tokens teaches nothing", "give --tokens of 10000 or more"));
    }
    let flow = Flow::open(recipe, out, sources, watch)?;
    let banks = Banks::new(settings, seed::derive(recipe.seed, "lab/ladder", ""))?;
    let mut matrix = Matrix::inside(out, "losses", banks.validation.clone(), Unit::Token)?;
    let mut models = Vec::new();
    for rung in Rung::all(&budgets) {
        models.push(climb(&flow, &rung, &banks, &mut matrix).await?);
    }
    let ladder = Ladder {
        schema_version: 1,
        problems: settings.problems,
        laws: hold(&models, &matrix, settings, watch)?,
        models,
    };
    write(&ladder, out)?;
    Ok(ladder)
}

/// The problems of the ladder: exam and validation, of splits that training never sees.
struct Banks {
    exam: Arc<Vec<Task>>,
    solutions: Arc<Vec<Text>>,
    validation: Vec<Text>,
}

impl Banks {
    fn new(settings: &Settings, seed: u64) -> Result<Self> {
        let draw = |split, n| -> Result<Vec<Problem>> {
            let all = CAPABILITIES.map(|(kind, difficulty)| tasks::generate(kind, difficulty, split, n, seed));
            Ok(all.into_iter().collect::<tasks::Result<Vec<_>>>()?.concat())
        };
        let text = |problem: &Problem| Text {
            id: problem.id.clone(),
            domain: problem.kind.name().into(),
            prompt: problem.prompt(),
            text: problem.solution(),
        };
        let exam = draw(Split::Exam, settings.problems)?;
        Ok(Self {
            solutions: Arc::new(exam.iter().map(text).collect()),
            exam: Arc::new(exam.into_iter().map(Task::of_problem).collect()),
            validation: draw(Split::Validation, settings.validation)?.iter().map(text).collect(),
        })
    }
}

/// Trains a rung, lets it sit the exam and scores it.
async fn climb(flow: &Flow<'_>, rung: &Rung, banks: &Banks, matrix: &mut Matrix) -> Result<Climber> {
    let name = rung.name();
    let checkpoint = Arc::new(rung.carry(flow).await?);
    let parameters = checkpoint.architecture.parameters() as u64;
    // In f32: what is measured are the weights themselves, and small models are quick anyway.
    let engine = lm_local::Config { precision: Precision::F32, memory_mb: 256, ..flow.recipe.engine.clone() };
    let model = Model::of(Weights::bare(checkpoint), engine)?;
    let sitting = Sitting {
        folder: format!("marks/{name}"),
        tasks: banks.exam.clone(),
        candidate: Candidate { model: model.shared.clone(), adapter: None },
        identity: model.identity.clone(),
        max_tokens: MAX_TOKENS,
        shard_items: SHARD,
    };
    let carried = flow.carry(&sitting).await?;
    let marks = carried.records.iter().filter_map(|r| if let Record::Response(r) = r { Some(r.score) } else { None });
    let solutions = Row::new(format!("solutions/{name}"), banks.solutions.clone(), &model, WINDOW)?.carry(flow).await?;
    add(flow, matrix, &name, &model, WINDOW).await?;
    let marked: Vec<(&str, f64, f64, f64)> = banks
        .solutions
        .iter()
        .zip(marks)
        .zip(&solutions)
        .map(|((text, mark), said)| {
            let right = said.greedy.iter().filter(|greedy| **greedy).count();
            (text.domain.as_str(), mark, right as f64, said.greedy.len() as f64)
        })
        .collect();
    let mut accuracies = BTreeMap::new();
    for (kind, _) in CAPABILITIES {
        let own = || marked.iter().filter(|(domain, ..)| *domain == kind.name());
        let exact: Vec<(f64, f64)> = own().map(|(_, mark, ..)| (*mark, 1.0)).collect();
        let tokens: Vec<(f64, f64)> = own().map(|(_, _, right, all)| (*right, *all)).collect();
        accuracies.insert(format!("{kind}:exact"), Ratio::new(&exact));
        accuracies.insert(format!("{kind}:tokens"), Ratio::new(&tokens));
    }
    let row = matrix.models.iter().find(|row| row.name == name);
    let loss = row
        .map(|row| row.loss)
        .ok_or_else(|| Error::Nothing { problem: format!("no losses of {name}"), hint: "please report this".into() })?;
    Ok(Climber { name, family: rung.family().into(), parameters, tokens: rung.tokens, loss, accuracies })
}

/// Both ways of holding out.
fn hold(models: &[Climber], matrix: &Matrix, settings: &Settings, watch: &Watch) -> Result<Laws> {
    let mut material = Material::of_matrix(matrix)?;
    let of = |number: fn(&Climber) -> f64| Some(models.iter().map(number).collect());
    material.params = of(|model| model.parameters as f64);
    material.tokens = of(|model| model.tokens as f64);
    material.families = Some(models.iter().map(|model| model.family.clone()).collect());
    for task in models.iter().flat_map(|model| model.accuracies.keys()).collect::<std::collections::BTreeSet<_>>() {
        let all: Vec<Ratio> = models.iter().filter_map(|model| model.accuracies.get(task)).copied().collect();
        let target = Target::new(task, all.iter().map(|of| of.value).collect());
        let exact = task.ends_with(":exact");
        // All wrong is no certainty: marks have Laplace's error, shares of tokens the clustered one.
        let errors = match exact {
            true => target.clone().with_items(settings.problems).errors,
            false => all.iter().map(|of| of.standard_error.map(|error| error.max(1e-6))).collect(),
        };
        material.items.push(exact.then_some(settings.problems));
        material.errors.push(errors);
        material.targets.push(target);
    }
    watch.tell(Event::Note { text: format!("laws of {} models and {} tasks", models.len(), material.targets.len()) });
    let ways = [HoldOut::Family, HoldOut::Largest];
    of_material(&material, Tie::None, &ways, &settings.laws, 10, watch)
}

/// The record, the page, the tables, and what `lyceum scaling` takes.
fn write(ladder: &Ladder, out: &Path) -> Result<()> {
    let mut made = Made::new(out)?;
    made.put_json("lab.json", ladder)?;
    made.put("lab.html", report::sheet_page(&sheet(ladder)).as_bytes())?;
    put_files(&ladder.laws, &mut made)?;
    let tasks: Vec<&String> = ladder.models.iter().take(1).flat_map(|model| model.accuracies.keys()).collect();
    let (mut accuracies, mut meta) = (String::from("model"), String::from("model,params,tokens,family\n"));
    tasks.iter().for_each(|task| accuracies += &format!(",{task}"));
    accuracies.push('\n');
    for model in &ladder.models {
        accuracies += &model.name;
        tasks.iter().for_each(|task| accuracies += &format!(",{}", model.accuracies[*task].value));
        accuracies.push('\n');
        meta += &format!("{},{},{},{}\n", model.name, model.parameters, model.tokens, model.family);
    }
    made.put("accuracies.csv", accuracies.as_bytes())?;
    made.put("models.csv", meta.as_bytes())
}

/// The ladder as a sheet: its models, then the laws.
pub fn sheet(ladder: &Ladder) -> report::sheet::Sheet {
    let mut sheet = scaling_sheet(&ladder.laws, "The ladder");
    let tasks: Vec<&String> = ladder.models.iter().take(1).flat_map(|model| model.accuracies.keys()).collect();
    let head = ["model", "weights", "tokens", "loss ± SE"].map(String::from).into_iter();
    let row = |model: &Climber| {
        let error = model.loss.standard_error.unwrap_or(0.0);
        let mut cells = vec![
            model.name.clone(),
            model.parameters.to_string(),
            model.tokens.to_string(),
            format!("{:.3} ± {error:.3}", model.loss.value),
        ];
        let share = |of: &Ratio| format!("{:.1} ± {:.1}", 100.0 * of.value, 100.0 * of.standard_error.unwrap_or(0.0));
        cells.extend(tasks.iter().map(|task| model.accuracies.get(*task).map_or("–".into(), share)));
        cells
    };
    let head = head.chain(tasks.iter().map(|task| format!("{task}, %"))).collect::<Vec<_>>();
    let n = ladder.models.first().map_or(0.0, |model| model.loss.n);
    let section = report::sheet::Section::new("The models")
        .text(format!(
            "{} sizes, trained from nothing. `exact`: share of {} unseen problems answered rightly, greedily; `tokens`: share of the tokens of their solutions that were the most probable ones where they stand. Loss: nats a token over {n} tokens of {} solutions of held-out problems of all mixtures. ± one standard error, clustered by problem.",
            SIZES.len(),
            ladder.problems,
            ladder.models.first().map_or(0, |model| model.loss.texts),
        ))
        .table(report::sheet::Table::new(head, ladder.models.iter().map(row).collect()).file("accuracies.csv"));
    sheet.sections.insert(0, section);
    sheet
}
