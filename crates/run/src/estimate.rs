//! What a recipe will do, before any of it is done.

use record::Document;
use serde::Serialize;

use crate::pull::Sources;
use crate::verbs::documents_root;
use crate::{Error, Recipe, Result, models};

/// Tokens of a question with its chat template, and of an answer, as measured on both example sets.
const QUESTION_TOKENS: u64 = 45;
/// Tokens that a training sample adds to a packed row, the shared beginning left out.
const SAMPLE_TOKENS: u64 = 30;
/// Tokens of an open-book prompt.
const OPEN_TOKENS: u64 = 400;
/// Tokens that a choice question's choices and stem take together.
const CONTROL_TOKENS: u64 = 60;
/// Sentences that give one proposal, about.
const SENTENCES_PER_FACT: u64 = 4;
/// Tokens that the search takes for a question from documents: eight short answers, most of them alike.
/// 60 were measured on the handbook.
const SEARCH_TOKENS: u64 = 80;
/// Preferences that ten such questions give, at most: a model that knows its facts answers alike each time.
const PAIRS_IN_TEN: u64 = 5;
/// Tokens of such a preference in a row, both answers, their prompt once.
const PAIR_TOKENS: u64 = 70;
/// Measurements of the guard.
const POINTS: u64 = 11;
/// Share of the machine's matrix speed that training reaches.
const TRAINING_SHARE: f64 = 0.6;
/// The engine multiplies 8-bit integers about so many times faster than f32.
const ENGINE_GAIN: f64 = 1.5;

/// A stage's share of the work.
#[derive(Debug, Clone, Serialize)]
pub struct StageEstimate {
    /// Name of the stage.
    pub stage: String,
    /// Shards.
    pub shards: u64,
    /// Tokens of the language model, about.
    pub tokens: u64,
    /// Seconds, about.
    pub seconds: f64,
}

/// A recipe's work, about.
#[derive(Debug, Clone, Serialize)]
pub struct Estimate {
    /// The stages, in order.
    pub stages: Vec<StageEstimate>,
    /// Seconds of all stages.
    pub seconds: f64,
    /// Peak memory in bytes.
    pub memory_bytes: u64,
    /// What of it the training takes, besides program, weights' file and engine.
    pub training_bytes: u64,
    /// Room that the run folder takes, in bytes.
    pub disk_bytes: u64,
    /// Matrix speed of this machine, measured just now, in 10⁹ operations a second.
    pub gflops: f64,
}

