use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use record::{Sample, TrainStep};
use weights::Checkpoint;

use crate::case::Case;
use crate::example::Example;
use crate::places::Places;
use crate::train::{Outcome, Stop, Training, fingerprint};
use crate::{Layout, Loss, PretrainConfig, Result, Spike};

/// What a training of all weights gives.
#[derive(Debug, Clone)]
pub struct Pretrained {
    /// The Hugging Face folder that was written, where [`Checkpoint::open`] finds the model.
    pub folder: PathBuf,
    /// The model: with the lowest validation loss where `keep_best` could choose, else the last one.
    pub checkpoint: Checkpoint,
    /// Every step so far, those before an interruption included.
    pub curve: Vec<TrainStep>,
    /// Lowest validation loss that was measured.
    pub validation_loss: Option<f64>,
    /// Why training ended.
    pub stop: Stop,
    /// The spike that ended it.
    pub spike: Option<Spike>,
}

/// Trains all weights of `start` on `texts`, from nothing ([`Checkpoint::fresh`]) or from a model that
/// is there.
///
/// A text is a conversation: what the last message says is learned, and what stands before it where
/// `learn_prompts` says so. A text of one message is learned whole, its first token aside. The loss of
/// a step is the mean over the learned tokens of about `batch_tokens` tokens, in an order drawn anew
/// for each pass from the seed; texts that share a row do not see each other.
///
/// `folder` becomes a Hugging Face folder and holds the state beside it: a call with the same start,
/// texts and settings goes on from there, and ends with the same bytes as an undisturbed one.
/// `progress` hears of every step and may stop the training, which saves state and model first.
pub fn pretrain(
    start: &Checkpoint,
    texts: &[Sample],
    validation: &[Sample],
    config: &PretrainConfig,
    folder: &Path,
    progress: &mut dyn FnMut(&TrainStep) -> ControlFlow<()>,
) -> Result<Pretrained> {
    config.validate()?;
    let (cases, layout) = (cases(texts, start, config)?, Layout::whole(&start.architecture));
    let tokens = cases.iter().map(Case::tokens).sum();
    let training = Training {
        base: start,
        course: config.course(cases.len(), tokens, layout.length),
        layout,
        cases,
        validation: self::cases(validation, start, config)?,
        weights: None,
        loss: Loss::Sft(Default::default()),
        fingerprint: fingerprint(start.sha256.clone(), texts, validation, config.lasting())?,
        folder,
    };
    let places = Places::new(&start.architecture);
    let Outcome { parameters, curve, validation_loss, stop, spike, .. } =
        training.run(|_| places.read(start), &mut |look| progress(look.step))?;
    let trained = start.with(places.tensors(&start.architecture, &parameters))?;
    weights::export_hf(&trained, None, folder)?;
    // Opened again, so that name and address are those of the folder.
    let checkpoint = Checkpoint::open(folder)?;
    Ok(Pretrained { folder: folder.into(), checkpoint, curve, validation_loss, stop, spike })
}

