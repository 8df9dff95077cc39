//! A report with everything in it: two exams that gained, one that was undecided, hostile text.

use std::collections::BTreeMap;

use exam::Overlap;
use record::{Bank, Citation, FactKind, Input, Item, Manifest, Mode, Response, TrainStep, Usage};
use report::{Cost, DocumentLine, Flow, Paper, Report};

/// Markup, a quote that would end an attribute, and characters that turn the direction of writing.
pub const HOSTILE: &str = "<script>document.title='hacked'</script><img src=x onerror=\"hacked()\">' \u{202e}drow";

const DOCUMENTS: [(&str, &str); 5] = [
    ("05-power.md", "Power"),
    ("07-radio-and-telephone.md", "Radio and Telephone"),
    ("09-kelp-laboratory.md", "The Kelp Laboratory"),
    ("13-kitchen-and-stores.md", "Kitchen and Stores"),
    ("15-alarms-and-emergencies.md", "Alarms and Emergencies"),
];
const KINDS: [FactKind; 4] = [FactKind::Number, FactKind::Name, FactKind::Code, FactKind::Date];

fn item(index: usize) -> Item {
    let document = DOCUMENTS[index % 7 % DOCUMENTS.len()].0;
    let sentence = format!("Pump {index} was built by the firm of Halloran and holds {} litres.", 10 * index + 7);
    Item {
        id: format!("item-{index:03}"),
        fact: format!("fact-{}", index / 2),
        document: document.into(),
        kind: KINDS[index % 5 % 4],
        bank: Bank::Exam,
        question: format!("How much water fits into pump {index}?"),
        answers: vec![format!("{} litres", 10 * index + 7)],
        choices: Vec::new(),
        sentence: sentence.clone(),
        citation: Some(Citation { document: document.into(), sentence: index as u32 + 1, text: sentence }),
        wording: "t3".into(),
    }
}

fn sitting(items: &[Item], model: &str, mode: Mode, choices: bool, right: impl Fn(usize) -> bool) -> Vec<Response> {
    let answer = |(index, item): (usize, &Item)| {
        let (right, failed, silent) = (right(index), index == 11 && model == "before", index % 40 == 17);
        let text = match (right, failed || silent, index % 3) {
            (true, ..) => item.answers[0].clone(),
            (false, true, _) => String::new(),
            (false, false, 0) => HOSTILE.into(),
            (false, false, 1) if mode == Mode::Open => format!("The pump takes {}.", item.answers[0]),
            (false, false, _) => "The pump holds a large quantity of water.".into(),
        };
        Response {
            item: item.id.clone(),
            fact: item.fact.clone(),
            document: item.document.clone(),
            kind: item.kind,
            model: model.into(),
            mode,
            question: item.question.clone(),
            expected: item.answers[0].clone(),
            text,
            score: f64::from(u8::from(right)),
            secondary: if right { 1.0 } else { 0.1 },
            choice_logprobs: if choices { vec![-1.5, -2.5] } else { Vec::new() },
            abstained: !right && silent,
            failed: (failed && !right).then(|| "engine: stopped".into()),
            usage: Usage { prefill: 20, cached: 12, decode: 6 },
        }
    };
    items.iter().enumerate().map(answer).collect()
}

/// Exams of the sample: title, bar, mode, which items are right before and after.
type Right = fn(usize) -> bool;
const PAPERS: [(&str, Option<f64>, Mode, Right, Right); 4] = [
    ("new questions about the documents", Some(0.5), Mode::Closed, |i| i % 53 == 5, |i| i % 9 != 4 && i % 53 != 5),
    ("new questions about the documents", None, Mode::Open, |i| i % 7 < 4, |i| i % 13 != 4),
    ("questions written by hand", Some(0.5), Mode::Closed, |i| i % 40 == 3, |i| i % 5 < 3),
    ("general knowledge", Some(-0.04), Mode::Closed, |i| i % 10 < 4, |i| i % 10 < 4 && i % 50 != 11),
];

