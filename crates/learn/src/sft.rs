use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPool;
use record::{Sample, TrainStep};
use serde::{Deserialize, Serialize};
use weights::{Adapter, Checkpoint};

use crate::adamw::{AdamW, norm};
use crate::example::Example;
use crate::pack::{Row, pack, shared_prefix};
use crate::state::{Fingerprint, Progress, State};
use crate::{Error, Layout, Model, Result, SftConfig, Tape};

/// Why a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// All passes are done.
    Finished,
    /// The next step would have exceeded `max_tokens`.
    Tokens,
    /// The validation loss fell no more.
    Patience,
    /// `max_seconds` are over; the same call goes on.
    Seconds,
    /// The caller asked for it; the same call goes on.
    Asked,
}

/// What a training gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The adapter: with the lowest validation loss where `keep_best` could choose, else the last one.
    pub adapter: Adapter,
    /// Every step so far, those before an interruption included.
    pub curve: Vec<TrainStep>,
    /// Lowest validation loss that was measured.
    pub validation_loss: Option<f64>,
    /// Why training ended.
    pub stop: Stop,
}

/// Fine-tunes low-rank pairs on `samples`; only completions carry loss.
///
/// The loss of a step is the mean over the learned tokens of `batch_samples` samples, in an order
/// drawn anew for each pass from the seed. `folder` holds the state: a call with the same base,
/// samples and settings goes on from there, and ends with the same bytes as an undisturbed one.
/// `progress` hears of every step and may stop the training, which saves the state first.
pub fn sft(
    base: &Checkpoint,
    samples: &[Sample],
    validation: &[Sample],
    config: &SftConfig,
    folder: &Path,
    progress: &mut dyn FnMut(&TrainStep) -> ControlFlow<()>,
) -> Result<Trained> {
    config.validate()?;
    let begin = Instant::now();
    let examples = examples(samples, base, config)?;
    if examples.is_empty() {
        return Err(Error::NoSamples);
    }
    let layout = Layout::new(&base.architecture, config.rank, config.alpha, config.targets.clone());
    let fingerprint = fingerprint(base, samples, validation, config)?;
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
            parameters: layout.initial(config.seed),
            moments: AdamW::new(layout.length),
            best: None,
        },
    };
    if let Some(stop) = state.progress.ended {
        return Ok(trained(&layout, base, state, config, stop));
    }
    let plan = Plan::new(&examples, config)?;
    let mut engine = Engine::new(base, layout, config)?;
    let validation: Vec<Row> = rows(&self::examples(validation, base, config)?, config.row_tokens);
    let prefix = shared_prefix(&examples);
    let mut gradient = vec![0f32; state.parameters.len()];
    let stop = loop {
        let step = state.progress.step + 1;
        let batch: Vec<&Example> = plan.batch(step).iter().map(|&i| &examples[i]).collect();
        let rows = pack(&batch, prefix, config.row_tokens);
        let learned: usize = rows.iter().map(|row| row.learned.len()).sum();
        let rate = config.rate(step, plan.steps);
        let failed = |what| Error::NotFinite { what, step, samples: batch.iter().map(|e| e.id.clone()).collect() };

        let (loss, length) = engine.gradient(&state.parameters, &rows, learned, &mut gradient);
        if !loss.is_finite() {
            return Err(failed("loss"));
        }
        if !length.is_finite() {
            return Err(failed("gradient"));
        }
        let shrink = (config.clip_norm / length).min(1.0);
        engine.pool.install(|| {
            state.moments.step(&mut state.parameters, &gradient, shrink, rate, step, config);
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
        };
        if !validation.is_empty() && plan.measures(step, config) {
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
                if config.keep_best {
                    state.best = Some(state.parameters.clone());
                }
            } else {
                done.stale += 1;
            }
        }
        done.curve.push(point.clone());
        let asked = progress(&point).is_break();
        let stop = if config.patience > 0 && done.stale >= config.patience {
            Some(Stop::Patience)
        } else if step == plan.steps {
            Some(if plan.cut { Stop::Tokens } else { Stop::Finished })
        } else if asked {
            Some(Stop::Asked)
        } else if config.max_seconds.is_some_and(|most| begin.elapsed().as_secs_f64() >= most) {
            Some(Stop::Seconds)
        } else {
            None
        };
        done.ended = stop.filter(|stop| !matches!(stop, Stop::Asked | Stop::Seconds));
        if stop.is_some() || (config.checkpoint_every > 0 && step % config.checkpoint_every == 0) {
            state.write(folder)?;
        }
        if let Some(stop) = stop {
            break stop;
        }
    };
    Ok(trained(&engine.model.layout, base, state, config, stop))
}

