//! Time, memory and likelihood of fits of large simulated data.
//!
//! `large MODEL PERSONS ITEMS FILE [--threads N] [--evaluate CURVES.json]`, e.g. `large two-pl 10000 200 a.bin`:
//! simulates the file (a byte a response, person after person) if it is not there, fits it and prints a
//! line of JSON; with --evaluate it prints the likelihood of foreign curves, [[slope, difficulty], …].

use std::time::Instant;

use irt::{Fit, Item, Mml, Model, Responses};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, persons, items, file, options @ ..] = &arguments[..] else {
        return Err("give MODEL PERSONS ITEMS FILE".into());
    };
    let model = match &**model {
        "rasch" => Model::Rasch,
        "two-pl" => Model::TwoPl,
        _ => return Err("MODEL is rasch or two-pl".into()),
    };
    let (persons, items): (usize, usize) = (persons.parse()?, items.parse()?);
    let option = |name: &str| options.iter().position(|o| o == name).and_then(|at| options.get(at + 1));
    if let Some(threads) = option("--threads") {
        rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
    }
    let truth = truth(model, items)?;
    if !std::path::Path::new(file).exists() {
        let drawn = truth.simulate(&abilities(persons), 1)?;
        let bytes: Vec<u8> = (0..persons).flat_map(|person| drawn.of(person).map(|(_, score)| score as u8)).collect();
        std::fs::write(file, bytes)?;
    }
    let cells: Vec<Option<u8>> = std::fs::read(file)?.into_iter().map(Some).collect();
    let responses = Responses::table(items, &cells)?;
    drop(cells);
    if let Some(path) = option("--evaluate") {
        let curves: Vec<[f64; 2]> = serde_json::from_slice(&std::fs::read(path)?)?;
        let item = |[slope, b]: [f64; 2]| Item { slope, difficulties: vec![b], lower: 0.0, upper: 1.0 };
        let foreign = Fit::known(Model::TwoPl, curves.into_iter().map(item).collect())?;
        println!("{}", serde_json::json!({ "log_likelihood": foreign.marginal(&responses) }));
        return Ok(());
    }
    let begin = Instant::now();
    let fit = Mml { model, ..Mml::default() }.fit(&responses)?;
    let seconds = begin.elapsed().as_secs_f64();
    let off = |(found, truth): (&Item, &Item)| {
        (found.difficulties[0] * found.slope - truth.difficulties[0] * truth.slope).powi(2)
    };
    let square: f64 = fit.items.iter().zip(&truth.items).map(off).sum();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<f64>().ok());
    let line = serde_json::json!({
        "seconds": seconds,
        "steps": fit.steps,
        "converged": fit.converged,
        "log_likelihood": fit.marginal(&responses),
        "intercept_error": (square / items as f64).sqrt(),
        "peak_mb": peak.map(|kb| kb / 1024.0),
    });
    println!("{line}");
    Ok(())
}

/// Additive sequences stand for random numbers; their quantiles are those of the distributions.
fn spread(i: usize, step: f64) -> f64 {
    (0.5 + i as f64 * step).fract()
}

fn truth(model: Model, items: usize) -> irt::Result<Fit> {
    let item = |i: usize| Item {
        slope: if model == Model::Rasch { 1.0 } else { 0.6 + 1.2 * spread(i, 0.414_214) },
        difficulties: vec![-2.0 + 4.0 * spread(i, 0.618_034)],
        lower: 0.0,
        upper: 1.0,
    };
    Fit::known(model, (0..items).map(item).collect())
}

fn abilities(persons: usize) -> Vec<f64> {
    let normal = |i: usize| {
        let (u, v) = (spread(i, 0.569_840), spread(i, 0.754_878));
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    };
    (0..persons).map(normal).collect()
}
