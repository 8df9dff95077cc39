//! How often do the tests of a comparison err, and how often do its intervals cover?
//!
//! `cargo run --release -p exam --example levels -- [replications]` prints a table in Markdown: each test's
//! share of false alarms at 0.05 where nothing differs, and each interval's coverage at 95 %, with the
//! Monte Carlo interval of both (Wilson's). What is exact or bounded is conservative by design, and marked.

use exam::statistics::{
    ByCluster, Score, attempts, bootstrap, groups, mcnemar, mean_interval, sign_flip, simulated_power, student, wilson,
};
use exam::statistics::{detectable, power};
use exam::{Pairing, Scores, pairs};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Seeds for which something holds, and how many there are.
fn count(replications: usize, holds: impl Fn(u64) -> bool + Sync) -> usize {
    (0..replications as u64).into_par_iter().filter(|seed| holds(*seed)).count()
}

fn row(what: &str, target: &str, hits: usize, n: usize) {
    let share = hits as f64 / n as f64;
    let (low, high) = wilson(share, n);
    println!("| {what} | {target} | {share:.4} | [{low:.4}, {high:.4}] | {n} |");
}

/// Two persons, right or wrong; who is better at a cluster's items varies, by `better` on average.
fn twins(clusters: usize, size: usize, better: f64, seed: u64) -> Vec<(usize, f64, f64)> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut values = Vec::with_capacity(clusters * size);
    for cluster in 0..clusters {
        let middle = 0.3 + 0.4 * random.random::<f64>();
        let lean = 0.2 * (2.0 * random.random::<f64>() - 1.0) + better;
        for _ in 0..size {
            let mut right = |chance: f64| f64::from(u8::from(random.random::<f64>() < chance));
            values.push((cluster, right(middle + lean / 2.0), right(middle - lean / 2.0)));
        }
    }
    values
}

fn difference(values: &[(usize, f64, f64)]) -> ByCluster {
    ByCluster::new(values.iter().map(|(cluster, a, b)| (*cluster, a - b)))
}

/// Two groups of `bases` base models with two variants each on 60 items.
fn halls(bases: usize, seed: u64) -> Vec<Score> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = |spread: f64| spread * (2.0 * random.random::<f64>() - 1.0);
    let items: Vec<f64> = (0..60).map(|_| draw(0.3)).collect();
    let mut scores = Vec::new();
    for base in 0..2 * bases {
        let strength = draw(0.15);
        for _ in 0..2 {
            for (item, ease) in items.iter().enumerate() {
                let right = 0.5 * (1.0 + draw(1.0)) < 0.5 + ease + strength;
                scores.push(Score { first: base < bases, value: f64::from(u8::from(right)), item, base });
            }
        }
    }
    scores
}

/// Persons with these chances on 150 items, two to a cluster.
fn family(chances: &[f64], seed: u64) -> exam::Standings {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let clusters: Vec<usize> = (0..150).map(|item| item / 2).collect();
    let bases: Vec<usize> = (0..chances.len()).collect();
    let mut cells = Vec::new();
    for chance in chances {
        cells.extend((0..150).map(|_| Some(f64::from(u8::from(random.random::<f64>() < *chance)))));
    }
    let scores = Scores { bases: &bases, clusters: &clusters, cells: &cells };
    pairs(&[scores], &Pairing { resamples: 0, ..Pairing::default() }).remove(0)
}

