use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use decode::practice::Method;
use learn::PreferConfig;
use lm_local::LocalModel;
use record::{Guard, Input, Preference, TrainStep, seed};
use tasks::Split;
use weights::{Adapter, Checkpoint};

use super::super::pico::{self, MAX_TOKENS, MIXTURE, TRAINING};
use crate::models::input;
use crate::plan::Record;
use crate::practise::{Candidate, GuardConfig, Learning, Sample, Sitting, Task, kept};
use crate::verbs::{Flow, pick};
use crate::{Error, Result};

/// Questions or problems a shard.
const SHARD: usize = 250;

/// How many problems a model is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Questions to practise on.
    pub practice: usize,
    /// Held-out problems of the validation split, for the guard.
    pub guard: usize,
    /// Problems that mark what was learned.
    pub exam: usize,
    /// The split that those come from.
    pub bank: Split,
}

/// The problems of one seed. No question stands twice, and none was learned from before.
pub(super) struct Problems {
    pub practice: Vec<Task>,
    pub guard: Vec<Task>,
    pub exam: Vec<Task>,
}

impl Problems {
    /// Practice goes on in the stream of the training split behind what the model was trained on,
    /// the guard's bank in that of the validation split.
    pub fn new(sizes: Sizes, seed: u64) -> Result<Self> {
        let draw = |split, before, n: usize| -> Result<Vec<Task>> {
            let problems = pico::mixture(split, before, n.div_ceil(MIXTURE.len()), seed)?;
            Ok(problems.into_iter().take(n).map(Task::of_problem).collect())
        };
        Ok(Self {
            practice: draw(Split::Train, TRAINING.0, sizes.practice)?,
            guard: draw(Split::Validation, TRAINING.1, sizes.guard)?,
            exam: match sizes.bank {
                Split::Exam => draw(Split::Exam, 0, sizes.exam)?,
                Split::Validation => {
                    draw(Split::Validation, TRAINING.1 + sizes.guard.div_ceil(MIXTURE.len()), sizes.exam)?
                }
                Split::Train => draw(Split::Train, TRAINING.0 + sizes.practice.div_ceil(MIXTURE.len()), sizes.exam)?,
            },
        })
    }
}

/// A model of the lab with its problems.
pub(super) struct Pupil {
    /// Name in tables.
    pub name: String,
    /// Name of its folders.
    pub folder: String,
    pub seed: u64,
    pub base: Arc<Checkpoint>,
    pub engine: LocalModel,
    pub identity: Vec<Input>,
    pub practice: Vec<Task>,
    pub guard: Arc<Vec<Task>>,
    pub exam: Arc<Vec<Task>>,
}

/// What sampling gave.
pub(super) struct Lessons {
    pub pairs: Arc<Vec<Preference>>,
    /// Decode tokens by question.
    pub spent: HashMap<String, u64>,
    /// Decode and prompt tokens of all questions.
    pub decode: u64,
    pub prompt: u64,
    pub dropped: BTreeMap<String, u64>,
    pub outputs: Vec<Input>,
}

/// A training and what was measured in it.
pub(super) struct Course {
    pub steps: Vec<TrainStep>,
    pub guards: Vec<Guard>,
    /// Step whose model was kept; 0 is the model before practice.
    pub kept: u64,
    folder: String,
}

impl Course {
    pub fn new(steps: Vec<TrainStep>, guards: Vec<Guard>, kept: u64, folder: String) -> Self {
        Self { steps, guards, kept, folder }
    }

    /// The point of a step.
    pub fn at(&self, step: u64) -> Option<&Guard> {
        self.guards.iter().find(|guard| guard.step == step)
    }

    /// The last step that was measured.
    pub fn last(&self) -> u64 {
        self.guards.last().map_or(0, |guard| guard.step)
    }

    /// Tokens that were read.
    pub fn tokens(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.tokens)
    }
}

impl Pupil {
    /// The model of seed `k`, trained now if it is not there yet, and its problems.
    pub async fn new(flow: &Flow<'_>, k: u64, sizes: Sizes) -> Result<Self> {
        let pico::Base { name, seed, checkpoint, identity } = pico::base(flow, k).await?;
        let Problems { practice, guard, exam } = Problems::new(sizes, seed)?;
        Ok(Self {
            name,
            folder: k.to_string(),
            seed,
            engine: LocalModel::load(&checkpoint, flow.recipe.engine.clone())?,
            base: Arc::new(checkpoint),
            identity,
            practice,
            guard: Arc::new(guard),
            exam: Arc::new(exam),
        })
    }

