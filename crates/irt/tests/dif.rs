//! Tests of DIF keep their level where there is none, and find it where there is.

use irt::{Fit, Item, Mml, Model, Responses, dif};
use rand::{RngExt, SeedableRng};

fn normal(n: usize, mean: f64, seed: u64) -> Vec<f64> {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..n)
        .map(|_| {
            let (u, v): (f64, f64) = (random.random(), random.random());
            mean + (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        })
        .collect()
}

/// 500 persons of each group, the focal group half a deviation lower, on 20 Rasch items; item 0 is
/// `harder` for the focal group.
fn two_groups(harder: f64, seed: u64) -> (Responses, Vec<bool>) {
    let test = |shift: f64| {
        let items = (0..20).map(|i| Item {
            slope: 1.0,
            difficulties: vec![-1.5 + 3.0 * f64::from(i) / 19.0 + if i == 0 { shift } else { 0.0 }],
            lower: 0.0,
            upper: 1.0,
        });
        Fit::known(Model::Rasch, items.collect()).expect("a test")
    };
    let groups = [(test(0.0), 0.0), (test(harder), -0.5)];
    let mut cells = Vec::new();
    for (group, (test, mean)) in groups.iter().enumerate() {
        let given = test
            .simulate(&normal(500, *mean, seed * 4 + group as u64), seed * 4 + 2 + group as u64)
            .expect("responses");
        for person in 0..500 {
            cells.extend(
                given.of(person).map(|(item, score)| ((500 * group + person) as u32, item as u32, score as u8)),
            );
        }
    }
    (Responses::sparse(1000, 20, &cells).expect("responses"), (0..1000).map(|person| person >= 500).collect())
}

#[test]
fn level_and_power() {
    let settings = Mml { points: 31, ..Mml::default() };
    let count = |harder: f64, seeds: u64, items: std::ops::Range<usize>| {
        let mut rejected = [0.0; 4];
        let mut all = 0.0;
        for seed in 0..seeds {
            let (given, focal) = two_groups(harder, 1000 + seed);
            let mh = dif::mantel_haenszel(&given, &focal, harder != 0.0);
            let lr = dif::logistic(&given, &focal);
            let wald = dif::wald(&given, &focal, &settings).expect("fits");
            for item in items.clone() {
                let p = [
                    mh[item].expect("mh").p,
                    lr[item].expect("lr").p_uniform,
                    lr[item].expect("lr").p_nonuniform,
                    wald[item].expect("wald").p,
                ];
                rejected.iter_mut().zip(p).for_each(|(r, p)| *r += f64::from(p < 0.05));
                all += 1.0;
            }
        }
        rejected.map(|r| r / all)
    };
    let level = count(0.0, 50, 0..20);
    println!("level: {level:?}");
    let power = count(0.8, 20, 0..1);
    println!("power: {power:?}");
    // 1,000 tests: a rate of 0.05 has an error of about 0.7 points. Mantel–Haenszel's continuity correction makes it careful.
    for (what, rate) in ["mh", "uniform", "nonuniform", "wald"].iter().zip(level) {
        assert!((0.02..0.07).contains(&rate), "{what}: {rate}");
    }
    assert!(power[0] > 0.9 && power[1] > 0.9 && power[3] > 0.9, "{power:?}");
}
