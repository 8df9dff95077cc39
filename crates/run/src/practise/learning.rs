use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use learn::{Learned, Look, PreferConfig, Spike};
use lm_local::LocalModel;
use record::shard::{sha256, to_jsonl, write_atomic};
use record::{Drop, Guard, Input, Preference, Usage};
use tokio::runtime::Handle;
use weights::{Adapter, Checkpoint};

use super::guard::{GuardConfig, Keep, kept};
use super::measure::{Candidate, margins, measure, preferred};
use super::points::Points;
use super::task::Task;
use crate::carry::{Carried, Stage};
use crate::models::input;
use crate::plan::{Output, Record};
use crate::verbs::Flow;
use crate::{Error, Event, Result, Watch};

/// Why steps were dropped, where the loss leapt up.
pub(crate) const SPIKE: &str = "spike";

/// Preferences in; out comes what the guard kept of the training, which may be nothing.
#[derive(Clone)]
pub(crate) struct Learning {
    /// Name of the stage's folder.
    pub folder: String,
    /// The run's folder.
    pub root: PathBuf,
    /// Where the result goes, seen from there; it is absent where nothing was kept.
    pub result: String,
    /// The untouched model.
    pub base: Arc<Checkpoint>,
    /// What training goes on from; with the base it is the reference.
    pub start: Option<Arc<Adapter>>,
    /// The engine over the base.
    pub engine: LocalModel,
    /// How an engine of its own is set up, where all weights are learned.
    pub engine_config: lm_local::Config,
    /// Name of `start` in the engine.
    pub reference: Option<String>,
    /// What to learn from.
    pub pairs: Arc<Vec<Preference>>,
    /// Preferences that are held out, for the guard.
    pub held_pairs: Arc<Vec<Preference>>,
    /// Questions that are held out, for the guard; never those of an exam.
    pub held_out: Arc<Vec<Task>>,
    /// Tokens of their answers at most.
    pub max_tokens: usize,
    /// Settings of the `learn` room.
    pub config: PreferConfig,
    /// How it is watched.
    pub guard: GuardConfig,
    /// Where the preferences come from, and what the models are made of.
    pub inputs: Vec<Input>,
}

impl Learning {
    /// The model before practice.
    fn before(&self) -> Candidate {
        Candidate { model: Arc::new(self.engine.clone()), adapter: self.reference.clone() }
    }

    /// What was learned, ready to answer. An adapter has a name of its own at each step.
    fn candidate(&self, step: u64, learned: &Learned) -> Result<Candidate> {
        Ok(match learned {
            Learned::Adapter(adapter) => {
                let name = format!("{}/{step}", self.folder);
                self.engine.add_adapter(&name, adapter)?;
                Candidate { model: Arc::new(self.engine.clone()), adapter: Some(name) }
            }
            Learned::Whole(checkpoint) => {
                Candidate { model: Arc::new(LocalModel::load(checkpoint, self.engine_config.clone())?), adapter: None }
            }
        })
    }

    /// Everything that changes what comes out.
    fn all_settings(&self) -> serde_json::Value {
        let hash = |pairs: &[Preference]| sha256(&to_jsonl(pairs).unwrap_or_default());
        serde_json::json!({
            // The number of threads changes no byte.
            "learn": PreferConfig { threads: 0, ..self.config.clone() },
            "guard": self.guard,
            "max_tokens": self.max_tokens,
            "pairs": hash(&self.pairs),
            "held_pairs": hash(&self.held_pairs),
            "held_out": self.held_out.iter().map(Task::identity).collect::<Vec<_>>(),
            "start": self.start.is_some(),
        })
    }