    /// Samples preferences; `spent` is what may be decoded for each question, where the method goes on
    /// as long as there are tokens.
    pub async fn sample(
        &self,
        flow: &Flow<'_>,
        method: &Method,
        spent: Option<&HashMap<String, u64>>,
    ) -> Result<Lessons> {
        let tasks = self.practice.iter().cloned().map(|task| {
            // Nobody but the supervised method may see an answer.
            let task = if method.needs_labels() { task } else { task.unlabelled() };
            // A search that failed has spent nothing that could be matched.
            let budget = spent.and_then(|spent| spent.get(&task.id)).map(|tokens| (*tokens).max(1));
            Task { budget, ..task }
        });
        let stage = Sample {
            folder: format!("sample/{}/{}", self.folder, method.name()),
            tasks: Arc::new(tasks.collect()),
            method: method.clone(),
            model: Arc::new(self.engine.clone()),
            adapter: None,
            identity: self.identity.clone(),
            meter: Arc::new(|| 0.0),
            max_tokens: MAX_TOKENS,
            boundary: decode::Boundary::Newline,
            budget: None,
            same_tokens: true,
            // Every method draws from the same stream on the same question.
            seed: seed::derive(self.seed, "lab/sample", ""),
            shard_items: SHARD,
        };
        let carried = flow.carry(&stage).await?;
        let asked = pick(&carried.records, |r| if let Record::Asked(asked) = r { Some(asked) } else { None });
        Ok(Lessons {
            pairs: Arc::new(pick(&carried.records, |r| if let Record::Preference(p) = r { Some(p) } else { None })),
            decode: asked.iter().map(|asked| asked.decode).sum(),
            prompt: asked.iter().map(|asked| asked.prompt).sum(),
            spent: asked.into_iter().map(|asked| (asked.question, asked.decode)).collect(),
            dropped: carried.manifest.dropped.clone(),
            outputs: carried.outputs(),
        })
    }

    /// Learns from preferences, in a folder of its own.
    pub async fn learn(
        &self,
        flow: &Flow<'_>,
        folder: String,
        lessons: &Lessons,
        config: PreferConfig,
        guard: GuardConfig,
    ) -> Result<Course> {
        if lessons.pairs.is_empty() {
            return Err(Error::Nothing {
                problem: format!("{folder} has no preference to learn from"),
                hint: "give more --questions".into(),
            });
        }
        let mut inputs = lessons.outputs.clone();
        inputs.extend(self.identity.iter().cloned());
        let stage = Learning {
            root: flow.run.root().into(),
            result: format!("{folder}/adapter"),
            base: self.base.clone(),
            start: None,
            engine: self.engine.clone(),
            engine_config: flow.recipe.engine.clone(),
            reference: None,
            pairs: lessons.pairs.clone(),
            held_pairs: Arc::default(),
            held_out: self.guard.clone(),
            max_tokens: MAX_TOKENS,
            config,
            guard,
            inputs,
            folder: folder.clone(),
        };
        let carried = stage.carry(flow).await?;
        let guards: Vec<Guard> = pick(&carried.records, |r| if let Record::Guard(g) = r { Some(g) } else { None });
        let steps = pick(&carried.records, |r| if let Record::Step(step) = r { Some(step) } else { None });
        let best = kept(&guards).unwrap_or(0);
        Ok(Course::new(steps, guards, best, folder))
    }

    /// Marks of every problem of the exam before practice.
    pub async fn sit_before(&self, flow: &Flow<'_>, bank: &Arc<Vec<Task>>) -> Result<Vec<bool>> {
        self.sit(flow, format!("marks/{}/base", self.folder), bank, None).await
    }

    /// Marks of every problem of a bank with the model of a measured step: the kept one, or one that
    /// lies with the training.
    pub async fn sit_at(
        &self,
        flow: &Flow<'_>,
        course: &Course,
        step: u64,
        bank: &Arc<Vec<Task>>,
    ) -> Result<Vec<bool>> {
        if step == 0 {
            return self.sit_before(flow, bank).await;
        }
        let kept = course.kept == step;
        let place =
            if kept { format!("{}/adapter", course.folder) } else { format!("{}/points/{step}", course.folder) };
        let name = format!("marks/{}/{step}", course.folder);
        self.sit(flow, name, bank, Some(&flow.run.root().join(place))).await
    }

    async fn sit(
        &self,
        flow: &Flow<'_>,
        folder: String,
        bank: &Arc<Vec<Task>>,
        adapter: Option<&Path>,
    ) -> Result<Vec<bool>> {
        let mut identity = self.identity.clone();
        let mut candidate = Candidate { model: Arc::new(self.engine.clone()), adapter: None };
        if let Some(path) = adapter {
            self.engine.add_adapter(&folder, &Adapter::load(path, &self.base.architecture)?)?;
            candidate.adapter = Some(folder.clone());
            let file = input(&path.join("adapter_model.safetensors"))?;
            identity.push(Input { path: "adapter".into(), ..file });
        }
        let stage = Sitting {
            folder: folder.clone(),
            tasks: bank.clone(),
            candidate,
            identity,
            max_tokens: MAX_TOKENS,
            shard_items: SHARD,
        };
        let carried = flow.carry(&stage).await;
        if adapter.is_some() {
            self.engine.remove_adapter(&folder)?;
        }
        let records = carried?.records;
        Ok(pick(&records, |r| if let Record::Response(r) = r { Some(r) } else { None })
            .iter()
            .map(|r| r.score > 0.5)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_question_is_learned_practised_guarded_and_examined() {
        let seed = 7;
        let learned = pico::mixture(Split::Train, 0, TRAINING.0, seed).expect("problems");
        let measured = pico::mixture(Split::Validation, 0, TRAINING.1, seed).expect("problems");
        let before: Vec<&str> = learned.iter().chain(&measured).map(|problem| problem.id.as_str()).collect();
        for bank in [Split::Exam, Split::Validation] {
            let sizes = Sizes { practice: 202, guard: 58, exam: 101, bank };
            let Problems { practice, guard, exam } = Problems::new(sizes, seed).expect("problems");
            assert_eq!((practice.len(), guard.len(), exam.len()), (202, 58, 101));
            let own = practice.iter().chain(&guard).chain(&exam).map(|task| task.id.as_str());
            let ids: Vec<&str> = before.iter().copied().chain(own).collect();
            assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "a question stands twice");
        }
    }
}
