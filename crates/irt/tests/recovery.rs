//! What was put in comes out, and intervals hold the truth as often as they say.

use irt::{Estimator, Fit, Item, Mml, Model};

/// Uniform numbers of an additive sequence, so that the tests need no generator of their own.
fn spread(n: usize, step: f64) -> Vec<f64> {
    (0..n).map(|i| (0.5 + i as f64 * step).fract()).collect()
}

/// Standard normal numbers by inverse distribution, in a shuffled order.
fn normal(n: usize, seed: u64) -> Vec<f64> {
    use rand::{RngExt, SeedableRng};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..n)
        .map(|_| {
            let (u, v): (f64, f64) = (random.random(), random.random());
            (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        })
        .collect()
}

fn truth(model: Model, items: usize) -> Fit {
    let (u, v) = (spread(items, 0.618_034), spread(items, 0.414_214));
    let item = |i: usize| {
        let one_slope = matches!(model, Model::Rasch | Model::RatingScale | Model::PartialCredit);
        let slope = if one_slope { 1.2 } else { 0.7 + 1.1 * v[i] };
        let b = -2.0 + 4.0 * u[i];
        let steps = match model {
            Model::RatingScale => vec![-0.9, 0.1, 0.8],
            Model::PartialCredit | Model::GeneralizedPartialCredit => vec![-0.9 - 0.3 * v[i], 0.2 * u[i], 0.9],
            Model::Graded => vec![-1.0, 0.3 * v[i], 1.1],
            _ => vec![0.0],
        };
        let lower = if matches!(model, Model::ThreePl | Model::FourPl) { 0.2 } else { 0.0 };
        let upper = if model == Model::FourPl { 0.93 } else { 1.0 };
        Item { slope, difficulties: steps.iter().map(|t| b * 0.6 + t).collect(), lower, upper }
    };
    Fit::known(model, (0..items).map(item).collect()).expect("a test")
}

#[test]
fn every_model_finds_its_own_curves() {
    for model in Model::ALL {
        let truth = truth(model, 20);
        let given = truth.simulate(&normal(4000, 7), 11).expect("responses");
        let fit = Mml { model, ..Mml::default() }.fit(&given).expect("fit");
        // 3PL and 4PL numbers trade with each other: their curves are compared instead.
        let mut worst: f64 = 0.0;
        for item in 0..20 {
            for theta in [-1.5, -0.5, 0.5, 1.5] {
                worst = worst.max((fit.expected(item, theta) - truth.expected(item, theta)).abs());
            }
        }
        println!(
            "{model:?}: {} steps, worst expected score {worst:.3}, log-likelihood {:.2}",
            fit.steps, fit.log_likelihood
        );
        assert!(fit.converged, "{model:?}");
        assert!(worst < 0.12, "{model:?}: an expected score is off by {worst}");
    }
}

#[test]
fn intervals_hold_the_truth() {
    for model in [Model::Rasch, Model::TwoPl, Model::GeneralizedPartialCredit] {
        let truth = truth(model, 10);
        let (mut held, mut all) = (0, 0);
        for seed in 0..40 {
            let given = truth.simulate(&normal(1000, 100 + seed), seed).expect("responses");
            let settings = Mml { model, points: 41, ..Mml::default() };
            let fit = settings.fit(&given).expect("fit");
            let errors = settings.errors(&fit, &given);
            for (item, error) in errors.iter().enumerate() {
                let error = error.as_ref().expect("an error");
                for step in 0..truth.items[item].difficulties.len() {
                    let off = fit.items[item].difficulties[step] - truth.items[item].difficulties[step];
                    held += usize::from(off.abs() < 1.96 * error.difficulties[step]);
                    all += 1;
                }
            }
        }
        let share = held as f64 / all as f64;
        println!("{model:?}: {share:.3} of {all}");
        // Difficulties of one data set move together, so the share of 40 sets has an error near 1.5 %.
        assert!((0.92..0.98).contains(&share), "{model:?}: {share}");
    }
}

#[test]
fn abilities_come_back_and_their_errors_are_honest() {
    let truth = truth(Model::TwoPl, 40);
    let abilities = normal(3000, 5);
    let given = truth.simulate(&abilities, 3).expect("responses");
    for estimator in [Estimator::Mle, Estimator::Map, Estimator::Eap, Estimator::Wle] {
        let found = truth.abilities(&given, estimator);
        let off: Vec<f64> =
            found.iter().zip(&abilities).filter_map(|(a, t)| a.map(|a| (a.theta - t) / a.error)).collect();
        let mean = off.iter().sum::<f64>() / off.len() as f64;
        let square = off.iter().map(|z| z * z).sum::<f64>() / off.len() as f64;
        println!("{estimator:?}: {} of 3000, bias {mean:.3} errors, mean square {square:.3}", off.len());
        assert!(off.len() > 2900 && mean.abs() < 0.1 && (0.85..1.15).contains(&square), "{estimator:?}");
    }
}

#[test]
fn anchors_keep_the_scale_of_a_stronger_population() {
    let truth = truth(Model::TwoPl, 20);
    let abilities: Vec<f64> = normal(4000, 51).iter().map(|z| 0.8 + 0.7 * z).collect();
    let given = truth.simulate(&abilities, 52).expect("responses");
    let anchors: Vec<Option<Item>> =
        truth.items.iter().enumerate().map(|(i, item)| (i < 10).then(|| item.clone())).collect();
    let fit = Mml { model: Model::TwoPl, ..Mml::default() }.anchored(&given, &anchors).expect("a fit");
    println!("{:?} in {} steps", fit.population, fit.steps);
    assert!(fit.converged && (fit.population.0 - 0.8).abs() < 0.08 && (fit.population.1 - 0.7).abs() < 0.08);
    assert_eq!(
        fit.items[..10].iter().map(|i| i.slope).collect::<Vec<_>>(),
        truth.items[..10].iter().map(|i| i.slope).collect::<Vec<_>>()
    );
    for (found, truth) in fit.items[10..].iter().zip(&truth.items[10..]) {
        assert!(
            (found.slope - truth.slope).abs() < 0.25 && (found.difficulties[0] - truth.difficulties[0]).abs() < 0.25,
            "{found:?} {truth:?}"
        );
    }
}
