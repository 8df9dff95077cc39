//! How often each test of fit or DIF rejects at 0.05: where the model is right, and at three sizes of what it
//! looks for. `levels [REPLICATIONS]`, 2,000 by default; a quarter of them for power. A table in Markdown,
//! with 95 % Monte Carlo intervals (Wilson), then the same as JSON.

use irt::dif::{logistic, mantel_haenszel, wald};
use irt::{Estimator, Fit, Item, Mml, Model, Responses, andersen, by_raw_score};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Any<T> = Result<T, Box<dyn std::error::Error>>;

const ITEMS: usize = 10;
const PERSONS: usize = 400;

/// Tests that a replication says yes or no to; rejections and how many.
#[derive(Clone, Copy, Default)]
struct Rate {
    rejected: usize,
    of: usize,
}

impl Rate {
    fn add(&mut self, p: Option<f64>) {
        if let Some(p) = p {
            self.rejected += usize::from(p < 0.05);
            self.of += 1;
        }
    }

    fn share(self) -> f64 {
        self.rejected as f64 / self.of as f64
    }

    fn interval(self) -> (f64, f64) {
        let (n, p, z) = (self.of as f64, self.share(), 1.959_964);
        let (middle, reach) = (p + z * z / (2.0 * n), z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt());
        let scale = 1.0 + z * z / n;
        ((middle - reach) / scale, (middle + reach) / scale)
    }
}

const NAMES: [&str; 8] = [
    "Andersen",
    "M2",
    "S-X² (one item)",
    "Mantel–Haenszel (one item)",
    "logistic, uniform (one item)",
    "logistic, by score (one item)",
    "Wald (one item)",
    "l_z* (one person, 60 items)",
];

fn main() -> Any<()> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(2000), |n| n.parse())?;
    let level = rates(0.0, 0.0, 0.0, count)?;
    let power: Vec<[Rate; 8]> = [(0.2, 0.3, 0.1), (0.4, 0.6, 0.2), (0.6, 0.9, 0.3)]
        .iter()
        .map(|(slopes, shift, odd)| rates(*slopes, *shift, *odd, count / 4))
        .collect::<Any<_>>()?;
    println!(
        "{PERSONS} persons × {ITEMS} items (l_z*: 60 items), rejections at 0.05. Effects: slopes 1 ± e and 1 − 0.6 e for \
         e = 0.2, 0.4, 0.6 (Andersen, M2, S-X²); one item harder by 0.3, 0.6, 0.9 logits for half of the persons (DIF); \
         10, 20, 30 % of answers by coin (l_z*).\n"
    );
    println!(
        "| test | level | 95 % interval | n | small | middle | large | n |\n|---|---:|---|---:|---:|---:|---:|---:|"
    );
    for (at, name) in NAMES.iter().enumerate() {
        let (low, high) = level[at].interval();
        let powers: Vec<String> = power.iter().map(|p| format!("{:.3}", p[at].share())).collect();
        println!(
            "| {name} | {:.4} | {low:.4}–{high:.4} | {} | {} | {} |",
            level[at].share(),
            level[at].of,
            powers.join(" | "),
            power[0][at].of
        );
    }
    let json = |rates: &[Rate; 8]| rates.iter().map(|r| [r.rejected, r.of]).collect::<Vec<_>>();
    println!(
        "\n{}",
        serde_json::json!({ "names": NAMES, "level": json(&level), "power": power.iter().map(json).collect::<Vec<_>>() })
    );
    Ok(())
}

/// Rejections over replications. Andersen, M2 and S-X² see slopes spread by `slopes`; DIF a shift of item 4
/// in the second half of persons; l_z* a person with a share `odd` of answers by coin.
fn rates(slopes: f64, shift: f64, odd: f64, count: u64) -> Any<[Rate; 8]> {
    let mut rates = [Rate::default(); 8];
    let spread = test(ITEMS, slopes, 0.0)?;
    let (plain, shifted) = (test(ITEMS, 0.0, 0.0)?, test(ITEMS, 0.0, shift)?);
    let long = test(60, 0.0, 0.0)?;
    let fast = Mml { points: 41, ..Mml::default() };
    for seed in 0..count {
        let theta = normal(PERSONS, 3 * seed);
        let given = spread.simulate(&theta, 3 * seed + 1)?;
        rates[0].add(andersen(&given, &by_raw_score(&given)).ok().map(|t| t.p));
        if let Ok(fit) = fast.fit(&given) {
            rates[1].add(fit.m2(&given).ok().map(|(t, _)| t.p));
            rates[2].add(fit.s_x2(&given)[3].map(|t| t.p));
        }
        let half = PERSONS / 2;
        let reference = plain.simulate(&theta[..half], 3 * seed + 2)?;
        let focal = shifted.simulate(&theta[half..], 7_000_000 + seed)?;
        let both = joined(&reference, &focal)?;
        let in_focal: Vec<bool> = (0..PERSONS).map(|person| person >= half).collect();
        rates[3].add(mantel_haenszel(&both, &in_focal, false)[4].map(|f| f.p));
        let found = logistic(&both, &in_focal)[4];
        rates[4].add(found.map(|f| f.p_uniform));
        rates[5].add(found.map(|f| f.p_nonuniform));
        rates[6].add(wald(&both, &in_focal, &fast).ok().and_then(|found| found[4]).map(|f| f.p));
        let person = normal(1, 11_000_000 + seed);
        let honest = long.simulate(&person, 13_000_000 + seed)?;
        let mut random = ChaCha8Rng::seed_from_u64(17_000_000 + seed);
        let cells: Vec<Option<u8>> = honest
            .of(0)
            .map(|(_, score)| {
                let coin = random.random::<f64>() < odd;
                Some(if coin { u8::from(random.random::<bool>()) } else { score as u8 })
            })
            .collect();
        let answered = Responses::table(60, &cells)?;
        let z = long.l_z(&answered, &long.abilities(&answered, Estimator::Wle))[0];
        // One-sided: too unlikely.
        rates[7].add(z.map(|z| if z < -1.644_854 { 0.0 } else { 1.0 }));
    }
    Ok(rates)
}

/// Difficulties from −1.5 to 1.5; every second slope 1 + `unequal`, the others 1 − 0.6 `unequal`; item 4
/// harder by `shift`.
fn test(items: usize, unequal: f64, shift: f64) -> irt::Result<Fit> {
    let item = |i: usize| Item {
        slope: (1.0 + unequal * if i.is_multiple_of(2) { 1.0 } else { -0.6 }).max(0.2),
        difficulties: vec![-1.5 + 3.0 * i as f64 / (items - 1) as f64 + if i == 4 { shift } else { 0.0 }],
        lower: 0.0,
        upper: 1.0,
    };
    Fit::known(Model::TwoPl, (0..items).map(item).collect())
}

fn joined(a: &Responses, b: &Responses) -> irt::Result<Responses> {
    let rows = |of: &Responses, from: usize| {
        let one = |person: usize| {
            let place = (from + person) as u32;
            of.of(person).map(move |(item, score)| (place, item as u32, score as u8)).collect::<Vec<_>>()
        };
        (0..of.persons()).flat_map(one).collect::<Vec<_>>()
    };
    let cells = [rows(a, 0), rows(b, a.persons())].concat();
    Responses::sparse(a.persons() + b.persons(), a.items(), &cells)
}

fn normal(n: usize, seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..n)
        .map(|_| {
            let (u, v): (f64, f64) = (random.random(), random.random());
            (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        })
        .collect()
}
