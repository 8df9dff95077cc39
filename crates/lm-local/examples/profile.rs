//! Where the time of a step goes: `profile MODEL [THREADS] [KERNELS]`.
//!
//! For 1, 8, 16 and 32 streams that share a prefix of 256 tokens, and for a prompt of 512: time a
//! step by stage, as the first thread sees it. Of several runs the quickest, because machines are noisy.

use std::path::Path;
use std::time::{Duration, Instant};

use lm::{Generate, LanguageModel, Prompt, Sampling};
use lm_local::{Config, Kernels, LocalModel, Spent};
use weights::Checkpoint;

const PREFIX: usize = 256;
const TOKENS: usize = 32;
const RUNS: usize = 7;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().expect("usage: profile MODEL [THREADS] [avx512-bf16|avx512|avx2|plain]");
    let threads = arguments.get(1).map_or(0, |a| a.parse().expect("a number of threads"));
    let kernels = arguments.get(2).map(|a| match a.as_str() {
        "avx512-bf16" => Kernels::Avx512Bf16,
        "avx512" => Kernels::Avx512,
        "avx2" => Kernels::Avx2,
        _ => Kernels::Plain,
    });
    let checkpoint = Checkpoint::open(Path::new(path)).expect("a model");
    let model = LocalModel::load(&checkpoint, Config { threads, kernels, ..Config::default() }).expect("loads");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let tokens =
        |count: usize, salt: usize| (0..count).map(move |i| ((i * 7919 + salt * 104_729) % 40_000 + 100) as u32);
    let ask = |prompt: Vec<u32>, n: usize, max_tokens: usize| Generate {
        n,
        sampling: Sampling { temperature: 1.0, ..Sampling::default() },
        seed: 1,
        ..Generate::greedy(Prompt::Tokens(prompt), max_tokens)
    };
    println!(
        "{}, {} kernels; µs a step by stage, waiting of the first thread in brackets\n",
        model.name(),
        model.kernels()
    );
    print!("| rows | tok/s | step");
    lm_local::Stage::ALL.iter().for_each(|stage| print!(" | {stage:?}"));
    println!(" |");
    println!("|{}", "---|".repeat(3 + lm_local::Stage::ALL.len()));
    for n in [1, 8, 16, 32, 0] {
        let mut best: Option<(Duration, Vec<Spent>, f64, f64)> = None;
        for run in 0..RUNS {
            // A prompt is a new one each time; streams share a prefix that is known.
            let request = match n {
                0 => ask(tokens(512, run + 2).collect(), 1, 1),
                n => ask(tokens(PREFIX, 1).collect(), n, TOKENS),
            };
            model.clock(true);
            let (begin, before) = (Instant::now(), model.statistics());
            let answer = runtime.block_on(model.generate(request)).expect("generates");
            let time = begin.elapsed();
            let spent = model.clock(false);
            let steps = (model.statistics().steps - before.steps) as f64;
            let rate = if n == 0 { answer.usage.prefill } else { answer.usage.decode } as f64 / time.as_secs_f64();
            if run > 0 && best.as_ref().is_none_or(|best| time < best.0) {
                best = Some((time, spent, steps, rate));
            }
        }
        let (time, spent, steps, rate) = best.expect("several runs");
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / steps;
        let name = if n == 0 { "prompt".into() } else { n.to_string() };
        print!("| {name} | {rate:.0} | {:.0}", micros(time));
        for Spent { time, waited, .. } in spent {
            print!(" | {:.0}", micros(time));
            if micros(waited) >= 1.0 {
                print!(" ({:.0})", micros(waited));
            }
        }
        println!(" |");
    }
}
