//! Marks at one side of an upright scale, packed so that none covers another, with names at the far
//! edge; or bars, where there are too many.

use crate::canvas::{Anchor, Canvas, EDGE, WIDTH};
use crate::place::spread;
use crate::scale::Scale;

/// Where the upright axis stands.
pub(crate) const CENTRE: f64 = WIDTH / 2.0;
/// Half of the room that the axis' numbers take.
pub(crate) const GUTTER: f64 = 27.0;
/// Widest name.
const NAME: f64 = 150.0;
/// Distance of two columns of marks.
const COLUMN: f64 = 12.0;
/// Distance of two names.
const ROW: f64 = 15.0;
/// Bars along the scale.
const BARS: usize = 32;

/// One mark.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub value: f64,
    /// Interval; equal ends where there is none.
    pub interval: (f64, f64),
    pub label: String,
    /// Class of its colour, as `c0`.
    pub tint: &'static str,
    /// Whether its name should be written, and before which others: the largest first.
    pub rank: Option<f64>,
}

/// Draws marks to the left (`way` −1) or to the right (1) of the scale; gives whether each has a
/// mark of its own, or bars count them.
pub(crate) fn side(canvas: &mut Canvas, y: &Scale, way: f64, marks: &[Mark]) -> bool {
    let place = |column: usize| CENTRE + way * (GUTTER + 9.0 + COLUMN * column as f64);
    let most = ((CENTRE - GUTTER - EDGE - NAME - 30.0) / COLUMN) as usize;
    let columns = pack(y, marks).filter(|columns| columns.iter().all(|column| *column < most));
    let named = names(y, marks);
    let edge = CENTRE + way * (CENTRE - EDGE - NAME);
    let starts: Vec<f64> = match &columns {
        Some(columns) => columns.iter().map(|column| place(*column)).collect(),
        None => bars(canvas, y, way, marks),
    };
    let wanted: Vec<f64> = named.iter().map(|at| y.at(marks[*at].value)).collect();
    let placed = spread(&wanted, ROW, y.to + 2.0, y.from - 2.0);
    for (at, row) in named.iter().zip(&placed) {
        let from = (starts[*at] + way * 7.0, y.at(marks[*at].value));
        let knee = edge - way * 14.0;
        canvas.path("w1 s-line", &[from, (knee, from.1), (edge - way * 4.0, *row)]);
    }
    if columns.is_some() {
        for (mark, x) in marks.iter().zip(&starts) {
            let (low, high) = mark.interval;
            if low < high {
                canvas.line(&format!("w2 faint s-{}", mark.tint), (*x, y.at(low)), (*x, y.at(high)));
            }
            let said = format!("{}: {:.2} [{:.2}, {:.2}]", mark.label, mark.value, low, high);
            canvas.circle(&format!("f-{}", mark.tint), (*x, y.at(mark.value)), 4.0, &said);
        }
    }
    let anchor = if way < 0.0 { Anchor::End } else { Anchor::Start };
    for (at, row) in named.iter().zip(&placed) {
        canvas.label("small f-ink halo s-paper", (edge, row + 4.0), anchor, &marks[*at].label, NAME);
    }
    columns.is_some()
}

/// A column for each mark, so that marks and intervals of one column do not touch. `None` for more marks
/// than can be told apart.
fn pack(y: &Scale, marks: &[Mark]) -> Option<Vec<usize>> {
    if marks.len() > 400 {
        return None;
    }
    let mut order: Vec<usize> = (0..marks.len()).collect();
    order.sort_by(|a, b| marks[*b].value.total_cmp(&marks[*a].value));
    let (mut ends, mut columns): (Vec<f64>, _) = (Vec::new(), vec![0; marks.len()]);
    for at in order {
        let Mark { value, interval: (low, high), .. } = &marks[at];
        let (top, bottom) = (y.at(*high).min(y.at(*value) - 4.5), y.at(*low).max(y.at(*value) + 4.5));
        let column = ends.iter().position(|end| *end < top - 1.5).unwrap_or(ends.len());
        if column == ends.len() {
            ends.push(bottom);
        } else {
            ends[column] = bottom;
        }
        columns[at] = column;
    }
    Some(columns)
}

/// Bars in place of marks; gives where each mark's bar ends.
fn bars(canvas: &mut Canvas, y: &Scale, way: f64, marks: &[Mark]) -> Vec<f64> {
    let tall = (y.from - y.to) / BARS as f64;
    let bar = |mark: &Mark| (((y.at(mark.value) - y.to) / tall) as usize).min(BARS - 1);
    let mut counts = [0usize; BARS];
    marks.iter().for_each(|mark| counts[bar(mark)] += 1);
    let longest = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let room = CENTRE - GUTTER - EDGE - NAME - 40.0;
    let long = |count: usize| (room * count as f64 / longest).max(1.5);
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let x = if way < 0.0 { CENTRE - GUTTER - long(*count) } else { CENTRE + GUTTER };
        let class = if way < 0.0 { "f-soft0" } else { "f-soft1" };
        let size = (long(*count), tall - 1.5);
        canvas.rect(class, (x, y.to + tall * at as f64 + 0.75), size, 1.5, &format!("{count}"));
    }
    if let Some((at, count)) = counts.iter().enumerate().max_by_key(|(at, count)| (**count, BARS - at)) {
        let anchor = if way < 0.0 { Anchor::End } else { Anchor::Start };
        let x = CENTRE + way * (GUTTER + long(*count) + 5.0);
        canvas.text(
            "small f-quiet halo s-paper",
            (x, y.to + tall * (at as f64 + 0.5) + 4.0),
            anchor,
            &count.to_string(),
        );
    }
    marks.iter().map(|mark| CENTRE + way * (GUTTER + long(counts[bar(mark)]))).collect()
}

/// Marks whose names are written: those of the highest rank that have room.
fn names(y: &Scale, marks: &[Mark]) -> Vec<usize> {
    let mut ranked: Vec<(usize, f64)> =
        marks.iter().enumerate().filter_map(|(at, mark)| Some((at, mark.rank?))).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked.truncate(((y.from - y.to) / ROW) as usize);
    ranked.into_iter().map(|(at, _)| at).collect()
}

/// The scale itself: its line, its numbers in the gutter, faint lines across.
pub(crate) fn spine(canvas: &mut Canvas, y: &Scale) {
    for (tick, text) in y.ticks() {
        let at = y.at(tick);
        canvas.line("w1 s-grid", (EDGE, at), (CENTRE - GUTTER, at));
        canvas.line("w1 s-grid", (CENTRE + GUTTER, at), (WIDTH - EDGE, at));
        canvas.text("small f-quiet", (CENTRE, at + 4.0), Anchor::Middle, &text);
    }
    for x in [CENTRE - GUTTER, CENTRE + GUTTER] {
        canvas.line("w1 s-line", (x, y.to), (x, y.from));
    }
}
