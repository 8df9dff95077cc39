use exam::statistics::power;
use plot::{Figure, Forest, Power, Row};

use super::Compared;

/// Names at the end of curves that can be told apart.
const CURVES: usize = 6;

/// The pictures that the pairs allow: differences to the baseline, and what this exam can see.
pub(super) fn figures(compared: &Compared) -> Vec<(&'static str, Figure)> {
    [("forest", differences(compared)), ("power", sight(compared))]
        .into_iter()
        .filter_map(|(name, figure)| Some((name, figure?)))
        .collect()
}

fn differences(compared: &Compared) -> Option<Figure> {
    let baseline = &compared.names[compared.baseline];
    let rows = compared.persons.iter().filter_map(|person| {
        let pair = person.against.as_ref()?;
        let found = pair.difference?;
        let label = format!("{}{}", person.name, if pair.same_base { " †" } else { "" });
        let [value, low, high] = [found.mean, found.low, found.high].map(|share| 100.0 * share);
        Some(Row { label, value, low, high, class: None })
    });
    let picture = Forest {
        title: format!("Score less that of {baseline}"),
        x_title: "difference, points of a hundred".into(),
        sides: Some(("worse".into(), "better".into())),
        ties: None,
        rows: rows.collect(),
        note: format!("{:.0} % intervals, each difference alone.", 100.0 * (1.0 - compared.alpha)),
    };
    plot::forest(&picture).ok()
}

fn sight(compared: &Compared) -> Option<Figure> {
    let rivals = compared.persons.iter().filter_map(|person| {
        let pair = person.against.as_ref()?;
        let found = pair.difference?;
        Some((person.name.clone(), found, pair.detectable?))
    });
    let mut rivals: Vec<_> = rivals.collect();
    // Many persons: those of the widest and the narrowest sight, and some between.
    rivals.sort_by(|a, b| a.2.total_cmp(&b.2));
    if rivals.len() > CURVES {
        let last = rivals.len() - 1;
        rivals = (0..CURVES).map(|at| rivals[at * last / (CURVES - 1)].clone()).collect();
    }
    let far = 1.5 * rivals.last()?.2;
    let x: Vec<f64> = (0..=60).map(|at| far * f64::from(at) / 60.0).collect();
    let lines = rivals.iter().map(|(name, found, _)| {
        let at = |effect: &f64| power(*effect, found.standard_error, found.freedom, compared.alpha);
        (name.clone(), x.iter().map(at).collect())
    });
    let picture = Power {
        title: format!("What a comparison with {} can see", compared.names[compared.baseline]),
        x_title: "true difference, points of a hundred".into(),
        log: false,
        lines: lines.collect(),
        x: x.iter().map(|effect| 100.0 * effect).collect(),
        target: 0.8,
        note: format!("t test of one pair alone at {}.", compared.alpha),
    };
    plot::power(&picture).ok()
}