    /// Trains, on a thread that may wait for the engine.
    fn train(&self, folder: &Path, runtime: &Handle, watch: &Watch) -> Result<Output> {
        // Checkpoints of another plan must not be taken up: they lie under the plan's own address.
        let made_of = serde_json::to_vec(&(self.all_settings(), &self.inputs)).unwrap_or_default();
        let checkpoints = folder.join("checkpoints").join(&sha256(&made_of)[..16]);
        std::fs::create_dir_all(&checkpoints).map_err(|e| record::Error::io("create", &checkpoints, e))?;
        // What an earlier plan left must not be taken for this one's.
        self.clear()?;
        let mut points = Points::open(&checkpoints)?;
        let keep_all = self.guard.keep != Keep::Best;
        let mut usage = Usage::default();
        let margins_before = runtime.block_on(margins(&self.before(), &self.held_pairs))?;
        if points.all().is_empty() {
            let preferred = preferred(&margins_before, &margins_before);
            let point = self.look(0, &self.before(), preferred, points.all(), runtime, &mut usage)?;
            points.add(point, None, keep_all)?;
        }

        let mut read = None;
        let mut failed = None;
        let mut progress = |look: &Look<'_>| {
            let step = look.step.step;
            // Tokens of earlier calls were spent by them.
            watch.spend(look.step.tokens - read.unwrap_or(look.step.tokens));
            read = Some(look.step.tokens);
            watch.tell(Event::Progress {
                stage: self.folder.clone(),
                done: step,
                total: look.steps,
                detail: detail(look, points.all()),
            });
            if (step.is_multiple_of(self.guard.every(look.steps)) || step == look.steps) && points.at(step).is_none() {
                let looked = (|| {
                    let learned = look.learned()?;
                    let candidate = self.candidate(step, &learned)?;
                    let margins = runtime.block_on(margins(&candidate, &self.held_pairs))?;
                    let preferred = preferred(&margins_before, &margins);
                    let point = self.look(step, &candidate, preferred, points.all(), runtime, &mut usage)?;
                    if let Some(adapter) = candidate.adapter {
                        self.engine.remove_adapter(&adapter)?;
                    }
                    points.add(point, Some(&learned), keep_all)
                })();
                if let Err(error) = looked {
                    failed = Some(error);
                }
            }
            let over = failed.is_some() || watch.check().is_err() || points.stopped().is_some_and(|stop| step >= stop);
            if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let start = self.start.as_deref();
        let learned = learn::prefer(&self.base, start, &self.pairs, &[], &self.config, &checkpoints, &mut progress)?;
        if let Some(error) = failed {
            return Err(error);
        }
        if points.stopped().is_none() {
            // A break keeps a checkpoint; the stage is not finished.
            watch.check()?;
        }
        let mut output = Output { usage, ..Output::default() };
        // A training that was cut off between the guard's word and its end took a step too many.
        let last = points.stopped().unwrap_or(u64::MAX);
        output.records.extend(learned.curve.into_iter().filter(|step| step.step <= last).map(Record::Step));
        output.records.extend(points.all().iter().cloned().map(Record::Guard));
        output.records.extend(learned.skipped.into_iter().map(Record::Drop));
        output.records.extend(learned.spike.map(|spike| Record::Drop(self.broke(&spike))));
        output.records.extend(self.keep(&points)?.into_iter().map(Record::File));
        Ok(output)
    }

    /// Measures a candidate and sets it beside what was measured before.
    fn look(
        &self,
        step: u64,
        candidate: &Candidate,
        preferred: Option<f64>,
        before: &[Guard],
        runtime: &Handle,
        usage: &mut Usage,
    ) -> Result<Guard> {
        let reference = self.before();
        let work = measure(step, candidate, &reference, &self.held_out, self.max_tokens, preferred);
        let (mut point, spent) = runtime.block_on(work)?;
        *usage += spent;
        self.guard.judge(before, self.held_out.iter().map(|task| task.fact.as_str()), &mut point);
        Ok(point)
    }

