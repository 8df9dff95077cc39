//! Times training steps on a whole model: `step MODEL [--rows R] [--length L] [--samples S] [--steps N]
//! [--rank K] [--threads T] [--shared P] [--row-tokens N] [--recompute] [--export FOLDER]`.
//!
//! A step is R sequences of L seeded tokens, all of which carry loss; S of them make a packed row. The
//! sequences of a row begin with the same P tokens, which carry no loss. The tape has room for
//! `--row-tokens`, or else for the row. Prints a line of JSON: losses, tokens a second (median and best
//! step; shared tokens count for each sequence), seconds of a step by part (their sum is the mean
//! step), the share of what the machine's matrix product reaches, peak memory and its estimate. With
//! `--export` the base (Hugging Face layout), the first adapter (PEFT) and the tokens are written there
//! and nothing is timed, so that another program can do the same steps.
use std::path::PathBuf;
use std::time::Instant;

use learn::{AdamW, Layout, Model, Row, Sequence, SftConfig};
use weights::{Architecture, Checkpoint, Part, Projection};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let named = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
    let number = |name: &str, default: usize| named(name).map_or(Ok(default), |a| a.parse());
    let path = PathBuf::from(arguments.first().ok_or("which model?")?);
    let base = Checkpoint::open(&path)?;
    let (rows, length, steps) = (number("--rows", 2)?, number("--length", 256)?, number("--steps", 5)?);
    let (shared, recompute) = (number("--shared", 0)?.min(length), arguments.iter().any(|a| a == "--recompute"));
    let (rank, threads, group) = (number("--rank", 8)?, number("--threads", 2)?, number("--samples", 2)?);

    let config = SftConfig { rank, alpha: 2.0 * rank as f32, ..SftConfig::default() };
    let course = config.course(rows);
    let layout = Layout::new(&base.architecture, rank, config.alpha, Projection::ALL.into());
    let mut parameters = layout.initial(1);
    let decayed = layout.decayed;
    let tokens = |row: usize| -> Vec<u32> {
        let vocab = base.architecture.vocab as u64;
        (0..length as u64 + 1)
            .map(|t| (if t < shared as u64 { row / group } else { row } as u64, t))
            .map(|(row, t)| (((row * 7919 + t) * 2_654_435_761) >> 7) % vocab.min(5000))
            .map(|t| t as u32)
            .collect()
    };
    if let Some(folder) = named("--export").map(PathBuf::from) {
        weights::export_hf(&base, None, &folder.join("base"))?;
        layout.adapter(&parameters, &base.name).save(&folder.join("adapter"))?;
        let all: Vec<Vec<u32>> = (0..rows).map(tokens).collect();
        std::fs::write(folder.join("tokens.json"), serde_json::to_vec(&all)?)?;
        return Ok(());
    }
    let all: Vec<Vec<u32>> = (0..rows).map(tokens).collect();
    let of_row = |chunk: &[Vec<u32>]| {
        let one = |tokens| Sequence { tokens, learned_from: shared.max(1), group: 0 };
        Row::sequences(&chunk.iter().map(|tokens| one(tokens)).collect::<Vec<_>>())
    };
    let pack = || all.chunks(group).map(of_row).collect::<Vec<_>>();
    let packed = pack();
    let (targets, read) = packed.iter().fold((0, 0), |(a, b), row| (a + row.targets(), b + row.tokens.len()));
    let longest = packed.iter().map(|row| row.tokens.len()).max().unwrap_or(0);
    let flops: f64 = packed.iter().map(|row| flops(&base.architecture, row)).sum();
    let capacity = number("--row-tokens", longest)?.max(longest);
    // A GGUF file is held in memory too.
    let file = std::fs::metadata(&path)?.len();
    let estimate = file + learn::memory(&base.architecture, &layout, capacity, 1, recompute);
    let model = Model::new(&base, layout, length, threads)?;
    let mut tape = model.tape(capacity, recompute);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let (mut gradient, mut moments) = (vec![0f32; parameters.len()], AdamW::new(parameters.len()));
    let (mut losses, mut seconds, mut data, mut optimiser) = (Vec::new(), Vec::new(), 0.0, 0.0);
    let before = learn::gflops(threads);
    pool.install(|| {
        for step in 1..=steps as u64 {
            let begin = Instant::now();
            let packed = pack();
            data += begin.elapsed().as_secs_f64();
            gradient.fill(0.0);
            let weight = 1.0 / targets as f32;
            let sum: f64 =
                packed.iter().map(|row| model.gradient(&parameters, row, weight, &mut tape, &mut gradient)).sum();
            let last = Instant::now();
            moments.step((&mut parameters, decayed), (&gradient, 1.0), 1e-3, step, &course);
            optimiser += last.elapsed().as_secs_f64();
            losses.push(sum / targets as f64);
            seconds.push(begin.elapsed().as_secs_f64());
        }
    });
    let peak = before.max(learn::gflops(threads));
    let mut sorted = seconds.clone();
    sorted.sort_by(f64::total_cmp);
    let rate = |seconds: f64| ((rows * length) as f64 / seconds * 10.0).round() / 10.0;
    let each = |seconds: f64| (seconds / steps as f64 * 1e4).round() / 1e4;
    let spent = [tape.spent.forward, tape.spent.head, tape.spent.backward].map(|part| each(part.as_secs_f64()));
    let reached = flops / sorted[steps / 2] / 1e9;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    let line = serde_json::json!({
        "engine": "lyceum", "rows": rows, "length": length, "losses": losses, "seconds": seconds,
        "tokens_per_second": rate(sorted[steps / 2]), "best": rate(sorted[0]), "computed_tokens": read,
        "data": each(data), "forward": spent[0], "head": spent[1], "backward": spent[2], "optimiser": each(optimiser),
        "gflops": reached.round(), "machine_gflops": peak.round(), "share": (reached / peak * 100.0).round() / 100.0,
        "peak_mb": resident.map(|kb| (kb / 1024.0).round()), "estimate_mb": (estimate as f64 / 1048576.0).round(),
    });
    println!("{line}");
    Ok(())
}

/// Operations of the matrix products of a step with a row, those of the narrow pairs left out: forward
/// and the gradient of the input each take two a weight and token. Attention multiplies twice forward
/// and five times backward for each pair of a query and a key that it sees. What is computed again
/// does not count: it is no progress.
fn flops(architecture: &Architecture, row: &Row) -> f64 {
    let a = architecture;
    let of_block: usize = Projection::ALL.iter().map(|&p| a.shape(Part::Projection(0, p))).map(|(m, n)| m * n).sum();
    let seen: f64 = row.positions.iter().map(|&position| f64::from(position) + 1.0).sum();
    let attention = 14.0 * seen * (a.blocks * a.heads * a.head_dim) as f64;
    4.0 * (of_block * a.blocks * row.tokens.len() + a.vocab * a.width * row.learned.len()) as f64 + attention
}
