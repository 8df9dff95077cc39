use scaling::{Bootstrap, Config, Form, Ladder, Prepared, evaluate, splits};

use crate::Published;

/// Every size of every distribution is a family: 18 of them.
fn families(published: &Published) -> Vec<usize> {
    let of = |m: usize| {
        let data = ["c4", "rpj", "rw"].iter().position(|d| *d == published.data[m]).expect("known");
        100 * data + (published.n[m].log10() * 10.0) as usize
    };
    (0..104).map(of).collect()
}

#[test]
fn bands_with_errors_of_left_out_families_cover_new_ones() {
    let published = Published::read();
    let prepared = Prepared::new(&published.losses);
    let (families, grid) = (families(&published), prepared.grid(Form::Signed, 9));
    let by = Bootstrap { replicates: 200, ..Bootstrap::default() };
    let all: Vec<usize> = (0..104).collect();
    let (mut inside, mut narrow, mut n) = (0.0, 0.0, 0.0);
    // A third of the families is held out at a time.
    for part in 0..3 {
        let labels: Vec<usize> = families.iter().map(|f| (f + f / 100) % 3).collect();
        let split = splits::hold_out(&labels, &all, &part).expect("a third");
        let folds = splits::leave_one_out(&families, &split.train).expect("families");
        for target in published.ten() {
            let choice =
                prepared.choose(std::slice::from_ref(&target), &folds, &Config::default(), &grid).expect("chosen");
            let config = Config { lambda: choice.lambda, ..Config::default() };
            let observed: Vec<f64> = split.test.iter().map(|&m| target.accuracy[m]).collect();
            let covers = |residuals: Option<&[f64]>| {
                let bands = prepared.bands(&target, &split.train, &families, &config, residuals, &by).expect("bands");
                let of_test: Vec<_> = split.test.iter().map(|&m| bands.accuracy[m]).collect();
                evaluate::coverage(&of_test, &observed).expect("as many") * observed.len() as f64
            };
            inside += covers(Some(&choice.residuals[0]));
            narrow += covers(None);
            n += observed.len() as f64;
        }
    }
    let (wide, narrow) = (inside / n, narrow / n);
    println!("95 % bands cover {wide:.3} of {n} accuracies, the curve's alone {narrow:.3}");
    assert!((0.88..=1.0).contains(&wide), "{wide}");
    assert!(narrow < wide, "the curve's own band is no interval for a new model: {narrow}");
}

#[test]
fn a_model_that_nobody_trained_is_forecast() {
    let published = Published::read();
    let prepared = Prepared::new(&published.losses);
    let families = families(&published);
    let by = Bootstrap { replicates: 100, ..Bootstrap::default() };
    let small: Vec<usize> = (0..104).filter(|&m| published.n[m] < 1e9).collect();
    let folds = splits::growing(&published.n, &small, 2).expect("sizes");
    let grid = prepared.grid(Form::Signed, 9);
    let choice = prepared.choose(&published.ten(), &folds, &Config::default(), &grid).expect("chosen");
    let config = Config { lambda: choice.lambda, ..Config::default() };
    let (mut off, mut inside, mut n) = (0.0, 0, 0);
    for target in published.ten() {
        for data in ["c4", "rpj", "rw"] {
            let along: Vec<usize> = small.iter().copied().filter(|&m| published.data[m] == data).collect();
            let large: Vec<usize> = (0..104).filter(|&m| published.data[m] == data && published.n[m] > 1e9).collect();
            let questions: Vec<(f64, f64)> = large.iter().map(|&m| (published.n[m], published.d[m])).collect();
            let ladder = Ladder { n: &published.n, d: &published.d, along: &along };
            let forecast = prepared.forecast(&target, &small, &families, &config, ladder, &questions, &by);
            let forecast = forecast.expect("a forecast");
            for (band, &m) in forecast.bands.accuracy.iter().zip(&large) {
                off += (band.value - target.accuracy[m]).abs();
                inside += usize::from(band.low <= target.accuracy[m] && target.accuracy[m] <= band.high);
                n += 1;
            }
        }
    }
    let mae = off / f64::from(n);
    println!("forecast of 1.4B and 6.9B from up to 411M: MAE {mae:.4}, 95 % bands cover {inside} of {n}");
    // Where the losses of the large models are known the error is .045; here they are not.
    assert!(mae < 0.08, "{mae}");
    let share = f64::from(inside as u32) / f64::from(n);
    assert!(share > 0.85, "{share}");
}
