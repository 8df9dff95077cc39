//! Time and memory of fits of simulated data: `large MODEL PERSONS ITEMS [THREADS]`, e.g. `large two-pl 10000 200`.

use std::time::Instant;

use irt::{Fit, Item, Mml, Model};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, persons, items, rest @ ..] = &arguments[..] else {
        return Err("give MODEL PERSONS ITEMS [THREADS]".into());
    };
    let model = match &**model {
        "rasch" => Model::Rasch,
        "two-pl" => Model::TwoPl,
        _ => return Err("MODEL is rasch or two-pl".into()),
    };
    let (persons, items): (usize, usize) = (persons.parse()?, items.parse()?);
    if let [threads] = rest {
        rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
    }
    // Additive sequences stand for random numbers; their quantiles are those of the distributions.
    let spread = |i: usize, step: f64| (0.5 + i as f64 * step).fract();
    let item = |i: usize| Item {
        slope: if model == Model::Rasch { 1.0 } else { 0.6 + 1.2 * spread(i, 0.414_214) },
        difficulties: vec![-2.0 + 4.0 * spread(i, 0.618_034)],
        lower: 0.0,
        upper: 1.0,
    };
    let truth = Fit::known(model, (0..items).map(item).collect())?;
    let normal = |u: f64| {
        let v = spread((u * 1e9) as usize, 0.754_878);
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    };
    let abilities: Vec<f64> = (0..persons).map(|i| normal(spread(i, 0.569_840))).collect();
    let begin = Instant::now();
    let responses = truth.simulate(&abilities, 1)?;
    println!("{} responses simulated in {:.1} s", responses.len(), begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    let fit = Mml { model, ..Mml::default() }.fit(&responses)?;
    println!(
        "fitted in {:.2} s, {} steps, converged {}, log-likelihood {:.3}",
        begin.elapsed().as_secs_f64(),
        fit.steps,
        fit.converged,
        fit.log_likelihood
    );
    let off = |found: &Item, truth: &Item| {
        (found.difficulties[0] * found.slope - truth.difficulties[0] * truth.slope).powi(2)
    };
    let square: f64 = fit.items.iter().zip(&truth.items).map(|(f, t)| off(f, t)).sum();
    println!("intercepts: root mean square error {:.4}", (square / items as f64).sqrt());
    if let Some(line) = std::fs::read_to_string("/proc/self/status")?.lines().find(|line| line.starts_with("VmHWM")) {
        println!("peak memory {}", line.trim_start_matches("VmHWM:").trim());
    }
    Ok(())
}
