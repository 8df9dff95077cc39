//! Practice as a whole: questions, preferences, the training with its guard, the exam around it.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use learn::data;
use lm_local::LocalModel;
use record::{Answer, Drop, Input, Manifest, Preference, Response, seed};
use report::{Cost, Flow as Line, Pair, Practice};
use weights::{Adapter, Checkpoint};

use super::guard::kept;
use super::learning::{Learning, SPIKE};
use super::questions::Questions;
use super::sitting::{Sitting, item};
use super::{Candidate, Sample, Task};
use crate::carry::Carried;
use crate::models::{self, LOADED, Model, PRACTISED, PRACTISED_WHOLE, input};
use crate::plan::Record;
use crate::pull::Sources;
use crate::verbs::{Flow, pick};
use crate::{Error, Recipe, Result, Watch};

/// Pairs that the page shows.
const SHOWN: usize = 6;

/// What `lyceum practise` is asked to do, beside its recipe.
#[derive(Debug, Clone)]
pub struct Practising {
    /// A file of questions, a named set, or `tasks:KIND-DIFFICULTY:COUNT`; none where `pairs` are given.
    pub questions: Option<String>,
    /// Questions with answers, for the guard and for the exam before and after.
    pub bank: Option<PathBuf>,
    /// Preferences that were made already; nothing is sampled.
    pub pairs: Option<PathBuf>,
    /// Questions to practise on, at most.
    pub count: Option<usize>,
}

/// Practice that came to its end.
pub struct Practised {
    /// What the page shows.
    pub practice: Practice,
    /// The page.
    pub page: PathBuf,
    /// The adapter, or the whole model; none where the guard kept the model as it was.
    pub kept: Option<PathBuf>,
}

/// The model that learns: weights on this machine.
pub(crate) struct Learner<'a> {
    pub engine: &'a LocalModel,
    pub base: &'a Arc<Checkpoint>,
    /// What it starts from, with its name in the engine.
    pub start: Option<(String, Arc<Adapter>)>,
    /// What all that is made of.
    pub identity: Vec<Input>,
}

impl Learner<'_> {
    fn candidate(&self, adapter: Option<String>) -> Candidate {
        Candidate { model: Arc::new(self.engine.clone()), adapter }
    }

    /// Name of what it starts from in the engine.
    pub fn adapter(&self) -> Option<String> {
        self.start.as_ref().map(|(name, _)| name.clone())
    }

    fn before(&self) -> Candidate {
        self.candidate(self.adapter())
    }

    /// What practice left in the run's folder, ready to answer: where it lies, and by content.
    pub fn practised(&self, flow: &Flow<'_>) -> Result<(Candidate, PathBuf, Input)> {
        let whole = flow.recipe.practise.learn.whole;
        let (place, file) = match whole {
            true => (PRACTISED_WHOLE, "model.safetensors"),
            false => (PRACTISED, "adapter_model.safetensors"),
        };
        let folder = flow.run.root().join(place);
        let candidate = if whole {
            let engine = LocalModel::load(&Checkpoint::open(&folder)?, flow.recipe.engine.clone())?;
            Candidate { model: Arc::new(engine), adapter: None }
        } else {
            self.engine.add_adapter(PRACTISED, &Adapter::load(&folder, &self.base.architecture)?)?;
            self.candidate(Some(PRACTISED.into()))
        };
        let file = Input { path: format!("{place}/{file}"), ..input(&folder.join(file))? };
        Ok((candidate, folder, file))
    }
}

/// What practice is made of.
pub(crate) struct Material {
    /// Questions to practise on.
    pub practice: Vec<Task>,
    /// Questions with answers, for the guard; never those of an exam.
    pub validation: Vec<Task>,
    /// Preferences that were made already, and where they lie.
    pub pairs: Option<(Vec<Preference>, Input)>,
}

/// The two stages, carried out.
pub(crate) struct Course {
    /// None where the preferences were given.
    pub sampled: Option<Carried>,
    pub learned: Carried,
    /// All preferences.
    pub pairs: Vec<Preference>,
    /// How many of them were to be learned; the others were held out.
    pub taught: u64,
}

impl Course {
    pub fn guards(&self) -> Vec<record::Guard> {
        pick(&self.learned.records, |r| if let Record::Guard(g) = r { Some(g) } else { None })
    }

