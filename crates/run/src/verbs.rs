//! The parts of the flow that can be run alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use exam::Comparison;
use learn::data::{self, Data, Turns};
use lm_local::LocalModel;
use rag::Retriever;
use record::{Bank, Chunk, Document, Drop, Fact, Input, Item, Mode, Response, Sample, TrainStep};
use serde::Serialize;
use weights::{Adapter, Checkpoint};

use crate::carry::{Carried, Stage, carry};
use crate::models::{self, Model, Weights, input};
use crate::plan::Record;
use crate::pull::Sources;
use crate::stages::{self, Bench, Facts, Learn, Paper, Prefer, Read, Select, Sit, Word};
use crate::{Error, Event, Recipe, Result, RunFolder, Watch, salience};

/// What the stages of one run share.
pub(crate) struct Flow<'a> {
    pub recipe: &'a Recipe,
    resolved: serde_json::Value,
    pub run: RunFolder,
    pub sources: &'a Sources,
    pub watch: &'a Watch,
}

impl<'a> Flow<'a> {
    /// Opens the run folder and puts the resolved recipe there.
    pub fn open(recipe: &'a Recipe, out: &Path, sources: &'a Sources, watch: &'a Watch) -> Result<Self> {
        recipe.validate("recipe")?;
        let run = RunFolder::open(out)?;
        record::shard::write_atomic(&out.join("recipe.toml"), recipe.to_toml().as_bytes())?;
        let resolved = serde_json::to_value(recipe).unwrap_or_default();
        Ok(Self { recipe, resolved, run, sources, watch })
    }

    /// Carries a stage out in this run.
    pub async fn carry(&self, stage: &dyn Stage) -> Result<Carried> {
        let kernels = self.recipe.engine.kernels.unwrap_or_else(lm_local::Kernels::detect);
        carry(stage, self.recipe.seed, &self.resolved, kernels.name(), &self.run, self.watch).await
    }

    /// The model of the recipe.
    pub fn model(&self) -> Result<Model> {
        models::load(&self.recipe.model, self.recipe, self.sources)
    }
}

/// What synthesis made.
pub struct Synthesised {
    /// Documents that were read.
    pub read: Vec<Document>,
    /// Facts that the rules proposed.
    pub proposed: Vec<Fact>,
    /// Facts that were taken, and the bank of each one's held-out wording.
    pub taken: Vec<(Fact, Bank)>,
    /// Training samples.
    pub samples: Vec<Sample>,
    /// Exam questions of all banks.
    pub items: Vec<Item>,
    /// What was not delivered, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Reading, proposing, choosing and wording, in this order.
    pub(crate) stages: Vec<Carried>,
}

/// The figures of a synthesis.
#[derive(Serialize)]
pub struct Summary<'a> {
    documents: usize,
    proposed: usize,
    taken: usize,
    samples: usize,
    items: usize,
    dropped: &'a BTreeMap<String, u64>,
}

impl Synthesised {
    /// The figures alone.
    pub fn summary(&self) -> Summary<'_> {
        Summary {
            documents: self.read.len(),
            proposed: self.proposed.len(),
            taken: self.taken.len(),
            samples: self.samples.len(),
            items: self.items.len(),
            dropped: &self.dropped,
        }
    }

    /// The passages, for an open-book exam.
    pub(crate) fn chunks(&self) -> Vec<Chunk> {
        self.read.iter().flat_map(|d| d.chunks.iter().cloned()).collect()
    }

    /// The facts that were taken.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        self.taken.iter().map(|(fact, _)| fact.clone()).collect()
    }

    /// The merged samples and items, as inputs of later stages.
    pub(crate) fn outputs(&self) -> Vec<Input> {
        self.stages.last().map(Carried::outputs).unwrap_or_default()
    }
}

/// Documents → samples and questions, in a folder of its own.
pub async fn synthesise(recipe: &Recipe, out: &Path, sources: &Sources, watch: &Watch) -> Result<Synthesised> {
    let flow = Flow::open(recipe, out, sources, watch)?;
    let model = flow.model()?;
    synthesise_in(&flow, &model).await
}