/// Mean loss over the learned tokens of `samples`, in nats, of the base or of an adapter on it.
/// Of the settings only `row_tokens`, `truncate` and `threads` count.
pub fn evaluate(base: &Checkpoint, adapter: Option<&Adapter>, samples: &[Sample], config: &SftConfig) -> Result<f64> {
    config.validate()?;
    let examples = examples(samples, base, config)?;
    if examples.is_empty() {
        return Err(Error::NoSamples);
    }
    let (layout, parameters) = match adapter {
        Some(adapter) => Layout::of(adapter, &base.architecture),
        None => (Layout::new(&base.architecture, 1, 1.0, Default::default()), Vec::new()),
    };
    let mut engine = Engine::new(base, layout, config)?;
    Ok(engine.loss(&parameters, &rows(&examples, config.row_tokens)))
}

fn trained(layout: &Layout, base: &Checkpoint, state: State, config: &SftConfig, stop: Stop) -> Trained {
    let parameters = state.best.as_ref().filter(|_| config.keep_best).unwrap_or(&state.parameters);
    Trained {
        adapter: layout.adapter(parameters, &base.name),
        validation_loss: state.progress.best_loss,
        curve: state.progress.curve,
        stop,
    }
}

fn examples(samples: &[Sample], base: &Checkpoint, config: &SftConfig) -> Result<Vec<Example>> {
    let most = config.row_tokens.min(base.architecture.context);
    let one = |sample| Example::new(sample, &base.tokenizer)?.fit(most, config.truncate);
    samples.iter().map(one).collect()
}

/// All examples in as few rows as they need.
fn rows(examples: &[Example], row_tokens: usize) -> Vec<Row> {
    pack(&examples.iter().collect::<Vec<_>>(), shared_prefix(examples), row_tokens)
}

