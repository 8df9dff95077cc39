//! Trains a pico decoder from nothing on seeded problems and sits it at unseen ones:
//! `pico [--size NAME] [--kinds chain-4,words-3] [--tokens N] [--seed N] [--rate R] [--batch N]
//! [--row N] [--decay D] [--prompts] [--vocab N] [--exam N] [--threads N] [--out FOLDER]`.
//!
//! Prints speed, as tokens a second and as a share of what the machine's matrix product reaches, the
//! losses, and the greedy accuracy of each kind.
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use learn::PretrainConfig;
use lm::{Generate, LanguageModel, Prompt};
use lm_local::LocalModel;
use tasks::{Kind, Problem, Split};
use weights::{Architecture, Checkpoint, Tokenizer};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let named = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
    let number = |name: &str, default: f64| named(name).map_or(Ok(default), |a| a.parse::<f64>());
    let all = Kind::ALL.map(|kind| format!("{kind}-3")).join(",");
    let kinds: Vec<(Kind, u8)> = named("--kinds")
        .unwrap_or(&all)
        .split(',')
        .map(|one| {
            let (kind, difficulty) = one.split_once('-').ok_or("write chain-4")?;
            Ok::<_, Failure>((kind.parse()?, difficulty.parse()?))
        })
        .collect::<Result<_, _>>()?;
    let (tokens, seed, threads) =
        (number("--tokens", 4e6)? as u64, number("--seed", 1.0)? as u64, number("--threads", 2.0)? as usize);
    let config = PretrainConfig {
        tokens: Some(tokens),
        learning_rate: number("--rate", 3e-3)?,
        batch_tokens: number("--batch", 8192.0)? as usize,
        row_tokens: number("--row", 1024.0)? as usize,
        weight_decay: number("--decay", 0.1)?,
        learn_prompts: arguments.iter().any(|a| a == "--prompts"),
        validation_every: 200,
        seed,
        threads,
        ..PretrainConfig::default()
    };
    let problems = |split, n: usize, seed| -> Result<Vec<Vec<Problem>>, Failure> {
        kinds.iter().map(|&(kind, difficulty)| Ok(tasks::generate(kind, difficulty, split, n, seed)?)).collect()
    };
    // About a hundred tokens a problem; more passes where that is not enough.
    let train = problems(Split::Train, tokens as usize / kinds.len() / 70, seed)?;
    let validation = problems(Split::Validation, 40, seed)?;
    let samples = |of: &[Vec<Problem>]| of.iter().flatten().map(Problem::sample).collect::<Result<Vec<_>, _>>();
    let (texts, validation) = (samples(&train)?, samples(&validation)?);
    let vocab = number("--vocab", 0.0)? as usize;
    let tokenizer = Tokenizer::learned(texts.iter().flat_map(|t| &t.messages).map(|m| m.content.as_str()), vocab)?;
    let default = String::from("pico-1m");
    let size = named("--size").unwrap_or(&default);
    let architecture = Architecture::pico(size, tokenizer.vocab()).ok_or("no such size")?;
    let start = Checkpoint::fresh(architecture.clone(), tokenizer, seed)?;
    let temporary = std::env::temp_dir().join(format!("pico-{}", std::process::id()));
    let folder = named("--out").map_or(temporary.clone(), PathBuf::from);

    let peak = learn::gflops(threads);
    let begin = Instant::now();
    let trained = learn::pretrain(&start, &texts, &validation, &config, &folder, &mut |step| {
        if let Some(loss) = step.validation_loss {
            let rate = step.tokens as f64 / begin.elapsed().as_secs_f64();
            println!("step {} loss {:.3} validation {loss:.3} {rate:.0} tokens/s", step.step, step.loss);
        }
        ControlFlow::Continue(())
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    let last = trained.curve.last().ok_or("no step")?;
    let rate = last.tokens as f64 / seconds;
    // Forward and backward multiply each weight three times a token; attention is left out.
    let speed = 6.0 * architecture.parameters() as f64 * rate / 1e9;
    println!(
        "{size}: {} weights, {} tokens ({:.1} passes) in {seconds:.1} s: {rate:.0} tokens/s, {speed:.0} of {peak:.0} gflops ({:.0} %)",
        architecture.parameters(),
        last.tokens,
        last.epoch,
        100.0 * speed / peak
    );
    let exam = problems(Split::Exam, number("--exam", 100.0)? as usize, 7)?;
    let model = Arc::new(LocalModel::load(&trained.checkpoint, lm_local::Config { threads, ..Default::default() })?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let (mut right, mut asked) = (0, 0);
    let begin = Instant::now();
    for (problems, (kind, difficulty)) in exam.iter().zip(&kinds) {
        let answers = problems.iter().map(|problem| {
            let model = model.clone();
            let request = Generate::greedy(Prompt::Raw(problem.prompt()), 200);
            runtime.spawn(async move { model.generate(request).await })
        });
        let answers: Vec<_> = answers.collect();
        let mut of_kind = 0;
        for (problem, answer) in problems.iter().zip(answers) {
            let answer = runtime.block_on(answer)??;
            of_kind += usize::from(problem.verify(&answer.completions[0].text));
        }
        println!("{kind}-{difficulty}: {:.1} % of {}", 100.0 * of_kind as f64 / problems.len() as f64, problems.len());
        (right, asked) = (right + of_kind, asked + problems.len());
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("all: {:.1} % of {asked} in {seconds:.1} s", 100.0 * f64::from(right as u32) / f64::from(asked as u32));
    let _ = std::fs::remove_dir_all(temporary);
    Ok(())
}
