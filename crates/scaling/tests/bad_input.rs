//! Input that cannot be fitted is named; what can be fitted is.

use scaling::baselines::{Chinchilla, Compute, MeanLoss, OlmoLadder};
use scaling::{Bootstrap, Config, Error, Form, Ladder, Level, Losses, Prepared, Split, Target, judge, splits};

const FORMS: [Form; 3] = [Form::Signed, Form::Simplex, Form::Positive];

fn losses(models: usize, columns: usize) -> Losses {
    let value = |m: usize, t: usize| 3.0 - 0.1 * m as f32 + 0.05 * ((m * 7 + t * 11) % 13) as f32;
    let values = (0..models).flat_map(|m| (0..columns).map(move |t| value(m, t))).collect();
    let names = (0..models).map(|m| format!("pico-{m}")).collect();
    Losses::new(models, columns, values).expect("finite").named(names).expect("as many")
}

fn rising(models: usize) -> Vec<f64> {
    (0..models).map(|m| 0.3 + 0.5 * m as f64 / models as f64).collect()
}

fn every<T: std::fmt::Debug>(check: impl Fn(Form) -> Result<T, Error>) -> Vec<String> {
    FORMS.iter().map(|form| check(*form).expect_err("cannot be fitted").to_string()).collect()
}

#[test]
fn models_and_columns_are_named() {
    let losses = losses(8, 20);
    let prepared = Prepared::new(&losses);
    let all: Vec<usize> = (0..8).collect();
    let with = |m: usize, y: f64| {
        let mut accuracy = rising(8);
        accuracy[m] = y;
        Target::new("piqa", accuracy)
    };
    for wrong in [f64::NAN, 1.5, -0.1, f64::INFINITY] {
        for text in every(|form| prepared.fit(&with(5, wrong), &all, &Config { form, ..Config::default() })) {
            assert!(text.contains("pico-5") && text.contains("piqa"), "{text}");
        }
        // A model that is not fitted may lack the task.
        for form in FORMS {
            let fit = prepared.fit(&with(5, wrong), &[0, 1, 2, 3, 4, 6, 7], &Config { form, ..Config::default() });
            assert!(fit.expect("fits").predict(&losses).iter().all(|y| y.is_finite()));
        }
    }
    let mut target = Target::new("piqa", rising(8));
    target.errors = Some(vec![0.01, 0.01, 0.0, 0.01, 0.01, 0.01, 0.01, 0.01]);
    let text = prepared.fit(&target, &all, &Config::default()).expect_err("an error of 0").to_string();
    assert!(text.contains("standard error of pico-2 is 0"), "{text}");
    let fit = |target: &Target, train: &[usize]| prepared.fit(target, train, &Config::default());
    assert!(matches!(fit(&Target::new("t", rising(7)), &all), Err(Error::Length { got: 7, expected: 8, .. })));
    assert!(matches!(fit(&Target::new("t", rising(8)), &[0, 1, 8]), Err(Error::Data { .. })));
    let nan = Losses::new(2, 2, vec![1.0, 2.0, f32::NAN, 1.0]).expect_err("NaN").to_string();
    assert!(nan.contains("model 1, column 0"), "{nan}");
    assert!(Losses::new(0, 0, vec![]).is_err() && Losses::new(2, 2, vec![1.0]).is_err());
}

#[test]
fn too_few_models_and_losses_that_never_differ() {
    for models in [1, 2] {
        let losses = losses(models, 6);
        let all: Vec<usize> = (0..models).collect();
        let prepared = Prepared::new(&losses);
        for form in FORMS {
            let config = Config { form, ..Config::default() };
            // Two models are refused, or (signed: one slope under a ridge) fitted without a number that is none.
            if let Ok(fit) = prepared.fit(&Target::new("t", rising(models)), &all, &config) {
                assert!(models == 2 && fit.predict(&losses).iter().all(|y| y.is_finite()));
            }
        }
        assert!(models == 2 || prepared.fit(&Target::new("t", rising(models)), &all, &Config::default()).is_err());
    }
    let flat = Losses::new(6, 5, vec![2.5; 30]).expect("finite");
    let prepared = Prepared::new(&flat);
    let all: Vec<usize> = (0..6).collect();
    let target = Target::new("t", rising(6));
    for text in every(|form| prepared.fit(&target, &all, &Config { form, ..Config::default() })) {
        assert!(text.contains("give models of different losses"), "{text}");
    }
    assert!(MeanLoss::fit(&flat, &target, &all, Level::Free, Level::Fixed(1.0)).is_err());
    // Some columns that never differ do no harm, nor does a single column.
    let some =
        (0..48).map(|i| if i % 6 < 3 { 2.0 } else { 3.0 - 0.1 * (i / 6) as f32 + 0.01 * (i % 6) as f32 }).collect();
    for losses in [Losses::new(8, 6, some).expect("finite"), losses(8, 1)] {
        let prepared = Prepared::new(&losses);
        for form in FORMS {
            let config = Config { form, ..Config::default() };
            let fit = prepared.fit(&Target::new("t", rising(8)), &(0..8).collect::<Vec<_>>(), &config).expect("fits");
            assert!(fit.rmse < 0.12 && fit.slopes.iter().all(|s| s.is_finite()), "{form:?} {fit:?}");
        }
    }
}

