use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPool;
use rayon::prelude::*;
use record::{Sample, TrainStep};
use serde::{Deserialize, Serialize};
use weights::Checkpoint;

use crate::adamw::{AdamW, norm};
use crate::example::Example;
use crate::pack::{Row, Sequence, pack};
use crate::state::{Fingerprint, Progress, State};
use crate::{Course, Error, Layout, Model, Result, Tape};

/// Why a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// All passes are done.
    Finished,
    /// The next step would have exceeded the tokens that were allowed.
    Tokens,
    /// The validation loss fell no more.
    Patience,
    /// `max_seconds` are over; the same call goes on.
    Seconds,
    /// The caller asked for it; the same call goes on.
    Asked,
}

/// A training, ready to run: what is the same for pairs and for whole weights.
pub(crate) struct Training<'a> {
    pub base: &'a Checkpoint,
    pub layout: Layout,
    pub examples: Vec<Example>,
    pub validation: Vec<Example>,
    pub course: Course,
    pub fingerprint: Fingerprint,
    pub folder: &'a Path,
}

/// What a training gives.
pub(crate) struct Outcome {
    pub layout: Layout,
    /// Those with the lowest validation loss where `keep_best` could choose, else the last ones.
    pub parameters: Vec<f32>,
    pub curve: Vec<TrainStep>,
    pub validation_loss: Option<f64>,
    pub stop: Stop,
}

impl Training<'_> {
    /// Goes on from the state in the folder, or begins with `initial` parameters.
    pub fn run(
        self,
        initial: impl FnOnce(&Layout) -> Result<Vec<f32>>,
        progress: &mut dyn FnMut(&TrainStep) -> ControlFlow<()>,
    ) -> Result<Outcome> {
        let begin = Instant::now();
        let Self { base, layout, examples, validation, course, fingerprint, folder } = self;
        if examples.is_empty() {
            return Err(Error::NoSamples);
        }
        let mut state = match State::read(folder, &fingerprint, layout.length)? {
            Some(state) => state,
            None => State {
                progress: Progress {
                    fingerprint,
                    step: 0,
                    tokens: 0,
                    learned_tokens: 0,
                    curve: Vec::new(),
                    best_loss: None,
                    stale: 0,
                    ended: None,
                },
                parameters: initial(&layout)?,
                moments: AdamW::new(layout.length),
                best: None,
            },
        };
        if let Some(stop) = state.progress.ended {
            return Ok(outcome(layout, state, &course, stop));
        }
        let plan = Plan::new(&examples, &course)?;
        let longest = examples.iter().chain(&validation).map(|example| example.tokens.len()).max().unwrap_or(0);
        let mut engine = Engine::new(base, layout, &course, longest)?;
        let validation = rows(&validation.iter().collect::<Vec<_>>(), &course);
        let stop = loop {
            let step = state.progress.step + 1;
            let batch: Vec<&Example> = plan.batch(step).iter().map(|&i| &examples[i]).collect();
            let rows = rows(&batch, &course);
            let learned: usize = rows.iter().map(Row::targets).sum();
            let rate = course.rate(step, plan.steps);
            let failed = |what| Error::NotFinite { what, step, samples: batch.iter().map(|e| e.id.clone()).collect() };

            let (loss, length) = engine.gradient(&state.parameters, &rows, learned);
            if !loss.is_finite() {
                return Err(failed("loss"));
            }
            if !length.is_finite() {
                return Err(failed("gradient"));
            }
            let shrink = (course.clip_norm / length).min(1.0);
            engine.pool.install(|| {
                let parameters = (&mut state.parameters[..], engine.model.layout.decayed);
                let gradient = &engine.lanes[0].gradient;
                state.moments.step(parameters, (gradient, shrink), rate, step, &course);
            });

            let done = &mut state.progress;
            done.step = step;
            done.tokens += batch.iter().map(|e| e.tokens.len() as u64).sum::<u64>();
            done.learned_tokens += learned as u64;
            let mut point = TrainStep {
                step,
                epoch: step as f64 / plan.steps_per_epoch as f64,
                loss,
                learning_rate: rate,
                gradient_norm: length,
                tokens: done.tokens,
                learned_tokens: done.learned_tokens,
                validation_loss: None,
                preference: None,
            };
            if !validation.is_empty() && plan.measures(step, &course) {
                let loss = engine.loss(&state.parameters, &validation);
                if !loss.is_finite() {
                    return Err(Error::NotFinite {
                        what: "validation loss",
                        step,
                        samples: vec!["of the validation set".into()],
                    });
                }
                point.validation_loss = Some(loss);
                if done.best_loss.is_none_or(|best| loss < best) {
                    (done.best_loss, done.stale) = (Some(loss), 0);
                    if course.keep_best {
                        state.best.get_or_insert_default().clone_from(&state.parameters);
                    }
                } else {
                    done.stale += 1;
                }
            }
            done.curve.push(point.clone());
            let asked = progress(&point).is_break();
            let stop = if course.patience > 0 && done.stale >= course.patience {
                Some(Stop::Patience)
            } else if step == plan.steps {
                Some(if plan.cut { Stop::Tokens } else { Stop::Finished })
            } else if asked {
                Some(Stop::Asked)
            } else if course.max_seconds.is_some_and(|most| begin.elapsed().as_secs_f64() >= most) {
                Some(Stop::Seconds)
            } else {
                None
            };
            done.ended = stop.filter(|stop| !matches!(stop, Stop::Asked | Stop::Seconds));
            if stop.is_some() || (course.checkpoint_every > 0 && step % course.checkpoint_every == 0) {
                state.write(folder)?;
            }
            if let Some(stop) = stop {
                break stop;
            }
        };
        Ok(outcome(engine.model.layout, state, &course, stop))
    }
}

