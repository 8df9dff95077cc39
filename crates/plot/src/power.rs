use serde::{Deserialize, Serialize};

use crate::canvas::{Anchor, Canvas, EDGE, WIDTH, width};
use crate::figure::top;
use crate::frame::{Frame, margin};
use crate::place::spread;
use crate::scale::{Scale, round};
use crate::{Error, Figure, Result};

/// The chance to see a difference, against the number of items or the size of the difference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// Title of the picture.
    pub title: String,
    /// What lies along x, with its unit.
    pub x_title: String,
    /// Whether x is logarithmic; all of x must be positive then.
    pub log: bool,
    /// Places along x, ascending.
    pub x: Vec<f64>,
    /// Name of each setting, and its power at each place, 0 to 1.
    pub lines: Vec<(String, Vec<f64>)>,
    /// The power that is wanted, e.g. 0.8.
    pub target: f64,
    /// The test and its level.
    pub note: String,
}

/// Height of the field.
const TALL: f64 = 320.0;
/// Widest name.
const NAME: f64 = 150.0;

/// A curve a setting, named at its end; a dot where it first reaches the power that is wanted, with its x.
///
/// Errors: [`Error::Empty`] without a finite curve, [`Error::Length`] where a curve has another length
/// than x.
pub fn power(picture: &Power) -> Result<Figure> {
    let x = &picture.x;
    if let Some((label, y)) = picture.lines.iter().find(|line| line.1.len() != x.len()) {
        return Err(Error::Length { what: format!("power of {label:?}"), found: y.len(), expected: x.len() });
    }
    let finite = |line: &&(String, Vec<f64>)| line.1.iter().all(|p| p.is_finite());
    let lines: Vec<&(String, Vec<f64>)> = picture.lines.iter().filter(finite).collect();
    let ordered =
        x.windows(2).all(|pair| pair[0] < pair[1]) && x.iter().all(|v| v.is_finite() && (!picture.log || *v > 0.0));
    if lines.is_empty() || x.len() < 2 || !ordered {
        return Err(Error::Empty { what: "the power curves" });
    }
    let upper = top(&picture.title) + 20.0;
    let y = Scale::fixed(0.0, 1.0, upper + TALL, upper);
    let widest = lines.iter().map(|line| width("small strong", &line.0)).fold(0.0, f64::max).min(NAME);
    let right = WIDTH - EDGE - widest - 26.0;
    let along = Scale { log: picture.log, ..Scale::fixed(x[0], x[x.len() - 1], margin(&y), right) };
    let frame = Frame { x: along, y };
    let mut canvas = Canvas::default();
    frame.draw(&mut canvas, &picture.x_title, "power");
    let wanted = y.at(picture.target);
    canvas.line("w1 s-quiet dash", (along.from, wanted), (right, wanted));
    let ends: Vec<f64> = lines.iter().map(|line| y.at(line.1[x.len() - 1])).collect();
    let rows = spread(&ends, 15.0, upper, upper + TALL);
    let tint = |at: usize| at.min(crate::ink::SERIES - 1);
    for (at, line) in lines.iter().enumerate() {
        let dash = ["", " dash", " dots"][at % 3];
        let trace: Vec<_> = x.iter().zip(&line.1).map(|(x, p)| frame.at(*x, *p)).collect();
        canvas.path(&format!("w2 s-c{}{dash}", tint(at)), &trace);
        canvas.line("w1 s-line", (right + 3.0, ends[at]), (right + 16.0, rows[at]));
        let class = format!("small strong f-c{}", tint(at));
        canvas.label(&class, (right + 20.0, rows[at] + 4.0), Anchor::Start, &line.0, NAME);
    }
    let mut reached = Vec::new();
    let mut written = f64::NEG_INFINITY;
    for (at, line) in lines.iter().enumerate() {
        match crossing(x, &line.1, picture.target) {
            Some(place) => {
                let (px, said) = (along.at(place), round(three(place)));
                canvas.circle(&format!("f-c{}", tint(at)), (px, wanted), 4.5, &format!("{}: {said}", line.0));
                let half = 0.5 * width("small", &said);
                if (px - written).abs() > 2.0 * half + 8.0 && px + half < right && px - half > along.from {
                    canvas.text("small f-ink halo s-paper", (px, wanted - 10.0), Anchor::Middle, &said);
                    written = px;
                }
                reached.push(format!("{} at {said}", line.0));
            }
            None => reached.push(format!("{} not here", line.0)),
        }
    }
    let caption =
        format!("Power of {:.0} % is reached by {}. {}", 100.0 * picture.target, reached.join(", "), picture.note);
    Ok(Figure::new(&picture.title, &caption, canvas, frame.bottom()))
}

/// Where a curve first reaches the target, between two places by a straight line.
fn crossing(x: &[f64], y: &[f64], target: f64) -> Option<f64> {
    let at = y.iter().position(|p| *p >= target)?;
    let before = at.checked_sub(1).map(|before| (x[before], y[before]));
    Some(before.map_or(x[at], |(x0, y0)| x0 + (x[at] - x0) * (target - y0) / (y[at] - y0)))
}

/// Three digits, which is more than a power calculation knows.
fn three(value: f64) -> f64 {
    let unit = 10f64.powf(value.abs().max(1e-300).log10().floor() - 2.0);
    (value / unit).ceil() * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_crosses_its_target_between_two_places() {
        let x = [10.0, 20.0, 40.0];
        assert!(crossing(&x, &[0.2, 0.6, 1.0], 0.8).is_some_and(|place| (place - 30.0).abs() < 1e-9));
        assert_eq!([296.19, 1185.3, 0.04321].map(|value| round(three(value))), ["297", "1190", "0.0433"]);
        assert_eq!(crossing(&x, &[0.9, 0.95, 1.0], 0.8), Some(10.0));
        assert_eq!(crossing(&x, &[0.1, 0.2, 0.3], 0.8), None);
    }
}
