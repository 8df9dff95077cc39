use exam::Estimate;
use maud::{Markup, html};

use super::x;
use crate::number::points;

/// Two gains on a scale from −`reach` to `reach`, with nothing gained in the middle: a ring for the
/// first, a disc for the second, each with its 95 % interval.
pub(crate) fn gains(ring: &Estimate, disc: &Estimate, reach: f64) -> Markup {
    let place = |gain: f64| 0.5 + 0.5 * (gain / reach).clamp(-1.0, 1.0);
    let width = |gain: &Estimate| x(place(gain.high) - place(gain.low));
    let said = |gain: &Estimate| {
        format!("{} points (95 % interval {} to {})", points(gain.mean), points(gain.low), points(gain.high))
    };
    let said = format!("{}; without choice {}", said(disc), said(ring));
    html! {
        svg.dumbbell role="img" aria-label=(said) height="34" {
            title { (said) }
            @for tick in ticks(reach) { line.grid x1=(x(place(tick))) x2=(x(place(tick))) y1="0" y2="34" {} }
            line.zero x1="50%" x2="50%" y1="0" y2="34" {}
            rect.interval.before x=(x(place(ring.low))) width=(width(ring)) y="6" height="5" rx="2.5" {}
            rect.interval.after x=(x(place(disc.low))) width=(width(disc)) y="23" height="5" rx="2.5" {}
            circle.dot.before cx=(x(place(ring.mean))) cy="8.5" r="5" {}
            circle.dot.after cx=(x(place(disc.mean))) cy="25.5" r="5.5" {}
        }
    }
}

/// The scale below a column of gains.
pub(crate) fn gain_axis(reach: f64) -> Markup {
    html! {
        svg.axis aria-hidden="true" height="22" {
            @for tick in ticks(reach) {
                line.grid x1=(x(0.5 + 0.5 * tick / reach)) x2=(x(0.5 + 0.5 * tick / reach)) y1="0" y2="5" {}
                text x=(x(0.5 + 0.5 * tick / reach)) y="18" text-anchor="middle" { (points(tick)) }
            }
        }
    }
}

fn ticks(reach: f64) -> [f64; 5] {
    [-1.0, -0.5, 0.0, 0.5, 1.0].map(|part| part * reach)
}
