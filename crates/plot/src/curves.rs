use serde::{Deserialize, Serialize};

use crate::canvas::{Anchor, Canvas, EDGE, WIDTH, width};
use crate::figure::top;
use crate::frame::{Frame, margin};
use crate::ink::SERIES;
use crate::measure::interval;
use crate::place::spread;
use crate::scale::Scale;
use crate::{Error, Figure, Result};

/// Curves over ability: of an item, of several items, of the categories of one, or of a whole test.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// Title of the picture.
    pub title: String,
    /// What lies along x, with its unit.
    pub x_title: String,
    /// What lies along y, with its unit.
    pub y_title: String,
    /// The most that y can be: 1 for a chance, the greatest score for a test.
    pub most: f64,
    /// Places along x, ascending.
    pub x: Vec<f64>,
    /// The curves.
    pub lines: Vec<Line>,
    /// What was observed, by groups of persons of like ability.
    pub observed: Vec<Observed>,
    /// More to say below, e.g. how the item fits.
    pub note: String,
}

/// One curve.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Its name.
    pub label: String,
    /// One number for each place along x.
    pub y: Vec<f64>,
    /// Lower and upper edge of its band, one number each for each place along x.
    pub band: Option<(Vec<f64>, Vec<f64>)>,
}

/// A group of persons of like ability and what it got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Mean ability of the group.
    pub x: f64,
    /// Mean score.
    pub y: f64,
    /// Its standard error.
    pub error: f64,
    /// Persons in it.
    pub n: usize,
}

/// Height of the field.
const TALL: f64 = 330.0;
/// Widest name of a curve.
const NAME: f64 = 130.0;

/// Characteristic curves, their bands, and what groups of persons really got, with 95 % intervals. Of
/// more than six curves all are drawn faintly, and the one furthest left and furthest right are named.
///
/// Errors: [`Error::Empty`] without a finite curve; [`Error::Length`] where a curve has another length
/// than x.
pub fn curves(curves: &Curves) -> Result<Figure> {
    let x = &curves.x;
    for line in &curves.lines {
        let edges = line.band.iter().flat_map(|(low, high)| [low, high]);
        if let Some(odd) = edges.chain([&line.y]).find(|list| list.len() != x.len()) {
            let what = format!("curve {:?}", line.label);
            return Err(Error::Length { what, found: odd.len(), expected: x.len() });
        }
    }
    let finite = |line: &&Line| x.iter().chain(&line.y).all(|v| v.is_finite());
    let lines: Vec<&Line> = curves.lines.iter().filter(finite).collect();
    if lines.is_empty() || x.len() < 2 || !curves.most.is_finite() || curves.most <= 0.0 {
        return Err(Error::Empty { what: "the curves" });
    }
    let many = lines.len() > SERIES;
    let named: Vec<(usize, &Line)> =
        if many { ends(&lines, curves.most) } else { lines.iter().copied().enumerate().collect() };
    let widest = named.iter().map(|(_, line)| width("small strong", &line.label)).fold(0.0, f64::max).min(NAME);
    let upper = top(&curves.title) + 20.0;
    let y = Scale::fixed(0.0, curves.most, upper + TALL, upper);
    let right = WIDTH - EDGE - if widest > 0.0 { widest + 26.0 } else { 6.0 };
    let frame = Frame { x: Scale::fixed(x[0], x[x.len() - 1], margin(&y), right), y };
    let mut canvas = Canvas::default();
    frame.draw(&mut canvas, &curves.x_title, &curves.y_title);
    let trace = |y: &[f64]| x.iter().zip(y).map(|(x, y)| frame.at(*x, *y)).collect::<Vec<_>>();
    let tint = |at: usize| if many { usize::from(at > 0) } else { at };
    if !many {
        for (at, line) in lines.iter().enumerate() {
            if let Some((low, high)) =
                line.band.as_ref().filter(|band| band.0.iter().chain(&band.1).all(|v| v.is_finite()))
            {
                canvas.area(&format!("f-c{at} veil"), &trace(low), &trace(high));
            }
        }
    }
    if many {
        lines.iter().for_each(|line| canvas.path("w1 s-quiet faint", &trace(&line.y)));
    }
    for (place, (_, line)) in named.iter().enumerate() {
        let dash = if tint(place) % 2 == 1 { " dash" } else { "" };
        canvas.path(&format!("w2 s-c{}{dash}", tint(place)), &trace(&line.y));
    }
    let wanted: Vec<f64> = named.iter().map(|(_, line)| frame.y.at(line.y[x.len() - 1])).collect();
    let rows = spread(&wanted, 15.0, upper, upper + TALL);
    for (place, ((_, line), (from, to))) in named.iter().zip(wanted.iter().zip(&rows)).enumerate() {
        if !line.label.is_empty() {
            canvas.line("w1 s-line", (right + 3.0, *from), (right + 16.0, *to));
            let class = format!("small strong f-c{}", tint(place));
            canvas.label(&class, (right + 20.0, to + 4.0), Anchor::Start, &line.label, NAME);
        }
    }
    let seen: Vec<&Observed> = curves.observed.iter().filter(|o| o.x.is_finite() && o.y.is_finite()).collect();
    for group in &seen {
        let (low, high) = interval(group.y, group.error);
        let place = frame.at(group.x, group.y);
        canvas.line("w2 s-c1", (place.0, frame.y.at(low)), (place.0, frame.y.at(high)));
        canvas.circle(
            "f-paper s-c1 w2x",
            place,
            4.5,
            &format!("{:.2} of {} persons [{low:.2}, {high:.2}]", group.y, group.n),
        );
    }
    let mut caption = if lines.len() == 1 { String::new() } else { format!("{} curves. ", lines.len()) };
    if !seen.is_empty() {
        let n: usize = seen.iter().map(|group| group.n).sum();
        caption += &format!(
            "Rings are mean scores of {} groups by ability (n = {n} persons) with 95 % intervals. ",
            seen.len()
        );
    }
    let dropped = curves.lines.len() - lines.len();
    if dropped > 0 {
        caption += &format!("{dropped} curves are not finite and left out. ");
    }
    Ok(Figure::new(&curves.title, &(caption + &curves.note), canvas, frame.bottom()))
}

/// The curves that pass half of the most first and last.
fn ends<'a>(lines: &[&'a Line], most: f64) -> Vec<(usize, &'a Line)> {
    // Where a curve passes the middle; one that never does stands at the end that it leans to.
    let middle = |line: &Line| line.y.iter().filter(|y| **y < 0.5 * most).count();
    let by = |at: &usize| (middle(lines[*at]), *at);
    let all = 0..lines.len();
    let pair = [all.clone().min_by_key(by), all.max_by_key(by)];
    pair.into_iter().flatten().map(|at| (at, lines[at])).collect()
}
