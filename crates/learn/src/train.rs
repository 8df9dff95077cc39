use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use record::{PreferenceStep, TrainStep};
use serde::{Deserialize, Serialize};
use weights::Checkpoint;

use crate::batch::{Batch, Judged};
use crate::case::Case;
use crate::engine::{Engine, Measured};
use crate::plan::Plan;
use crate::spike::{Spike, is_spike, usual};
use crate::state::{Fingerprint, Progress, State};
use crate::{Course, Error, Layout, Look, Loss, Result, reference};

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
    /// The loss rose far above the usual, and the last good state was gone back to; see [`Spike`].
    Spike,
    /// `max_seconds` are over; the same call goes on.
    Seconds,
    /// The caller asked for it; the same call goes on.
    Asked,
}

/// A training, ready to run: the one loop for samples and preferences, pairs and whole weights.
pub(crate) struct Training<'a> {
    pub base: &'a Checkpoint,
    pub layout: Layout,
    pub cases: Vec<Case>,
    pub validation: Vec<Case>,
    /// A weight for each token of the vocabulary: the best point is the one with the lowest weighted
    /// validation loss.
    pub weights: Option<&'a [f32]>,
    pub loss: Loss,
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
    pub spike: Option<Spike>,
}

impl Training<'_> {
    /// Goes on from the state in the folder, or begins with `initial` parameters.
    ///
    /// A state is written when the next step has shown it to be good, so the last one on disk is one
    /// that can be gone back to; where the training stops it is written as it stands.
    pub fn run(
        self,
        initial: impl Fn(&Layout) -> Result<Vec<f32>>,
        progress: &mut dyn FnMut(&Look<'_>) -> ControlFlow<()>,
    ) -> Result<Outcome> {
        let begin = Instant::now();
        let Self { base, layout, mut cases, mut validation, weights, loss, course, fingerprint, folder } = self;
        if cases.is_empty() {
            return Err(Error::NoSamples);
        }
        let found = State::read(folder, &fingerprint, layout.length)?;
        // The step of the state on disk.
        let mut saved = found.as_ref().map(|state| state.progress.step);
        let mut state = match found {
            Some(state) => state,
            None => State::new(fingerprint.clone(), initial(&layout)?),
        };
        if let Some(stop) = state.progress.ended {
            return Ok(outcome(layout, state, &course, stop));
        }
        let plan = Plan::new(&cases, &course)?;
        let longest = cases.iter().chain(&validation).map(Case::longest).max().unwrap_or(0);
        let mut engine = Engine::new(base, layout.clone(), &course, longest)?;
        if loss.needs_reference() {
            let mut all: Vec<_> = cases.iter_mut().chain(&mut validation).collect();
            // Rates, passes and the like do not change what the reference says.
            let made_of = (course.row_tokens, course.lanes, matches!(loss, Loss::Kto(_)), loss.sides());
            let settings = record::shard::sha256(format!("{made_of:?}").as_bytes());
            let key = Fingerprint { settings, ..fingerprint.clone() };
            reference::fill(&mut all, &mut engine, || initial(&layout), key, folder)?;
        }
        let validation = Batch::new(&loss, validation.iter().collect(), &course);
        let mut due = false;
        let stop = loop {
            let step = state.progress.step + 1;
            let batch = Batch::new(&loss, plan.batch(step).iter().map(|&i| &cases[i]).collect(), &course);
            let samples = || batch.cases.iter().map(|case| case.id.clone()).collect::<Vec<_>>();
            let (measured, length) = engine.gradient(&state.parameters, &batch);

            let wrong = [("loss", measured.loss), ("gradient", length)].into_iter().find(|(_, x)| !x.is_finite());
            if let Some((what, _)) = wrong.filter(|_| course.spike.is_none()) {
                let state = saved.map(|step| (step, crate::state::path(folder)));
                return Err(Error::NotFinite { what, step, samples: samples(), state });
            }
            let spike = course.spike.is_some_and(|factor| is_spike(&state.progress.curve, measured.loss, factor));
            if wrong.is_some() || spike {
                let spike = Spike {
                    step,
                    loss: Some(measured.loss).filter(|_| wrong.is_none()),
                    median: usual(&state.progress.curve),
                    samples: samples(),
                    back_to: saved.unwrap_or(0),
                };
                state = back(state, spike, &fingerprint, folder, || initial(&layout))?;
                state.write(folder)?;
                break Stop::Spike;
            }
            if due {
                state.write(folder)?;
                saved = Some(step - 1);
            }

            let rate = course.rate(step, plan.steps);
            let shrink = (course.clip_norm / length).min(1.0);
            engine.step(&mut state.moments, &mut state.parameters, shrink, rate, step, &course);
            let done = &mut state.progress;
            done.step = step;
            done.tokens += batch.cases.iter().map(|case| case.tokens()).sum::<u64>();
            done.learned_tokens += batch.cases.iter().map(|case| case.learned()).sum::<u64>();
            let mut point = TrainStep {
                step,
                epoch: step as f64 / plan.steps_per_epoch as f64,
                loss: measured.loss,
                learning_rate: rate,
                gradient_norm: length,
                tokens: done.tokens,
                learned_tokens: done.learned_tokens,
                validation_loss: None,
                weighted_loss: None,
                preference: preference(&loss, &measured),
            };
            if !validation.cases.is_empty() && plan.measures(step, &course) {
                let measured = engine.measure(&state.parameters, &validation).loss;
                let weighted = weights.map(|weights| engine.weighted(&state.parameters, &validation.rows, weights));
                if !measured.is_finite() || weighted.is_some_and(|loss| !loss.is_finite()) {
                    return Err(Error::NotFinite {
                        what: "validation loss",
                        step,
                        samples: vec!["of the validation set".into()],
                        state: saved.map(|step| (step, crate::state::path(folder))),
                    });
                }
                (point.validation_loss, point.weighted_loss) = (Some(measured), weighted);
                let judged = weighted.unwrap_or(measured);
                if done.best_loss.is_none_or(|best| judged < best) {
                    (done.best_loss, done.stale) = (Some(judged), 0);
                    if course.keep_best {
                        state.best.get_or_insert_default().clone_from(&state.parameters);
                    }
                } else {
                    done.stale += 1;
                }
            }
            done.curve.push(point.clone());
            let (layout, parameters) = (&engine.model.layout, &state.parameters[..]);
            let asked = progress(&Look { step: &point, steps: plan.steps, base, layout, parameters }).is_break();
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
            due = course.checkpoint_every > 0 && step % course.checkpoint_every == 0;
            if let Some(stop) = stop {
                state.write(folder)?;
                break stop;
            }
        };
        Ok(outcome(engine.model.layout, state, &course, stop))
    }
}

