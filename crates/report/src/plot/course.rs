use maud::{Markup, html};

use super::x;
use crate::number::{count, percent};

/// Height of the drawing in pixels.
const HEIGHT: f64 = 200.0;

/// Two shares over the steps of a training, the second dashed, each with dots where it was measured,
/// and a line at each step that is marked with a word. `None` with fewer than two points.
pub(crate) fn course(points: &[(u64, f64, f64)], marks: &[(u64, String)]) -> Option<Markup> {
    let last = points.last().filter(|_| points.len() > 1)?.0.max(1) as f64;
    let along = |step: u64| step as f64 / last;
    // Whole steps of ten per cent above all that is drawn.
    let top = points.iter().map(|point| point.1.max(point.2)).fold(0.1, f64::max);
    let top = ((top * 10.0).ceil() / 10.0).min(1.0);
    let y = |share: f64| format!("{:.2}", HEIGHT * (1.0 - share / top));
    let path = |share: fn(&(u64, f64, f64)) -> f64| {
        let place = |(index, point): (usize, &(u64, f64, f64))| {
            format!("{}{:.3} {}", if index == 0 { "M" } else { "L" }, 100.0 * along(point.0), y(share(point)))
        };
        points.iter().enumerate().map(place).collect::<Vec<_>>().join("")
    };
    let said = format!("shares of right answers over {} steps, on two banks", count(last as u64));
    Some(html! {
        svg.curve role="img" aria-label=(said) height=(HEIGHT + 28.0) overflow="visible" {
            title { (said) }
            @for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
                line.grid x1="0" x2="100%" y1=(y(tick * top)) y2=(y(tick * top)) {}
                text x="-8" y=(y(tick * top)) dy="4" text-anchor="end" { (percent(tick * top)) }
            }
            @for (place, (step, name)) in marks.iter().enumerate() {
                line.mark x1=(x(along(*step))) x2=(x(along(*step))) y1="0" y2=(HEIGHT) {}
                text x=(x(along(*step))) dx="5" y=(HEIGHT - 8.0 - 16.0 * place as f64) { (name) }
            }
            svg width="100%" height=(HEIGHT) viewBox={ "0 0 100 " (HEIGHT) } preserveAspectRatio="none" overflow="visible" {
                path.training d=(path(|point| point.1)) {}
                path.validation d=(path(|point| point.2)) {}
            }
            @for (step, first, second) in points {
                circle.training cx=(x(along(*step))) cy=(y(*first)) r="3.5" { title { "step " (step) ": " (percent(*first)) } }
                circle.validation cx=(x(along(*step))) cy=(y(*second)) r="3.5" { title { "step " (step) ": " (percent(*second)) } }
            }
            text x="0" y=(HEIGHT + 22.0) text-anchor="start" { "step 0" }
            text x="100%" y=(HEIGHT + 22.0) text-anchor="end" { "step " (count(last as u64)) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_needs_two_points_and_shows_each() {
        assert!(course(&[(0, 0.4, 0.4)], &[]).is_none());
        let drawn =
            course(&[(0, 0.4, 0.38), (10, 0.1, 0.2)], &[(10, "stopped".into())]).expect("two points").into_string();
        assert_eq!((drawn.matches("<circle").count(), drawn.matches("class=\"mark\"").count()), (4, 1));
        assert!(!drawn.contains("NaN"));
    }
}