fn outcome(layout: Layout, state: State, course: &Course, stop: Stop) -> Outcome {
    Outcome {
        layout,
        parameters: state.best.filter(|_| course.keep_best).unwrap_or(state.parameters),
        validation_loss: state.progress.best_loss,
        curve: state.progress.curve,
        stop,
    }
}

/// Mean loss over the learned tokens of `examples`, in nats.
pub(crate) fn measure(
    base: &Checkpoint,
    layout: Layout,
    parameters: &[f32],
    examples: &[Example],
    course: &Course,
) -> Result<f64> {
    if examples.is_empty() {
        return Err(Error::NoSamples);
    }
    let longest = examples.iter().map(|example| example.tokens.len()).max().unwrap_or(0);
    let mut engine = Engine::new(base, layout, course, longest)?;
    Ok(engine.loss(parameters, &rows(&examples.iter().collect::<Vec<_>>(), course)))
}

/// Examples in as few rows as they need.
fn rows(examples: &[&Example], course: &Course) -> Vec<Row> {
    let sequences: Vec<_> = examples.iter().enumerate().map(|(group, example)| Sequence::of(example, group)).collect();
    pack(&sequences, course.row_tokens, course.lanes)
}

/// What the training is made of; `settings` are those that change what it gives.
pub(crate) fn fingerprint<T: Serialize>(
    base: &Checkpoint,
    samples: &[Sample],
    validation: &[Sample],
    settings: T,
) -> Result<Fingerprint> {
    let hash = |bytes: Vec<u8>| record::shard::sha256(&bytes);
    let [samples, validation] = [samples, validation].map(record::shard::to_jsonl);
    Ok(Fingerprint {
        model: base.sha256.clone(),
        settings: hash(record::shard::to_jsonl(&[settings])?),
        samples: hash([hash(samples?), hash(validation?)].concat().into_bytes()),
    })
}

/// Which examples each step sees.
struct Plan {
    /// The order of each pass.
    orders: Vec<Vec<usize>>,
    batch: usize,
    steps_per_epoch: u64,
    /// Steps in all.
    steps: u64,
    /// Whether `max_tokens` left some out.
    cut: bool,
}