    /// Those of the two stages that were carried out.
    pub fn stages(&self) -> impl Iterator<Item = &Carried> {
        self.sampled.iter().chain([&self.learned])
    }

    /// The step whose model was kept; 0 is the model before practice.
    pub fn kept(&self) -> u64 {
        kept(&self.guards()).unwrap_or(0)
    }
}

/// Samples preferences and learns from them. None, where no question gave a preference.
pub(crate) async fn practise_in(
    flow: &Flow<'_>,
    sampler: &Model,
    learner: &Learner<'_>,
    material: Material,
) -> Result<Option<Course>> {
    let recipe = &flow.recipe.practise;
    let seed = seed::derive(flow.recipe.seed, "practise", "");
    let same_tokens = sampler.local.as_ref().is_some_and(|(_, checkpoint)| checkpoint.sha256 == learner.base.sha256);
    let (mut pairs, mut inputs, mut sampled) = (Vec::new(), learner.identity.clone(), None);
    match material.pairs {
        Some((given, input)) => {
            pairs = given;
            inputs.push(input);
        }
        None => {
            let method = recipe.method()?;
            // Nobody but the supervised method may see an answer.
            let blind = |task: Task| if method.needs_labels() { task } else { task.unlabelled() };
            let stage = Sample {
                folder: "practise/sample".into(),
                tasks: Arc::new(material.practice.into_iter().map(blind).collect()),
                method: method.clone(),
                model: sampler.shared.clone(),
                adapter: sampler.adapter.clone(),
                identity: sampler.identity.clone(),
                meter: sampler.meter.clone(),
                max_tokens: recipe.max_tokens,
                boundary: recipe.boundary.clone(),
                budget: recipe.budget,
                same_tokens,
                seed,
                shard_items: recipe.shard_items,
            };
            let carried = flow.carry(&stage).await?;
            pairs.extend(pick(&carried.records, |r| if let Record::Preference(p) = r { Some(p) } else { None }));
            inputs.extend(carried.outputs());
            sampled = Some(carried);
        }
    }
    if pairs.is_empty() {
        return Ok(None);
    }
    let (learned, held_pairs, mut held_out) = hold_out(&pairs, material.validation, recipe.guard.held_out);
    held_out.truncate(recipe.guard.questions);
    let taught = learned.len() as u64;
    let stage = Learning {
        folder: "practise/learn".into(),
        root: flow.run.root().into(),
        result: if recipe.learn.whole { PRACTISED_WHOLE } else { PRACTISED }.into(),
        base: learner.base.clone(),
        start: learner.start.as_ref().map(|(_, adapter)| adapter.clone()),
        engine: learner.engine.clone(),
        engine_config: flow.recipe.engine.clone(),
        reference: learner.start.as_ref().map(|(name, _)| name.clone()),
        pairs: Arc::new(learned),
        held_pairs: Arc::new(held_pairs),
        held_out: Arc::new(held_out),
        max_tokens: recipe.max_tokens,
        config: flow.recipe.preferring(),
        guard: recipe.guard.clone(),
        inputs,
    };
    let learned = stage.carry(flow).await?;
    Ok(Some(Course { sampled, learned, pairs, taught }))
}

/// Where nobody gave questions with answers, some of the practised ones are held out with their
/// preferences: the guard then goes by what the model says to them, and by whether it learned to
/// prefer as elsewhere.
fn hold_out(pairs: &[Preference], validation: Vec<Task>, share: f64) -> (Vec<Preference>, Vec<Preference>, Vec<Task>) {
    if !validation.is_empty() {
        return (pairs.to_vec(), Vec::new(), validation);
    }
    let draw = |pair: &Preference| seed::derive(0, "practise/held-out", &pair.question) as f64 / u64::MAX as f64;
    let held = |pair: &Preference| draw(pair) < share;
    let (mut out, mut learned): (Vec<Preference>, Vec<Preference>) = pairs.iter().cloned().partition(held);
    if learned.is_empty() {
        // Too few questions to hold any of them out.
        learned = std::mem::take(&mut out);
    }
    let mut tasks: Vec<Task> = Vec::new();
    for pair in &out {
        if !tasks.iter().any(|task| task.id == pair.question) {
            tasks.push(Task::open(&pair.question, pair.messages.clone()));
        }
    }
    (learned, out, tasks)
}

