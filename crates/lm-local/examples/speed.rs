//! Measures the engine: `speed MODEL [int8|f32] [THREADS] [KERNELS]`.
//!
//! Prints tokens a second for 1, 8 and 32 streams that share a prefix of 256 tokens and generate 64
//! each, and for a prompt of 512 tokens. The best of three rounds, because machines are noisy.

use std::path::Path;
use std::time::Instant;

use lm::{Generate, LanguageModel, Prompt, Sampling};
use lm_local::{Config, Kernels, LocalModel, Precision};
use weights::Checkpoint;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().expect("usage: speed MODEL [int8|f32] [THREADS] [avx512-bf16|avx512|avx2|plain]");
    let precision = if arguments.get(1).is_some_and(|a| a == "f32") { Precision::F32 } else { Precision::Int8 };
    let threads = arguments.get(2).map_or(0, |a| a.parse().expect("a number of threads"));
    let kernels = arguments.get(3).map(|a| match a.as_str() {
        "avx512-bf16" => Kernels::Avx512Bf16,
        "avx512" => Kernels::Avx512,
        "avx2" => Kernels::Avx2,
        _ => Kernels::Plain,
    });
    let begin = Instant::now();
    let checkpoint = Checkpoint::open(Path::new(path)).expect("a model");
    let opened = begin.elapsed();
    let config = Config { precision, threads, kernels, ..Config::default() };
    let model = LocalModel::load(&checkpoint, config).expect("loads");
    println!("open {opened:.2?}, load {:.2?}, kernels {}", begin.elapsed() - opened, model.kernels());
    println!("weights read a step: {:.1} MB", model.weight_bytes() as f64 / 1e6);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let words = |count: usize, salt: usize| -> String {
        (0..count).map(|i| [" the", " sea", " and", " wind", " of", " stone"][(i * 7 + salt) % 6]).collect()
    };
    let ask = |prompt: String, n: usize, max_tokens: usize| Generate {
        prompt: Prompt::Raw(prompt),
        n,
        max_tokens,
        sampling: Sampling { temperature: 1.0, ..Sampling::default() },
        seed: 1,
        ..Generate::greedy(Prompt::Raw(String::new()), 1)
    };
    runtime.block_on(async {
        model.generate(ask(words(256, 0), 32, 48)).await.expect("warm");
        for n in [1, 2, 4, 8, 16, 32, 64] {
            let mut best = 0f64;
            for _ in 0..3 {
                let begin = Instant::now();
                let done = model.generate(ask(words(256, 0), n, 64)).await.expect("generates");
                best = best.max(done.usage.decode as f64 / begin.elapsed().as_secs_f64());
            }
            println!("{n:2} streams: {best:7.1} tok/s");
        }
        let mut best = 0f64;
        for round in 0..3 {
            let begin = Instant::now();
            let mut prompt = format!(" {round}");
            prompt.push_str(&words(511, round + 1));
            let done = model.generate(ask(prompt, 1, 1)).await.expect("generates");
            best = best.max(done.usage.prefill as f64 / begin.elapsed().as_secs_f64());
        }
        println!("prompt 512: {best:7.1} tok/s");
        let statistics = model.statistics();
        println!("{} of {} pages used", statistics.pages_used, statistics.pages);
    });
}