fn main() {
    let n = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(4000);
    println!("| what | should be | share | 95 % Monte Carlo | replications |\n|---|---|---|---|---|");

    for (clusters, size) in [(20, 1), (60, 1), (20, 5), (60, 5), (300, 1)] {
        let name = |what: &str| format!("{what}, {clusters} clusters of {size}");
        let level = |test: &(dyn Fn(&ByCluster, u64) -> f64 + Sync)| {
            count(n, |seed| test(&difference(&twins(clusters, size, 0.0, seed)), seed) < 0.05)
        };
        row(&name("t, clustered"), "0.05", level(&|d, _| student(d, 0.05).map_or(1.0, |found| found.p)), n);
        let conservative = "≤ 0.05";
        row(&name("sign flip, all counted, mid-p"), "0.05", level(&|d, _| sign_flip(d, 0, 0).mid), n);
        row(&name("sign flip, all counted, strict"), conservative, level(&|d, _| sign_flip(d, 0, 0).p), n);
        // Off every grid, so that flips are drawn.
        let drawn = |d: &ByCluster, seed: u64| {
            let factor = std::f64::consts::FRAC_1_SQRT_2;
            let values = d.sums().iter().enumerate().map(|(g, sum)| (g, sum * factor));
            sign_flip(&ByCluster::new(values), 999, seed).p
        };
        if clusters >= 60 {
            row(&name("sign flip, 999 drawn"), "0.05", level(&drawn), n);
        }
    }
    let mid = count(n, |seed| {
        let values = twins(200, 1, 0.0, seed);
        let better = |first: f64| values.iter().filter(|(_, a, b)| a - b == first).count();
        mcnemar(better(1.0), better(-1.0)).mid < 0.05
    });
    row("McNemar, mid-p, 200 items", "0.05", mid, n);
    for bases in [4, 8, 15] {
        let hits = count(n, |seed| groups(&halls(bases, seed), 0.05).is_some_and(|found| found.p < 0.05));
        row(&format!("groups of {bases} bases × 2 variants, two-way clusters"), "0.05", hits, n);
    }
    let wrong = count(n, |seed| family(&[0.6; 5], seed).tied.len() > 1);
    row("Holm, 5 equal persons, any pair", "≤ 0.05", wrong, n);
    let p =
        |seed| family(&[0.6; 5], seed).pairs.into_iter().filter_map(|pair| pair.benjamini_hochberg).fold(1.0, f64::min);
    row("Benjamini–Hochberg, 5 equal persons, any pair", "≤ 0.05", count(n, |seed| p(seed) <= 0.05), n);
    // False discoveries among pairs where two of five are better.
    let rates: Vec<f64> = (0..n as u64)
        .into_par_iter()
        .map(|seed| {
            let found = family(&[0.8, 0.8, 0.6, 0.6, 0.6], seed);
            let told = |pair: &&exam::Pair| pair.benjamini_hochberg.is_some_and(|p| p <= 0.05);
            let all = found.pairs.iter().filter(told).count();
            let wrong = found.pairs.iter().filter(told).filter(|pair| (pair.first < 2) == (pair.second < 2)).count();
            wrong as f64 / all.max(1) as f64
        })
        .collect();
    let rate = student(&ByCluster::independent(rates.iter().copied()), 0.05)
        .map_or((0.0, 0.0, 0.0), |d| (d.mean, d.low, d.high));
    println!(
        "| Benjamini–Hochberg, false-discovery rate, 2 of 5 better | ≤ 0.05 | {:.4} | [{:.4}, {:.4}] | {n} |",
        rate.0, rate.1, rate.2
    );

    for (clusters, size) in [(20, 1), (60, 1), (60, 5)] {
        let name = |what: &str| format!("{what}, {clusters} clusters of {size}");
        let covers = |interval: &(dyn Fn(&ByCluster, u64) -> (f64, f64) + Sync)| {
            count(n, |seed| {
                let (low, high) = interval(&difference(&twins(clusters, size, 0.1, seed)), seed);
                low <= 0.1 && 0.1 <= high
            })
        };
        let t = covers(&|d, _| student(d, 0.05).map_or((-1.0, 1.0), |found| (found.low, found.high)));
        row(&name("t interval of a difference"), "0.95", t, n);
        let b = covers(&|d, seed| bootstrap(d, 1000, 0.05, seed).map_or((-1.0, 1.0), |found| (found.low, found.high)));
        row(&name("bootstrap BCa interval"), "0.95", b, n);
    }
    for (share, clusters, size) in [(0.5, 60, 1), (0.9, 60, 1), (0.97, 150, 1), (0.8, 40, 5)] {
        let hits = count(n, |seed| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let reach = 0.9_f64.min(2.0 * share).min(2.0 * (1.0 - share)) / 2.0;
            let values = (0..clusters).flat_map(|cluster| {
                let chance = share + if size > 1 { reach * (2.0 * random.random::<f64>() - 1.0) } else { 0.0 };
                (0..size).map(|_| (cluster, f64::from(u8::from(random.random::<f64>() < chance)))).collect::<Vec<_>>()
            });
            let (low, high) = mean_interval(&ByCluster::new(values), 0.05).unwrap_or((0.0, 1.0));
            low <= share && share <= high
        });
        row(&format!("Wilson interval of a score of {share}, {clusters} clusters of {size}"), "0.95", hits, n);
    }
    let hits = count(n, |seed| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let items: Vec<Vec<f64>> = (0..100)
            .map(|_| {
                let chance = random.random::<f64>();
                (0..4).map(|_| f64::from(u8::from(random.random::<f64>() < chance))).collect()
            })
            .collect();
        attempts(items.iter().map(Vec::as_slice)).is_some_and(|a| (a.mean - 0.5).abs() <= 1.984 * a.standard_error)
    });
    row("interval of a mean of 4 attempts at 100 items", "0.95", hits, n);

    println!("\n| power at an effect | formula | simulated | exams |\n|---|---|---|---|");
    let seen = difference(&twins(80, 2, 0.0, 4));
    let error = seen.standard_error().unwrap_or(0.0);
    for chance in [0.2, 0.5, 0.8, 0.95] {
        let effect = detectable(error, 79.0, 0.05, chance);
        let formula = power(effect, error, 79.0, 0.05);
        println!("| {effect:.4} | {formula:.3} | {:.3} | {n} |", simulated_power(&seen, effect, 0.05, n, 1));
    }
}
