use serde::{Deserialize, Serialize};

use crate::canvas::{Anchor, Canvas, EDGE, WIDTH, size, width};
use crate::figure::top;
use crate::frame::{Frame, margin};
use crate::ink::STEPS;
use crate::measure::left_out;
use crate::scale::{Scale, number};
use crate::{Error, Figure, Result, font};

/// Numbers of a table, e.g. models × subjects.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// Title of the picture.
    pub title: String,
    /// Names of the rows.
    pub rows: Vec<String>,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Row by row; not finite where there is none.
    pub values: Vec<Vec<f64>>,
    /// Decimals that are written.
    pub decimals: usize,
    /// What a value is, with its unit and n.
    pub note: String,
}

/// Items by their difficulty and the score that was got for them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Difficulty {
    /// Title of the picture.
    pub title: String,
    /// What lies along x, with its unit.
    pub x_title: String,
    /// What lies along y.
    pub y_title: String,
    /// (difficulty, share of the score) of each item or answer.
    pub points: Vec<(f64, f64)>,
    /// What the points are.
    pub note: String,
}

/// Rows of a matrix that are drawn at most.
const ROWS: usize = 60;
/// The narrowest column, which still holds its number.
const NARROWEST: f64 = 18.0;
/// Height of a row.
const ROW: f64 = 24.0;
/// Widest name of a row.
const NAME: f64 = 170.0;
/// A column narrower than this has a number in place of its name; the caption says which is which.
const NARROW: f64 = 34.0;
/// Bins of difficulty and of score.
const BINS: (usize, usize) = (18, 12);

/// A table as colours, with every value written where there is room. Of more than 60 rows, or
/// more columns than have room (26 at least), the first are drawn.
///
/// Errors: [`Error::Empty`] without a finite value, [`Error::Length`] where a row has another length than
/// the columns.
pub fn matrix(matrix: &Matrix) -> Result<Figure> {
    if matrix.values.len() != matrix.rows.len() {
        let (found, expected) = (matrix.values.len(), matrix.rows.len());
        return Err(Error::Length { what: "rows of values".into(), found, expected });
    }
    let expected = matrix.columns.len();
    let odd = matrix.rows.iter().zip(&matrix.values).find(|(_, values)| values.len() != expected);
    if let Some((name, values)) = odd {
        return Err(Error::Length { what: format!("row {name:?}"), found: values.len(), expected });
    }
    let finite: Vec<f64> = matrix.values.iter().flatten().copied().filter(|v| v.is_finite()).collect();
    if finite.is_empty() {
        return Err(Error::Empty { what: "the values of the table" });
    }
    let low = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let high = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let rows = matrix.rows.len().min(ROWS);
    let names = matrix.rows.iter().take(rows).map(|name| width("small", name)).fold(30.0, f64::max).min(NAME);
    let left = EDGE + names + 10.0;
    let columns = expected.min(((WIDTH - EDGE - left) / NARROWEST) as usize);
    let cell = ((WIDTH - EDGE - left) / columns as f64).min(110.0);
    let head = |(at, name): (usize, &String)| if cell < NARROW { vec![(at + 1).to_string()] } else { head(name, cell) };
    let heads: Vec<Vec<String>> = matrix.columns.iter().take(columns).enumerate().map(head).collect();
    let lines = heads.iter().map(Vec::len).max().unwrap_or(1);
    let upper = top(&matrix.title) + 8.0 + 14.0 * lines as f64;
    let mut canvas = Canvas::default();
    for (at, head) in heads.iter().enumerate() {
        let x = left + cell * (at as f64 + 0.5);
        for (line, text) in head.iter().enumerate() {
            let y = upper - 6.0 - 14.0 * (head.len() - 1 - line) as f64;
            canvas.text("small f-quiet", (x, y), Anchor::Middle, text);
        }
    }
    let room = finite.iter().map(|v| width("small", &number(*v, matrix.decimals))).fold(0.0, f64::max) + 6.0 <= cell;
    for (at, (name, values)) in matrix.rows.iter().zip(&matrix.values).take(rows).enumerate() {
        let y = upper + ROW * at as f64;
        canvas.label("small f-ink", (EDGE + names, y + 16.0), Anchor::End, name, names);
        for (column, value) in values.iter().take(columns).enumerate() {
            let x = left + cell * column as f64;
            let said = format!("{name}, {}: {}", matrix.columns[column], number(*value, matrix.decimals + 1));
            if value.is_finite() {
                let step = step((value - low) / (high - low).max(f64::MIN_POSITIVE));
                canvas.rect(&format!("f-h{step}"), (x + 0.75, y + 0.75), (cell - 1.5, ROW - 1.5), 2.0, &said);
                if room {
                    let text = number(*value, matrix.decimals);
                    canvas.text(&format!("small on-h{step}"), (x + 0.5 * cell, y + 16.0), Anchor::Middle, &text);
                }
            } else {
                canvas.text("small f-quiet", (x + 0.5 * cell, y + 16.0), Anchor::Middle, "–");
            }
        }
    }
    let lower = upper + ROW * rows as f64;
    let bottom = key(&mut canvas, lower + 14.0, &number(low, matrix.decimals), &number(high, matrix.decimals));
    let mut caption = format!("{} × {}", matrix.rows.len(), matrix.columns.len());
    if rows < matrix.rows.len() || columns < expected {
        caption += &format!(", of which the first {rows} × {columns} are drawn");
    }
    if cell < NARROW {
        let names: Vec<_> =
            matrix.columns.iter().take(columns).enumerate().map(|(at, name)| format!("{} {name}", at + 1)).collect();
        caption += &format!("; columns: {}", names.join(", "));
    }
    Ok(Figure::new(&matrix.title, &format!("{caption}. {}", matrix.note), canvas, bottom))
}

