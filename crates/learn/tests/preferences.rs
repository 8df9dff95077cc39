//! Preference losses against TRL's own trainers; `goldens/preferences.py` made the data, which holds
//! TRL's settings, losses and gradients.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use learn::losses::{AnswerScores, Dpo, Ipo, Kto, Loss, PairScores, SimPo};
use learn::{Layout, Model, Row, Sequence};
use serde::Deserialize;
use weights::{Adapter, Architecture, Checkpoint};

/// What all comparisons must keep, of the largest number of a vector or matrix.
const WITHIN: f64 = 1e-4;

/// Numbers of the better and of the worse answers.
#[derive(Deserialize)]
struct Two<T> {
    chosen: Vec<T>,
    rejected: Vec<T>,
}

#[derive(Deserialize)]
struct Golden {
    loss: f64,
    #[serde(default)]
    point: f64,
    #[serde(default)]
    gradient: Vec<f64>,
}

#[derive(Deserialize)]
struct Formulas {
    tokens: Two<usize>,
    policy: Two<f64>,
    reference: Two<f64>,
    losses: BTreeMap<String, Golden>,
}

#[derive(Deserialize)]
struct Pair {
    prompt: Vec<u32>,
    chosen: Vec<u32>,
    rejected: Vec<u32>,
}

#[derive(Deserialize)]
struct Batch {
    pairs: Vec<Pair>,
    policy: Two<f64>,
    reference: Two<f64>,
    losses: BTreeMap<String, Golden>,
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&std::fs::read(data(name)).expect("golden file")).expect("golden JSON")
}

/// The losses as the script sets TRL's.
fn losses() -> [Loss; 4] {
    [
        Loss::Dpo(Dpo { beta: 0.1, label_smoothing: 0.0 }),
        Loss::Ipo(Ipo { beta: 0.1 }),
        Loss::SimPo(SimPo { beta: 2.0, gamma: 0.5 }),
        Loss::Kto(Kto { beta: 0.1, desirable: 1.0, undesirable: 1.5 }),
    ]
}

/// Fails where `ours` is not `theirs` within the part of its largest number.
fn equal(what: &str, ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let largest = theirs.iter().fold(0f64, |most, x| most.max(x.abs()));
    assert!(largest > 0.0, "{what}: zeros prove nothing");
    let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0f64, f64::max);
    assert!(apart <= WITHIN * largest, "{what}: {apart:e} apart, of {largest:e}: {ours:?}, TRL {theirs:?}");
}

fn pairs(answer: impl Fn(usize, bool) -> AnswerScores, count: usize) -> Vec<PairScores> {
    let pair = |i| PairScores { chosen: Some(answer(i, true)), rejected: Some(answer(i, false)), weight: 1.0 };
    (0..count).map(pair).collect()
}

#[test]
fn losses_and_their_gradients_are_those_of_trl() {
    let golden: Formulas = read("preferences/formulas.json");
    for loss in losses() {
        let theirs = &golden.losses[loss.name()];
        let answer = |i: usize, chosen: bool| {
            fn pick<T: Copy>(of: &Two<T>, i: usize, chosen: bool) -> T {
                if chosen { of.chosen[i] } else { of.rejected[i] }
            }
            AnswerScores {
                policy: pick(&golden.policy, i, chosen),
                reference: pick(&golden.reference, i, chosen),
                tokens: pick(&golden.tokens, i, chosen),
                // Shows where a loss looks at what is not its business.
                advantage: f64::NAN,
                mismatched: Some(theirs.point),
            }
        };
        let (value, parts) = loss.mean(&pairs(answer, golden.tokens.chosen.len()));
        equal(loss.name(), &[value], &[theirs.loss]);
        let ours: Vec<f64> = parts.iter().map(|p| p.d_chosen).chain(parts.iter().map(|p| p.d_rejected)).collect();
        equal(loss.name(), &ours, &theirs.gradient);
    }
}

/// Summed log-probabilities of all sequences of a row, in the order in which they were packed.
fn sums(model: &Model, parameters: &[f32], row: &Row) -> Vec<f64> {
    let each = model.log_probabilities(parameters, row, &mut model.tape(16, false));
    let mut sums = vec![0.0; row.sequences.len()];
    for (&sequence, answer) in row.sequences.iter().zip(&row.answers) {
        sums[sequence] = answer.iter().flat_map(Clone::clone).map(|i| f64::from(each[i])).sum();
    }
    sums
}

fn sequences(all: &[(Vec<u32>, usize)]) -> Row {
    Row::sequences(
        &all.iter().map(|(tokens, from)| Sequence { tokens, learned_from: *from, group: 0 }).collect::<Vec<_>>(),
    )
}