fn step(step: u64) -> TrainStep {
    let at = step as f64;
    TrainStep {
        step,
        epoch: at / 40.0,
        loss: 3.4 * (-at / 45.0).exp() + 0.12 + 0.1 * (at * 1.7).sin().abs(),
        learning_rate: 1e-3,
        gradient_norm: 1.0,
        tokens: 336 * step,
        learned_tokens: 96 * step,
        validation_loss: step.is_multiple_of(40).then(|| 3.1 * (-at / 60.0).exp() + 0.35),
        weighted_loss: None,
        preference: None,
    }
}

fn flow(name: &str, asked: u64, drops: &[(&str, u64)]) -> Flow {
    let drops: BTreeMap<String, u64> = drops.iter().map(|(reason, n)| (reason.to_string(), *n)).collect();
    let delivered = asked - drops.values().sum::<u64>();
    Flow { name: name.into(), asked, delivered, drops }
}

fn cost(stage: &str, seconds: f64, prefill: u64, cached: u64, decode: u64) -> Cost {
    Cost { stage: stage.into(), seconds, usage: Usage { prefill, cached, decode }, cost_usd: 0.0 }
}

/// The whole of it.
pub fn report() -> Report {
    let items: Vec<Item> = (0..160).map(item).collect();
    let papers = PAPERS.iter().map(|(title, bar, mode, before, after)| {
        let choices = *title == "general knowledge";
        let [before, after] =
            [("before", before), ("after", after)].map(|(label, right)| sitting(&items, label, *mode, choices, right));
        Paper::new(*title, *bar, &items, &before, &after).expect("one bank")
    });
    let documents = DOCUMENTS.iter().enumerate().map(|(index, (id, title))| DocumentLine {
        id: id.to_string(),
        title: if index == 2 { format!("{title} <b>&amp; {HOSTILE}") } else { title.to_string() },
        sentences: 180 + 17 * index as u64,
        proposed: 60 + 7 * index as u64,
        taken: 30 + 2 * index as u64,
    });
    Report {
        title: "Station handbook".into(),
        model: "SmolLM2-135M-Instruct".into(),
        documents: documents.collect(),
        flow: vec![
            flow("facts", 370, &[("duplicate", 41), ("ambiguous", 96), ("over the budget", 63)]),
            flow("training samples", 680, &[("unsupported", 38), ("known already", 9), ("too long", 4)]),
            flow("exam questions", 170, &[("shares eight words", 10)]),
        ],
        curve: (1..=240).map(step).collect(),
        practice: None,
        papers: papers.collect(),
        overlap: Some(Overlap {
            items: 160,
            samples: 629,
            sharing: 0,
            longest: 6,
            templates: 0,
            over_half: 0,
            masked_mean: 0.21,
            masked_greatest: 0.5,
            offenders: Vec::new(),
        }),
        costs: vec![
            cost("reading", 0.4, 0, 0, 0),
            cost("wording", 74.2, 48_211, 102_400, 18_377),
            cost("exam before", 41.0, 31_500, 9_000, 4_120),
            cost("training", 311.5, 80_640, 0, 0),
            cost("exam after", 38.6, 31_500, 9_000, 2_040),
        ],
        notes: Vec::new(),
        manifest: Manifest {
            schema_version: 1,
            stage: "report".into(),
            recipe: serde_json::json!({"model": "smollm2-135m", "learn": {"rank": 16, "epochs": 6}, "note": HOSTILE}),
            inputs: vec![Input { path: "05-power.md".into(), sha256: "ab".repeat(32) }],
            outputs: vec![Input { path: "adapter/adapter_model.safetensors".into(), sha256: "cd".repeat(32) }],
            seed: 17,
            version: "0.1.0".into(),
            git_revision: Some("0123456789abcdef".into()),
            git_dirty: Some(false),
            kernels: Some("avx512-vnni".into()),
            usage: Usage::default(),
            cost_usd: 0.0,
            seconds: 466.0,
            delivered: 1,
            dropped: BTreeMap::new(),
        },
    }
}
