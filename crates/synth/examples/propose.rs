//! Shows what synth makes of a folder:
//! `cargo run --release -p synth --example propose FOLDER [facts|items [N] [SEED [MODEL.gguf]]]`.
//! Without a model the wordings are those of the frames.

use std::path::Path;

use record::Bank;
use synth::Config;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = Path::new(arguments.first().map_or(".", String::as_str));
    let what = arguments.get(1).map_or("facts", String::as_str);
    let number = arguments.get(2).and_then(|n| n.parse().ok()).unwrap_or(240);
    let seed = arguments.get(3).and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut config = Config { facts: number, ..Config::default() };
    let mut facts = Vec::new();
    for id in documents::list(root)? {
        match documents::read(root, &id, &documents::Config::default()) {
            Ok(document) => facts.extend(synth::facts(&document, &config)),
            Err(error) => eprintln!("{error}"),
        }
    }
    if what == "facts" {
        for fact in &facts {
            println!(
                "{} | {} | {} | {} | {:?} | {}",
                fact.rule, fact.subject, fact.attribute, fact.answer, fact.kind, fact.citation.text
            );
        }
        return Ok(());
    }
    let selection = synth::select(facts, &config, seed);
    let mut reasons = std::collections::BTreeMap::<&str, usize>::new();
    selection.drops.iter().for_each(|drop| *reasons.entry(&drop.reason).or_default() += 1);
    let model: lm::SharedModel = match arguments.get(4) {
        Some(path) => {
            let checkpoint = weights::Checkpoint::open(Path::new(path))?;
            std::sync::Arc::new(lm_local::LocalModel::load(&checkpoint, lm_local::Config::default())?)
        }
        None => {
            config = Config { model_wordings: 0, verify: false, ..config };
            std::sync::Arc::new(lm::ScriptedModel::new())
        }
    };
    let start = std::time::Instant::now();
    let synthesis = synth::word(&selection.facts, &model, &config, seed).await?;
    synth::review(&synthesis.items, &synthesis.samples, 50, seed).iter().for_each(|line| println!("{line}"));
    let exam = synthesis.items.iter().filter(|item| item.bank == Bank::Exam).count();
    synthesis.drops.iter().for_each(|drop| println!("{} {}: {}", drop.stage, drop.reason, drop.detail));
    println!("not taken: {reasons:?}");
    println!(
        "{} facts taken, {} items ({exam} exam), {} samples, {} overlaps, {:.1} s, {:?}",
        selection.facts.len(),
        synthesis.items.len(),
        synthesis.samples.len(),
        synth::overlaps(&synthesis.samples, &synthesis.items).len(),
        start.elapsed().as_secs_f64(),
        synthesis.usage
    );
    Ok(())
}