#[test]
fn gradients_of_every_lora_matrix_are_those_of_trl() {
    let golden: Batch = read("preferences/batch.json");
    let base = Checkpoint::random(Architecture::tiny(), 1).expect("base");
    let adapter = Adapter::load(&data("theirs"), &base.architecture).expect("adapter");
    let (layout, parameters) = Layout::of(&adapter, &base.architecture);
    let model = Model::new(&base, layout, 64, 2).expect("model");
    let untouched = vec![0.0; parameters.len()];

    // Sequence 2i is the chosen answer of pair i, 2i + 1 the rejected one.
    let both = |pair: &Pair| [pair.chosen.clone(), pair.rejected.clone()].map(|answer| (pair.prompt.clone(), answer));
    let all: Vec<(Vec<u32>, Vec<u32>)> = golden.pairs.iter().flat_map(both).collect();
    let join = |prompt: &[u32], answer: &[u32]| ([prompt, answer].concat(), prompt.len());
    let row = sequences(&all.iter().map(|(prompt, answer)| join(prompt, answer)).collect::<Vec<_>>());
    let apart: usize = all.iter().map(|(prompt, answer)| prompt.len() + answer.len() - 1).sum();
    assert!(row.tokens.len() < apart * 2 / 3, "the pairs must share much for this test to mean something");
    assert!(
        row.segments.all().iter().any(|segment| segment.parent.is_some_and(|p| row.segments.all()[p].parent.is_some()))
    );

    let (policy, reference) = (sums(&model, &parameters, &row), sums(&model, &untouched, &row));
    let order = |two: &Two<f64>| two.chosen.iter().zip(&two.rejected).flat_map(|(a, b)| [*a, *b]).collect::<Vec<f64>>();
    equal("policy", &policy, &order(&golden.policy));
    equal("reference", &reference, &order(&golden.reference));

    // TRL's mismatched pairs: each prompt with the answer before it, the first with the last one.
    let moved = (0..all.len()).map(|i| join(&all[i].0, &all[(i + all.len() - 1) % all.len()].1));
    let moved = sequences(&moved.collect::<Vec<_>>());
    let ratios: Vec<f64> = sums(&model, &parameters, &moved)
        .iter()
        .zip(sums(&model, &untouched, &moved))
        .map(|(policy, reference)| policy - reference)
        .collect();

    for loss in losses() {
        let (name, theirs) = (loss.name(), &golden.losses[loss.name()]);
        let scores = |policy: &[f64]| {
            let answer = |i: usize, chosen: bool| {
                let at = 2 * i + usize::from(!chosen);
                AnswerScores {
                    policy: policy[at],
                    reference: reference[at],
                    tokens: all[at].1.len(),
                    advantage: 0.0,
                    mismatched: Some(ratios[at]),
                }
            };
            pairs(answer, golden.pairs.len())
        };
        if name == "kto" {
            equal("KTO's point", &[loss.point(&scores(&policy))], &[theirs.point]);
        }
        let (mut value, mut gradient) = (f64::NAN, vec![0.0; parameters.len()]);
        let mut weigh = |losses: &[f32]| {
            let mut policy = vec![0.0; all.len()];
            for (&at, answer) in row.sequences.iter().zip(&row.answers) {
                policy[at] = -answer.iter().flat_map(Clone::clone).map(|i| f64::from(losses[i])).sum::<f64>();
            }
            let (mean, parts) = loss.mean(&scores(&policy));
            value = mean;
            let mut weights = vec![0f32; losses.len()];
            for (&at, answer) in row.sequences.iter().zip(&row.answers) {
                let part = &parts[at / 2];
                let d = if at % 2 == 0 { part.d_chosen } else { part.d_rejected };
                answer.iter().flat_map(Clone::clone).for_each(|i| weights[i] -= d as f32);
            }
            weights
        };
        model.gradient_by(&parameters, &row, &mut weigh, &mut model.tape(16, false), &mut gradient);
        equal(name, &[value], &[theirs.loss]);
        let expected =
            Adapter::load(&data(&format!("preferences/gradient-{name}")), &base.architecture).expect("gradient");
        let ours = model.layout.adapter(&gradient, "gradient");
        assert_eq!(expected.pairs.len(), 14);
        for (place, theirs) in &expected.pairs {
            let wide = |of: &[f32]| of.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
            equal(&format!("{name} {place:?} A"), &wide(&ours.pairs[place].a), &wide(&theirs.a));
            equal(&format!("{name} {place:?} B"), &wide(&ours.pairs[place].b), &wide(&theirs.b));
        }
    }
}
