use maud::{Markup, html};
use record::TrainStep;

use super::x;
use crate::number::count;

/// Points of a line at most; more steps are averaged in bins.
const POINTS: usize = 160;
/// Height of the drawing in pixels.
const HEIGHT: f64 = 220.0;

/// Training loss over the steps as a line, validation loss as a line with dots. The y axis starts at
/// 0. `None` if there is nothing finite to draw.
pub(crate) fn curve(steps: &[TrainStep]) -> Option<Markup> {
    let last = steps.last()?.step.max(1) as f64;
    let training: Vec<(f64, f64)> = steps.iter().map(|s| (s.step as f64 / last, s.loss)).collect();
    let validation: Vec<(f64, f64)> =
        steps.iter().filter_map(|s| Some((s.step as f64 / last, s.validation_loss?))).collect();
    let training = thin(&training.into_iter().filter(|(_, y)| y.is_finite()).collect::<Vec<_>>());
    let validation: Vec<_> = validation.into_iter().filter(|(_, y)| y.is_finite()).collect();
    let top = training.iter().chain(&validation).map(|point| point.1).fold(0.0, f64::max);
    if training.is_empty() || top <= 0.0 {
        return None;
    }
    let step = nice_step(top);
    let top = (top / step).ceil() * step;
    let y = |value: f64| HEIGHT * (1.0 - value / top);
    let path = |points: &[(f64, f64)]| {
        let place = |(index, (px, py)): (usize, &(f64, f64))| {
            format!("{}{:.3} {:.2}", if index == 0 { "M" } else { "L" }, 100.0 * px, y(*py))
        };
        points.iter().enumerate().map(place).collect::<Vec<_>>().join("")
    };
    let ticks = (0..=(top / step).round() as usize).map(|k| k as f64 * step);
    let said = format!(
        "training loss over {} steps, from {:.2} to {:.2} nats",
        last,
        training[0].1,
        training[training.len() - 1].1
    );
    // The style keeps room at the left and at the top for letters that stand outside the picture.
    Some(html! {
        svg.curve role="img" aria-label=(said) height=(HEIGHT + 28.0) overflow="visible" {
            title { (said) }
            @for tick in ticks {
                line.grid x1="0" x2="100%" y1=(format!("{:.2}", y(tick))) y2=(format!("{:.2}", y(tick))) {}
                text x="-8" y=(format!("{:.2}", y(tick) + 4.0)) text-anchor="end" { (format_tick(tick, step)) }
            }
            svg width="100%" height=(HEIGHT) viewBox={ "0 0 100 " (HEIGHT) } preserveAspectRatio="none" overflow="visible" {
                path.training d=(path(&training)) {}
                @if validation.len() > 1 { path.validation d=(path(&validation)) {} }
            }
            @for (px, py) in &validation {
                circle.validation cx=(x(*px)) cy=(format!("{:.2}", y(*py))) r="4" { title { (format!("{py:.3}")) } }
            }
            text x="0" y=(HEIGHT + 22.0) text-anchor="start" { "step 0" }
            text x="100%" y=(HEIGHT + 22.0) text-anchor="end" { "step " (count(last as u64)) }
        }
    })
}

/// Averages neighbours until few enough points are left.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let bin = points.len().div_ceil(POINTS).max(1);
    let mean = |chunk: &[(f64, f64)]| {
        let n = chunk.len() as f64;
        (chunk.iter().map(|p| p.0).sum::<f64>() / n, chunk.iter().map(|p| p.1).sum::<f64>() / n)
    };
    points.chunks(bin).map(mean).collect()
}

/// A step of 1, 2 or 5 times a power of ten that gives three to seven lines.
fn nice_step(top: f64) -> f64 {
    let rough = top / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough).unwrap_or(10.0 * power)
}

fn format_tick(tick: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    format!("{tick:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round_and_long_runs_are_thinned() {
        assert_eq!([0.4, 3.2, 7.0, 11.0].map(nice_step), [0.1, 1.0, 2.0, 5.0]);
        assert_eq!((format_tick(0.3, 0.1), format_tick(10.0, 5.0)), ("0.3".into(), "10".into()));
        let points: Vec<_> = (0..1000).map(|i| (f64::from(i), 2.0)).collect();
        let thinned = thin(&points);
        assert!(thinned.len() <= POINTS && thinned.iter().all(|point| point.1 == 2.0));
    }

    #[test]
    fn nothing_finite_gives_no_picture() {
        let step = TrainStep {
            step: 1,
            epoch: 0.0,
            loss: f64::NAN,
            learning_rate: 0.0,
            gradient_norm: 0.0,
            tokens: 0,
            learned_tokens: 0,
            validation_loss: None,
            weighted_loss: None,
            preference: None,
        };
        assert!(curve(&[step]).is_none() && curve(&[]).is_none());
    }
}
