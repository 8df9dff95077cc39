use serde::{Deserialize, Serialize};

use crate::canvas::{Anchor, Canvas, EDGE, WIDTH};
use crate::figure::top;
use crate::frame::{Key, legend};
use crate::measure::{interval, left_out};
use crate::scale::{Scale, number};
use crate::sides::{CENTRE, GUTTER, Mark, side, spine};
use crate::{Error, Figure, Result};

/// One person's answers against the difficulty of what was asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Kidmap {
    /// Title of the picture.
    pub title: String,
    /// Unit of the scale, e.g. `logits`.
    pub unit: String,
    /// The person's ability.
    pub ability: f64,
    /// Its standard error.
    pub error: f64,
    /// The items that were answered.
    pub items: Vec<Answered>,
}

/// An item that a person answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// Id of the item.
    pub label: String,
    /// Its difficulty.
    pub difficulty: f64,
    /// Whether the answer was right: at least half of what the item gives.
    pub right: bool,
    /// Chance that this person gets it right, by the model; 0 to 1.
    pub expected: f64,
}

/// Height of the scale.
const TALL: f64 = 430.0;
/// Surprising answers of a side that are named at most.
const NAMED: usize = 14;
/// An answer that had less chance than this is surprising.
const SURPRISE: f64 = 0.25;

/// What one person got right (left) and wrong (right), the hard above, with the ability as a line and
/// its 95 % interval as a band. Surprising answers, chance below 0.25, are named (a KIDMAP).
///
/// Errors: [`Error::Empty`] without a finite ability or item.
pub fn kidmap(map: &Kidmap) -> Result<Figure> {
    let items: Vec<&Answered> = map.items.iter().filter(|item| item.difficulty.is_finite()).collect();
    if items.is_empty() || !map.ability.is_finite() {
        return Err(Error::Empty { what: "the person's ability or the items" });
    }
    let mut canvas = Canvas::default();
    let keys = [("c0", "right though hard"), ("c1", "wrong though easy"), ("c5", "as expected")];
    let mut keys =
        keys.map(|(tint, text)| (Key::Mark { class: format!("f-{tint}"), series: 0 }, text.to_string())).to_vec();
    keys.push((Key::Line("w2 s-ink".into()), format!("ability {}", number(map.ability, 2))));
    let upper = legend(&mut canvas, top(&map.title), &keys) + 34.0;
    let (low, high) = interval(map.ability, map.error);
    let y = Scale::even(items.iter().map(|item| item.difficulty).chain([low, high]), upper + TALL, upper);
    canvas.rect("f-band", (EDGE, y.at(high)), (WIDTH - 2.0 * EDGE, (y.at(low) - y.at(high)).max(1.0)), 0.0, "");
    spine(&mut canvas, &y);
    let at = y.at(map.ability);
    for (from, to) in [(EDGE, CENTRE - GUTTER), (CENTRE + GUTTER, WIDTH - EDGE)] {
        canvas.line("w2 s-ink", (from, at), (to, at));
    }
    let (mut surprising, mut counted) = (0, false);
    for (right, way) in [(true, -1.0), (false, 1.0)] {
        let mut marks: Vec<Mark> = items.iter().filter(|item| item.right == right).map(|item| mark(item)).collect();
        surprising += marks.iter().filter(|mark| mark.rank.is_some()).count();
        few(&mut marks);
        let (anchor, word) = if right { (Anchor::End, "right") } else { (Anchor::Start, "wrong") };
        let said = format!("{} {word}", marks.len());
        canvas.text("strong f-ink", (CENTRE + way * GUTTER, upper - 12.0), anchor, &said);
        if !marks.is_empty() {
            counted |= !side(&mut canvas, &y, way, &marks);
        }
    }
    let caption = format!(
        "{} items by difficulty in {}; the line is the ability, {} with 95 % interval [{}, {}]. {surprising} answers \
         are surprising, with a chance below {SURPRISE} by the model.{}{}",
        items.len(),
        map.unit,
        number(map.ability, 2),
        number(low, 2),
        number(high, 2),
        if counted { " Bars count items." } else { "" },
        left_out(map.items.len() - items.len(), "items")
    );
    Ok(Figure::new(&map.title, &caption, canvas, upper + TALL + 8.0))
}

/// Leaves names to the most surprising answers only.
fn few(marks: &mut [Mark]) {
    let mut ranks: Vec<f64> = marks.iter().filter_map(|mark| mark.rank).collect();
    ranks.sort_by(|a, b| b.total_cmp(a));
    if let Some(last) = ranks.get(NAMED - 1).copied() {
        marks.iter_mut().filter(|mark| mark.rank.is_some_and(|rank| rank < last)).for_each(|mark| mark.rank = None);
    }
}

fn mark(item: &Answered) -> Mark {
    let chance = if item.right { item.expected } else { 1.0 - item.expected };
    let surprise = chance < SURPRISE;
    let tint = match (surprise, item.right) {
        (true, true) => "c0",
        (true, false) => "c1",
        _ => "c5",
    };
    let rank = surprise.then_some(1.0 - chance);
    Mark { value: item.difficulty, interval: (item.difficulty, item.difficulty), label: item.label.clone(), tint, rank }
}
