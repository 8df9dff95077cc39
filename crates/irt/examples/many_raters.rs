//! A sparse many-facet design: time, memory, and whether severities come back.
//!
//! `many_raters [PERSONS] [RATERS] [--threads N]`, by default 36,000 and 11,000: each person is marked by three
//! raters of the lot on four criteria, 0 to 3 points each. Prints a line of JSON.

use std::time::Instant;

use irt::facets::{Mark, Settings, fit};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CRITERIA: [f64; 4] = [-0.6, -0.2, 0.2, 0.6];
const STEPS: [f64; 3] = [-1.0, 0.0, 1.0];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|a| a == "--threads") {
        let threads = arguments.get(at + 1).ok_or("--threads needs a number")?.parse()?;
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let numbers = arguments.iter().take_while(|a| !a.starts_with("--"));
    let numbers: Vec<usize> = numbers.map(|a| a.parse()).collect::<Result<_, _>>()?;
    let (persons, raters) = (*numbers.first().unwrap_or(&36_000), *numbers.get(1).unwrap_or(&11_000));
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut normal = |deviation: f64| {
        let (u, v): (f64, f64) = (random.random(), random.random());
        deviation * (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    };
    let severities: Vec<f64> = (0..raters).map(|_| normal(0.7)).collect();
    let abilities: Vec<f64> = (0..persons).map(|_| normal(1.0)).collect();
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut marks = Vec::with_capacity(persons * 12);
    for (person, theta) in abilities.iter().enumerate() {
        for chosen in rand::seq::index::sample(&mut random, raters, 3) {
            for (criterion, difficulty) in CRITERIA.iter().enumerate() {
                let from = theta - severities[chosen] - difficulty;
                let mut weights = vec![1.0];
                STEPS.iter().for_each(|tau| weights.push(weights[weights.len() - 1] * (from - tau).exp()));
                let mut left = random.random::<f64>() * weights.iter().sum::<f64>();
                let score = weights.iter().position(|weight| {
                    left -= weight;
                    left < 0.0
                });
                let elements = vec![chosen as u32, criterion as u32];
                marks.push(Mark { person: person as u32, elements, score: score.unwrap_or(STEPS.len()) as u8 });
            }
        }
    }
    let begin = Instant::now();
    // Without a prior, errors are those of the likelihood and can be held against the truth.
    let found = fit(&marks, persons, &[raters, CRITERIA.len()], &Settings { prior: None, ..Settings::default() })?;
    let seconds = begin.elapsed().as_secs_f64();
    let seen: Vec<(f64, f64)> = found.facets[0]
        .iter()
        .zip(&severities)
        .filter(|(element, _)| element.error.is_finite())
        .map(|(element, truth)| (element.severity - truth, element.error))
        .collect();
    let n = seen.len() as f64;
    let shift = seen.iter().map(|(off, _)| off).sum::<f64>() / n;
    let held = seen.iter().filter(|(off, error)| (off - shift).abs() < 1.96 * error).count() as f64 / n;
    let rmse = (seen.iter().map(|(off, _)| (off - shift).powi(2)).sum::<f64>() / n).sqrt();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<f64>().ok());
    let line = serde_json::json!({
        "persons": persons,
        "raters": seen.len(),
        "marks": marks.len(),
        "seconds": seconds,
        "steps": found.steps,
        "converged": found.converged,
        "severity_rmse": rmse,
        "held_by_95": held,
        "peak_mb": peak.map(|kb| kb / 1024.0),
    });
    println!("{line}");
    Ok(())
}
