//! How long do fits take over a million tokens?
//!
//!     cargo run --release -p scaling --example dual [MODELS] [TOKENS] [FILE]
//!
//! With a FILE the losses are written there first and mapped from it.

use std::time::Instant;

use scaling::{Config, Form, Losses, Prepared, Result, Target, Writer};

fn main() -> Result<()> {
    let argument = |at: usize, or: usize| std::env::args().nth(at).and_then(|x| x.parse().ok()).unwrap_or(or);
    let (models, tokens) = (argument(1, 100), argument(2, 1_000_000));
    let skill = |m: usize| m as f64 / models as f64;
    // Cheap noise: the low bits of a multiplicative hash.
    let noise =
        |m: usize, t: usize| ((m * tokens + t).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / (1 << 24) as f64;
    let loss = |m: usize, t: usize| {
        let kind = (t % 97) as f64 / 97.0;
        (3.0 + kind - skill(m) * (0.5 + kind) + 0.4 * noise(m, t)) as f32
    };
    let row = |m: usize| -> Vec<f32> { (0..tokens).map(|t| loss(m, t)).collect() };
    let losses = match std::env::args().nth(3) {
        Some(path) => {
            let mut writer = Writer::create(path.as_ref(), tokens)?;
            (0..models).try_for_each(|m| writer.push(&row(m)))?;
            writer.finish()?;
            Losses::open(path.as_ref())?
        }
        None => Losses::new(models, tokens, (0..models).flat_map(row).collect())?,
    };
    let accuracy = (0..models).map(|m| 0.25 + 0.5 * scaling::sigmoid(6.0 * skill(m) - 3.0) + 0.02 * noise(m, 0));
    let target = Target::new("simulated", accuracy.collect());
    let own: Vec<usize> = (0..models).collect();
    let start = Instant::now();
    let prepared = Prepared::new(&losses);
    println!("{models} models × {tokens} tokens, {} threads", rayon::current_num_threads());
    println!("K = X Xᵀ and its coordinates, once:  {:7.3} s", start.elapsed().as_secs_f64());
    for form in [Form::Signed, Form::Positive, Form::Simplex] {
        let lambda = prepared.grid(form, 9)[4];
        let start = Instant::now();
        let fit = prepared.fit(&target, &own, &Config { form, lambda, steps: 10, ..Config::default() })?;
        let spent = start.elapsed().as_secs_f64();
        println!(
            "{form:?}: {spent:.3} s, {} steps, {:.4} s each; rmse {:.4}",
            fit.steps,
            spent / fit.steps as f64,
            fit.rmse
        );
    }
    Ok(())
}
