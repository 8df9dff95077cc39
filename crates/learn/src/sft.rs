use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use record::{Sample, TrainStep};
use weights::{Adapter, Checkpoint, Projection};

use crate::case::Case;
use crate::example::Example;
use crate::train::{Outcome, Stop, Training, fingerprint, measure};
use crate::{Error, Layout, Loss, Result, SftConfig, Spike};

/// What a fine-tuning gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The adapter: with the lowest validation loss where `keep_best` could choose, else the last one.
    pub adapter: Adapter,
    /// Every step so far, those before an interruption included.
    pub curve: Vec<TrainStep>,
    /// Lowest validation loss that was measured; of the weighted one, where weights were given.
    pub validation_loss: Option<f64>,
    /// Why training ended.
    pub stop: Stop,
    /// The spike that ended it.
    pub spike: Option<Spike>,
}

/// Fine-tunes low-rank pairs on `samples`; only completions carry loss.
///
/// The loss of a step is the mean over the learned tokens of `batch_samples` samples, in an order
/// drawn anew for each pass from the seed. `weights`, one for each token of the vocabulary, say what of
/// the validation loss counts where the best point is chosen: Σ w ℓ / Σ |w|. `folder` holds the state: a call with the same base,
/// samples and settings goes on from there, and ends with the same bytes as an undisturbed one.
/// `progress` hears of every step and may stop the training, which saves the state first.
pub fn sft(
    base: &Checkpoint,
    samples: &[Sample],
    validation: &[Sample],
    weights: Option<&[f32]>,
    config: &SftConfig,
    folder: &Path,
    progress: &mut dyn FnMut(&TrainStep) -> ControlFlow<()>,
) -> Result<Trained> {
    config.validate()?;
    let held_out = cases(validation, base, config)?;
    weights.map_or(Ok(()), |weights| weighable(weights, &held_out, base))?;
    let training = Training {
        base,
        layout: layout(base, config.rank, config.alpha, config.rank_stabilised, &config.targets),
        cases: cases(samples, base, config)?,
        validation: held_out,
        weights,
        loss: Loss::Sft(Default::default()),
        course: config.course(samples.len()),
        fingerprint: fingerprint(base.sha256.clone(), samples, validation, (config.lasting(), weights))?,
        folder,
    };
    let Outcome { layout, parameters, curve, validation_loss, stop, spike } =
        training.run(|layout| Ok(layout.initial(config.seed)), &mut |look| progress(look.step))?;
    Ok(Trained { adapter: layout.adapter(&parameters, &base.name), curve, validation_loss, stop, spike })
}

/// Whether weights can say anything of the validation samples.
fn weighable(weights: &[f32], held_out: &[Case], base: &Checkpoint) -> Result<()> {
    let refuse = |problem: String| Err(Error::Setting { setting: "weights", problem });
    if weights.len() != base.architecture.vocab {
        return refuse(format!("are {}, and the vocabulary has {} tokens", weights.len(), base.architecture.vocab));
    }
    if let Some(at) = weights.iter().position(|weight| !weight.is_finite()) {
        return refuse(format!("hold {} for token {at}", weights[at]));
    }
    if held_out.is_empty() {
        return refuse("have no validation samples to weigh".into());
    }
    let answers = held_out.iter().flat_map(Case::completions).map(|c| &c.example);
    if !answers.flat_map(|e| &e.tokens[e.learned_from..]).any(|&token| weights[token as usize] != 0.0) {
        return refuse("weigh no token of the validation samples' answers, so they cannot stop a training".into());
    }
    Ok(())
}

/// Pairs of a strength that is counted either way.
pub(crate) fn layout(
    base: &Checkpoint,
    rank: usize,
    alpha: f32,
    stabilised: bool,
    targets: &BTreeSet<Projection>,
) -> Layout {
    let new = if stabilised { Layout::stabilised } else { Layout::new };
    new(&base.architecture, rank, alpha, targets.clone())
}

/// Mean loss over the learned tokens of `samples`, in nats, of the base or of an adapter on it.
/// Of the settings only `row_tokens`, `truncate` and `threads` count.
pub fn evaluate(base: &Checkpoint, adapter: Option<&Adapter>, samples: &[Sample], config: &SftConfig) -> Result<f64> {
    config.validate()?;
    let (layout, parameters) = match adapter {
        Some(adapter) => Layout::of(adapter, &base.architecture),
        None => (Layout::new(&base.architecture, 1, 1.0, Default::default()), Vec::new()),
    };
    measure(base, layout, &parameters, &cases(samples, base, config)?, &config.course(samples.len()))
}