/// Questions → preferences → what the guard kept, in a folder of its own.
pub async fn practise(
    recipe: &Recipe,
    settings: &Practising,
    out: &Path,
    sources: &Sources,
    watch: &Watch,
) -> Result<Practised> {
    let flow = Flow::open(recipe, out, sources, watch)?;
    let Practising { questions, bank, pairs, count } = settings;
    let name = questions.clone().or(pairs.as_ref().map(|path| path.display().to_string())).unwrap_or_default();
    let mut questions = Questions::open(questions.as_deref(), bank.as_deref(), *count, recipe.seed, sources)?;
    let drops = std::mem::take(&mut questions.drops);
    let pairs = match pairs {
        Some(path) => Some((data::preferences(path)?.records, input(path)?)),
        None if questions.practice.is_empty() => return Err(nothing(&name, &drops)),
        None => None,
    };
    let sampler = flow.model()?;
    let other = recipe.practise.learner.as_deref().map(|name| models::load(name, recipe, sources)).transpose()?;
    let learning = other.as_ref().unwrap_or(&sampler);
    let called = recipe.practise.learner.as_deref().unwrap_or(&recipe.model);
    let (engine, base) = learning.local.as_ref().ok_or_else(|| Error::Model {
        problem: format!("{called} answers over the network; its weights cannot be trained from here"),
        hint: "give weights that learn from its answers with --learner".into(),
    })?;
    let start = learning.start.clone().map(|start| (LOADED.to_string(), start));
    let learner = Learner { engine, base, start, identity: learning.identity.clone() };

    let exam = Arc::new(std::mem::take(&mut questions.exam));
    let mut sitting = Sitting {
        folder: "practise/before".into(),
        tasks: exam.clone(),
        candidate: learner.before(),
        identity: learner.identity.clone(),
        max_tokens: recipe.practise.max_tokens,
        shard_items: recipe.exam.shard_items,
    };
    let before = if exam.is_empty() { None } else { Some(flow.carry(&sitting).await?) };

    let asked = questions.practice.len();
    let material = Material { practice: questions.practice, validation: questions.validation, pairs };
    let course = practise_in(&flow, &sampler, &learner, material).await?.ok_or_else(|| Error::Nothing {
        problem: format!("none of {asked} questions gave a preference"),
        hint: format!("{} says why", out.join("practise/sample/drops.jsonl").display()),
    })?;

    let (mut after, mut kept) = (None, None);
    if course.kept() > 0 {
        let (candidate, folder, file) = learner.practised(&flow)?;
        sitting.folder = "practise/after".into();
        sitting.candidate = candidate;
        sitting.identity.push(file);
        after = if exam.is_empty() { None } else { Some(flow.carry(&sitting).await?) };
        kept = Some(folder);
    }
    let mut practice = describe(&flow, &course, &name, called, asked, &drops);
    if let Some((before, after)) = before.as_ref().zip(after.as_ref()) {
        practice.paper = paper(&exam, before, after)?;
    }
    let stages: Vec<&Carried> = before.iter().chain(course.stages()).chain(&after).collect();
    practice.costs = stages.iter().map(|carried| cost(carried)).collect();
    practice.manifest = Some(Manifest {
        stage: "practise".into(),
        inputs: stages.iter().flat_map(|carried| carried.manifest.inputs.clone()).collect(),
        outputs: stages.iter().flat_map(|carried| carried.manifest.outputs.clone()).collect(),
        seconds: stages.iter().map(|carried| carried.manifest.seconds).sum(),
        ..course.learned.manifest.clone()
    });
    let page = out.join("practise.html");
    record::shard::write_atomic(&out.join("preferences.jsonl"), &record::shard::to_jsonl(&course.pairs)?)?;
    record::shard::write_json(&out.join("practise.json"), &practice)?;
    record::shard::write_atomic(&page, report::render_practice(&practice).as_bytes())?;
    Ok(Practised { practice, page, kept })
}

fn nothing(name: &str, drops: &[Drop]) -> Error {
    Error::Nothing {
        problem: format!("{name} holds no question to practise on"),
        hint: match drops.first() {
            Some(first) => format!("{} were left out; the first: {} ({})", drops.len(), first.detail, first.reason),
            None => "questions with answers are held out in part: give more of them, or a bank with --bank".into(),
        },
    }
}

