//! Times training steps on a whole model: `step MODEL [--rows R] [--length L] [--samples S] [--steps N]
//! [--rank K] [--threads T] [--export FOLDER]`.
//!
//! A step is R sequences of L seeded tokens, all of which carry loss; S of them make a packed row.
//! Prints a line of JSON: losses, tokens a second (median and best step), peak memory. With
//! `--export` the base (Hugging Face layout), the first adapter (PEFT) and the tokens are written
//! there and nothing is timed, so that another program can do the same steps.
use std::path::PathBuf;
use std::time::Instant;

use learn::{AdamW, Layout, Model, Row, Sequence, SftConfig};
use weights::{Checkpoint, Projection};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let named = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
    let number = |name: &str, default: usize| named(name).map_or(Ok(default), |a| a.parse());
    let base = Checkpoint::open(&PathBuf::from(arguments.first().ok_or("which model?")?))?;
    let (rows, length, steps) = (number("--rows", 2)?, number("--length", 256)?, number("--steps", 5)?);
    let (rank, threads, group) = (number("--rank", 8)?, number("--threads", 2)?, number("--samples", 2)?);

    let config = SftConfig { rank, alpha: 2.0 * rank as f32, ..SftConfig::default() };
    let course = config.course(rows);
    let layout = Layout::new(&base.architecture, rank, config.alpha, Projection::ALL.into());
    let mut parameters = layout.initial(1);
    let decayed = layout.decayed;
    let tokens = |row: usize| -> Vec<u32> {
        let vocab = base.architecture.vocab as u64;
        (0..length as u64 + 1)
            .map(|t| (((row as u64 * 7919 + t) * 2_654_435_761) >> 7) % vocab.min(5000))
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
    let packed: Vec<Row> = (0..rows)
        .collect::<Vec<_>>()
        .chunks(group)
        .map(|chunk| {
            let all: Vec<Vec<u32>> = chunk.iter().map(|&row| tokens(row)).collect();
            Row::sequences(&all.iter().map(|tokens| Sequence { tokens, learned_from: 1, group: 0 }).collect::<Vec<_>>())
        })
        .collect();
    let model = Model::new(&base, layout, length, threads)?;
    let mut tape = model.tape(group * length, false);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let (mut gradient, mut moments) = (vec![0f32; parameters.len()], AdamW::new(parameters.len()));
    let (mut losses, mut seconds) = (Vec::new(), Vec::new());
    pool.install(|| {
        for step in 1..=steps as u64 {
            let begin = Instant::now();
            gradient.fill(0.0);
            let weight = 1.0 / (rows * length) as f32;
            let sum: f64 =
                packed.iter().map(|row| model.gradient(&parameters, row, weight, &mut tape, &mut gradient)).sum();
            moments.step((&mut parameters, decayed), (&gradient, 1.0), 1e-3, step, &course);
            losses.push(sum / (rows * length) as f64);
            seconds.push(begin.elapsed().as_secs_f64());
        }
    });
    let mut sorted = seconds.clone();
    sorted.sort_by(f64::total_cmp);
    let rate = |seconds: f64| ((rows * length) as f64 / seconds * 10.0).round() / 10.0;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    let line = serde_json::json!({
        "engine": "lyceum", "rows": rows, "length": length, "losses": losses, "seconds": seconds,
        "tokens_per_second": rate(sorted[steps / 2]), "best": rate(sorted[0]), "peak_mb": peak.map(|kb| kb / 1024.0),
    });
    println!("{line}");
    Ok(())
}
