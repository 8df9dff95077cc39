use std::ops::ControlFlow;
use std::path::Path;

use record::{Drop, Preference, TrainStep};
use weights::{Adapter, Checkpoint, Part};

use crate::look::{Learned, Look};
use crate::places::Places;
use crate::sft::layout;
use crate::sift::{sift, something_left};
use crate::train::{Outcome, Stop, Training, fingerprint};
use crate::{Error, Layout, PreferConfig, Result, Spike};

/// What learning from preferences gives.
#[derive(Debug, Clone)]
pub struct Preferred {
    /// The adapter or model: with the lowest validation loss where `keep_best` could choose, else the
    /// last one.
    pub learned: Learned,
    /// Every step so far, those before an interruption included.
    pub curve: Vec<TrainStep>,
    /// Lowest validation loss that was measured.
    pub validation_loss: Option<f64>,
    /// Why training ended.
    pub stop: Stop,
    /// The spike that ended it.
    pub spike: Option<Spike>,
    /// Preferences, of both sets, that could not be learned from, and why: `duplicate`, `bad-weight`,
    /// `no-prompt`, `no-chosen`, `no-rejected`, `no-answer`, `same-answers`, `empty-answer`,
    /// `unknown-token`, `no-advantage`, `template`, `template-prefix-mismatch`,
    /// `template-without-generation-mark`, `too-long`, `not-learnable`.
    pub skipped: Vec<Drop>,
}