fn cases(samples: &[Sample], base: &Checkpoint, config: &SftConfig) -> Result<Vec<Case>> {
    let most = config.row_tokens.min(base.architecture.context);
    let one =
        |(number, sample)| Ok(Case::sample(Example::new(sample, &base.tokenizer)?.fit(most, config.truncate)?, number));
    samples.iter().enumerate().map(one).collect()
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
        sft(&base(), &samples(16), &samples(3), None, config, folder, progress).expect("works")
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
            sft(&base(), samples, &[], None, config, folder.path(), &mut |_| ControlFlow::Break(()))
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
        let trained =
            sft(&base(), &samples(16), &wrong, None, &config, folder.path(), &mut |_| ControlFlow::Continue(()))
                .expect("works");
        assert_eq!(trained.stop, Stop::Patience);
        let losses: Vec<f64> = trained.curve.iter().filter_map(|s| s.validation_loss).collect();
        let lowest = losses.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(trained.validation_loss == Some(lowest) && losses[losses.len() - 1] > lowest);
        assert!((evaluate(&base(), Some(&trained.adapter), &wrong, &config).expect("works") - lowest).abs() < 1e-6);
    }

    #[test]
    fn weights_choose_the_kept_point_by_the_tokens_that_they_name() {
        // Answers "37" teach the digits; answers "zzzz" can only grow worse. A weight on z alone wants the
        // first point, a weight on the digits alone a late one, and unit weights are the plain loss.
        let (base, mut both) = (base(), samples(3));
        both[1].messages[1].content = "zzzz".into();
        let said = |text: &str| base.tokenizer.raw(text);
        let weights = |text: &str| {
            let mut weights = vec![0.0; base.architecture.vocab];
            said(text).iter().for_each(|&token| weights[token as usize] = 2.0);
            weights
        };
        let config = SftConfig { epochs: 30, ..config() };
        let go = |weights: Option<&[f32]>| {
            let folder = tempfile::tempdir().expect("works");
            let going = &mut |_: &TrainStep| ControlFlow::Continue(());
            sft(&base, &samples(16), &both, weights, &config, folder.path(), going).expect("works")
        };
        let lowest = |trained: &Trained| {
            let looks = trained.curve.iter().filter_map(|s| Some((s.step, s.weighted_loss?)));
            looks.min_by(|a, b| a.1.total_cmp(&b.1)).expect("looks")
        };
        let (digits, z) = (go(Some(&weights("0123456789"))), go(Some(&weights("z"))));
        assert!(lowest(&z).0 < lowest(&digits).0, "{:?} {:?}", lowest(&z), lowest(&digits));
        assert_eq!(z.validation_loss, Some(lowest(&z).1));
        assert!(z.adapter != digits.adapter);
        let (plain, unit) = (go(None), go(Some(&vec![1.0; base.architecture.vocab])));
        assert!(plain.adapter == unit.adapter, "weights of 1 are the plain loss");
        let same = |s: &TrainStep| s.validation_loss.zip(s.weighted_loss).is_none_or(|(a, b)| (a - b).abs() < 1e-6);
        assert!(unit.curve.iter().all(same) && plain.curve.iter().all(|s| s.weighted_loss.is_none()));
    }

    #[test]
    fn weights_that_weigh_nothing_are_refused() {
        let folder = tempfile::tempdir().expect("works");
        let go = |weights: &[f32], held: &[Sample]| {
            let stop = &mut |_: &TrainStep| ControlFlow::Break(());
            sft(&base(), &samples(4), held, Some(weights), &config(), folder.path(), stop)
                .expect_err("must fail")
                .to_string()
        };
        let vocab = base().architecture.vocab;
        assert!(go(&[1.0], &samples(2)).contains("vocabulary"));
        assert!(go(&vec![f32::NAN; vocab], &samples(2)).contains("token 0"));
        assert!(go(&vec![0.0; vocab], &samples(2)).contains("no token"));
        assert!(go(&vec![1.0; vocab], &[]).contains("no validation samples"));
    }

    #[test]
    fn a_loss_that_is_not_finite_names_step_and_samples() {
        let folder = tempfile::tempdir().expect("works");
        let wild = SftConfig { learning_rate: 1.0, alpha: 1e30, warmup: 0.0, ..config() };
        let error = sft(&base(), &samples(4), &[], None, &wild, folder.path(), &mut |_| ControlFlow::Continue(()))
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
            sft(&base(), &long, &[], None, &config, folder.path(), &mut |_| ControlFlow::Continue(()))
        };
        assert!(go(false).expect_err("must fail").to_string().contains("sample s1"));
        assert_eq!(go(true).expect("works").stop, Stop::Finished);
    }
}