/// The exam before and after; none about fewer than two facts, which have no standard error.
fn paper(exam: &[Task], before: &Carried, after: &Carried) -> Result<Option<report::Paper>> {
    let answers = |carried: &Carried| -> Vec<Response> {
        pick(&carried.records, |r| if let Record::Response(r) = r { Some(r) } else { None })
    };
    if exam.len() < 2 {
        return Ok(None);
    }
    let items: Vec<_> = exam.iter().map(item).collect();
    let title = "questions that neither practice nor its guard saw";
    Ok(Some(report::Paper::new(title, None, &items, &answers(before), &answers(after))?))
}

/// What a stage cost.
pub(crate) fn cost(carried: &Carried) -> Cost {
    Cost {
        stage: carried.manifest.stage.clone(),
        seconds: carried.manifest.seconds,
        usage: carried.manifest.usage,
        cost_usd: carried.manifest.cost_usd,
    }
}

/// What the page shows of a practice. `asked` questions were practised on, `drops` were left out before.
pub(crate) fn describe(
    flow: &Flow<'_>,
    course: &Course,
    questions: &str,
    model: &str,
    asked: usize,
    drops: &[Drop],
) -> Practice {
    let recipe = &flow.recipe.practise;
    let mut lines = Vec::new();
    let counted = |drops: &mut dyn Iterator<Item = &Drop>| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        drops.for_each(|drop| *counts.entry(drop.reason.clone()).or_default() += 1);
        counts
    };
    let dropped = |carried: &Carried| pick(&carried.records, |r| if let Record::Drop(d) = r { Some(d) } else { None });
    if let Some(sampled) = &course.sampled {
        let fruitful: HashSet<&str> = course.pairs.iter().map(|pair| pair.question.as_str()).collect();
        let mut without = counted(&mut drops.iter());
        let barren = (asked - fruitful.len()) as u64;
        if barren > 0 {
            without.insert("no-preference".into(), barren);
        }
        lines.push(Line {
            name: "questions".into(),
            asked: (asked + drops.len()) as u64,
            delivered: fruitful.len() as u64,
            drops: without,
        });
        let lost = dropped(sampled);
        lines.push(Line {
            name: "preferences".into(),
            asked: (course.pairs.len() + lost.len()) as u64,
            delivered: course.pairs.len() as u64,
            drops: counted(&mut lost.iter()),
        });
    }
    let skipped = dropped(&course.learned);
    let unlearned = skipped.iter().filter(|drop| drop.reason != SPIKE);
    let unlearned = counted(&mut unlearned.into_iter());
    let left: u64 = unlearned.values().sum();
    lines.push(Line {
        name: "preferences to learn from".into(),
        asked: course.taught,
        delivered: course.taught - left,
        drops: unlearned,
    });
    // One of each question first: those of one question look alike.
    let mut shown: Vec<&Preference> = Vec::new();
    for pair in &course.pairs {
        if shown.len() < SHOWN && !shown.iter().any(|other| other.question == pair.question) {
            shown.push(pair);
        }
    }
    Practice {
        schema_version: 1,
        questions: questions.into(),
        model: model.into(),
        sampler: recipe.learner.as_ref().map(|_| flow.recipe.model.clone()),
        method: course.sampled.as_ref().map(|_| recipe.method.clone()),
        loss: recipe.learn.loss.name().into(),
        flow: lines,
        pairs: shown.into_iter().map(shown_pair).collect(),
        curve: pick(&course.learned.records, |r| if let Record::Step(s) = r { Some(s) } else { None }),
        guards: course.guards(),
        kept: course.kept(),
        broke: skipped.iter().find(|drop| drop.reason == SPIKE).map(|drop| drop.detail.clone()),
        paper: None,
        costs: Vec::new(),
        manifest: None,
    }
}

fn shown_pair(pair: &Preference) -> Pair {
    let outlook = |answer: &Option<Answer>| answer.as_ref().and_then(|answer| answer.logprob);
    Pair {
        question: pair.messages.last().map(|message| message.content.clone()).unwrap_or_default(),
        step: pair.step,
        chosen: pair.chosen.as_ref().map(|answer| answer.text.clone()),
        rejected: pair.rejected.as_ref().map(|answer| answer.text.clone()),
        outlooks: outlook(&pair.chosen).zip(outlook(&pair.rejected)),
    }
}