impl Plan {
    fn new(examples: &[Example], course: &Course) -> Result<Self> {
        let order = |epoch: u64| {
            let seed = record::seed::derive(course.seed, "learn-order", &epoch.to_string());
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut order: Vec<usize> = (0..examples.len()).collect();
            for last in (1..order.len()).rev() {
                order.swap(last, random.random_range(0..=last));
            }
            order
        };
        let steps_per_epoch = course.steps_per_pass(examples.len());
        let mut plan = Self {
            orders: (0..course.passes).map(order).collect(),
            batch: course.batch_samples,
            steps_per_epoch,
            steps: steps_per_epoch * course.passes,
            cut: false,
        };
        let mut tokens = 0;
        for step in 1..=plan.steps {
            tokens += plan.batch(step).iter().map(|&i| examples[i].tokens.len() as u64).sum::<u64>();
            if course.max_tokens.is_some_and(|most| tokens > most) {
                (plan.steps, plan.cut) = (step - 1, true);
                break;
            }
        }
        if plan.steps == 0 {
            let problem =
                format!("is less than the {tokens} tokens of the first step; raise it or take smaller batches");
            return Err(Error::Setting { setting: "max_tokens", problem });
        }
        Ok(plan)
    }

    /// Examples of a step, from 1.
    fn batch(&self, step: u64) -> &[usize] {
        let order = &self.orders[((step - 1) / self.steps_per_epoch) as usize];
        let start = ((step - 1) % self.steps_per_epoch) as usize * self.batch;
        &order[start..(start + self.batch).min(order.len())]
    }

    /// Whether the validation loss is measured after a step.
    fn measures(&self, step: u64, course: &Course) -> bool {
        let every = if course.validation_every == 0 { self.steps_per_epoch } else { course.validation_every };
        step.is_multiple_of(every) || step == self.steps
    }
}

/// The model with its buffers and threads.
struct Engine {
    pool: ThreadPool,
    model: Model,
    lanes: Vec<Lane>,
}

/// What one share of a step's rows needs to itself.
struct Lane {
    tape: Tape,
    gradient: Vec<f32>,
    loss: f64,
}

/// Numbers in one unit of adding lanes.
const BLOCK: usize = 1 << 14;

impl Engine {
    fn new(base: &Checkpoint, layout: Layout, course: &Course, longest: usize) -> Result<Self> {
        let threads = match course.threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            n => n,
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|source| Error::Threads { threads, source })?;
        let (capacity, within) = (course.row_tokens.max(longest), if course.lanes > 1 { 1 } else { threads });
        let length = layout.length;
        let model = Model::new(base, layout, longest.min(base.architecture.context), within)?;
        let lane = |_| Lane { tape: model.tape(capacity, false), gradient: vec![0.0; length], loss: 0.0 };
        let lanes = (0..course.lanes).map(lane).collect();
        Ok(Self { pool, model, lanes })
    }

    /// Mean loss and the length of its gradient, which stands in the first lane afterwards.
    fn gradient(&mut self, parameters: &[f32], rows: &[Row], learned: usize) -> (f64, f64) {
        let Self { pool, model, lanes } = self;
        let (weight, count) = (1.0 / learned as f32, lanes.len());
        pool.install(|| {
            let work = |(first, lane): (usize, &mut Lane)| {
                let Lane { tape, gradient, loss } = lane;
                gradient.fill(0.0);
                let losses = rows.iter().skip(first).step_by(count);
                *loss = losses.map(|row| model.gradient(parameters, row, weight, tape, gradient)).sum();
            };
            lanes.par_iter_mut().enumerate().with_max_len(1).for_each(work);
            let loss = lanes.iter().map(|lane| lane.loss).sum::<f64>() / learned as f64;
            let (sum, others) = lanes.split_at_mut(1);
            sum[0].gradient.par_chunks_mut(BLOCK).enumerate().for_each(|(block, sum)| {
                for other in &*others {
                    let more = &other.gradient[block * BLOCK..][..sum.len()];
                    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
                }
            });
            (loss, norm(&sum[0].gradient))
        })
    }

    /// Mean loss.
    fn loss(&mut self, parameters: &[f32], rows: &[Row]) -> f64 {
        let Self { pool, model, lanes } = self;
        let learned: usize = rows.iter().map(Row::targets).sum();
        let count = lanes.len();
        pool.install(|| {
            let work = |(first, lane): (usize, &mut Lane)| {
                let losses = rows.iter().skip(first).step_by(count);
                lane.loss = losses.map(|row| model.loss(parameters, row, &mut lane.tape)).sum();
            };
            lanes.par_iter_mut().enumerate().with_max_len(1).for_each(work);
        });
        lanes.iter().map(|lane| lane.loss).sum::<f64>() / learned as f64
    }
}