pub(crate) async fn synthesise_in(flow: &Flow<'_>, model: &Model) -> Result<Synthesised> {
    let recipe = flow.recipe;
    let root = documents_root(&recipe.documents, flow.sources)?;
    let read = flow.carry(&Read::new(&root, recipe.read.clone())?).await?;
    let documents = stages::texts(&read.records, &root)?;

    let facts = Facts { documents: documents.clone(), inputs: read.outputs(), config: recipe.synth.clone() };
    let proposals = flow.carry(&facts).await?;
    let proposed: Vec<Fact> = pick(&proposals.records, |r| if let Record::Fact(f, _) = r { Some(f) } else { None });
    if proposed.is_empty() {
        return Err(Error::Nothing {
            problem: format!("no checkable fact found in {} documents", documents.len()),
            hint: "the rules look for names, numbers, dates, settings and definitions in English prose and tables"
                .into(),
        });
    }

    let select = Select {
        facts: proposed.clone(),
        inputs: proposals.outputs(),
        config: recipe.synth.clone(),
        seed: recipe.seed,
    };
    let selected = flow.carry(&select).await?;
    let taken: Vec<(Fact, Bank)> = selected
        .records
        .iter()
        .filter_map(|r| if let Record::Fact(fact, Some(bank)) = r { Some((fact.clone(), *bank)) } else { None })
        .collect();

    let mut inputs = selected.outputs();
    inputs.extend(model.identity.iter().cloned());
    let word = Word {
        facts: taken.clone(),
        inputs,
        model: model.shared.clone(),
        meter: model.meter.clone(),
        config: recipe.synth.clone(),
        seed: recipe.seed,
    };
    let worded = flow.carry(&word).await?;

    let mut dropped = BTreeMap::new();
    for carried in [&read, &selected, &worded] {
        for (reason, count) in &carried.manifest.dropped {
            *dropped.entry(reason.clone()).or_insert(0) += count;
        }
    }
    Ok(Synthesised {
        read: documents,
        proposed,
        taken,
        samples: pick(&worded.records, |r| if let Record::Sample(s) = r { Some(s) } else { None }),
        items: pick(&worded.records, |r| if let Record::Item(i) = r { Some(i) } else { None }),
        dropped,
        stages: vec![read, proposals, selected, worded],
    })
}

/// The documents' folder: a path, or a named set that is fetched.
pub(crate) fn documents_root(name: &str, sources: &Sources) -> Result<std::path::PathBuf> {
    let path = Path::new(name);
    if path.is_dir() {
        return Ok(path.into());
    }
    if path.exists() {
        return Err(Error::Nothing {
            problem: format!("{name} is a file, not a folder of documents"),
            hint: "put it into a folder of its own and give that".into(),
        });
    }
    if name.contains(['/', '\\', '.']) {
        return Err(Error::Nothing {
            problem: format!("no such folder: {name}"),
            hint: "give a folder of documents, or a set's name (`lyceum pull` lists them)".into(),
        });
    }
    if !assets::catalogue().iter().any(|asset| asset.name == name) {
        return Err(Error::Nothing {
            problem: format!("no such folder, and no document set of that name: {name}"),
            hint: "give a folder of documents, or a set's name (`lyceum pull` lists them)".into(),
        });
    }
    sources.pull(name)
}

/// The records of one kind.
pub(crate) fn pick<T: Clone>(records: &[Record], kind: impl Fn(&Record) -> Option<&T>) -> Vec<T> {
    records.iter().filter_map(|record| kind(record).cloned()).collect()
}