    /// The steps that a spike of the loss took away.
    fn broke(&self, spike: &Spike) -> Drop {
        let loss = spike.loss.map_or("is no finite number".into(), |loss| format!("is {loss:.3}"));
        let usual = spike.median.map(|median| format!(", after {median:.3} in the median")).unwrap_or_default();
        Drop {
            stage: self.folder.clone(),
            record: format!("step {}", spike.step),
            reason: SPIKE.into(),
            detail: format!(
                "the loss of step {} {loss}{usual}; training went back to step {}",
                spike.step, spike.back_to
            ),
        }
    }

    /// Where the models of measured points go.
    fn others(&self) -> String {
        format!("{}/points", self.folder)
    }

    fn clear(&self) -> Result<()> {
        remove(&self.root.join(&self.result))?;
        remove(&self.root.join(self.others()))
    }

    /// Carries the learning out, then removes the checkpoints: a finished stage is its result.
    pub async fn carry(&self, flow: &Flow<'_>) -> Result<Carried> {
        let carried = flow.carry(self).await?;
        remove(&carried.folder.join("checkpoints"))?;
        Ok(carried)
    }

    /// Puts the best point's model where the result goes, and those of other points beside the shards
    /// where they are asked for.
    fn keep(&self, points: &Points) -> Result<Vec<Input>> {
        let others = self.others();
        let mut files = Vec::new();
        if let Some(best) = kept(points.all()).filter(|step| *step > 0) {
            files.extend(self.copy(&points.model(best), &self.result)?);
        }
        let steps: Vec<u64> = points.all().iter().map(|point| point.step).filter(|step| *step > 0).collect();
        let from = match self.guard.keep {
            Keep::Best => steps.len(),
            Keep::Last => steps.len().saturating_sub(1),
            Keep::Every => 0,
        };
        for step in &steps[from..] {
            files.extend(self.copy(&points.model(*step), &format!("{others}/{step}"))?);
        }
        Ok(files)
    }

    /// Copies a model's files to a place in the run's folder.
    fn copy(&self, from: &Path, to: &str) -> Result<Vec<Input>> {
        let fail = |error| record::Error::io("read", from, error);
        let mut names: Vec<_> = std::fs::read_dir(from)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<_>>())
            .map_err(fail)?;
        names.sort();
        let mut files = Vec::new();
        for name in names {
            let path = self.root.join(to).join(&name);
            write_atomic(&path, &std::fs::read(from.join(&name)).map_err(fail)?)?;
            files.push(Input { path: format!("{to}/{}", name.to_string_lossy()), ..input(&path)? });
        }
        Ok(files)
    }
}

/// Removes a folder, if it is there.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(record::Error::io("remove", folder, error).into())
        }
        _ => Ok(()),
    }
}

/// The last figures of interest.
fn detail(look: &Look<'_>, points: &[Guard]) -> String {
    let mut detail = format!("loss {:.3}", look.step.loss);
    if let Some(pairs) = &look.step.preference {
        detail += &format!(", {:.0} % of pairs as preferred", 100.0 * pairs.accuracy);
    }
    if let Some(accuracy) = points.last().and_then(|point| point.accuracy) {
        detail += &format!(", held out {:.1} % right", 100.0 * accuracy);
    }
    detail
}

#[async_trait::async_trait]
impl Stage for Learning {
    fn name(&self) -> String {
        self.folder.clone()
    }

    fn settings(&self) -> serde_json::Value {
        self.all_settings()
    }

    fn inputs(&self) -> Vec<Input> {
        self.inputs.clone()
    }

    fn shards(&self) -> u32 {
        1
    }

    async fn run_shard(&self, _: u32, folder: &Path, watch: &Watch) -> Result<Output> {
        let (stage, folder, watch, runtime) = (self.clone(), folder.to_path_buf(), watch.clone(), Handle::current());
        // Training is minutes of arithmetic: a thread of its own keeps the runtime answering.
        tokio::task::spawn_blocking(move || stage.train(&folder, &runtime, &watch)).await.map_err(|e| Error::Model {
            problem: format!("training broke off: {e}"),
            hint: "please report this".into(),
        })?
    }
}
