use serde::{Deserialize, Serialize};

use crate::canvas::{Anchor, Canvas};
use crate::figure::top;
use crate::measure::left_out;
use crate::scale::{Scale, number};
use crate::sides::{CENTRE, GUTTER, Mark, side, spine};
use crate::{Error, Figure, Measure, Result};

/// Persons and items on one scale (a Wright map).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Wright {
    /// Title of the picture.
    pub title: String,
    /// Unit of the scale, e.g. `logits`.
    pub unit: String,
    /// Abilities.
    pub persons: Vec<Measure>,
    /// Difficulties.
    pub items: Vec<Measure>,
}

/// Height of the scale.
const TALL: f64 = 470.0;
/// Items whose names are all written; of more, only the hardest and the easiest.
const NAMED: usize = 28;

/// Persons with 95 % intervals at the left, items at the right, the able and the hard above. Where there
/// are too many to tell apart, bars count them, and only the ends are named.
///
/// Errors: [`Error::Empty`] without a finite person or without a finite item.
pub fn wright(map: &Wright) -> Result<Figure> {
    let finite = |measures: &[Measure]| measures.iter().filter(|m| m.value.is_finite()).cloned().collect::<Vec<_>>();
    let (persons, items) = (finite(&map.persons), finite(&map.items));
    for (measures, what) in [(&persons, "persons"), (&items, "items")] {
        if measures.is_empty() {
            return Err(Error::Empty { what });
        }
    }
    let upper = top(&map.title) + 30.0;
    // Wide intervals widen the scale by a unit and a half at most; what goes on is cut at the edge.
    let values = || persons.iter().chain(&items).map(|m| m.value);
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let ends = persons.iter().flat_map(|m| [m.interval().0.max(least - 1.5), m.interval().1.min(most + 1.5)]);
    let y = Scale::even(values().chain(ends), upper + TALL, upper);
    let mut canvas = Canvas::default();
    spine(&mut canvas, &y);
    canvas.text("strong f-c0", (CENTRE - GUTTER, upper - 12.0), Anchor::End, "Persons");
    canvas.text("strong f-c1", (CENTRE + GUTTER, upper - 12.0), Anchor::Start, "Items");
    let marked = side(&mut canvas, &y, -1.0, &marks(&persons, "c0", true));
    let dotted = side(&mut canvas, &y, 1.0, &marks(&items, "c1", false));
    let mean = |measures: &[Measure]| measures.iter().map(|m| m.value).sum::<f64>() / measures.len() as f64;
    let caption = format!(
        "{} persons (mean {}) and {} items (mean {}) on one scale in {}.{}{}{}",
        persons.len(),
        number(mean(&persons), 2),
        items.len(),
        number(mean(&items), 2),
        map.unit,
        match (marked, dotted) {
            (true, true) => " Lines at persons are 95 % intervals.",
            (true, false) => " Lines at persons are 95 % intervals; bars count items.",
            (false, true) => " Bars count persons.",
            (false, false) => " Bars count persons and items.",
        },
        left_out(map.persons.len() - persons.len(), "persons"),
        left_out(map.items.len() - items.len(), "items")
    );
    Ok(Figure::new(&map.title, &caption, canvas, upper + TALL + 8.0))
}

/// Marks that are named if they are few, and otherwise by how far out they stand.
fn marks(measures: &[Measure], tint: &'static str, intervals: bool) -> Vec<Mark> {
    let mut order: Vec<usize> = (0..measures.len()).collect();
    order.sort_by(|a, b| measures[*a].value.total_cmp(&measures[*b].value));
    let mut ranks = vec![None; measures.len()];
    for (rank, at) in order.iter().enumerate() {
        let from_end = rank.min(measures.len() - 1 - rank);
        ranks[*at] = (measures.len() <= NAMED || from_end < 5).then_some(-(from_end as f64));
    }
    let mark = |(m, rank): (&Measure, Option<f64>)| Mark {
        value: m.value,
        interval: if intervals { m.interval() } else { (m.value, m.value) },
        label: m.label.clone(),
        tint,
        rank,
    };
    measures.iter().zip(ranks).map(mark).collect()
}
