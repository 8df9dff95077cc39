use maud::{Markup, html};

use super::x;

/// Height of the drawing in pixels.
const HEIGHT: f64 = 84.0;

/// A small curve of one measure: points are (step, value, half of its interval), the step that was
/// kept is marked. The y axis spans what is there. `None` without a finite point.
pub(crate) fn track(points: &[(u64, f64, f64)], kept: u64, say: &dyn Fn(f64) -> String) -> Option<Markup> {
    let points: Vec<_> = points.iter().copied().filter(|(_, value, _)| value.is_finite()).collect();
    let last = points.iter().map(|point| point.0).max()?.max(1) as f64;
    let low = points.iter().map(|(_, value, half)| value - half).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|(_, value, half)| value + half).fold(f64::NEG_INFINITY, f64::max);
    // A measure that does not move is a line in the middle.
    let span = if high > low { high - low } else { 1.0 };
    let base = if high > low { low } else { low - 0.5 };
    let y = |value: f64| format!("{:.2}", HEIGHT * (1.0 - (value - base) / span));
    let place = |(index, (step, value, _)): (usize, &(u64, f64, f64))| {
        format!("{}{:.3} {}", if index == 0 { "M" } else { "L" }, 100.0 * *step as f64 / last, y(*value))
    };
    let path: String = points.iter().enumerate().map(place).collect();
    let at = |step: u64| x(step as f64 / last);
    Some(html! {
        svg.track role="img" height=(HEIGHT + 18.0) overflow="visible" {
            line.grid x1="0" x2="100%" y1="0" y2="0" {}
            line.grid x1="0" x2="100%" y1=(HEIGHT) y2=(HEIGHT) {}
            text x="-6" y="4" text-anchor="end" { (say(base + span)) }
            text x="-6" y=(HEIGHT + 4.0) text-anchor="end" { (say(base)) }
            line.kept x1=(at(kept)) x2=(at(kept)) y1="0" y2=(HEIGHT) {}
            svg width="100%" height=(HEIGHT) viewBox={ "0 0 100 " (HEIGHT) } preserveAspectRatio="none" overflow="visible" {
                path.validation d=(path) {}
            }
            @for (step, value, half) in &points {
                @if *half > 0.0 { line.whisker x1=(at(*step)) x2=(at(*step)) y1=(y(value - half)) y2=(y(value + half)) {} }
                circle.validation cx=(at(*step)) cy=(y(*value)) r="3.5" { title { "step " (step) ": " (say(*value)) } }
            }
            text x="0" y=(HEIGHT + 17.0) text-anchor="start" { "0" }
            text x="100%" y=(HEIGHT + 17.0) text-anchor="end" { "step " (last) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_still_measure_is_a_line_and_an_infinite_one_is_left_out() {
        let say = |value: f64| format!("{value:.1}");
        let drawn = track(&[(0, 2.0, 0.0), (4, 2.0, 0.0), (8, f64::NAN, 0.0)], 4, &say).expect("drawn").into_string();
        assert_eq!(drawn.matches("<circle").count(), 2);
        assert!(drawn.contains(r#"cy="42.00""#) && drawn.contains(">step 4<"), "{drawn}");
        assert!(track(&[(0, f64::INFINITY, 0.0)], 0, &say).is_none() && track(&[], 0, &say).is_none());
    }
}
