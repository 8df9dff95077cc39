use serde::{Deserialize, Serialize};

use crate::canvas::{Anchor, Canvas, EDGE, WIDTH, width};
use crate::figure::top;
use crate::frame::{Frame, Key, legend, margin};
use crate::measure::left_out;
use crate::place::Labels;
use crate::scale::Scale;
use crate::{Error, Figure, Result, font};

/// Fit of items, or of persons or raters, against their measure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pathway {
    /// Title of the picture.
    pub title: String,
    /// Name of the statistic whose t lies along x, e.g. `infit`.
    pub statistic: String,
    /// What the points are, in the plural, e.g. `items`.
    pub what: String,
    /// Unit of the measure, e.g. `logits`.
    pub unit: String,
    /// The points.
    pub points: Vec<Fit>,
}

/// Measure and fit of one item.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Its id.
    pub label: String,
    /// Its measure.
    pub measure: f64,
    /// Standard error of the measure.
    pub error: f64,
    /// The fit statistic as a standard normal deviate.
    pub t: f64,
}

/// Height of the field.
const TALL: f64 = 400.0;
/// Beyond this t an item does not fit.
const BOUND: f64 = 2.0;
/// Points within the bounds that are drawn at most.
const DRAWN: usize = 1500;
/// Widest name.
const NAME: f64 = 130.0;

/// Bubbles as large as their standard error: the misfitting stand outside the lane of ±2, at the right
/// those noisier than the model expects, at the left those too regular. The furthest are named where
/// there is room.
///
/// Errors: [`Error::Empty`] without a finite point.
pub fn pathway(path: &Pathway) -> Result<Figure> {
    let mut points: Vec<&Fit> = path.points.iter().filter(|p| p.measure.is_finite() && p.t.is_finite()).collect();
    if points.is_empty() {
        return Err(Error::Empty { what: "the measures and their fit" });
    }
    points.sort_by(|a, b| b.t.abs().total_cmp(&a.t.abs()));
    let mut canvas = Canvas::default();
    let keys = [("c1", 1, "noisier than the model expects"), ("c2", 2, "more regular"), ("c5", 0, "fits")];
    let keys = keys.map(|(tint, series, text)| (Key::Mark { class: format!("f-{tint}"), series }, text.to_string()));
    let upper = legend(&mut canvas, top(&path.title), &keys) + 32.0;
    let reach = (points[0].t.abs() + 0.4).clamp(3.0, 12.0).ceil();
    let y = Scale::even(points.iter().map(|p| p.measure), upper + TALL, upper);
    let frame = Frame { x: Scale::fixed(-reach, reach, margin(&y), WIDTH - EDGE - 10.0), y };
    let (left, right) = (frame.x.at(-BOUND), frame.x.at(BOUND));
    canvas.rect("f-band", (left, upper), (right - left, TALL), 0.0, "");
    frame.draw(&mut canvas, &format!("{} t", path.statistic), &format!("measure in {}", path.unit));
    for x in [left, right] {
        canvas.line("w1 s-quiet dash", (x, upper), (x, upper + TALL));
    }
    let widest = points.iter().map(|p| p.error).filter(|e| e.is_finite()).fold(0.0, f64::max);
    let radius =
        |p: &Fit| if p.error > 0.0 && widest > 0.0 && p.error.is_finite() { 3.0 + 6.0 * p.error / widest } else { 3.5 };
    let outside = points.iter().filter(|p| p.t.abs() > BOUND).count();
    let inside = points.len() - outside;
    let stride = inside.div_ceil(DRAWN).max(1);
    let drawn: Vec<&Fit> =
        points.iter().take(outside).chain(points[outside..].iter().step_by(stride)).copied().collect();
    for p in drawn.iter().rev() {
        let (class, series) = match p.t {
            t if t > BOUND => (if outside > 150 { "f-c1 faint" } else { "f-c1" }, 1),
            t if t < -BOUND => (if outside > 150 { "f-c2 faint" } else { "f-c2" }, 2),
            _ => ("f-c5 veil", 0),
        };
        let said = format!("{}: {:.2} (standard error {:.2}), t = {:.1}", p.label, p.measure, p.error, p.t);
        canvas.mark(class, series, frame.at(p.t, p.measure), radius(p) / if series == 0 { 1.0 } else { 1.15 }, &said);
    }
    let bubble = |p: &&&Fit| {
        let ((x, y), r) = (frame.at(p.t, p.measure), radius(p));
        (x - r, y - r, x + r, y + r)
    };
    let mut labels = Labels::new(frame.area(), drawn.iter().take(outside + 300).map(|p| bubble(&p)));
    for p in &points[..outside.min(60)] {
        let label = font::fit(&crate::canvas::clean(&p.label), NAME, 12.0, false);
        if let Some(place) = labels.place(frame.at(p.t, p.measure), radius(p), width("small", &label)) {
            canvas.label("small f-ink halo s-paper", place, Anchor::Start, &p.label, NAME);
        }
    }
    let mut caption = format!(
        "{} {}; {outside} lie outside ±2, where 5 of 100 would by chance. The larger a bubble, the larger its standard error.{}",
        points.len(),
        path.what,
        left_out(path.points.len() - points.len(), &path.what)
    );
    if stride > 1 {
        caption += &format!(" Of those inside, 1 in {stride} is drawn.");
    }
    let far = points.iter().filter(|p| p.t.abs() > reach).count();
    if far > 0 {
        caption += &format!(" {far} beyond ±{reach} stand at the edge.");
    }
    Ok(Figure::new(&path.title, &caption, canvas, frame.bottom()))
}
