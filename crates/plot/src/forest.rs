use serde::{Deserialize, Serialize};

use crate::canvas::{Anchor, Canvas, EDGE, WIDTH, width};
use crate::figure::top;
use crate::frame::{Frame, Key, legend};
use crate::measure::left_out;
use crate::scale::{Scale, number};
use crate::{Error, Figure, Result};

/// Estimates with intervals, a row each: differential item functioning, paired differences.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    /// Title of the picture.
    pub title: String,
    /// What lies along x, with its unit.
    pub x_title: String,
    /// What it means to lie left and right of 0, e.g. `favours A`.
    pub sides: Option<(String, String)>,
    /// A region that counts as no difference.
    pub ties: Option<(f64, f64)>,
    /// The rows, in the order in which they are drawn.
    pub rows: Vec<Row>,
    /// More to say below: the level of the intervals, the n behind them.
    pub note: String,
}

/// One estimate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Whose it is.
    pub label: String,
    /// The estimate.
    pub value: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// ETS class of differential item functioning, if it has one.
    pub class: Option<Class>,
}

/// ETS classes of differential item functioning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Class {
    /// Negligible.
    A,
    /// Slight to moderate.
    B,
    /// Moderate to large.
    C,
}

/// Rows that are drawn at most.
const DRAWN: usize = 40;
/// Height of a row.
const ROW: f64 = 21.0;
/// Widest name.
const NAME: f64 = 225.0;

/// Estimates as points with their intervals, names at the left, numbers at the right. Of more than 40
/// rows the 40 that lie furthest from 0 are drawn, in their order.
///
/// Errors: [`Error::Empty`] without a finite row.
pub fn forest(forest: &Forest) -> Result<Figure> {
    let mut rows: Vec<&Row> =
        forest.rows.iter().filter(|r| r.value.is_finite() && r.low.is_finite() && r.high.is_finite()).collect();
    if rows.is_empty() {
        return Err(Error::Empty { what: "the estimates" });
    }
    let finite = rows.len();
    if finite > DRAWN {
        let mut sizes: Vec<f64> = rows.iter().map(|r| r.value.abs()).collect();
        sizes.sort_by(|a, b| b.total_cmp(a));
        rows.retain(|r| r.value.abs() >= sizes[DRAWN - 1]);
        rows.truncate(DRAWN);
    }
    let mut canvas = Canvas::default();
    let classes: Vec<(Class, &str)> =
        [(Class::A, "A, negligible"), (Class::B, "B, slight to moderate"), (Class::C, "C, moderate to large")]
            .into_iter()
            .filter(|(class, _)| rows.iter().any(|r| r.class == Some(*class)))
            .collect();
    let mut keys: Vec<(Key, String)> = classes
        .iter()
        .map(|(class, text)| {
            (
                Key::Mark { class: format!("f-{}", tint(Some(*class), true)), series: form(Some(*class)) },
                text.to_string(),
            )
        })
        .collect();
    if forest.ties.is_some() {
        keys.push((Key::Patch("f-softq".into()), "counts as no difference".into()));
    }
    let upper = legend(&mut canvas, top(&forest.title), &keys) + if forest.sides.is_some() { 32.0 } else { 14.0 };
    let decimals = decimals(&rows);
    let written =
        |r: &Row| format!("{} [{}, {}]", number(r.value, decimals), number(r.low, decimals), number(r.high, decimals));
    let names = rows.iter().map(|r| width("small strong", &r.label)).fold(40.0, f64::max).min(NAME);
    let numbers = rows.iter().map(|r| width("small", &written(r))).fold(0.0, f64::max);
    let lower = upper + ROW * rows.len() as f64 + 6.0;
    let ties = forest.ties.filter(|ties| ties.0.is_finite() && ties.1.is_finite() && ties.0 < ties.1);
    let reach = rows.iter().flat_map(|r| [r.low, r.high]).chain([0.0]).chain(ties.iter().flat_map(|t| [t.0, t.1]));
    let x = Scale::even(reach, EDGE + names + 16.0, WIDTH - EDGE - numbers - 16.0);
    let frame = Frame { x, y: Scale::fixed(0.0, 1.0, lower, upper) };
    if let Some((low, high)) = ties {
        canvas.rect("f-softq", (x.at(low), upper), (x.at(high) - x.at(low), lower - upper), 0.0, "");
    }
    for (tick, _) in x.ticks() {
        canvas.line("w1 s-grid", (x.at(tick), upper), (x.at(tick), lower));
    }
    frame.below(&mut canvas, &forest.x_title);
    canvas.line("w1 s-quiet", (x.at(0.0), upper - 4.0), (x.at(0.0), lower));
    if let Some((left, right)) = &forest.sides {
        let zero = x.at(0.0);
        canvas.label("small f-quiet", (zero - 8.0, upper - 10.0), Anchor::End, &format!("← {left}"), zero - EDGE - 8.0);
        canvas.label(
            "small f-quiet",
            (zero + 8.0, upper - 10.0),
            Anchor::Start,
            &format!("{right} →"),
            WIDTH - EDGE - zero - 8.0,
        );
    }
    for (at, r) in rows.iter().enumerate() {
        let y = upper + ROW * (at as f64 + 0.5) + 3.0;
        let (from, to) = ties.unwrap_or((0.0, 0.0));
        let clear = r.low > to || r.high < from;
        let tint = tint(r.class, clear);
        canvas.label(
            if clear { "small f-ink strong" } else { "small f-ink" },
            (EDGE, y + 4.0),
            Anchor::Start,
            &r.label,
            names,
        );
        canvas.line(&format!("w2 s-{tint}"), (x.at(r.low), y), (x.at(r.high), y));
        canvas.mark(
            &format!("f-{tint}"),
            form(r.class),
            (x.at(r.value), y),
            4.5,
            &format!("{}: {}", r.label, written(r)),
        );
        canvas.text("small f-quiet", (WIDTH - EDGE, y + 4.0), Anchor::End, &written(r));
    }
    let cut = if finite > rows.len() {
        format!("The {} of {finite} furthest from 0. ", rows.len())
    } else {
        format!("n = {finite} rows. ")
    };
    let bold = if ties.is_some() { "the region of no difference" } else { "0" };
    let caption = format!(
        "{cut}Bold where the whole interval lies beyond {bold}. {}{}",
        forest.note,
        left_out(forest.rows.len() - finite, "rows")
    );
    Ok(Figure::new(&forest.title, &caption, canvas, frame.bottom()))
}

fn tint(class: Option<Class>, clear: bool) -> &'static str {
    match (class, clear) {
        (Some(Class::C), _) => "c3",
        (Some(Class::B), _) => "c1",
        (None, true) => "c0",
        _ => "c5",
    }
}

fn form(class: Option<Class>) -> usize {
    match class {
        Some(Class::C) => 2,
        Some(Class::B) => 1,
        _ => 0,
    }
}

/// Decimals that tell the rows' numbers apart: two digits of the widest interval.
fn decimals(rows: &[&Row]) -> usize {
    let widest = rows.iter().map(|r| r.high - r.low).fold(0.0, f64::max).max(1e-9);
    (1.0 - widest.log10().floor()).clamp(0.0, 4.0) as usize
}