/// Makes `config.loss` small over preferences, from a model, or from an adapter on it.
///
/// `start` is what training goes on from, and with `base` it is the reference; without it, `base` is.
/// What the reference says of all answers is computed once, before the first step, and kept in the
/// folder. An answer's tokens are those that were drawn, where it has them; its end of turn is learned
/// where it has one, its prompt never.
///
/// A step sees `batch_pairs` preferences in an order drawn anew for each pass from the seed; those of
/// one question stand together, in one tree, so that what they share is computed once. The loss of a
/// step, and that of the `validation` preferences, is as in [`crate::losses`], with the weight of each
/// preference. What cannot be learned from is skipped and named; nothing left is an error.
///
/// `folder` holds the state: a call with the same base, start, preferences and settings goes on from
/// there, and ends with the same bytes as an undisturbed one. `progress` sees every step, can ask for
/// what stands after it ([`Look::learned`]), and may stop the training, which saves the state first.
pub fn prefer(
    base: &Checkpoint,
    start: Option<&Adapter>,
    preferences: &[Preference],
    validation: &[Preference],
    config: &PreferConfig,
    folder: &Path,
    progress: &mut dyn FnMut(&Look<'_>) -> ControlFlow<()>,
) -> Result<Preferred> {
    config.validate()?;
    let model = match start {
        Some(start) => {
            fits(start, base)?;
            record::shard::sha256(format!("{} {}", base.sha256, address(start)).as_bytes())
        }
        None => base.sha256.clone(),
    };
    let merged = start.filter(|_| config.whole).map(|start| base.merged(start)).transpose()?;
    let base = merged.as_ref().unwrap_or(base);

    let (cases, mut skipped) = sift(preferences, base, config);
    something_left(&cases, preferences.len(), &skipped)?;
    let (validation_cases, more) = sift(validation, base, config);
    if !validation.is_empty() {
        something_left(&validation_cases, validation.len(), &more)?;
    }
    skipped.extend(more);

    let (layout, initial) = match start {
        _ if config.whole => (Layout::whole(&base.architecture), None),
        Some(start) => {
            let (layout, values) = continued(start, base, config.seed);
            (layout, Some(values))
        }
        None => (layout(base, config.rank, config.alpha, config.rank_stabilised, &config.targets), None),
    };
    let training = Training {
        base,
        layout,
        cases,
        validation: validation_cases,
        weights: None,
        loss: config.loss.clone(),
        course: config.course(base.architecture.parameters()),
        fingerprint: fingerprint(model, preferences, validation, config.lasting())?,
        folder,
    };
    let initial = |layout: &Layout| match &initial {
        _ if layout.whole => Places::new(&base.architecture).read(base),
        Some(values) => Ok(values.clone()),
        None => Ok(layout.initial(config.seed)),
    };
    let Outcome { layout, parameters, curve, validation_loss, stop, spike } = training.run(initial, progress)?;
    let learned = Learned::of(base, &layout, &parameters)?;
    Ok(Preferred { learned, curve, validation_loss, stop, spike, skipped })
}

/// Layout and parameters of an adapter that is trained further. Where it lacks a pair in some block,
/// a fresh one stands, which changes nothing yet but can learn.
fn continued(start: &Adapter, base: &Checkpoint, seed: u64) -> (Layout, Vec<f32>) {
    let (layout, _) = Layout::of(start, &base.architecture);
    let mut whole = layout.adapter(&layout.initial(seed), &base.name);
    whole.pairs.extend(start.pairs.clone());
    Layout::of(&whole, &base.architecture)
}

/// Refuses an adapter of another model.
fn fits(start: &Adapter, base: &Checkpoint) -> Result<()> {
    let architecture = &base.architecture;
    for (&(block, projection), pair) in &start.pairs {
        let (outputs, inputs) = architecture.shape(Part::Projection(block, projection));
        let shapes = (start.rank * inputs, outputs * start.rank);
        if block >= architecture.blocks || (pair.a.len(), pair.b.len()) != shapes {
            let problem = format!("does not fit this model in block {block}, {}", projection.module());
            return Err(Error::Setting { setting: "start", problem });
        }
    }
    Ok(())
}

/// What an adapter's numbers are.
fn address(adapter: &Adapter) -> String {
    let mut bytes = format!("{} {}", adapter.rank, adapter.alpha).into_bytes();
    for ((block, projection), pair) in &adapter.pairs {
        bytes.extend(format!("{block} {}", projection.module()).bytes());
        bytes.extend(bytemuck::cast_slice::<f32, u8>(&pair.a));
        bytes.extend(bytemuck::cast_slice::<f32, u8>(&pair.b));
    }
    record::shard::sha256(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::{Aco, Dpo, Loss};
    use crate::{Schedule, SftConfig, sft};
    use record::{Answer, Message, Sample};
    use weights::Architecture;

    fn base() -> Checkpoint {
        Checkpoint::random(Architecture::tiny(), 7).expect("works")
    }

    fn answer(text: String, advantage: f64) -> Answer {
        Answer { text, ended: true, advantage: Some(advantage), ..Answer::default() }
    }

    /// Two pairs for each of `questions` questions, the second of which share a first step.
    fn pairs(questions: usize) -> Vec<Preference> {
        let one = |i: usize| {
            let (question, second) = (i / 2, i % 2);
            let begin =
                if second == 1 { format!("First, {question} is {}. ", question * 7 % 10) } else { String::new() };
            Preference {
                id: format!("p{i}"),
                question: format!("q{question}"),
                messages: vec![Message::user(format!("What is number {question}?"))],
                chosen: Some(answer(format!("{begin}It is {}.", question * 37 % 100), 0.2)),
                rejected: Some(answer(format!("{begin}Perhaps {}?", question * 53 % 100), 0.1 * question as f64)),
                weight: 1.0,
                step: Some(1 + second as u32),
            }
        };
        (0..2 * questions).map(one).collect()
    }

    fn config() -> PreferConfig {
        PreferConfig {
            loss: Loss::Dpo(Dpo::default()),
            rank: 4,
            alpha: 8.0,
            batch_pairs: 6,
            epochs: 3,
            learning_rate: 3e-3,
            row_tokens: 256,
            ..PreferConfig::default()
        }
    }

    fn go(config: &PreferConfig, pairs: &[Preference]) -> Preferred {
        let folder = tempfile::tempdir().expect("works");
        prefer(&base(), None, pairs, &[], config, folder.path(), &mut |_| ControlFlow::Continue(())).expect("works")
    }

    fn adapter(preferred: &Preferred) -> &Adapter {
        preferred.learned.adapter().expect("pairs were trained")
    }

    #[test]
    fn pairs_are_told_apart_and_the_start_is_the_reference() {
        let folder = tempfile::tempdir().expect("works");
        let config = PreferConfig { epochs: 20, ..config() };
        let (train, held) = (pairs(9), pairs(12).split_off(18));
        let preferred =
            prefer(&base(), None, &train, &held, &config, folder.path(), &mut |_| ControlFlow::Continue(()))
                .expect("works");
        let (first, last) = (&preferred.curve[0], &preferred.curve[59]);
        assert_eq!((preferred.stop, preferred.curve.len(), preferred.skipped.len()), (Stop::Finished, 60, 0));
        assert!((first.loss - 2f64.ln()).abs() < 1e-4 && last.loss < 0.1, "{} -> {}", first.loss, last.loss);
        let [first, last] = [first, last].map(|step| step.preference.clone().expect("pairs"));
        assert!(first.margin.abs() < 1e-4 && last.margin > 2.0 && last.accuracy == 1.0, "{last:?}");
        assert!(last.chosen - last.rejected > first.chosen - first.rejected + 20.0, "{first:?} {last:?}");
        assert!(preferred.validation_loss.expect("measured") < 0.6);
    }

    #[test]
    fn every_loss_falls_for_pairs_and_for_whole_weights() {
        for loss in Loss::list() {
            for whole in [false, true] {
                let learning_rate = if whole { 1e-3 } else { 3e-3 };
                let config = PreferConfig { loss: loss.clone(), whole, learning_rate, epochs: 10, ..config() };
                let preferred = go(&config, &pairs(6));
                let (first, last) = (preferred.curve[0].loss, preferred.curve[19].loss);
                assert!(last < 0.95 * first, "{} {whole}: {first} -> {last}", loss.name());
                assert_eq!(preferred.learned.adapter().is_none(), whole);
                let told = matches!(loss, Loss::Sft(_) | Loss::Npo(_));
                assert_eq!(preferred.curve[0].preference.is_none(), told, "{}", loss.name());
            }
        }
    }

    #[test]
    fn aco_without_end_trains_as_dpo_to_the_last_bit() {
        let endless = Loss::Aco(Aco { alpha: f64::INFINITY, ..Aco::default() });
        let [dpo, aco, calibrated] = [config().loss, endless, Loss::Aco(Aco::default())]
            .map(|loss| go(&PreferConfig { loss, ..config() }, &pairs(6)));
        assert!(adapter(&dpo) == adapter(&aco) && dpo.curve == aco.curve);
        assert!(adapter(&dpo) != adapter(&calibrated), "some rejected answers have the higher advantage");
    }

    #[test]
    fn an_interrupted_training_ends_with_the_same_bytes() {
        for (loss, whole) in [("kto", false), ("dpo", true)] {
            let loss = Loss::parse(loss).expect("known");
            let config = PreferConfig { loss, whole, checkpoint_every: 4, epochs: 1, ..config() };
            let (undisturbed, broken) = (tempfile::tempdir().expect("works"), tempfile::tempdir().expect("works"));
            let run = |folder: &Path, config: &PreferConfig, stop: &dyn Fn(u64) -> bool| {
                prefer(&base(), None, &pairs(36), &pairs(38)[72..], config, folder, &mut |look| {
                    if stop(look.step.step) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })
                .expect("works")
            };
            let bytes = |folder: &Path| {
                [crate::state::path(folder), crate::reference::path(folder)].map(|p| std::fs::read(p).expect("there"))
            };
            let whole_run = run(undisturbed.path(), &config, &|_| false);
            assert_eq!(whole_run.curve.len(), 12);
            // A kill while references are computed leaves the chunks that were done.
            let path = crate::reference::path(broken.path());
            let text = std::fs::read_to_string(crate::reference::path(undisturbed.path())).expect("there");
            let mut known: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let sums = known["sums"].as_array_mut().expect("sums");
            let (all, chunk) = (sums.len(), 64 * sums.len() / 76);
            assert!(all > chunk);
            sums.truncate(chunk);
            record::shard::write_json(&path, &known).expect("written");
            // A panic stands for a kill: what came after the last state is lost.
            let killed = std::panic::catch_unwind(|| run(broken.path(), &config, &|step| panic_at(step, 7)));
            assert!(killed.is_err());
            let one = PreferConfig { threads: 1, ..config.clone() };
            let stopped = run(broken.path(), &one, &|step| step == 9);
            assert_eq!((stopped.stop, stopped.curve.len()), (Stop::Asked, 9));
            let three = PreferConfig { threads: 3, recompute: true, ..config.clone() };
            let resumed = run(broken.path(), &three, &|_| false);
            assert!(bytes(undisturbed.path()) == bytes(broken.path()));
            assert_eq!(resumed.curve, whole_run.curve);
            let other = PreferConfig { learning_rate: 1e-5, ..config };
            let refused = prefer(&base(), None, &pairs(36), &[], &other, broken.path(), &mut |_| panic!("no step"));
            assert!(refused.expect_err("must fail").to_string().contains("with other"));
        }
    }

    fn panic_at(step: u64, at: u64) -> bool {
        assert!(step < at, "killed on purpose");
        false
    }

    #[test]
    fn training_goes_on_from_an_adapter_which_is_the_reference() {
        let sample = |i: usize| Sample {
            id: format!("s{i}"),
            fact: String::new(),
            document: String::new(),
            messages: vec![Message::user(format!("What is number {i}?")), Message::assistant(format!("Perhaps {i}?"))],
            wording: String::new(),
            citations: Vec::new(),
        };
        let samples: Vec<Sample> = (0..8).map(sample).collect();
        let first =
            SftConfig { rank: 3, rank_stabilised: true, row_tokens: 128, min_steps: 30, ..SftConfig::default() };
        let folder = tempfile::tempdir().expect("works");
        let tuned = sft(&base(), &samples, &[], None, &first, folder.path(), &mut |_| ControlFlow::Continue(()))
            .expect("works")
            .adapter;
        assert!((tuned.scale() - 32.0 / 3f32.sqrt()).abs() < 1e-4 && tuned.stabilised);
        let chosen = |preferred: &Preferred| preferred.curve[0].preference.clone().expect("pairs").chosen;
        let mut begun = vec![chosen(&go(&config(), &pairs(6)))];
        for whole in [false, true] {
            let folder = tempfile::tempdir().expect("works");
            let config = PreferConfig { whole, ..config() };
            let mut seen = Vec::new();
            let preferred = prefer(&base(), Some(&tuned), &pairs(6), &[], &config, folder.path(), &mut |look| {
                seen.push(look.learned().expect("a look"));
                ControlFlow::Continue(())
            })
            .expect("works");
            assert!((preferred.curve[0].loss - 2f64.ln()).abs() < 1e-4);
            assert_eq!(seen.len(), 6);
            begun.push(chosen(&preferred));
            match (&preferred.learned, &seen[5]) {
                (Learned::Adapter(last), Learned::Adapter(seen)) => {
                    assert!(last == seen && last.rank == 3 && last.stabilised && last.scale() == tuned.scale());
                    assert!(*last != tuned);
                }
                (Learned::Whole(last), Learned::Whole(seen)) => {
                    assert_eq!(last.sha256, seen.sha256);
                }
                _ => panic!("one kind or the other"),
            }
        }
        // Merged or beside the weights, it is the same function, and another one than the base.
        assert!((begun[1] - begun[2]).abs() < 1e-2 && (begun[0] - begun[1]).abs() > 0.5, "{begun:?}");
        let other = Checkpoint::random(Architecture { width: 32, ..Architecture::tiny() }, 7).expect("works");
        let folder = tempfile::tempdir().expect("works");
        let error = prefer(&other, Some(&tuned), &pairs(6), &[], &config(), folder.path(), &mut |_| panic!("no step"));
        assert!(error.expect_err("must fail").to_string().contains("does not fit"));
    }

    #[test]
    fn what_cannot_be_learned_from_is_named_and_never_learned() {
        let good = pairs(2);
        let mut bad = good.clone();
        let edit = |id: &str, change: &dyn Fn(&mut Preference)| {
            let mut pair = Preference { id: id.into(), ..good[0].clone() };
            change(&mut pair);
            pair
        };
        let chosen = |pair: &mut Preference, change: &dyn Fn(&mut Answer)| change(pair.chosen.as_mut().expect("there"));
        bad.push(edit("p0", &|_| ()));
        bad.push(edit("same", &|pair| pair.rejected = pair.chosen.clone()));
        bad.push(edit("empty", &|pair| chosen(pair, &|answer| answer.text = " ".into())));
        bad.push(edit("long", &|pair| chosen(pair, &|answer| answer.text = "on and on ".repeat(90))));
        bad.push(edit("weight", &|pair| pair.weight = f64::NAN));
        bad.push(edit("lone", &|pair| pair.rejected = None));
        bad.push(edit("blank", &|pair| *pair = Preference { chosen: None, rejected: None, ..pair.clone() }));
        bad.push(edit("prompt", &|pair| pair.messages.clear()));
        bad.push(edit("token", &|pair| chosen(pair, &|answer| answer.tokens = vec![1, 999_999])));
        bad.push(edit("advantage", &|pair| chosen(pair, &|answer| answer.advantage = None)));
        let aco = PreferConfig { loss: Loss::default(), ..config() };
        let preferred = go(&aco, &bad);
        let found: Vec<_> = preferred.skipped.iter().map(|drop| (&*drop.record, &*drop.reason)).collect();
        let expected = [
            ("p0", "duplicate"),
            ("same", "same-answers"),
            ("empty", "empty-answer"),
            ("long", "too-long"),
            ("weight", "bad-weight"),
            ("lone", "no-rejected"),
            ("blank", "no-chosen"),
            ("prompt", "no-prompt"),
            ("token", "unknown-token"),
            ("advantage", "no-advantage"),
        ];
        assert_eq!(found, expected);
        assert!(adapter(&preferred) == adapter(&go(&aco, &good)), "the rest is learned as if they had not been there");
        // Losses that need no partner take the lone one, and those without advantages that one.
        let of = |name: &str| {
            let config = PreferConfig { loss: Loss::parse(name).expect("known"), ..config() };
            go(&config, &bad).skipped.iter().map(|drop| drop.record.clone()).collect::<Vec<_>>()
        };
        assert!(!of("kto").contains(&"lone".into()) && !of("sft").contains(&"lone".into()));
        assert!(!of("dpo").contains(&"advantage".into()));
        let cut = go(&PreferConfig { truncate: true, ..aco.clone() }, &bad);
        assert!(cut.skipped.iter().all(|drop| drop.record != "long"));
        let folder = tempfile::tempdir().expect("works");
        let nothing = prefer(&base(), None, &bad[5..8], &[], &aco, folder.path(), &mut |_| panic!("no step"));
        let text = nothing.expect_err("must fail").to_string();
        assert!(text.contains("none of the 3") && text.contains("1 same-answers"), "{text}");
    }

    #[test]
    fn weights_and_drawn_tokens_count() {
        let first = |pairs: &[Preference]| go(&PreferConfig { epochs: 1, ..config() }, pairs).curve[0].clone();
        let plain = first(&pairs(3));
        let mut heavy = pairs(3);
        heavy.iter_mut().for_each(|pair| pair.weight = 3.0);
        let heavy = first(&heavy);
        assert!((heavy.loss - 3.0 * plain.loss).abs() < 1e-6);
        assert!((heavy.gradient_norm / plain.gradient_norm - 3.0).abs() < 1e-3);
        // Letters one by one are other tokens than the words, and a cut answer does not end.
        let mut spelled = pairs(3);
        let tokenizer = base().tokenizer;
        for answer in spelled.iter_mut().flat_map(|pair| [&mut pair.chosen, &mut pair.rejected]).flatten() {
            answer.tokens = answer.text.chars().flat_map(|c| tokenizer.encode(&c.to_string())).collect();
            answer.ended = false;
        }
        let letters: usize =
            spelled.iter().flat_map(|p| [&p.chosen, &p.rejected]).flatten().map(|a| a.tokens.len()).sum();
        assert_eq!(first(&spelled).learned_tokens, letters as u64);
    }

    #[test]
    fn a_spike_goes_back_to_the_last_good_state_and_so_does_what_is_no_number() {
        let folder = tempfile::tempdir().expect("works");
        let run = |config: &PreferConfig, pairs: &[Preference], folder: &Path| {
            prefer(&base(), None, pairs, &[], config, folder, &mut |_| ControlFlow::Continue(()))
        };
        // One pair weighs as much as all others a thousand times.
        let mut all = pairs(6);
        all[5].weight = 1e4;
        let one = PreferConfig { spike: Some(20.0), batch_pairs: 1, checkpoint_every: 2, ..config() };
        let spiked = run(&one, &all, folder.path()).expect("works");
        let spike = spiked.spike.clone().expect("a spike");
        assert_eq!((spiked.stop, &spike.samples[..]), (Stop::Spike, &["p5".to_string()][..]));
        assert_eq!((spike.back_to, spiked.curve.len() as u64), ((spike.step - 2) / 2 * 2, spike.step - 1));
        assert!(spike.loss.expect("a number") > 1000.0 * spike.median.expect("enough steps"), "{spike:?}");
        // What is given back is what stood after that step, and it stays so.
        let mut then = None;
        let folder2 = tempfile::tempdir().expect("works");
        let calm = PreferConfig { spike: None, ..one.clone() };
        prefer(&base(), None, &all, &[], &calm, folder2.path(), &mut |look| {
            then = Some(look.learned().expect("a look"));
            if look.step.step == spike.back_to { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .expect("works");
        assert!(then.expect("a step").adapter() == spiked.learned.adapter());
        let again = run(&one, &all, folder.path()).expect("works");
        assert!(again.spike == spiked.spike && adapter(&again) == adapter(&spiked));

        let all = pairs(6);
        let wild = PreferConfig { learning_rate: 1.0, warmup: 0.0, schedule: Schedule::Constant, ..config() };
        let broken = PreferConfig { alpha: 1e30, ..wild };
        let folder = tempfile::tempdir().expect("works");
        let soft = run(&PreferConfig { spike: Some(3.0), ..broken.clone() }, &all, folder.path()).expect("works");
        let spike = soft.spike.clone().expect("a stop");
        assert_eq!((soft.stop, spike.loss), (Stop::Spike, None));
        assert!(adapter(&soft).pairs.values().all(|pair| pair.a.iter().chain(&pair.b).all(|x| x.is_finite())));
        let folder = tempfile::tempdir().expect("works");
        let error = run(&PreferConfig { spike: None, ..broken }, &all, folder.path()).expect_err("must fail");
        assert!(matches!(&error, Error::NotFinite { samples, .. } if samples.len() == 6), "{error}");
    }
}
