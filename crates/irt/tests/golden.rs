//! Published numbers of two classic tests.

use irt::{Fit, Mml, Model, Responses};

const LSAT6: [u32; 32] = [
    3, 6, 2, 11, 1, 1, 3, 4, 1, 8, 0, 16, 0, 3, 2, 15, 10, 29, 14, 81, 3, 28, 15, 80, 16, 56, 21, 173, 11, 61, 28, 298,
];
const LSAT7: [u32; 32] = [
    12, 19, 1, 7, 3, 19, 3, 17, 10, 5, 3, 7, 7, 23, 8, 28, 7, 39, 11, 34, 14, 51, 15, 90, 6, 25, 7, 35, 18, 136, 32,
    308,
];

/// Counts of the patterns 00000 to 11111, the first item's digit first.
fn responses(counts: &[u32; 32]) -> Responses {
    let mut cells = Vec::new();
    for (pattern, &count) in counts.iter().enumerate() {
        for _ in 0..count {
            cells.extend((0..5).map(|item| Some((pattern >> (4 - item) & 1) as u8)));
        }
    }
    Responses::table(5, &cells).expect("responses")
}

fn fit(counts: &[u32; 32], model: Model) -> Fit {
    let fit = Mml { model, tolerance: 1e-7, ..Mml::default() }.fit(&responses(counts)).expect("fit");
    assert!(fit.converged, "{fit:?}");
    fit
}

#[track_caller]
fn near(found: impl IntoIterator<Item = f64>, wanted: &[f64], within: f64) {
    let found: Vec<f64> = found.into_iter().collect();
    assert!(
        found.iter().zip(wanted).all(|(f, w)| (f - w).abs() <= within) && found.len() == wanted.len(),
        "{found:?} is not {wanted:?}"
    );
}

fn difficulties(fit: &Fit) -> Vec<f64> {
    fit.items.iter().map(|item| item.difficulties[0]).collect()
}

fn slopes(fit: &Fit) -> Vec<f64> {
    fit.items.iter().map(|item| item.slope).collect()
}

#[test]
fn lsat6() {
    let one = fit(&LSAT6, Model::Rasch);
    near([one.log_likelihood], &[-2466.938], 5e-4);
    near([one.items[0].slope], &[0.7551], 5e-4);
    near(difficulties(&one), &[-3.6153, -1.3224, -0.3176, -1.7301, -2.7802], 5e-4);
    let two = fit(&LSAT6, Model::TwoPl);
    near([two.log_likelihood], &[-2466.653], 5e-4);
    near(slopes(&two), &[0.8257, 0.7227, 0.8909, 0.6884, 0.6569], 1e-3);
    near(difficulties(&two), &[-3.359, -1.370, -0.280, -1.866, -3.126], 5e-3);
}

#[test]
fn lsat7() {
    let one = fit(&LSAT7, Model::Rasch);
    near([one.log_likelihood], &[-2664.901], 5e-4);
    near([one.items[0].slope], &[1.0113], 5e-4);
    near(difficulties(&one), &[-1.8474, -0.7822, -1.4447, -0.5157, -1.9708], 5e-4);
    let two = fit(&LSAT7, Model::TwoPl);
    near([two.log_likelihood], &[-2658.805], 5e-4);
    near(slopes(&two), &[0.9875, 1.0808, 1.7075, 0.7650, 0.7357], 1e-3);
    near(difficulties(&two), &[-1.8793, -0.7475, -1.0572, -0.6353, -2.5208], 1e-3);
}

#[test]
fn conditional() {
    let fit = irt::cml(&responses(&LSAT6), 1e-9, 1000).expect("fit");
    near(fit.difficulties.iter().map(|b| b[0]), &[-1.2561, 0.4749, 1.2360, 0.1684, -0.6232], 5e-5);
    let fit = irt::cml(&responses(&LSAT7), 1e-9, 1000).expect("fit");
    near(fit.difficulties.iter().map(|b| b[0]), &[-0.5415, 0.5365, -0.1336, 0.8052, -0.6667], 5e-5);
}

#[test]
fn conditional_errors_are_those_that_simulation_shows() {
    let truth = irt::Item { slope: 1.0, difficulties: vec![0.0], lower: 0.0, upper: 1.0 };
    let at = |b: f64| irt::Item { difficulties: vec![b], ..truth.clone() };
    let bank = Fit::known(Model::Rasch, [-1.5, -0.5, 0.0, 0.4, 1.6].map(at).to_vec()).expect("a test");
    let abilities: Vec<f64> = (0..300).map(|i| -2.0 + f64::from(i) / 75.0).collect();
    let (mut found, mut errors) = (Vec::new(), vec![0.0; 5]);
    for seed in 0..400 {
        let given = bank.simulate(&abilities, seed).expect("responses");
        let fit = irt::cml(&given, 1e-7, 1000).expect("a fit");
        let own = fit.errors(&given).expect("errors");
        errors.iter_mut().zip(&own).for_each(|(to, e)| *to += e[0] / 400.0);
        found.push(fit.difficulties);
    }
    for item in 0..5 {
        let mean = found.iter().map(|b| b[item][0]).sum::<f64>() / 400.0;
        let spread = (found.iter().map(|b| (b[item][0] - mean).powi(2)).sum::<f64>() / 399.0).sqrt();
        // 400 draws give the deviation within 3.5 %; three of those.
        assert!((errors[item] / spread - 1.0).abs() < 0.11, "item {item}: {} is not {spread}", errors[item]);
    }
}

#[test]
fn errors_of_slopes_and_difficulties() {
    // R's ltm prints these for the 2PL model of these data; written down from memory, not from a run.
    let settings = Mml { model: Model::TwoPl, tolerance: 1e-8, ..Mml::default() };
    let given = responses(&LSAT6);
    let fit = settings.fit(&given).expect("fit");
    let errors: Vec<_> = settings.errors(&fit, &given).into_iter().map(|e| e.expect("errors")).collect();
    near(errors.iter().map(|e| e.slope), &[0.2581, 0.1867, 0.2326, 0.1852, 0.2100], 5e-4);
    near(errors.iter().map(|e| e.difficulties[0]), &[0.8669, 0.3073, 0.0997, 0.4341, 0.8700], 3e-3);
}
