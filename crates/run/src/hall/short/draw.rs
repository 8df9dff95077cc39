use irt::short::Method;
use plot::{Figure, Law, Model, Scaling};

use super::record::Candidate;

/// Error against the number of items, a line a method, with the band of the one that was taken; none if
/// nothing was measured.
pub(super) fn figure(measured: &[Candidate], method: Method) -> Option<Figure> {
    let own = |of: Method| measured.iter().filter(move |c| c.method == of);
    let points = measured.iter().map(|c| Model {
        label: format!("{}, {} items", c.method.name(), c.items),
        group: c.method.name().into(),
        x: c.items as f64,
        y: 100.0 * c.error,
        error: 100.0 * c.standard_error,
        held_out: false,
    });
    let law = |of: Method| {
        let list = |pick: fn(&Candidate) -> f64| own(of).map(|c| 100.0 * pick(c)).collect::<Vec<_>>();
        Law {
            label: of.name().into(),
            x: own(of).map(|c| c.items as f64).collect(),
            y: list(|c| c.error),
            band: (of == method).then(|| (list(|c| c.error_low), list(|c| c.error_high))),
        }
    };
    // A line needs two places.
    let laws = Method::ALL.into_iter().filter(|of| own(*of).count() > 1).map(law);
    let picture = Scaling {
        title: "What a short form costs".into(),
        x_title: "items".into(),
        y_title: "mean absolute error of the score, points".into(),
        log_x: true,
        log_y: false,
        laws: laws.collect(),
        points: points.collect(),
        note: format!("Held-out persons; the band is that of {}.", method.name()),
    };
    plot::scaling(&picture).ok()
}