fn fingerprint(
    base: &Checkpoint,
    samples: &[Sample],
    validation: &[Sample],
    config: &SftConfig,
) -> Result<Fingerprint> {
    // These settings change when and where a training pauses, not what it gives.
    let settings = SftConfig { threads: 0, checkpoint_every: 0, max_seconds: None, ..config.clone() };
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
    fn new(examples: &[Example], config: &SftConfig) -> Result<Self> {
        let order = |epoch: usize| {
            let seed = record::seed::derive(config.seed, "learn-order", &epoch.to_string());
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut order: Vec<usize> = (0..examples.len()).collect();
            for last in (1..order.len()).rev() {
                order.swap(last, random.random_range(0..=last));
            }
            order
        };
        let steps_per_epoch = config.steps_per_pass(examples.len());
        let mut plan = Self {
            orders: (0..config.passes(examples.len()) as usize).map(order).collect(),
            batch: config.batch_samples,
            steps_per_epoch,
            steps: steps_per_epoch * config.passes(examples.len()),
            cut: false,
        };
        let mut tokens = 0;
        for step in 1..=plan.steps {
            tokens += plan.batch(step).iter().map(|&i| examples[i].tokens.len() as u64).sum::<u64>();
            if config.max_tokens.is_some_and(|most| tokens > most) {
                (plan.steps, plan.cut) = (step - 1, true);
                break;
            }
        }
        if plan.steps == 0 {
            let problem =
                format!("is less than the {tokens} tokens of the first step; raise it or lower batch_samples");
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
    fn measures(&self, step: u64, config: &SftConfig) -> bool {
        let every = if config.validation_every == 0 { self.steps_per_epoch } else { config.validation_every };
        step.is_multiple_of(every) || step == self.steps
    }
}

/// The model with its buffers and threads.
struct Engine {
    pool: ThreadPool,
    model: Model,
    tape: Tape,
}

impl Engine {
    fn new(base: &Checkpoint, layout: Layout, config: &SftConfig) -> Result<Self> {
        let threads = match config.threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            n => n,
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|source| Error::Threads { threads, source })?;
        let model = Model::new(base, layout, config.row_tokens.min(base.architecture.context), threads)?;
        let tape = model.tape(config.row_tokens);
        Ok(Self { pool, model, tape })
    }

    /// Mean loss and the length of its gradient, which replaces what stands in `gradient`.
    fn gradient(&mut self, parameters: &[f32], rows: &[Row], learned: usize, gradient: &mut [f32]) -> (f64, f64) {
        let Self { pool, model, tape } = self;
        let weight = 1.0 / learned as f32;
        pool.install(|| {
            gradient.fill(0.0);
            let losses = rows.iter().map(|row| model.gradient(parameters, row, weight, tape, gradient));
            let loss = losses.sum::<f64>() / learned as f64;
            (loss, norm(gradient))
        })
    }

    /// Mean loss.
    fn loss(&mut self, parameters: &[f32], rows: &[Row]) -> f64 {
        let Self { pool, model, tape } = self;
        let learned: usize = rows.iter().map(|row| row.learned.len()).sum();
        pool.install(|| rows.iter().map(|row| model.loss(parameters, row, tape)).sum::<f64>() / learned as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::Message;
    use weights::Architecture;

    fn base() -> Checkpoint {
        Checkpoint::random(Architecture::tiny(), 7).expect("works")
    }

    fn samples(count: usize) -> Vec<Sample> {
        let one = |i: usize| Sample {
            id: format!("s{i}"),
            fact: format!("f{i}"),
            document: "d".into(),
            messages: vec![
                Message::user(format!("What is number {i}?")),
                Message::assistant(format!("{}", i * 37 % 100)),
            ],
            wording: "hand".into(),
            citations: Vec::new(),
        };
        (0..count).map(one).collect()
    }

    fn config() -> SftConfig {
        SftConfig {
            rank: 4,
            batch_samples: 4,
            epochs: 5,
            min_steps: 0,
            learning_rate: 5e-3,
            row_tokens: 128,
            ..SftConfig::default()
        }
    }

    fn run(folder: &Path, config: &SftConfig, progress: &mut dyn FnMut(&TrainStep) -> ControlFlow<()>) -> Trained {
        sft(&base(), &samples(16), &samples(3), config, folder, progress).expect("works")
    }

    #[test]
    fn learns_and_measures() {
        let folder = tempfile::tempdir().expect("works");
        let config = SftConfig { epochs: 40, ..config() };
        let trained = run(folder.path(), &config, &mut |_| ControlFlow::Continue(()));
        let (first, last) = (&trained.curve[0], &trained.curve[trained.curve.len() - 1]);
        assert_eq!((trained.stop, last.step, last.epoch), (Stop::Finished, 160, 40.0));
        assert!(last.loss < first.loss / 3.0, "{} -> {}", first.loss, last.loss);
        assert_eq!(trained.curve.iter().filter(|s| s.validation_loss.is_some()).count(), 40);
        // The validation samples are among the training samples here, and the adapter is the best one.
        let measured = evaluate(&base(), Some(&trained.adapter), &samples(3), &config).expect("works");
        assert!((measured - trained.validation_loss.expect("works")).abs() < 1e-6);
        let before = evaluate(&base(), None, &samples(3), &config).expect("works");
        assert!(measured < before / 3.0, "{before} -> {measured}");
    }

    #[test]
    fn an_interrupted_training_ends_with_the_same_bytes() {
        let config = SftConfig { checkpoint_every: 5, ..config() };
        let (whole, broken) = (tempfile::tempdir().expect("works"), tempfile::tempdir().expect("works"));
        let undisturbed = run(whole.path(), &config, &mut |_| ControlFlow::Continue(()));
        assert_eq!(undisturbed.curve.len(), 20);
        // A panic after step 11 stands for a kill: what came after the state of step 10 is lost.
        let killed = std::panic::catch_unwind(|| {
            run(broken.path(), &config, &mut |step| {
                assert!(step.step < 11, "killed on purpose");
                ControlFlow::Continue(())
            })
        });
        assert!(killed.is_err());
        let mut seen = Vec::new();
        let stopped = run(broken.path(), &SftConfig { threads: 1, ..config.clone() }, &mut |step| {
            seen.push(step.step);
            if step.step == 13 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((stopped.stop, seen), (Stop::Asked, vec![11, 12, 13]));
        let resumed =
            run(broken.path(), &SftConfig { threads: 3, ..config.clone() }, &mut |_| ControlFlow::Continue(()));
        assert!(resumed == undisturbed);
        let bytes = |folder: &Path| std::fs::read(crate::state::path(folder)).expect("works");
        assert!(bytes(whole.path()) == bytes(broken.path()));
        // A finished training is not done again.
        let again = run(broken.path(), &config, &mut |_| panic!("no step is left"));
        assert!(again == undisturbed);
    }

    #[test]
    fn a_folder_of_another_training_is_refused() {
        let folder = tempfile::tempdir().expect("works");
        let go = |samples: &[Sample], config: &SftConfig| {
            sft(&base(), samples, &[], config, folder.path(), &mut |_| ControlFlow::Break(()))
        };
        go(&samples(8), &config()).expect("works");
        let other = go(&samples(7), &config()).expect_err("must fail").to_string();
        assert!(other.contains("other samples"), "{other}");
        assert!(
            go(&samples(8), &SftConfig { rank: 5, ..config() })
                .expect_err("must fail")
                .to_string()
                .contains("settings")
        );
        let state = crate::state::path(folder.path());
        let half = std::fs::read(&state).expect("works");
        std::fs::write(&state, &half[..half.len() / 2]).expect("works");
        assert!(matches!(go(&samples(8), &config()).expect_err("must fail"), Error::State { .. }));
    }

    #[test]
    fn budgets_stop_before_they_are_exceeded() {
        let folder = tempfile::tempdir().expect("works");
        let all = run(folder.path(), &config(), &mut |_| ControlFlow::Continue(()));
        let limit = all.curve[6].tokens + 1;
        let folder = tempfile::tempdir().expect("works");
        let cut =
            run(folder.path(), &SftConfig { max_tokens: Some(limit), ..config() }, &mut |_| ControlFlow::Continue(()));
        assert_eq!((cut.stop, cut.curve.len()), (Stop::Tokens, 7));
        assert!(cut.curve[6].learning_rate < 0.3 * config().learning_rate, "the schedule ends with the budget");
        let folder = tempfile::tempdir().expect("works");
        let quick = SftConfig { max_seconds: Some(1e-9), ..config() };
        let stopped = run(folder.path(), &quick, &mut |_| ControlFlow::Continue(()));
        assert_eq!((stopped.stop, stopped.curve.len()), (Stop::Seconds, 1));
    }

    #[test]
    fn patience_stops_and_the_best_is_kept() {
        let folder = tempfile::tempdir().expect("works");
        // Validation answers contradict the training answers, so their loss must rise in the end.
        let mut wrong = samples(3);
        wrong.iter_mut().for_each(|s| s.messages[1].content = "zzzz".into());
        let config = SftConfig { epochs: 60, patience: 3, validation_every: 2, ..config() };
        let trained = sft(&base(), &samples(16), &wrong, &config, folder.path(), &mut |_| ControlFlow::Continue(()))
            .expect("works");
        assert_eq!(trained.stop, Stop::Patience);
        let losses: Vec<f64> = trained.curve.iter().filter_map(|s| s.validation_loss).collect();
        let lowest = losses.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(trained.validation_loss == Some(lowest) && losses[losses.len() - 1] > lowest);
        assert!((evaluate(&base(), Some(&trained.adapter), &wrong, &config).expect("works") - lowest).abs() < 1e-6);
    }

    #[test]
    fn a_loss_that_is_not_finite_names_step_and_samples() {
        let folder = tempfile::tempdir().expect("works");
        let wild = SftConfig { learning_rate: 1.0, alpha: 1e30, warmup: 0.0, ..config() };
        let error = sft(&base(), &samples(4), &[], &wild, folder.path(), &mut |_| ControlFlow::Continue(()))
            .expect_err("must fail");
        let Error::NotFinite { samples, .. } = &error else { panic!("{error}") };
        assert_eq!(samples.len(), 4);
        assert!(error.to_string().contains("s1"), "{error}");
    }

    #[test]
    fn long_samples_are_refused_by_name_or_cut_when_asked() {
        let folder = tempfile::tempdir().expect("works");
        let mut long = samples(2);
        long[1].messages[1].content = "on and on ".repeat(40);
        let go = |truncate| {
            let config = SftConfig { truncate, epochs: 1, ..config() };
            sft(&base(), &long, &[], &config, folder.path(), &mut |_| ControlFlow::Continue(()))
        };
        assert!(go(false).expect_err("must fail").to_string().contains("sample s1"));
        assert_eq!(go(true).expect("works").stop, Stop::Finished);
    }
}
