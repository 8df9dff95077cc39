use serde::{Deserialize, Serialize};

use crate::canvas::{Canvas, EDGE, WIDTH};
use crate::figure::top;
use crate::frame::{Frame, margin};
use crate::scale::Scale;
use crate::{Error, Figure, Result};

/// What a test, or an item, tells about each ability.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Information {
    /// Title of the picture.
    pub title: String,
    /// What lies along x, with its unit.
    pub x_title: String,
    /// Abilities, ascending.
    pub x: Vec<f64>,
    /// Fisher information at each.
    pub information: Vec<f64>,
    /// Abilities of the persons, marked below; may be empty.
    pub persons: Vec<f64>,
    /// What the items are, with their number.
    pub note: String,
}

/// Heights of the two fields.
const TALL: [f64; 2] = [200.0, 130.0];
/// A standard error that is this many times the least is not drawn.
const FAR: f64 = 4.0;

/// Information above, the standard error 1/√I below, over one axis of ability.
///
/// Errors: [`Error::Empty`] without a positive information; [`Error::Length`] if the lists differ.
pub fn information(test: &Information) -> Result<Figure> {
    let Information { x, information, .. } = test;
    if x.len() != information.len() {
        return Err(Error::Length { what: "information".into(), found: information.len(), expected: x.len() });
    }
    let most = information.iter().copied().filter(|v| v.is_finite()).fold(0.0, f64::max);
    if x.len() < 2 || most <= 0.0 || !x.iter().chain(information).all(|v| v.is_finite()) {
        return Err(Error::Empty { what: "the information" });
    }
    let upper = top(&test.title) + 20.0;
    let lower = upper + TALL[0] + 44.0;
    let least = 1.0 / most.sqrt();
    let near = information.iter().map(|i| 1.0 / i.max(0.0).sqrt()).filter(|error| *error <= FAR * least);
    let amount = Scale::even(information.iter().copied().chain([0.0]), upper + TALL[0], upper);
    let error = Scale::even(near.chain([0.0]), lower + TALL[1], lower);
    let left = margin(&amount).max(margin(&error));
    let along = Scale::fixed(x[0], x[x.len() - 1], left, WIDTH - EDGE - 6.0);
    let (above, below) = (Frame { x: along, y: amount }, Frame { x: along, y: error });
    let mut canvas = Canvas::default();
    below.draw(&mut canvas, &test.x_title, "standard error");
    above.draw_open(&mut canvas, "information");
    let trace: Vec<_> = x.iter().zip(information).map(|(x, i)| above.at(*x, *i)).collect();
    let ground: Vec<_> = x.iter().map(|x| above.at(*x, 0.0)).collect();
    canvas.area("f-c0 veil", &ground, &trace);
    canvas.path("w2 s-c0", &trace);
    let seen = |i: f64| i > 0.0 && 1.0 / i.sqrt() <= FAR * least;
    for run in x.iter().zip(information).collect::<Vec<_>>().split(|(_, i)| !seen(**i)) {
        canvas.path("w2 s-c1", &run.iter().map(|(x, i)| below.at(**x, 1.0 / i.sqrt())).collect::<Vec<_>>());
    }
    let persons: Vec<f64> = test.persons.iter().copied().filter(|p| *p >= x[0] && *p <= x[x.len() - 1]).collect();
    // A rug of a thousand strokes is a bar.
    let stride = persons.len().div_ceil(600).max(1);
    for person in persons.iter().step_by(stride) {
        let at = along.at(*person);
        canvas.line("w1 s-ink", (at, lower + TALL[1] - 9.0), (at, lower + TALL[1]));
    }
    let rug = match persons.len() {
        0 => String::new(),
        n => format!(
            " Strokes above the axis are {n} persons{}.",
            if stride > 1 { format!(", 1 in {stride} drawn") } else { String::new() }
        ),
    };
    let best = information.iter().zip(x).max_by(|a, b| a.0.total_cmp(b.0)).map_or(0.0, |(_, x)| *x);
    let caption = format!(
        "Most information at {}, where the standard error is {least:.2}.{rug} {}",
        crate::scale::number(best, 2),
        test.note
    );
    Ok(Figure::new(&test.title, &caption, canvas, below.bottom()))
}