/// A data file in any format → adapter, in a folder of its own. Returns the adapter's folder and the
/// last loss. What the file holds and cannot be learned is told, and stands among the drops.
pub async fn learn_sft(
    recipe: &Recipe,
    samples: &Path,
    validation: Option<&Path>,
    turns: Turns,
    out: &Path,
    sources: &Sources,
    watch: &Watch,
) -> Result<(std::path::PathBuf, f64)> {
    let read = data::samples(samples, turns)?;
    let held_out = validation.map(|path| data::samples(path, turns)).transpose()?;
    let flow = Flow::open(recipe, out, sources, watch)?;
    let Weights { base, start, identity: mut inputs } = models::weights(&recipe.model, sources)?;
    if start.is_some() {
        return Err(models::adapted(&recipe.model));
    }
    inputs.push(input(samples)?);
    let (samples, mut drops) = learnable(samples, read, turns, &base, recipe, watch)?;
    let mut held = Vec::new();
    if let (Some(path), Some(data)) = (validation, held_out) {
        inputs.push(input(path)?);
        let (samples, more) = learnable(path, data, turns, &base, recipe, watch)?;
        held = samples;
        drops.extend(more);
    }
    let weights = salience::weights(&recipe.early_stop, &base.tokenizer)?;
    inputs.extend(recipe.early_stop.salience.as_deref().map(input).transpose()?);
    let config = recipe.training();
    let learn = Learn { base, samples, validation: held, weights, inputs, config, turns, drops };
    let carried = learn_in(&flow, &learn).await?;
    let steps: Vec<_> = pick(&carried.records, |r| if let Record::Step(s) = r { Some(s) } else { None });
    Ok((carried.folder.join("adapter"), steps.last().map_or(f64::NAN, |step| step.loss)))
}

/// What `lyceum learn prefer` is asked to do, beside its recipe.
#[derive(Debug, Clone)]
pub struct Preferring {
    /// Preferences, in any format.
    pub pairs: PathBuf,
    /// Held-out preferences, for early stopping.
    pub validation: Option<PathBuf>,
    /// A PEFT folder that training goes on from, and which is the reference; absent: that of the
    /// model, where it is a run's, else the base alone.
    pub start: Option<PathBuf>,
    /// The loss; absent: the recipe's `practise.learn.loss` where that was changed, else DPO, because
    /// what is the recipe's by itself needs advantages, which only our own pairs have.
    pub loss: Option<learn::Loss>,
}

/// Preferences → an adapter, or a whole model, in a folder of its own. Returns where it lies and every
/// step.
pub async fn learn_prefer(
    recipe: &Recipe,
    asked: &Preferring,
    out: &Path,
    sources: &Sources,
    watch: &Watch,
) -> Result<(PathBuf, Vec<TrainStep>)> {
    let pairs = data::preferences(&asked.pairs)?;
    let held_out = asked.validation.as_deref().map(data::preferences).transpose()?;
    let mut recipe = recipe.clone();
    let loss = &mut recipe.practise.learn.loss;
    match &asked.loss {
        Some(asked) => *loss = asked.clone(),
        None if *loss == learn::Loss::default() => *loss = learn::Loss::parse("dpo")?,
        None => {}
    }
    let flow = Flow::open(&recipe, out, sources, watch)?;
    let Weights { base, start, identity: mut inputs } = models::weights(&recipe.model, sources)?;
    let start = match &asked.start {
        Some(folder) => {
            inputs.push(input(&folder.join("adapter_model.safetensors"))?);
            Some(Arc::new(Adapter::load(folder, &base.architecture)?))
        }
        None => start,
    };
    inputs.push(input(&asked.pairs)?);
    tell_drops(&asked.pairs, &pairs.drops, watch);
    let mut drops = pairs.drops;
    let mut validation = Vec::new();
    if let (Some(path), Some(data)) = (&asked.validation, held_out) {
        inputs.push(input(path)?);
        tell_drops(path, &data.drops, watch);
        drops.extend(data.drops);
        validation = data.records;
        // Ids are unique in their file, and made ones are the same in each.
        validation.iter_mut().for_each(|pair| pair.id = format!("validation/{}", pair.id));
    }
    let config = recipe.preferring();
    let root = out.to_path_buf();
    let stage = Prefer { root, base, start, pairs: pairs.records, validation, inputs, config, drops };
    let carried = learn_in(&flow, &stage).await?;
    let steps = pick(&carried.records, |r| if let Record::Step(step) = r { Some(step) } else { None });
    Ok((out.join(stage.result().0), steps))
}

