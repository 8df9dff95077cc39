use exam::Tally;
use maud::{Markup, html};

use super::x;
use crate::number::percent;

/// Lines of the scale, as shares.
const TICKS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// Two sittings on a scale from 0 to 100 %: a ring for before, a disc for after, each with its 95 %
/// interval, and a line between them.
pub(crate) fn dumbbell(before: &Tally, after: &Tally) -> Markup {
    let said = format!(
        "before {} (95 % interval {} to {}), after {} ({} to {})",
        percent(before.score),
        percent(before.low),
        percent(before.high),
        percent(after.score),
        percent(after.low),
        percent(after.high)
    );
    html! {
        svg.dumbbell role="img" aria-label=(said) height="34" {
            title { (said) }
            @for tick in TICKS { line.grid x1=(x(tick)) x2=(x(tick)) y1="0" y2="34" {} }
            rect.interval.before x=(x(before.low)) width=(x(before.high - before.low)) y="6" height="5" rx="2.5" {}
            rect.interval.after x=(x(after.low)) width=(x(after.high - after.low)) y="23" height="5" rx="2.5" {}
            line.link x1=(x(before.score)) x2=(x(after.score)) y1="8.5" y2="25.5" {}
            circle.dot.before cx=(x(before.score)) cy="8.5" r="5" {}
            circle.dot.after cx=(x(after.score)) cy="25.5" r="5.5" {}
        }
    }
}

/// The scale below a column of dumbbells.
pub(crate) fn axis() -> Markup {
    html! {
        svg.axis aria-hidden="true" height="22" {
            @for tick in TICKS {
                line.grid x1=(x(tick)) x2=(x(tick)) y1="0" y2="5" {}
                text x=(x(tick)) y="18" text-anchor=(anchor(tick)) { (percent(tick)) }
            }
        }
    }
}

/// Labels at the ends stay inside the picture.
fn anchor(tick: f64) -> &'static str {
    match tick {
        0.0 => "start",
        1.0 => "end",
        _ => "middle",
    }
}
