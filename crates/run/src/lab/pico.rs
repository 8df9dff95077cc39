use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use learn::PretrainConfig;
use lm::Prompt;
use lm_local::LocalModel;
use record::{Input, Sample, seed};
use tasks::{Kind, Problem, Split};
use weights::Checkpoint;

use super::trial::Question;
use super::{Class, Settings};
use crate::carry::Stage;
use crate::models::input;
use crate::plan::{Output, Record};
use crate::pretrain::fresh;
use crate::verbs::Flow;
use crate::{Error, Event, Result, Watch};

/// Size of the lab's decoders.
const SIZE: &str = "pico-500k";
/// What they learn and are asked, in equal parts: hard enough that greedy decoding errs often, easy
/// enough that the budget teaches it. Greedy accuracy of two seeds on 150 unseen problems of each
/// part: chain 69 and 79 %, words 51 and 52 %, programs 23 and 27 %, lookup 35 and 16 %; 44 and 43 %
/// in all. With harder parts (chain 6, hops 4) nothing is learned in the same budget.
pub(super) const MIXTURE: [(Kind, u8); 4] =
    [(Kind::Chain, 5), (Kind::Words, 3), (Kind::Programs, 2), (Kind::Lookup, 2)];
/// Problems of each part to learn from, so many that none is seen twice, and to measure the loss on.
pub(super) const TRAINING: (usize, usize) = (10_714, 40);
/// Tokens of an answer at most; the longest solution has about half of it.
pub(super) const MAX_TOKENS: usize = 160;

/// The settings of training that a decoder is known by, in the order of the first labs: it stays the
/// same decoder where the trainer learns a new setting that the lab does not use.
const COUNTED: [&str; 21] = [
    "tokens",
    "epochs",
    "batch_tokens",
    "row_tokens",
    "learn_prompts",
    "truncate",
    "learning_rate",
    "warmup",
    "schedule",
    "weight_decay",
    "beta1",
    "beta2",
    "epsilon",
    "clip_norm",
    "seed",
    "checkpoint_every",
    "validation_every",
    "keep_best",
    "patience",
    "max_seconds",
    "threads",
];

/// How the lab's decoders are trained.
fn config(seed: u64, threads: usize) -> PretrainConfig {
    // Small batches: a pico model needs steps more than smooth gradients.
    let (tokens, batch_tokens, learning_rate) = (Some(3_000_000), 2048, 5e-3);
    PretrainConfig { tokens, batch_tokens, learning_rate, validation_every: 200, seed, threads, ..Default::default() }
}

/// A decoder of the lab.
pub(super) struct Base {
    /// Name in tables.
    pub name: String,
    /// Seed of everything about it.
    pub seed: u64,
    pub checkpoint: Checkpoint,
    pub identity: Vec<Input>,
}

/// The decoder of seed `k`, trained now if it is not there yet. Those of a table begin at 1; 0 is a
/// seed outside every table, to choose settings on.
pub(super) async fn base(flow: &Flow<'_>, k: u64) -> Result<Base> {
    let label = k.checked_sub(1).map_or("outside".into(), |place| place.to_string());
    let seed = seed::derive(flow.recipe.seed, "lab/seed", &label);
    let train = Train {
        folder: format!("pico/{k}"),
        samples: samples(Split::Train, TRAINING.0, seed)?,
        validation: samples(Split::Validation, TRAINING.1, seed)?,
        seed,
        config: config(seed, flow.recipe.learn.threads),
    };
    let carried = flow.carry(&train).await?;
    let checkpoint = Checkpoint::open(&carried.folder.join("model"))?;
    let identity = vec![Input { path: checkpoint.name.clone(), sha256: checkpoint.sha256.clone() }];
    Ok(Base { name: format!("{SIZE} of seed {k}"), seed, checkpoint, identity })
}

/// One model and its problems for each seed.
pub(super) async fn classes(flow: &Flow<'_>, settings: &Settings) -> Result<Vec<Class>> {
    let mut classes = Vec::new();
    for k in 1..=settings.seeds as u64 {
        let Base { name, seed, checkpoint, identity } = base(flow, k).await?;
        let problems = mixture(Split::Exam, 0, settings.problems.div_ceil(MIXTURE.len()), seed)?;
        let questions = problems.into_iter().take(settings.problems).map(question).collect();
        classes.push(Class {
            name,
            folder: k.to_string(),
            seed,
            model: Arc::new(LocalModel::load(&checkpoint, flow.recipe.engine.clone())?),
            adapter: None,
            identity,
            meter: Arc::new(|| 0.0),
            questions: Arc::new(questions),
            max_tokens: MAX_TOKENS,
            boundary: decode::Boundary::Newline,
        });
    }
    Ok(classes)
}