/// What of a file the model can learn, and what not; both are told where a user may be surprised.
fn learnable(
    path: &Path,
    data: Data<Sample>,
    turns: Turns,
    base: &Checkpoint,
    recipe: &Recipe,
    watch: &Watch,
) -> Result<(Vec<Sample>, Vec<Drop>)> {
    if data.several > 0 && turns == Turns::Last {
        let text = format!(
            "{}: {} conversations have several answers, of which the last is learned (--turns all learns each)",
            path.display(),
            data.several
        );
        watch.tell(Event::Note { text });
    }
    let most = recipe.learn.row_tokens.min(base.architecture.context);
    let (samples, more) = learn::learnable(data.records, &base.tokenizer, most, recipe.learn.truncate)?;
    let drops = [data.drops, more].concat();
    tell_drops(path, &drops, watch);
    Ok((samples, drops))
}

/// Says what of a file is left out, by reason, with the first as an example.
pub(crate) fn tell_drops(path: &Path, drops: &[Drop], watch: &Watch) {
    if let Some(first) = drops.first() {
        let counts: Vec<String> = data::counts(drops).iter().map(|(reason, n)| format!("{n} {reason}")).collect();
        let text = format!("{}: left out {} (the first: {})", path.display(), counts.join(", "), first.detail);
        watch.tell(Event::Note { text });
    }
}

/// Carries the learning out, then removes the checkpoints: a finished stage is its adapter.
pub(crate) async fn learn_in(flow: &Flow<'_>, learn: &dyn Stage) -> Result<Carried> {
    let carried = flow.carry(learn).await?;
    let checkpoints = carried.folder.join("checkpoints");
    match std::fs::remove_dir_all(&checkpoints) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(record::Error::io("remove", checkpoints, error).into())
        }
        _ => Ok(carried),
    }
}

/// The engine and the weights that an adapter can be learned for.
pub(crate) fn base_of<'a>(model: &'a Model, name: &str) -> Result<&'a (LocalModel, Arc<Checkpoint>)> {
    if model.adapter.is_some() {
        return Err(models::adapted(name));
    }
    model.local.as_ref().ok_or_else(|| models::far(name))
}

/// An exam that was sat.
#[derive(Serialize)]
pub struct Examined {
    /// The model's answers, in the bank's order.
    pub responses: Vec<Response>,
    /// The answers of the model to compare with.
    pub against: Vec<Response>,
    /// The comparison, `against` being the one before.
    pub comparison: Option<Comparison>,
}

/// Sits a bank, by one model or by two that are compared.
pub async fn sit(
    recipe: &Recipe,
    items: Vec<Item>,
    open_book: Option<&str>,
    against: Option<&str>,
    out: &Path,
    sources: &Sources,
    watch: &Watch,
) -> Result<Examined> {
    let flow = Flow::open(recipe, out, sources, watch)?;
    let mut library = None;
    let mode = if open_book.is_some() { Mode::Open } else { Mode::Closed };
    if let Some(name) = open_book {
        let root = documents_root(name, sources)?;
        let read = flow.carry(&Read::new(&root, recipe.read.clone())?).await?;
        let documents = stages::texts(&read.records, &root)?;
        let chunks: Vec<Chunk> = documents.into_iter().flat_map(|d| d.chunks).collect();
        library = Some(Arc::new(Retriever::new(chunks, rag::Config::default())));
    }
    let mut all = Vec::new();
    for (label, name) in [("candidate", Some(recipe.model.as_str())), ("against", against)] {
        let Some(name) = name else { continue };
        let model = models::load(name, recipe, sources)?;
        let bench = Bench {
            model: model.shared.clone(),
            adapter: model.adapter.clone(),
            identity: model.identity.clone(),
            library: library.clone(),
            meter: model.meter.clone(),
        };
        let paper = Paper { name: "bank".into(), items: items.clone(), mode };
        let stage = Sit {
            label: label.into(),
            bench,
            papers: vec![paper],
            inputs: Vec::new(),
            config: recipe.exam.sit,
            shard_items: recipe.exam.shard_items,
        };
        let carried = flow.carry(&stage).await?;
        all.push(pick(&carried.records, |r| if let Record::Response(r) = r { Some(r) } else { None }));
    }
    let against = if all.len() > 1 { all.remove(1) } else { Vec::new() };
    let responses = all.remove(0);
    let comparison = if against.is_empty() { None } else { Some(exam::compare(&against, &responses)?) };
    Ok(Examined { responses, against, comparison })
}
