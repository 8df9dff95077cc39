use plot::{Figure, Law, Model, Salience, Scaling};

use super::{Capability, Laws};

/// Places along a curve.
const PLACES: usize = 100;

/// The figures of each task: its curve, and the passage that it hangs on.
pub fn figures(laws: &Laws) -> Vec<(String, Figure)> {
    let name = |of: &Capability, what: &str| {
        let task: String = of.task.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
        format!("{what}-{task}")
    };
    let of_task = |of: &Capability| {
        let curve = curve(laws, of).map(|figure| (name(of, "curve"), figure));
        curve.into_iter().chain(passage(of).map(|figure| (name(of, "salience"), figure))).collect::<Vec<_>>()
    };
    laws.capabilities.iter().flat_map(of_task).collect()
}

/// Accuracies over the weighted loss, and the sigmoid; none where nothing can be drawn.
pub(super) fn curve(laws: &Laws, of: &Capability) -> Option<Figure> {
    let xs = || of.curve.iter().map(|(x, _)| *x);
    let (low, high) = (xs().fold(f64::INFINITY, f64::min), xs().fold(f64::NEG_INFINITY, f64::max));
    let x: Vec<f64> = (0..PLACES).map(|i| low + (high - low) * i as f64 / (PLACES - 1) as f64).collect();
    let (offset, floor, ceiling) = of.levels;
    let y = x.iter().map(|x| floor + (ceiling - floor) * scaling::sigmoid(offset - x)).collect();
    let model = |(m, (x, y)): (usize, &(f64, f64))| Model {
        label: laws.models[m].clone(),
        group: laws.families.as_ref().map_or(String::new(), |families| families[m].clone()),
        x: *x,
        y: *y,
        error: 0.0,
        held_out: false,
    };
    plot::scaling(&Scaling {
        title: format!("{}: accuracy over the salience vector's loss", of.task),
        x_title: "weighted loss, log-odds".into(),
        y_title: "accuracy, share".into(),
        points: of.curve.iter().enumerate().map(model).collect(),
        laws: vec![Law { label: "sigmoid".into(), x, y, band: None }],
        note: format!("Fitted to all models at λ {:.1e}: root mean square error {:.4}.", of.lambda, of.rmse),
        ..Scaling::default()
    })
    .ok()
}

/// The text on which most of the vector lies; none where losses have no text.
pub(super) fn passage(of: &Capability) -> Option<Figure> {
    plot::salience(&Salience {
        title: format!("{}: the passage that it hangs on most", of.task),
        quantity: "effect, log-odds".into(),
        tokens: of.passage.clone(),
        note: "Above 0: a model that knows this token better is better at the task.".into(),
    })
    .ok()
}