/// The name of a column in up to three lines.
fn head(name: &str, cell: f64) -> Vec<String> {
    // Names break where they are put together.
    let name = crate::canvas::clean(name);
    let mut lines: Vec<String> = Vec::new();
    for part in name.split_inclusive([' ', '_', '-', '/']) {
        let joined = lines.last().map(|last| format!("{last}{part}"));
        match joined.filter(|line| width("small", line.trim_end()) <= cell - 4.0) {
            Some(line) => {
                lines.pop();
                lines.push(line);
            }
            None => {
                // A word that is wider than its column goes on in the next line.
                let mut rest: Vec<char> = part.trim_end().chars().collect();
                while !rest.is_empty() {
                    let fits = |n: &usize| {
                        width("small", &format!("{}-", rest[..*n].iter().collect::<String>())) <= cell - 4.0
                    };
                    let whole = width("small", &rest.iter().collect::<String>()) <= cell - 4.0;
                    let n = if whole { rest.len() } else { (1..rest.len()).rev().find(fits).unwrap_or(1) };
                    let piece: String = rest.drain(..n).collect();
                    lines.push(if whole || piece.ends_with(['_', '-', '/']) { piece } else { format!("{piece}-") });
                }
            }
        }
    }
    if lines.len() > 3 {
        lines.truncate(3);
        lines[2] = font::fit(&format!("{}…", lines[2]), cell - 4.0, size("small"), false);
    }
    lines
}

/// Where items of each difficulty stand: the darker a field, the more of them; the line is the mean score
/// at each difficulty.
///
/// Errors: [`Error::Empty`] without a finite point.
pub fn difficulty(picture: &Difficulty) -> Result<Figure> {
    let points: Vec<(f64, f64)> =
        picture.points.iter().copied().filter(|p| p.0.is_finite() && (-1e-9..=1.0 + 1e-9).contains(&p.1)).collect();
    if points.is_empty() {
        return Err(Error::Empty { what: "difficulties and scores" });
    }
    let upper = top(&picture.title) + 20.0;
    let y = Scale::fixed(0.0, 1.0, upper + 330.0, upper);
    let frame = Frame { x: Scale::even(points.iter().map(|p| p.0), margin(&y), WIDTH - EDGE - 8.0), y };
    let (left, _, right, lower) = frame.area();
    let (wide, tall) = ((right - left) / BINS.0 as f64, 330.0 / BINS.1 as f64);
    let bin = |(x, y): (f64, f64)| {
        let (px, py) = frame.at(x, y);
        ((((px - left) / wide) as usize).min(BINS.0 - 1), (((lower - py) / tall) as usize).min(BINS.1 - 1))
    };
    let mut counts = vec![[0usize; BINS.1]; BINS.0];
    let mut sums = vec![(0.0, 0.0, 0usize); BINS.0];
    for p in &points {
        let (column, row) = bin(*p);
        counts[column][row] += 1;
        let sum = &mut sums[column];
        *sum = (sum.0 + p.0, sum.1 + p.1, sum.2 + 1);
    }
    let most = counts.iter().flatten().copied().max().unwrap_or(1);
    let mut canvas = Canvas::default();
    frame.draw(&mut canvas, &picture.x_title, &picture.y_title);
    for (column, rows) in counts.iter().enumerate() {
        for (row, count) in rows.iter().enumerate().filter(|(_, count)| **count > 0) {
            // Few and many differ by factors: the root keeps the few visible.
            let step = 1 + (6.999 * (*count as f64 / most as f64).sqrt()) as usize;
            let corner = (left + wide * column as f64 + 0.5, lower - tall * (row + 1) as f64 + 0.5);
            canvas.rect(
                &format!("f-h{}", step.min(STEPS.len() - 1)),
                corner,
                (wide - 1.0, tall - 1.0),
                1.5,
                &format!("{count}"),
            );
        }
    }
    let means: Vec<(f64, f64)> =
        sums.iter().filter(|s| s.2 > 0).map(|s| frame.at(s.0 / s.2 as f64, s.1 / s.2 as f64)).collect();
    canvas.path("w3 s-paper", &means);
    canvas.path("w2 s-c1", &means);
    for place in &means {
        canvas.circle("f-c1 s-paper w1x", *place, 4.0, "");
    }
    let bottom = key(&mut canvas, frame.bottom() + 4.0, "1", &most.to_string());
    let caption = format!(
        "n = {} in {} × {} fields; the orange line is the mean score at each difficulty. {}{}",
        points.len(),
        BINS.0,
        BINS.1,
        picture.note,
        left_out(picture.points.len() - points.len(), "points")
    );
    Ok(Figure::new(&picture.title, &caption, canvas, bottom))
}

/// A step of the map for a share of 0 to 1.
fn step(share: f64) -> usize {
    ((share.clamp(0.0, 1.0) * STEPS.len() as f64) as usize).min(STEPS.len() - 1)
}

/// The map from little to much with both ends; gives its bottom.
fn key(canvas: &mut Canvas, top: f64, low: &str, high: &str) -> f64 {
    let right = WIDTH - EDGE - width("small", high) - 6.0;
    let left = right - 18.0 * STEPS.len() as f64;
    for at in 0..STEPS.len() {
        canvas.rect(&format!("f-h{at}"), (left + 18.0 * at as f64, top), (17.0, 10.0), 1.5, "");
    }
    canvas.text("small f-quiet", (left - 6.0, top + 9.5), Anchor::End, low);
    canvas.text("small f-quiet", (right + 5.0, top + 9.5), Anchor::Start, high);
    top + 14.0
}
