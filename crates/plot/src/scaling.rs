use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::canvas::{Canvas, EDGE, WIDTH};
use crate::figure::top;
use crate::frame::{Frame, Key, legend, margin};
use crate::ink::SERIES;
use crate::measure::interval;
use crate::scale::Scale;
use crate::{Error, Figure, Result};

/// Models as points, and what a law says of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Title of the picture.
    pub title: String,
    /// What lies along x, with its unit.
    pub x_title: String,
    /// What lies along y, with its unit.
    pub y_title: String,
    /// Whether x is logarithmic.
    pub log_x: bool,
    /// Whether y is logarithmic.
    pub log_y: bool,
    /// The models.
    pub points: Vec<Model>,
    /// Laws, with their bands.
    pub laws: Vec<Law>,
    /// More to say below: how the law was fitted, how far it was off.
    pub note: String,
}

/// A model that was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Its name.
    pub label: String,
    /// Its group: a family, a mixture of data. Empty for none.
    pub group: String,
    /// Size, tokens, compute or loss.
    pub x: f64,
    /// What was measured.
    pub y: f64,
    /// Its standard error; 0 or not finite where it is not known.
    pub error: f64,
    /// Whether the law was fitted without it.
    pub held_out: bool,
}

/// A fitted curve.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Law {
    /// Its name.
    pub label: String,
    /// Places along x, ascending.
    pub x: Vec<f64>,
    /// What it says at each.
    pub y: Vec<f64>,
    /// Lower and upper edge of its band at each place.
    pub band: Option<(Vec<f64>, Vec<f64>)>,
}

/// Height of the field.
const TALL: f64 = 360.0;
/// Whiskers are drawn for this many points at most.
const WHISKERS: usize = 300;

/// Measured models by group, those held out as rings, and the laws with their bands. A sixth group and
/// further ones share a colour.
///
/// Errors: [`Error::Empty`] without a finite point (positive on a logarithmic axis); [`Error::Length`]
/// where the lists of a law differ.
pub fn scaling(picture: &Scaling) -> Result<Figure> {
    for law in &picture.laws {
        let edges = law.band.iter().flat_map(|(low, high)| [low, high]);
        if let Some(odd) = edges.chain([&law.y]).find(|list| list.len() != law.x.len()) {
            let what = format!("law {:?}", law.label);
            return Err(Error::Length { what, found: odd.len(), expected: law.x.len() });
        }
    }
    let drawable = |v: f64, log: bool| v.is_finite() && (!log || v > 0.0);
    let on = |x: f64, y: f64| drawable(x, picture.log_x) && drawable(y, picture.log_y);
    let points: Vec<&Model> = picture.points.iter().filter(|p| on(p.x, p.y)).collect();
    if points.is_empty() {
        return Err(Error::Empty { what: "the models" });
    }
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    points.iter().for_each(|p| *groups.entry(&p.group).or_default() += 1);
    // The largest groups have colours of their own.
    let mut order: Vec<&str> = groups.keys().copied().collect();
    order.sort_by_key(|group| std::cmp::Reverse(groups[group]));
    let series = |group: &str| order.iter().position(|g| *g == group).unwrap_or(0).min(SERIES - 1);
    let mut keys = Vec::new();
    for (at, group) in order.iter().enumerate().filter(|(_, group)| !group.is_empty() || order.len() > 1) {
        let rest = order.len() - at;
        if at == SERIES - 1 && rest > 1 {
            keys.push((Key::Mark { class: format!("f-c{at}"), series: at }, format!("{rest} other groups")));
            break;
        }
        let name = if group.is_empty() { "no group" } else { group };
        keys.push((Key::Mark { class: format!("f-c{at}"), series: at }, format!("{name} ({})", groups[group])));
    }
    let held = points.iter().filter(|p| p.held_out).count();
    if held > 0 {
        keys.push((Key::Mark { class: "f-paper s-quiet w2x".into(), series: 0 }, "held out".into()));
    }
    let dashes = ["", " dash", " dots"];
    for (at, law) in picture.laws.iter().enumerate() {
        keys.push((Key::Line(format!("w2 s-ink{}", dashes[at % 3])), law.label.clone()));
    }
    let mut canvas = Canvas::default();
    let upper = legend(&mut canvas, top(&picture.title), &keys) + 34.0;
    let scale = |numbers: Vec<f64>, log: bool, from: f64, to: f64| match log {
        true => Scale::log(numbers.into_iter().filter(|v| *v > 0.0), from, to),
        false => Scale::even(numbers, from, to),
    };
    let curve = || picture.laws.iter().flat_map(|law| law.x.iter().zip(&law.y)).filter(|(x, y)| on(**x, **y));
    let bands = || {
        picture
            .laws
            .iter()
            .flat_map(|law| &law.band)
            .flat_map(|(low, high)| low.iter().chain(high))
            .filter(|v| drawable(**v, picture.log_y))
    };
    let ys = points.iter().map(|p| p.y).chain(curve().map(|(_, y)| *y)).chain(bands().copied()).collect();
    let xs = points.iter().map(|p| p.x).chain(curve().map(|(x, _)| *x)).collect();
    let y = scale(ys, picture.log_y, upper + TALL, upper);
    let frame = Frame { x: scale(xs, picture.log_x, margin(&y), WIDTH - EDGE - 10.0), y };
    frame.draw(&mut canvas, &picture.x_title, &picture.y_title);
    for law in &picture.laws {
        let edge = |side: &[f64]| law.x.iter().zip(side).map(|(x, y)| frame.at(*x, *y)).collect::<Vec<_>>();
        if let Some((low, high)) = law.band.as_ref().filter(|band| band.0.iter().chain(&band.1).all(|v| v.is_finite()))
        {
            canvas.area("f-softq faint", &edge(low), &edge(high));
        }
    }
    for (at, law) in picture.laws.iter().enumerate() {
        let places = law.x.iter().zip(&law.y).filter(|(x, y)| on(**x, **y)).map(|(x, y)| frame.at(*x, *y));
        canvas.path(&format!("w2 s-ink{}", dashes[at % 3]), &places.collect::<Vec<_>>());
    }
    let size = if points.len() > 150 { 3.2 } else { 4.5 };
    for p in &points {
        let at = series(&p.group);
        let (low, high) = interval(p.y, p.error);
        let place = frame.at(p.x, p.y);
        if low < high && points.len() <= WHISKERS {
            canvas.line(&format!("w1 s-c{at}"), (place.0, frame.y.at(low)), (place.0, frame.y.at(high)));
        }
        let class = if p.held_out { format!("f-paper s-c{at} w2x") } else { format!("f-c{at}") };
        canvas.mark(&class, at, place, size, &format!("{}: {:.4}", p.label, p.y));
    }
    let mut caption = format!("{} models in {} groups", points.len(), order.len());
    if held > 0 {
        caption += &format!(", {held} of them held out");
    }
    if points.len() <= WHISKERS && points.iter().any(|p| p.error.is_finite() && p.error > 0.0) {
        caption += "; bars are 95 % intervals";
    }
    let dropped = picture.points.len() - points.len();
    if dropped > 0 {
        caption += &format!("; {dropped} that cannot stand on these axes are left out");
    }
    Ok(Figure::new(&picture.title, &format!("{caption}. {}", picture.note), canvas, frame.bottom()))
}
