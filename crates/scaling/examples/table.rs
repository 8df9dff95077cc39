//! Salience vectors against every baseline on the published 104 models: test MAE and median of ten
//! tasks (or of all 46 with `--all`), with limits by drawing models anew, and the verdict on each task.
//!
//!     cargo run --release -p scaling --example table [--all]

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[path = "../tests/published/published.rs"]
mod published;

use published::Published;
use rayon::prelude::*;
use scaling::baselines::{Compute, Flp, Gadre, MeanLoss, Observational, OlmoLadder};
use scaling::{
    Bootstrap, Config, Curve, Form, Ladder, Level, Prepared, Result, Split, Target, Verdict, evaluate, judge, splits,
};

/// A way to predict the test models' accuracies: name, needs the test models' own losses (or other
/// scores), predictions.
type Way = (&'static str, bool, fn(&Published, &Prepared, &Split, &Target, f64) -> Result<Vec<f64>>);

const ONE: Level = Level::Fixed(1.0);

const WAYS: [Way; 12] = [
    ("salience, λ within train", true, |p, prepared, split, target, lambda| {
        let fit = prepared.fit(target, &split.train, &Config { lambda, ..Config::default() })?;
        Ok(test(&fit.predict(&p.losses), split))
    }),
    ("salience, λ = 1e-3", true, |p, prepared, split, target, _| {
        Ok(test(&prepared.fit(target, &split.train, &Config::default())?.predict(&p.losses), split))
    }),
    ("salience, no penalty", true, |p, prepared, split, target, _| {
        let fit = prepared.fit(target, &split.train, &Config { lambda: 0.0, ..Config::default() })?;
        Ok(test(&fit.predict(&p.losses), split))
    }),
    ("salience, free ceiling", true, |p, prepared, split, target, lambda| {
        let config = Config { lambda, ceiling: Level::Free, ..Config::default() };
        Ok(test(&prepared.fit(target, &split.train, &config)?.predict(&p.losses), split))
    }),
    ("C4 loss", true, |p, _, split, target, _| {
        let x = p.c4();
        let curve = Curve::fit(&train(&x, split), &train(&target.accuracy, split), None, Level::Free, ONE)?;
        Ok(split.test.iter().map(|&m| curve.at(x[m])).collect())
    }),
    ("mean loss", true, |p, _, split, target, _| {
        Ok(test(&MeanLoss::fit(&p.losses, target, &split.train, Level::Free, ONE)?.predict(&p.losses), split))
    }),
    ("observational, 3 components of 45", true, |p, _, split, target, _| {
        let row = |m: &usize| -> Vec<f64> {
            p.tasks.iter().filter(|t| t.task != target.task).map(|t| t.accuracy[*m]).collect()
        };
        let scores: Vec<f64> = split.train.iter().flat_map(row).collect();
        let fit = Observational::fit(&scores, 45, &train(&target.accuracy, split), 3, Level::Free, ONE)?;
        Ok(split.test.iter().map(|m| fit.predict(&row(m))).collect())
    }),
    ("salience, from size alone", false, |p, prepared, split, target, lambda| {
        let config = Config { lambda, ..Config::default() };
        let by = Bootstrap { replicates: 20, ..Bootstrap::default() };
        let own: Vec<usize> = (0..104).collect();
        by_recipe(p, split, |along, test| {
            let ladder = Ladder { n: &p.n, d: &p.d, along };
            let questions: Vec<(f64, f64)> = test.iter().map(|&m| (p.n[m], p.d[m])).collect();
            let forecast = prepared.forecast(target, &split.train, &own, &config, ladder, &questions, &by)?;
            Ok(forecast.bands.accuracy.iter().map(|band| band.value).collect())
        })
    }),
    ("compute", false, |p, _, split, target, _| {
        by_recipe(p, split, |along, test| {
            let fit = Compute::fit(&of(&p.n, along), &of(&p.d, along), &of(&target.accuracy, along), Level::Free, ONE)?;
            Ok(test.iter().map(|&m| fit.predict(p.n[m], p.d[m])).collect())
        })
    }),
    ("Gadre et al., C4 loss", false, |p, _, split, target, _| {
        by_recipe(p, split, |along, test| {
            let fit =
                Gadre::fit(&of(&p.n, along), &of(&p.d, along), &of(&p.c4(), along), &of(&target.accuracy, along))?;
            Ok(test.iter().map(|&m| fit.predict(p.n[m], p.d[m])).collect())
        })
    }),
    ("FLP, C4 loss", false, |p, _, split, target, _| {
        let chance = target.accuracy.iter().copied().fold(1.0, f64::min);
        by_recipe(p, split, |along, test| {
            let fit = Flp::fit(
                &of(&p.n, along),
                &of(&p.d, along),
                &of(&p.c4(), along),
                &of(&target.accuracy, along),
                chance,
            )?;
            Ok(test.iter().map(|&m| fit.predict(p.n[m], p.d[m])).collect())
        })
    }),
    ("OLMo ladder, C4 loss", false, |p, _, split, target, _| {
        by_recipe(p, split, |along, test| {
            let fit =
                OlmoLadder::fit(&of(&p.n, along), &of(&p.d, along), &of(&p.c4(), along), &of(&target.accuracy, along))?;
            Ok(test.iter().map(|&m| fit.predict(p.n[m], p.d[m])).collect())
        })
    }),
];

fn of(values: &[f64], some: &[usize]) -> Vec<f64> {
    some.iter().map(|&m| values[m]).collect()
}

fn train(values: &[f64], split: &Split) -> Vec<f64> {
    of(values, &split.train)
}

fn test(values: &[f64], split: &Split) -> Vec<f64> {
    of(values, &split.test)
}

/// Laws of size hold for one training distribution: each test model is predicted from the training
/// models of its own, or from all where its distribution is what is held out.
fn by_recipe(
    p: &Published,
    split: &Split,
    predict: impl Fn(&[usize], &[usize]) -> Result<Vec<f64>>,
) -> Result<Vec<f64>> {
    let mut out = vec![0.0; 104];
    for data in ["c4", "rpj", "rw"] {
        let own = |some: &[usize]| -> Vec<usize> { some.iter().copied().filter(|&m| p.data[m] == data).collect() };
        let (mut along, asked) = (own(&split.train), own(&split.test));
        if along.is_empty() {
            along = split.train.clone();
        }
        if !asked.is_empty() {
            predict(&along, &asked)?.into_iter().zip(asked).for_each(|(y, m)| out[m] = y);
        }
    }
    Ok(test(&out, split))
}

fn main() -> Result<()> {
    let p = Published::read();
    let prepared = Prepared::new(&p.losses);
    let grid = prepared.grid(Form::Signed, 17);
    let tasks = if std::env::args().any(|a| a == "--all") { p.tasks.clone() } else { p.ten() };
    for split in p.splits() {
        let folds = if split.name.starts_with("larger") {
            splits::growing(&p.n, &split.train, 2)?
        } else {
            splits::leave_one_out(&p.data, &split.train)?
        };
        let choice = prepared.choose(&tasks, &folds, &Config::default(), &grid)?;
        println!(
            "\n## {} ({} train, {} test; λ {:.1e})\n",
            split.name,
            split.train.len(),
            split.test.len(),
            choice.lambda
        );
        println!(
            "| way | knows the test models' | MAE | 95 % | median | Spearman, median task | R², median task | predictable, not, open | not fitted |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
        for (name, losses, predict) in WAYS {
            // A task that cannot be fitted stays in: its prediction is the mean of the training models.
            let failed = AtomicUsize::new(0);
            let one = |target: &Target| {
                let mean = train(&target.accuracy, &split).iter().sum::<f64>() / split.train.len() as f64;
                let predicted = predict(&p, &prepared, &split, target, choice.lambda).unwrap_or_else(|_| {
                    failed.fetch_add(1, Relaxed);
                    vec![mean; split.test.len()]
                });
                (predicted, test(&target.accuracy, &split))
            };
            let all: Vec<(Vec<f64>, Vec<f64>)> = tasks.par_iter().map(one).collect();
            let predicted: Vec<f64> = all.iter().flat_map(|(x, _)| x.clone()).collect();
            let observed: Vec<f64> = all.iter().flat_map(|(_, y)| y.clone()).collect();
            // A model's tasks are drawn together.
            let families: Vec<usize> = tasks.iter().flat_map(|_| 0..split.test.len()).collect();
            let mae = |x: &[f64], y: &[f64]| evaluate::metrics(x, y).map_or(f64::NAN, |m| m.mae);
            let limits = evaluate::interval(&predicted, &observed, &families, &Bootstrap::default(), mae)?;
            let (mut ranks, mut shares, mut verdicts) = (Vec::new(), Vec::new(), [0; 3]);
            for ((x, y), target) in all.iter().zip(&tasks) {
                let at = p.tasks.iter().position(|t| t.task == target.task);
                let errors = at.and_then(|at| target.clone().with_items(p.items[at]).errors);
                let errors = errors.map(|errors| test(&errors, &split));
                let m = evaluate::metrics(x, y)?;
                ranks.extend(m.spearman);
                shares.extend(m.r2);
                let mean = train(&target.accuracy, &split).iter().sum::<f64>() / split.train.len() as f64;
                let own: Vec<usize> = (0..y.len()).collect();
                verdicts[match judge(x, mean, y, errors.as_deref(), &own, &Bootstrap::default())? {
                    Verdict::Predictable { .. } => 0,
                    Verdict::NotPredictable { .. } => 1,
                    Verdict::Undecided { .. } => 2,
                }] += 1;
            }
            println!(
                "| {name} | {} | {:.4} | {:.4}–{:.4} | {:.4} | {:.2} | {:.2} | {}, {}, {} | {} |",
                if losses { "losses" } else { "size" },
                limits.value,
                limits.low,
                limits.high,
                evaluate::metrics(&predicted, &observed)?.median,
                evaluate::median(&mut ranks),
                evaluate::median(&mut shares),
                verdicts[0],
                verdicts[1],
                verdicts[2],
                failed.into_inner()
            );
        }
    }
    Ok(())
}
