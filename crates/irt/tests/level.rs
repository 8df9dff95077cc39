//! Tests of fit reject a right model as often as they say, and a wrong one more often.

use irt::{Estimator, Fit, Item, Mirt, Mml, Model, Responses, andersen, by_raw_score, jml};
use rand::{RngExt, SeedableRng};

fn normal(n: usize, seed: u64) -> Vec<f64> {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..n)
        .map(|_| {
            let (u, v): (f64, f64) = (random.random(), random.random());
            (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        })
        .collect()
}

/// `items` items, slopes all 1 or spread by `unequal`.
fn test(items: usize, unequal: f64) -> Fit {
    let item = |i: usize| Item {
        slope: (1.0 + unequal * if i.is_multiple_of(2) { 1.0 } else { -0.6 }).max(0.2),
        difficulties: vec![-1.5 + 3.0 * i as f64 / (items - 1) as f64],
        lower: 0.0,
        upper: 1.0,
    };
    Fit::known(Model::TwoPl, (0..items).map(item).collect()).expect("a test")
}

/// Shares of p below 0.05 over seeds: Andersen, M2 of the Rasch model, S-X² of its items, l_z*.
fn rejected(unequal: f64, seeds: u64) -> [f64; 4] {
    let truth = test(10, unequal);
    let (mut rates, mut counts) = ([0.0; 4], [0.0; 4]);
    let mut add = |at: usize, p: f64| {
        rates[at] += f64::from(p < 0.05);
        counts[at] += 1.0;
    };
    for seed in 0..seeds {
        let given = truth.simulate(&normal(600, 2 * seed), 2 * seed + 1).expect("responses");
        if let Ok(found) = andersen(&given, &by_raw_score(&given)) {
            add(0, found.p);
        }
        let fit = Mml { points: 41, ..Mml::default() }.fit(&given).expect("a fit");
        add(1, fit.m2(&given).expect("m2").0.p);
        fit.s_x2(&given).into_iter().flatten().for_each(|found| add(2, found.p));
        let abilities = fit.abilities(&given, Estimator::Wle);
        // One-sided: too unlikely.
        fit.l_z(&given, &abilities).into_iter().flatten().for_each(|z| add(3, if z < -1.645 { 0.0 } else { 1.0 }));
    }
    std::array::from_fn(|i| rates[i] / counts[i])
}

#[test]
fn level_and_power() {
    let level = rejected(0.0, 300);
    println!("level: {level:?}");
    // 300 tests: 0.05 ± 0.025; the items' S-X² are 3,000.
    for (what, rate) in ["andersen", "m2", "s-x2"].iter().zip(level) {
        assert!((0.025..0.075).contains(&rate), "{what}: {rate}");
    }
    let power = rejected(0.6, 20);
    println!("power: {power:?}");
    assert!(power[0] > 0.9 && power[1] > 0.9 && power[2] > 0.3, "{power:?}");
}

#[test]
fn unlikely_persons_are_seen_in_a_long_test() {
    let truth = test(60, 0.0);
    let honest = normal(3000, 8);
    let given = truth.simulate(&honest, 9).expect("responses");
    let abilities = truth.abilities(&given, Estimator::Wle);
    let z: Vec<f64> = truth.l_z(&given, &abilities).into_iter().flatten().collect();
    let rate = z.iter().filter(|z| **z < -1.645).count() as f64 / z.len() as f64;
    let mean = z.iter().sum::<f64>() / z.len() as f64;
    let deviation = (z.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / z.len() as f64).sqrt();
    println!("l_z*: mean {mean:.3}, deviation {deviation:.3}, below −1.645 {rate:.3}");
    assert!((0.03..0.07).contains(&rate) && mean.abs() < 0.05 && (deviation - 1.0).abs() < 0.05);
    // One who knows the hard half and not the easy one.
    let odd: Vec<Option<u8>> = (0..60).map(|item| Some(u8::from(item >= 30))).collect();
    let odd = Responses::table(60, &odd).expect("responses");
    let found = truth.l_z(&odd, &truth.abilities(&odd, Estimator::Wle));
    assert!(found[0].expect("a value") < -5.0, "{found:?}");
}

#[test]
fn joint_likelihood_shows_its_bias_and_the_correction_takes_it_out() {
    let truth = test(10, 0.0);
    let given = truth.simulate(&normal(4000, 21), 22).expect("responses");
    let slope = |fit: &irt::Jml| {
        let product: f64 = fit.difficulties.iter().zip(&truth.items).map(|(b, item)| b[0] * item.difficulties[0]).sum();
        product / truth.items.iter().map(|item| item.difficulties[0].powi(2)).sum::<f64>()
    };
    let plain = jml(&given, 1e-6, 2000, false).expect("a fit");
    let corrected = jml(&given, 1e-6, 2000, true).expect("a fit");
    println!("plain {:.3}, corrected {:.3}", slope(&plain), slope(&corrected));
    assert!(plain.converged && (slope(&plain) - 10.0 / 9.0).abs() < 0.05 && (slope(&corrected) - 1.0).abs() < 0.05);
}

#[test]
fn two_abilities_are_told_apart() {
    // Items 0–9 ask for the first ability, 10–19 for the second.
    let (first, second) = (normal(3000, 31), normal(3000, 32));
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(33);
    let mut cells = Vec::new();
    for person in 0..3000 {
        for item in 0..20 {
            let theta = if item < 10 { first[person] } else { second[person] };
            let p = 1.0 / (1.0 + (-(1.4 * theta - 0.15 * f64::from(item % 10) + 0.7)).exp());
            cells.push(Some(u8::from(random.random::<f64>() < p)));
        }
    }
    let given = Responses::table(20, &cells).expect("responses");
    let free = (0..20).map(|item| vec![item < 10, item >= 10]).collect();
    let apart = Mirt { free, ..Mirt::exploratory(20, 2) }.fit(&given).expect("a fit");
    assert!(apart.converged, "{}", apart.steps);
    for (item, plane) in apart.items.iter().enumerate() {
        let intercept = 0.7 - 0.15 * (item % 10) as f64;
        assert!(
            (plane.discrimination() - 1.4).abs() < 0.25 && (plane.intercept - intercept).abs() < 0.2,
            "{item}: {plane:?}"
        );
    }
    let one = Mml { model: Model::TwoPl, ..Mml::default() }.fit(&given).expect("a fit");
    let any = Mirt::exploratory(20, 2).fit(&given).expect("a fit");
    println!(
        "one ability {:.1}, two {:.1}, two free {:.1} ({} steps)",
        one.log_likelihood, apart.log_likelihood, any.log_likelihood, any.steps
    );
    assert!(apart.log_likelihood > one.log_likelihood + 500.0 && any.log_likelihood > apart.log_likelihood - 1.0);
    let contrast = |fit: &Fit, given: &Responses| {
        let found = fit.contrasts(given, &fit.abilities(given, Estimator::Wle), 2);
        assert!(found[0].0 >= found[1].0);
        found[0].0
    };
    let two_parts = contrast(&one, &given);
    let plain = test(20, 0.0).simulate(&normal(3000, 41), 42).expect("responses");
    let one_part = contrast(&Mml::default().fit(&plain).expect("a fit"), &plain);
    println!("first contrast {two_parts:.2} of two abilities, {one_part:.2} of one");
    assert!(two_parts > 3.0 && one_part < 1.6);
}