/// `each` problems of every part of the mixture behind the first `skipped` of it, the parts in turn.
/// What one call skips another may give: the two share no question.
pub(super) fn mixture(split: Split, skipped: usize, each: usize, seed: u64) -> Result<Vec<Problem>> {
    let mut parts = Vec::new();
    for (kind, difficulty) in MIXTURE {
        parts.push(tasks::generate(kind, difficulty, split, skipped + each, seed)?.into_iter().skip(skipped));
    }
    Ok((0..each).flat_map(|_| parts.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>()).collect())
}

fn samples(split: Split, each: usize, seed: u64) -> Result<Vec<Sample>> {
    Ok(mixture(split, 0, each, seed)?.iter().map(Problem::sample).collect::<tasks::Result<_>>()?)
}

fn question(problem: Problem) -> Question {
    Question {
        id: problem.id.clone(),
        prompt: Prompt::Raw(problem.prompt()),
        stop: Vec::new(),
        said: Box::new(tasks::answer),
        right: Box::new(move |text| problem.verify(text)),
    }
}

/// Problems in, a decoder out.
struct Train {
    folder: String,
    samples: Vec<Sample>,
    validation: Vec<Sample>,
    seed: u64,
    config: PretrainConfig,
}

#[async_trait::async_trait]
impl Stage for Train {
    fn name(&self) -> String {
        self.folder.clone()
    }

    fn settings(&self) -> serde_json::Value {
        // The number of threads changes no byte.
        let all = serde_json::to_value(PretrainConfig { threads: 0, ..self.config.clone() }).unwrap_or_default();
        let config: serde_json::Map<_, _> =
            COUNTED.map(|name| (name.to_string(), all[name].clone())).into_iter().collect();
        serde_json::json!({ "size": SIZE, "mixture": MIXTURE, "each": TRAINING, "seed": self.seed, "pretrain": config })
    }

    fn inputs(&self) -> Vec<Input> {
        let hash = |samples: &[Sample]| record::shard::sha256(&record::shard::to_jsonl(samples).unwrap_or_default());
        vec![
            Input { path: "train".into(), sha256: hash(&self.samples) },
            Input { path: "validation".into(), sha256: hash(&self.validation) },
        ]
    }

    fn shards(&self) -> u32 {
        1
    }

    async fn run_shard(&self, _: u32, folder: &Path, watch: &Watch) -> Result<Output> {
        let start = fresh(&self.samples, SIZE, 0, self.seed)?;
        let (samples, validation) = (self.samples.clone(), self.validation.clone());
        train(&self.folder, start, samples, validation, self.config.clone(), folder, watch).await
    }
}

/// Trains `start` in `model` of a stage's folder; the stage's records are the steps and the weights.
pub(super) async fn train(
    stage: &str,
    start: Checkpoint,
    samples: Vec<Sample>,
    validation: Vec<Sample>,
    config: PretrainConfig,
    folder: &Path,
    watch: &Watch,
) -> Result<Output> {
    let (folder, watch, name) = (folder.join("model"), watch.clone(), stage.to_string());
    // Training is minutes of arithmetic: a thread of its own keeps the runtime answering.
    let train = move || {
        let mut read = None;
        let mut progress = |step: &record::TrainStep| {
            // Tokens of earlier calls were spent by them.
            watch.spend(step.tokens - read.unwrap_or(step.tokens));
            read = Some(step.tokens);
            let total = config.tokens.unwrap_or((step.tokens as f64 / step.epoch) as u64);
            let detail = format!("loss {:.3}", step.loss);
            watch.tell(Event::Progress { stage: name.clone(), done: step.tokens, total, detail });
            if watch.check().is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let trained = learn::pretrain(&start, &samples, &validation, &config, &folder, &mut progress)?;
        // A break keeps a checkpoint; the stage is not finished.
        watch.check()?;
        let mut records: Vec<_> = trained.curve.into_iter().map(Record::Step).collect();
        let file = input(&folder.join("model.safetensors"))?;
        records.push(Record::File(Input { path: format!("{name}/model/model.safetensors"), ..file }));
        Ok(Output { records, ..Output::default() })
    };
    let broke = |e| Error::Model { problem: format!("training broke off: {e}"), hint: "please report this".into() };
    tokio::task::spawn_blocking(train).await.map_err(broke)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_exam_problem_is_ever_learned() {
        let train = mixture(Split::Train, 0, 200, 1).expect("problems");
        let exam = mixture(Split::Exam, 0, 100, 2).expect("problems");
        assert_eq!((train.len(), exam.len()), (800, 400));
        let seen: std::collections::HashSet<_> = train.iter().map(|problem| &problem.question).collect();
        assert!(exam.iter().all(|problem| !seen.contains(&problem.question)));
        assert!(exam.iter().all(|problem| problem.sample().is_err()));
    }
}