/// Estimates a recipe from its documents' number and size, the model's size and this machine's
/// measured speed. Reads at most twelve documents.
pub fn estimate(recipe: &Recipe, sources: &Sources) -> Result<Estimate> {
    let root = documents_root(&recipe.documents, sources)?;
    let ids = documents::list(&root)?;
    let (weights, _) = models::locate(&recipe.model, sources)?;
    let checkpoint = weights::Checkpoint::open(&weights)?;
    let parameters = checkpoint.architecture.parameters() as f64;
    let gflops = learn::gflops(recipe.learn.threads);

    let every = (ids.len() / 12).max(1);
    let read: Vec<Document> =
        ids.iter().step_by(every).filter_map(|id| documents::read(&root, id, &recipe.read).ok()).collect();
    if read.is_empty() {
        return Err(Error::Nothing {
            problem: format!("none of the documents looked at under {} could be read", root.display()),
            hint: "run `lyceum synth` on the folder: it says why each document was left out".into(),
        });
    }
    let sentences: usize = read.iter().flat_map(|d| &d.chunks).map(|c| c.sentences.len()).sum();
    let sentences = (sentences * ids.len() / read.len()) as u64;

    let facts = (recipe.synth.facts as u64).min(sentences / SENTENCES_PER_FACT).max(1);
    let exam = (facts as f64 * (1.0 - recipe.synth.practice - recipe.synth.validation)) as u64;
    let samples = facts * (recipe.synth.wordings + recipe.synth.model_wordings) as u64;
    let own = match &recipe.exam.bank {
        Some(bank) => exam::read_bank(bank)?.len() as u64,
        None => 0,
    };
    let open = if recipe.exam.open_book { exam } else { 0 };
    let control = recipe.exam.control as u64;
    let shards = |n: u64| n.div_ceil(recipe.exam.shard_items as u64);
    let sitting = (exam + own) * QUESTION_TOKENS + open * OPEN_TOKENS + control * CONTROL_TOKENS;
    let sitting_shards = shards(exam).max(1) + shards(own) + shards(open) + shards(control);
    let wording = facts * recipe.synth.model_wordings as u64 * recipe.synth.model_attempts as u64 * QUESTION_TOKENS;
    let training = samples * SAMPLE_TOKENS * recipe.learn.passes(samples as usize);

    // A forward pass takes 2 operations a parameter and token; a LoRA step 4, since frozen weights
    // get no gradient.
    let engine = |tokens: u64| 2.0 * parameters * tokens as f64 / (ENGINE_GAIN * gflops * 1e9);
    let trainer = |tokens: u64| 4.0 * parameters * tokens as f64 / (TRAINING_SHARE * gflops * 1e9);
    let stage = |stage: &str, shards: u64, tokens: u64, seconds: f64| StageEstimate {
        stage: stage.into(),
        shards,
        tokens,
        seconds,
    };
    let files = ids.len() as u64;
    let reading = sentences as f64 * 40e-6;
    let stages = vec![
        stage("documents", files.div_ceil(24), 0, reading),
        stage("facts", files.div_ceil(24), 0, reading),
        stage("select", 1, 0, 0.1),
        stage("samples", facts.div_ceil(24), wording, engine(wording)),
        stage("before", sitting_shards, sitting, engine(sitting)),
        stage("learn", 1, training, trainer(training)),
        stage("after", sitting_shards, sitting, engine(sitting)),
    ];
    let stages = match practising(recipe, facts, samples) {
        None => stages,
        Some(work) => {
            let mut all = stages;
            let after = all.pop();
            all.push(stage("sample", work.shards, work.sampled, engine(work.sampled)));
            let learned = trainer(work.learned) + engine(work.guarded);
            all.push(stage("practise", 1, work.learned + work.guarded, learned));
            all.extend(after);
            all
        }
    };
    let seconds = stages.iter().map(|s| s.seconds).sum();
    let training_bytes = training_memory(recipe, &checkpoint.architecture);
    let file = std::fs::metadata(&weights).map_or(0, |file| file.len());
    let text: u64 = sentences * 160;
    Ok(Estimate {
        stages,
        seconds,
        // The weights' file, the engine's packed weights and its keys and values, what training adds, the
        // documents twice, and the program.
        memory_bytes: file
            + parameters as u64
            + ((recipe.engine.memory_mb as u64) << 20)
            + training_bytes
            + 2 * text
            + (100 << 20),
        training_bytes,
        disk_bytes: 4 * text + 50_000_000,
        gflops,
    })
}

/// The work of practice.
struct Practising {
    shards: u64,
    /// Tokens of sampling.
    sampled: u64,
    /// Tokens of training.
    learned: u64,
    /// Tokens of the guard.
    guarded: u64,
}

/// About how much practice there will be; none where the recipe leaves it out.
fn practising(recipe: &Recipe, facts: u64, samples: u64) -> Option<Practising> {
    let practise = &recipe.practise;
    let from_tasks: u64 = practise.tasks.iter().filter_map(|spec| spec.rsplit(':').next()?.parse::<u64>().ok()).sum();
    let banked = (facts as f64 * recipe.synth.practice) as u64;
    let questions = (practise.questions as u64).min(banked + samples) + from_tasks;
    let held_out = ((facts as f64 * recipe.synth.validation) as u64).min(practise.guard.questions as u64);
    (questions > 0).then(|| Practising {
        shards: questions.div_ceil(practise.shard_items as u64),
        sampled: questions * SEARCH_TOKENS,
        // The reference reads everything once more, at a third of a step's cost.
        learned: questions * PAIRS_IN_TEN * PAIR_TOKENS * (1 + 3 * practise.learn.epochs as u64) / 30,
        // Answers and what the model before practice makes of them find each other's prompts computed.
        guarded: POINTS * held_out * QUESTION_TOKENS,
    })
}

/// Bytes of the larger of the two trainings, by the trainer's own account.
fn training_memory(recipe: &Recipe, architecture: &weights::Architecture) -> u64 {
    let sft = &recipe.learn;
    let layout = learn::Layout::new(architecture, sft.rank, sft.alpha, sft.targets.clone());
    let learn = learn::memory(architecture, &layout, sft.row_tokens, 1, sft.recompute);
    let prefer = &recipe.practise.learn;
    if recipe.practise.questions == 0 && recipe.practise.tasks.is_empty() {
        return learn;
    }
    let layout = match prefer.whole {
        true => learn::Layout::whole(architecture),
        false => learn::Layout::new(architecture, prefer.rank, prefer.alpha, prefer.targets.clone()),
    };
    let lanes = prefer.course(architecture.parameters()).lanes;
    learn.max(learn::memory(architecture, &layout, prefer.row_tokens, lanes, prefer.recompute))
}