#[test]
fn a_task_that_never_changes_is_flat() {
    let losses = losses(10, 30);
    let all: Vec<usize> = (0..10).collect();
    let prepared = Prepared::new(&losses);
    for height in [0.0, 0.25, 1.0] {
        for form in FORMS {
            let config = Config { form, ..Config::default() };
            let fit = prepared.fit(&Target::new("t", vec![height; 10]), &all, &config).expect("fits");
            let far = fit.predict(&losses).iter().map(|y| (y - height).abs()).fold(0.0, f64::max);
            assert!(far < 0.02, "{form:?} {height}: {far}");
            assert!(fit.weights().is_none_or(|w| w.iter().all(|w| w.is_finite())));
        }
    }
}

#[test]
fn settings_outside_their_range() {
    let losses = losses(8, 5);
    let all: Vec<usize> = (0..8).collect();
    let prepared = Prepared::new(&losses);
    let target = Target::new("t", rising(8));
    for config in [
        Config { lambda: -1.0, ..Config::default() },
        Config { lambda: f64::NAN, ..Config::default() },
        Config { steps: 0, ..Config::default() },
        Config { floor: Level::Fixed(1.0), ..Config::default() },
        Config { floor: Level::Between(0.5, 0.2), ..Config::default() },
    ] {
        assert!(matches!(prepared.fit(&target, &all, &config), Err(Error::Setting { .. })), "{config:?}");
    }
    let fold = Split { name: "x".into(), train: vec![0, 1, 2, 3], test: vec![4] };
    let choose =
        |folds: &[Split], grid: &[f64]| prepared.choose(std::slice::from_ref(&target), folds, &Config::default(), grid);
    assert!(choose(&[], &[1.0]).is_err() && choose(std::slice::from_ref(&fold), &[]).is_err());
    assert!(choose(std::slice::from_ref(&fold), &[f64::NAN]).is_err() && choose(&[fold], &[1e-2, 1e-3]).is_ok());
    let few = Bootstrap { replicates: 1, ..Bootstrap::default() };
    let families: Vec<usize> = (0..8).collect();
    assert!(prepared.bands(&target, &all, &families, &Config::default(), None, &few).is_err());
    let by = Bootstrap { replicates: 20, ..Bootstrap::default() };
    assert!(prepared.bands(&target, &all, &[0; 8], &Config::default(), None, &by).is_err(), "one family");
    assert!(prepared.bands(&target, &all, &families, &Config::default(), Some(&[]), &by).is_err());
    assert!(judge(&[0.5], 0.5, &[0.5, 0.6], None, &[0, 1], &by).is_err());
    assert!(splits::random(&all, 1, 0).is_err());
}

#[test]
fn laws_of_size_name_absurd_sizes() {
    let losses = losses(8, 5);
    let prepared = Prepared::new(&losses);
    let all: Vec<usize> = (0..8).collect();
    let (target, by) = (Target::new("t", rising(8)), Bootstrap { replicates: 20, ..Bootstrap::default() });
    let n: Vec<f64> = (0..8).map(|m| 1e6 * 2_f64.powi(m)).collect();
    let forecast = |n: &[f64], along: &[usize], question: (f64, f64)| {
        let ladder = Ladder { n, d: &n.iter().map(|n| 20.0 * n).collect::<Vec<_>>(), along };
        prepared.forecast(&target, &all, &all, &Config::default(), ladder, &[question], &by)
    };
    let good = forecast(&n, &all, (1e9, 2e10)).expect("fits").bands.accuracy[0];
    assert!(good.low <= good.high && good.value.is_finite());
    assert!(matches!(forecast(&n, &all, (0.0, 1e9)), Err(Error::NotPositive { .. })));
    assert!(matches!(forecast(&n[..7], &all, (1e9, 1e9)), Err(Error::Length { .. })));
    assert!(matches!(forecast(&n, &[0, 1, 2], (1e9, 1e9)), Err(Error::Data { .. })));
    assert!(matches!(forecast(&n, &[0, 1, 2, 3, 99], (1e9, 1e9)), Err(Error::Data { .. })));
    let d: Vec<f64> = n.iter().map(|n| 20.0 * n).collect();
    let means = losses.means();
    assert!(matches!(Chinchilla::fit(&n[..4], &d[..4], &means[..4]), Err(Error::Data { .. })));
    assert!(matches!(Compute::fit(&n, &d[..7], &rising(8), Level::Free, Level::Free), Err(Error::Length { .. })));
    assert!(OlmoLadder::fit(&n, &d, &means, &rising(8)).expect("fits").predict(1e9, 2e10).is_finite());
    assert!(OlmoLadder::fit(&n, &d, &[f64::NAN; 8], &rising(8)).is_err());
}
