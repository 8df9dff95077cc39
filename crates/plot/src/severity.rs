use serde::{Deserialize, Serialize};

use crate::canvas::{Anchor, Canvas, EDGE, WIDTH, width};
use crate::figure::top;
use crate::frame::{Frame, Key, legend};
use crate::measure::{interval, left_out};
use crate::scale::{Scale, number};
use crate::{Error, Figure, Result};

/// How severe raters are, and what their marks come to when that is taken out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Severity {
    /// Title of the picture.
    pub title: String,
    /// Unit of severity, e.g. `logits`.
    pub unit: String,
    /// The raters.
    pub raters: Vec<Rater>,
}

/// One rater.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rater {
    /// Name.
    pub label: String,
    /// Severity; who is more severe gives less.
    pub severity: f64,
    /// Standard error of the severity.
    pub error: f64,
    /// Mean of the marks given.
    pub observed: f64,
    /// Mean that these answers would get from a rater of mean severity (fair average).
    pub fair: f64,
    /// Marks given.
    pub n: usize,
}

/// Rows that are drawn at most.
const DRAWN: usize = 40;
/// Height of a row.
const ROW: f64 = 24.0;
/// Widest name.
const NAME: f64 = 160.0;

/// Raters from the most severe to the most lenient with 95 % intervals; beside it the mean of their marks
/// (ring) and the fair average (disc). Of more than 40 the 20 most severe and the 20 most lenient.
///
/// Errors: [`Error::Empty`] without a rater of finite severity.
pub fn severity(picture: &Severity) -> Result<Figure> {
    let mut raters: Vec<&Rater> = picture.raters.iter().filter(|r| r.severity.is_finite()).collect();
    if raters.is_empty() {
        return Err(Error::Empty { what: "the raters" });
    }
    raters.sort_by(|a, b| b.severity.total_cmp(&a.severity).then_with(|| a.label.cmp(&b.label)));
    let finite = raters.len();
    if finite > DRAWN {
        raters.drain(DRAWN / 2..finite - DRAWN / 2);
    }
    let mut canvas = Canvas::default();
    let marks = raters.iter().any(|r| r.fair.is_finite() && r.observed.is_finite());
    let mut keys = vec![(Key::Mark { class: "f-c0".into(), series: 0 }, "severity".to_string())];
    if marks {
        keys.push((Key::Mark { class: "f-paper s-c1 w2x".into(), series: 0 }, "mean of marks given".into()));
        keys.push((Key::Mark { class: "f-c1".into(), series: 0 }, "fair average".into()));
    }
    let upper = legend(&mut canvas, top(&picture.title), &keys) + 30.0;
    let lower = upper + ROW * raters.len() as f64 + 4.0;
    let names = raters.iter().map(|r| width("small", &r.label)).fold(40.0, f64::max).min(NAME);
    let counts = raters.iter().map(|r| width("small", &r.n.to_string())).fold(20.0, f64::max);
    let left = EDGE + names + counts + 34.0;
    let middle = if marks { left + 0.56 * (WIDTH - EDGE - left) } else { WIDTH - EDGE - 8.0 };
    let ends = raters.iter().flat_map(|r| <[f64; 2]>::from(interval(r.severity, r.error)));
    let y = Scale::fixed(0.0, 1.0, lower, upper);
    let hard = Frame { x: Scale::even(ends.chain([0.0]), left, middle), y };
    let given = raters.iter().flat_map(|r| [r.fair, r.observed]);
    let fair = Frame { x: Scale::even(given, middle + 40.0, WIDTH - EDGE - 8.0), y };
    for (frame, title) in [(&hard, format!("severity in {}", picture.unit)), (&fair, "marks".into())] {
        if frame.x.from < middle || marks {
            for (tick, _) in frame.x.ticks() {
                canvas.line("w1 s-grid", (frame.x.at(tick), upper), (frame.x.at(tick), lower));
            }
            frame.below(&mut canvas, &title);
        }
    }
    let zero = hard.x.at(0.0);
    canvas.line("w1 s-quiet", (zero, upper - 4.0), (zero, lower));
    canvas.text("small f-quiet", (zero - 8.0, upper - 10.0), Anchor::End, "← lenient");
    canvas.text("small f-quiet", (zero + 8.0, upper - 10.0), Anchor::Start, "severe →");
    canvas.text("small f-quiet", (EDGE + names + counts + 10.0, upper - 10.0), Anchor::End, "n");
    for (at, r) in raters.iter().enumerate() {
        let y = upper + ROW * (at as f64 + 0.5) + 2.0;
        let (low, high) = interval(r.severity, r.error);
        canvas.label("small f-ink", (EDGE, y + 4.0), Anchor::Start, &r.label, names);
        canvas.text("small f-quiet", (EDGE + names + counts + 10.0, y + 4.0), Anchor::End, &r.n.to_string());
        canvas.line("w3 s-soft0", (hard.x.at(low), y), (hard.x.at(high), y));
        let said = format!("{}: {} [{}, {}]", r.label, number(r.severity, 2), number(low, 2), number(high, 2));
        canvas.circle("f-c0", (hard.x.at(r.severity), y), 4.5, &said);
        if r.fair.is_finite() && r.observed.is_finite() {
            let (from, to) = (fair.x.at(r.observed), fair.x.at(r.fair));
            canvas.line("w1 s-quiet dots", (from, y), (to, y));
            canvas.circle("f-paper s-c1 w2x", (from, y), 4.0, &format!("mean {:.2}", r.observed));
            canvas.circle("f-c1", (to, y), 4.0, &format!("fair average {:.2}", r.fair));
        }
    }
    let n: usize = raters.iter().map(|r| r.n).sum();
    let cut = if finite > raters.len() {
        format!("The {} most severe and most lenient of {finite} raters", raters.len())
    } else {
        format!("{finite} raters")
    };
    let caption =
        format!("{cut}, {n} marks; bars are 95 % intervals.{}", left_out(picture.raters.len() - finite, "raters"));
    Ok(Figure::new(&picture.title, &caption, canvas, hard.bottom()))
}