fn cases(texts: &[Sample], start: &Checkpoint, config: &PretrainConfig) -> Result<Vec<Case>> {
    let one = |(number, text): (usize, &Sample)| {
        let example = Example::text(text, &start.tokenizer, config.learn_prompts)?;
        Ok(Case::sample(example.fit(start.architecture.context, config.truncate)?, number))
    };
    texts.par_iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use record::Message;
    use weights::{Architecture, Tokenizer};

    fn texts(count: usize) -> Vec<Sample> {
        let one = |i: usize| Sample {
            id: format!("t{i}"),
            fact: String::new(),
            document: String::new(),
            messages: vec![
                Message::user(format!("{} + {}?", i % 10, i / 10 % 10)),
                Message::assistant(format!("Answer: {}\n", i % 10 + i / 10 % 10)),
            ],
            wording: String::new(),
            citations: Vec::new(),
        };
        (0..count).map(one).collect()
    }

    fn start() -> Checkpoint {
        let tokenizer = Tokenizer::learned(std::iter::empty(), 0).expect("works");
        let vocab = tokenizer.vocab();
        let small = Architecture { width: 32, head_dim: 16, hidden: 64, heads: 2, kv_heads: 1, ..Architecture::tiny() };
        Checkpoint::fresh(Architecture { vocab, ..small }, tokenizer, 1).expect("works")
    }

    fn config() -> PretrainConfig {
        PretrainConfig {
            epochs: 2,
            batch_tokens: 500,
            row_tokens: 64,
            validation_every: 5,
            learning_rate: 1e-2,
            ..PretrainConfig::default()
        }
    }

    fn run(
        folder: &Path,
        config: &PretrainConfig,
        progress: &mut dyn FnMut(&TrainStep) -> ControlFlow<()>,
    ) -> Pretrained {
        pretrain(&start(), &texts(100), &texts(7), config, folder, progress).expect("works")
    }

    fn bytes(folder: &Path) -> [Vec<u8>; 2] {
        ["training.safetensors", "model.safetensors"].map(|name| std::fs::read(folder.join(name)).expect("there"))
    }

    #[test]
    fn learns_and_writes_a_folder_that_opens() {
        let folder = tempfile::tempdir().expect("works");
        let config = PretrainConfig { epochs: 40, ..config() };
        let trained = run(folder.path(), &config, &mut |_| ControlFlow::Continue(()));
        assert_eq!(trained.stop, Stop::Finished);
        let (first, last) = (&trained.curve[0], &trained.curve[trained.curve.len() - 1]);
        assert!(first.loss > 4.5 && last.loss < 0.6, "{} -> {}", first.loss, last.loss);
        assert!(trained.validation_loss.expect("measured") < 0.6);
        let read = Checkpoint::open(folder.path()).expect("opened");
        assert_eq!(read.sha256, trained.checkpoint.sha256);
        // What was written is what was measured: another training of no more steps begins at that loss.
        let again = tempfile::tempdir().expect("works");
        let next = pretrain(&read, &texts(100), &[], &config, again.path(), &mut |_| ControlFlow::Break(()));
        assert!((next.expect("works").curve[0].loss - last.loss).abs() < 0.3);
    }

    #[test]
    fn an_interrupted_training_ends_with_the_same_bytes_on_any_threads() {
        let config = PretrainConfig { checkpoint_every: 3, ..config() };
        let (whole, broken) = (tempfile::tempdir().expect("works"), tempfile::tempdir().expect("works"));
        let undisturbed =
            run(whole.path(), &PretrainConfig { threads: 1, ..config.clone() }, &mut |_| ControlFlow::Continue(()));
        assert_eq!(undisturbed.curve.len(), 10);
        // A panic after step 5 stands for a kill: what came after the state of step 3 is lost.
        let killed = std::panic::catch_unwind(|| {
            run(broken.path(), &config, &mut |step| {
                assert!(step.step < 5, "killed on purpose");
                ControlFlow::Continue(())
            })
        });
        assert!(killed.is_err());
        let mut seen = Vec::new();
        let stopped = run(broken.path(), &PretrainConfig { threads: 2, ..config.clone() }, &mut |step| {
            seen.push(step.step);
            if step.step == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((stopped.stop, seen), (Stop::Asked, vec![4, 5, 6, 7]));
        let config = PretrainConfig { threads: 3, ..config };
        let resumed = run(broken.path(), &config, &mut |_| ControlFlow::Continue(()));
        assert!(resumed.curve == undisturbed.curve && resumed.checkpoint.sha256 == undisturbed.checkpoint.sha256);
        assert!(bytes(whole.path()) == bytes(broken.path()));
        let other = PretrainConfig { weight_decay: 0.0, ..config };
        let refused =
            pretrain(&start(), &texts(100), &texts(7), &other, broken.path(), &mut |_| ControlFlow::Continue(()));
        assert!(refused.expect_err("must fail").to_string().contains("settings"));
    }

    #[test]
    fn a_token_budget_passes_over_the_texts_as_often_as_it_takes() {
        let folder = tempfile::tempdir().expect("works");
        let config = PretrainConfig { tokens: Some(8000), ..config() };
        let trained = run(folder.path(), &config, &mut |_| ControlFlow::Continue(()));
        let last = &trained.curve[trained.curve.len() - 1];
        assert_eq!(trained.stop, Stop::Tokens);
        assert!((7000..=8000).contains(&last.tokens) && last.epoch > 2.0, "{last:?}");
        assert!(last.learning_rate < 1e-3, "the schedule ends with the budget");
    }

    #[test]
    fn prompts_are_learned_when_asked_and_a_lone_text_always() {
        let start = start();
        let mut lone = texts(1);
        lone[0].messages.remove(0);
        let learned = |texts: &[Sample], learn_prompts| {
            let config = PretrainConfig { learn_prompts, ..config() };
            let case = &cases(texts, &start, &config).expect("works")[0];
            (case.tokens() as usize, case.learned() as usize)
        };
        let (all, completion) = learned(&texts(1), false);
        assert_eq!((all, completion), ("Q: 0 + 0?\nA:\nAnswer: 0\n".len() + 1, "Answer: 0\n".len() + 1));
        assert_eq!(learned(&texts(1), true), (all, all - 1));
        assert_eq!(learned(&lone, false), (completion, completion - 1));
        lone[0].messages[0].content.clear();
        assert!(cases(&lone, &start, &config()).is_err());
    }

    #[test]
    fn a_loss_that_is_not_finite_names_step_and_texts() {
        let folder = tempfile::tempdir().expect("works");
        let wild = PretrainConfig { learning_rate: 1.0, clip_norm: 1e30, warmup: 0.0, weight_decay: 0.0, ..config() };
        // A norm's weight near the largest number makes the first products infinite.
        let start = start();
        let mut parts: std::collections::BTreeMap<_, _> =
            start.architecture.parts().into_iter().map(|part| (part, start.matrix(part).expect("there"))).collect();
        parts.insert(weights::Part::FinalNorm, weights::Matrix::f32(1, 32, vec![3e38; 32]));
        let start = start.with(parts).expect("finite");
        let error = pretrain(&start, &texts(20), &[], &wild, folder.path(), &mut |_| ControlFlow::Continue(()))
            .expect_err("must fail");
        assert!(matches!(&error, Error::NotFinite { step: 1, .. }), "{error}");
    }
}