/// The last good state on disk, or the start, with all that happened since in its records.
fn back(
    state: State,
    spike: Spike,
    fingerprint: &Fingerprint,
    folder: &Path,
    initial: impl Fn() -> Result<Vec<f32>>,
) -> Result<State> {
    let good = match State::read(folder, fingerprint, state.parameters.len())? {
        Some(good) => good,
        None => State::new(fingerprint.clone(), initial()?),
    };
    let progress =
        Progress { step: good.progress.step, ended: Some(Stop::Spike), spike: Some(spike), ..state.progress };
    Ok(State { progress, best: state.best, ..good })
}

/// How the pairs of a step stood; nothing where there were none.
fn preference(loss: &Loss, measured: &Measured) -> Option<PreferenceStep> {
    let pair =
        |case: &Judged| Some((loss.margin(&case.scores)?, case.scores.chosen?.policy, case.scores.rejected?.policy));
    let pairs: Vec<_> = measured.judged.iter().filter_map(pair).collect();
    let mean = |of: &dyn Fn(&(f64, f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
    (!pairs.is_empty()).then(|| PreferenceStep {
        margin: mean(&|pair| pair.0),
        accuracy: mean(&|pair| f64::from(u8::from(pair.0 > 0.0))),
        chosen: mean(&|pair| pair.1),
        rejected: mean(&|pair| pair.2),
    })
}

fn outcome(layout: Layout, state: State, course: &Course, stop: Stop) -> Outcome {
    let State { progress, parameters, best, .. } = state;
    Outcome {
        layout,
        parameters: best.filter(|_| course.keep_best).unwrap_or(parameters),
        validation_loss: progress.best_loss,
        curve: progress.curve,
        stop,
        spike: progress.spike,
    }
}

/// Mean loss of `cases`, in nats.
pub(crate) fn measure(
    base: &Checkpoint,
    layout: Layout,
    parameters: &[f32],
    cases: &[Case],
    course: &Course,
) -> Result<f64> {
    if cases.is_empty() {
        return Err(Error::NoSamples);
    }
    let longest = cases.iter().map(Case::longest).max().unwrap_or(0);
    let loss = Loss::Sft(Default::default());
    let mut engine = Engine::new(base, layout, course, longest)?;
    Ok(engine.measure(parameters, &Batch::new(&loss, cases.iter().collect(), course)).loss)
}

/// What the training is made of; `settings` are those that change what it gives.
pub(crate) fn fingerprint<R: Serialize, S: Serialize>(
    model: String,
    samples: &[R],
    validation: &[R],
    settings: S,
) -> Result<Fingerprint> {
    let hash = |bytes: Vec<u8>| record::shard::sha256(&bytes);
    let [samples, validation] = [samples, validation].map(record::shard::to_jsonl);
    Ok(Fingerprint {
        model,
        settings: hash(record::shard::to_jsonl(&[settings])?),
        samples: hash([hash(samples?), hash(validation?)].concat().into_bytes()),
    })
}
