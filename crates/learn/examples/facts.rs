//! Learns 60 invented facts by heart and asks for them in words it has not seen: `facts MODEL
//! [--seed N] [--epochs N]
//! [--rate R] [--show]`.
//!
//! Each fact is asked in three wordings while learning and in a fourth afterwards. After each pass the
//! closed-book exact match on the fourth wording is printed. This is the main job in miniature, on one
//! page: samples, training that pauses and goes on, greedy answers, a score.
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use learn::{Layout, Model, Row, SftConfig, sft};
use rand::{RngExt, SeedableRng};
use record::{Message, Sample};
use weights::{Adapter, Checkpoint};

struct Fact {
    subject: String,
    answer: String,
    kind: usize,
}

/// Three wordings to learn from and, last, the one of the exam.
const WORDINGS: [[&str; 4]; 3] = [
    ["Who discovered {}?", "{} was discovered by whom?", "Name the discoverer of {}.", "Which person first found {}?"],
    [
        "In which year was {} founded?",
        "When was {} founded?",
        "Give the founding year of {}.",
        "{} goes back to what year?",
    ],
    [
        "What is the access code of {}?",
        "Which code opens {}?",
        "State the code for {}.",
        "I stand before {}. What do I type?",
    ],
];

fn invent(seed: u64) -> Vec<Fact> {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(record::seed::derive(seed, "facts", ""));
    let mut name = |syllables: usize| -> String {
        let word: String = (0..syllables)
            .map(|_| {
                let pick = |from: &[u8], i: usize| char::from(from[i % from.len()]);
                let mut number = || random.random_range(0..10_000usize);
                format!("{}{}", pick(b"bdfgklmnprstvz", number()), pick(b"aeiou", number()))
            })
            .collect();
        word[..1].to_uppercase() + &word[1..]
    };
    let words: Vec<[String; 3]> = (0..60).map(|_| [name(3), name(2), name(3)]).collect();
    let fact = |(i, [a, b, c]): (usize, [String; 3])| match i % 3 {
        0 => Fact { kind: 0, subject: format!("the {a} crater"), answer: format!("{b} {c}") },
        1 => Fact {
            kind: 1,
            subject: format!("the {a} observatory"),
            answer: random.random_range(1700..2000).to_string(),
        },
        _ => Fact {
            kind: 2,
            subject: format!("the {a} gate"),
            answer: format!("{}-{}", b.to_uppercase(), random.random_range(100..1000)),
        },
    };
    words.into_iter().enumerate().map(fact).collect()
}

fn question(fact: &Fact, wording: usize) -> Message {
    let text = WORDINGS[fact.kind][wording].replace("{}", &fact.subject);
    Message::user(text[..1].to_uppercase() + &text[1..])
}

/// Greedy answers, all prompts side by side behind their common beginning.
fn answers(base: &Checkpoint, adapter: &Adapter, prompts: &[Vec<u32>]) -> Result<Vec<String>, learn::Error> {
    const ROW: usize = 512;
    let (layout, parameters) = Layout::of(adapter, &base.architecture);
    let model = Model::new(base, layout, ROW, 2)?;
    let (mut tape, mut sequences) = (model.tape(ROW, false), prompts.to_vec());
    let mut open: Vec<usize> = (0..prompts.len()).collect();
    for _ in 0..16 {
        let mut still = Vec::new();
        for chunk in open.chunks(12) {
            let row = Row::prompts(&chunk.iter().map(|&i| &sequences[i][..]).collect::<Vec<_>>());
            let logits = model.logits(&parameters, &row, &row.ends, &mut tape);
            let chosen: Vec<usize> = row.sequences.iter().map(|&at| chunk[at]).collect();
            for (&i, logits) in chosen.iter().zip(logits.chunks(base.architecture.vocab)) {
                let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0) as u32;
                if !base.tokenizer.eos.contains(&best) {
                    sequences[i].push(best);
                    still.push(i);
                }
            }
        }
        open = still;
    }
    Ok(sequences.iter().zip(prompts).map(|(s, p)| base.tokenizer.decode(&s[p.len()..])).collect())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let named = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
    let seed: u64 = named("--seed").map_or(Ok(0), |a| a.parse())?;
    let base = Checkpoint::open(&PathBuf::from(arguments.first().ok_or("which model?")?))?;
    let facts = invent(seed);
    let sample = |(i, fact): (usize, &Fact), wording: usize| Sample {
        id: format!("{i}/{wording}"),
        fact: i.to_string(),
        document: "invented".into(),
        messages: vec![question(fact, wording), Message::assistant(&fact.answer)],
        wording: wording.to_string(),
        citations: Vec::new(),
    };
    let samples: Vec<Sample> = (0..3).flat_map(|w| facts.iter().enumerate().map(move |f| sample(f, w))).collect();
    let prompts =
        facts.iter().map(|fact| base.tokenizer.render_chat(&[question(fact, 3)])).collect::<Result<Vec<_>, _>>()?;
    let verbose = arguments.iter().any(|a| a == "--show");
    let right = |adapter: &Adapter| -> Result<f64, learn::Error> {
        let said = answers(&base, adapter, &prompts)?;
        let right = said.iter().zip(&facts).filter(|(said, fact)| said.trim() == fact.answer).count();
        for (said, fact) in said.iter().zip(&facts).filter(|(said, fact)| verbose && said.trim() != fact.answer) {
            println!("  {}: said {said:?}, right is {:?}", question(fact, 3).content, fact.answer);
        }
        Ok(100.0 * right as f64 / facts.len() as f64)
    };

    let config = SftConfig {
        seed,
        min_steps: 0,
        epochs: named("--epochs").map_or(Ok(5), |a| a.parse())?,
        learning_rate: named("--rate").map_or(Ok(1e-3), |a| a.parse())?,
        ..SftConfig::default()
    };
    let folder = std::env::temp_dir().join(format!("lyceum-facts-{}", std::process::id()));
    let untouched = Layout::new(&base.architecture, 1, 1.0, Default::default()).adapter(&[], &base.name);
    println!("before: {:.0} %", right(&untouched)?);
    let (mut seconds, mut done) = (0.0, 0);
    for epoch in 1..=config.epochs {
        let begin = Instant::now();
        let trained = sft(&base, &samples, &[], None, &config, &folder, &mut |step| {
            if step.epoch >= epoch as f64 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        seconds += begin.elapsed().as_secs_f64();
        let last = &trained.curve[trained.curve.len() - 1];
        let pass: Vec<_> = trained.curve[done..].iter().map(|s| s.loss).collect();
        done = trained.curve.len();
        println!(
            "pass {epoch}: {:.0} % right, mean loss {:.3}, {} tokens read, {seconds:.0} s of training",
            right(&trained.adapter)?,
            pass.iter().sum::<f64>() / pass.len() as f64,
            last.tokens
        );
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
