//! Are the tokens found that a capability hangs on? Simulated losses, whose truth is known.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use scaling::{Config, Form, Level, Losses, Prepared, Target, splits};

const MODELS: usize = 40;
const TOKENS: usize = 20_000;
const SALIENT: usize = 50;

fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (a, b): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

/// Losses fall with a model's size on every token; a few skills, one a kind of token, move on their
/// own. The task hangs on size and on the first skill, which only `SALIENT` tokens show.
fn simulate(seed: u64) -> (Losses, Target, Vec<usize>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let size: Vec<f64> = (0..MODELS).map(|m| m as f64 / MODELS as f64 * 2.0 - 1.0).collect();
    let skills: Vec<[f64; 6]> = (0..MODELS).map(|_| std::array::from_fn(|_| normal(&mut random))).collect();
    let kinds: Vec<usize> =
        (0..TOKENS).map(|t| if t % (TOKENS / SALIENT) == 7 { 0 } else { 1 + random.random_range(0..5) }).collect();
    let base: Vec<f64> = (0..TOKENS).map(|_| 2.5 + normal(&mut random)).collect();
    let mut losses = Vec::with_capacity(MODELS * TOKENS);
    for m in 0..MODELS {
        for t in 0..TOKENS {
            let skill = skills[m][kinds[t]] * if kinds[t] == 0 { 0.6 } else { 0.2 };
            losses.push((base[t] - 0.5 * size[m] - skill + 0.3 * normal(&mut random)) as f32);
        }
    }
    let noise: Vec<f64> = (0..MODELS).map(|_| 0.01 * normal(&mut random)).collect();
    let accuracy = (0..MODELS)
        .map(|m| (0.25 + 0.75 * scaling::sigmoid(1.5 * size[m] + 1.2 * skills[m][0]) + noise[m]).clamp(0.0, 1.0))
        .collect();
    let salient = (0..TOKENS).filter(|t| kinds[*t] == 0).collect();
    (Losses::new(MODELS, TOKENS, losses).expect("finite"), Target::new("simulated", accuracy), salient)
}

#[test]
fn fifty_salient_tokens_among_twenty_thousand_are_found() {
    let own: Vec<usize> = (0..MODELS).collect();
    // Log-weights spread over all tokens that tell; weights on the simplex settle on some of them, the
    // more so the less they are penalised: there the mass that lies on salient tokens is what counts.
    for (form, found_least, mass_least) in
        [(Form::Signed, 0.9, 0.0), (Form::Positive, 0.7, 0.3), (Form::Simplex, 0.3, 0.3)]
    {
        let (losses, target, salient) = simulate(1);
        let prepared = Prepared::new(&losses);
        let config = Config { form, floor: Level::Fixed(0.25), steps: 40, ..Config::default() };
        let folds = splits::random(&own, 3, 0).expect("three");
        let grid = prepared.grid(form, 6);
        let choice = prepared.choose(std::slice::from_ref(&target), &folds, &config, &grid).expect("chosen");
        let fit = prepared.fit(&target, &own, &Config { lambda: choice.lambda, ..config }).expect("fits");
        let top = fit.top(&losses, SALIENT);
        let found = top.iter().filter(|t| salient.contains(&t.column)).count() as f64 / SALIENT as f64;
        let of = |some: &[usize]| some.iter().map(|&t| fit.slopes[t].abs()).sum::<f64>();
        let mass = of(&salient) / of(&(0..TOKENS).collect::<Vec<_>>());
        let plain = choice.errors[choice.errors.len() - 1];
        let best = choice.errors.iter().copied().fold(1.0, f64::min);
        println!(
            "{form:?}: {found:.2} of the top {SALIENT} are salient, {mass:.3} of the mass (even: {:.4}); error on \
             models left out {best:.4}, mean loss {plain:.4}; λ {:.1e}",
            SALIENT as f64 / TOKENS as f64,
            choice.lambda
        );
        assert!(found >= found_least && mass >= mass_least, "{form:?}: {found} {mass}");
        assert!(best < plain, "{form:?}: {best} {plain}");
        assert!(top.iter().filter(|t| salient.contains(&t.column)).all(|t| t.effect > 0.0));
    }
}
