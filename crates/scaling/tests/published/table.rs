use scaling::{Config, Curve, Form, Level, Prepared, Split, splits};

use crate::Published;

/// The table leaves γ free without limits, so that it may fall below 0.
const FLOOR: Level = Level::Between(-1.0, 1.0);

/// Test MAE over ten tasks: of salience vectors with this λ, and of a sigmoid on C4's loss alone.
fn errors(published: &Published, prepared: &Prepared, split: &Split, lambda: f64) -> (f64, f64) {
    let (mut ours, mut c4) = (0.0, 0.0);
    let x = published.c4();
    for target in published.ten() {
        let config = Config { lambda, floor: FLOOR, ..Config::default() };
        let fit = prepared.fit(&target, &split.train, &config).expect("fits");
        assert!(fit.converged, "{} {lambda}", target.task);
        let predicted = fit.predict(&published.losses);
        let pick = |v: &[f64]| -> Vec<f64> { split.train.iter().map(|&m| v[m]).collect() };
        let curve = Curve::fit(&pick(&x), &pick(&target.accuracy), None, FLOOR, Level::Fixed(1.0)).expect("fits");
        for &m in &split.test {
            ours += (predicted[m] - target.accuracy[m]).abs();
            c4 += (curve.at(x[m]) - target.accuracy[m]).abs();
        }
    }
    let n = 10.0 * split.test.len() as f64;
    (ours / n, c4 / n)
}

/// Salience with λ = 1e-3, and C4's loss alone, as the note gives them, in the order of the splits.
const NOTE: [(f64, f64); 4] = [(0.023, 0.025), (0.016, 0.021), (0.019, 0.038), (0.048, 0.061)];

#[test]
fn ten_tasks_with_the_notes_lambda() {
    let published = Published::read();
    let prepared = Prepared::new(&published.losses);
    let mut overfit = 0.0_f64;
    for (split, (salience, alone)) in published.splits().iter().zip(NOTE) {
        let (ours, c4) = errors(&published, &prepared, split, 1e-3);
        println!("{}: {ours:.5}, C4 alone {c4:.5}", split.name);
        // Half a unit of the last digit given, and what rounding the inputs moves.
        assert!((ours - salience).abs() < 0.00055, "{}: {ours:.5}, the note says {salience}", split.name);
        assert!((c4 - alone).abs() < 0.00055, "{}: {c4:.5}, the note says {alone}", split.name);
        overfit = overfit.max(errors(&published, &prepared, split, 0.0).0);
    }
    assert!((overfit - 0.070).abs() < 0.00055, "without a penalty {overfit:.5}, the note says up to .070");
}

#[test]
fn lambda_chosen_within_train_beats_c4_alone_everywhere() {
    let published = Published::read();
    let prepared = Prepared::new(&published.losses);
    let grid = prepared.grid(Form::Signed, 17);
    let (mut sum, mut of_note) = (0.0, 0.0);
    for (split, (note, _)) in published.splits().iter().zip(NOTE) {
        // Folds ask inside the training set what the split asks: a distribution, or a size, not seen.
        let folds = if split.name.starts_with("larger") {
            splits::growing(&published.n, &split.train, 2)
        } else {
            splits::leave_one_out(&published.data, &split.train)
        };
        let config = Config { floor: FLOOR, ..Config::default() };
        let choice = prepared.choose(&published.ten(), &folds.expect("folds"), &config, &grid).expect("chosen");
        let (ours, c4) = errors(&published, &prepared, split, choice.lambda);
        println!("{}: λ {:.1e}, {ours:.4}, C4 alone {c4:.4}, λ = 1e-3 {note}", split.name, choice.lambda);
        assert!(!choice.at_end && ours < c4, "{}: {ours} {c4}", split.name);
        (sum, of_note) = (sum + ours / 4.0, of_note + note / 4.0);
    }
    // λ = 1e-3 was picked with the test in view; chosen without it, the four splits do better on average.
    assert!(sum < of_note, "{sum} {of_note}");
}
