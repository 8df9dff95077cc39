use maud::{Markup, html};
use record::TrainStep;

use crate::Report;
use crate::number::count;
use crate::plot::curve;

/// Which point the weighted loss kept, beside the one that the plain loss would have kept.
fn chosen(curve: &[TrainStep]) -> Option<String> {
    let lowest = |of: fn(&TrainStep) -> Option<f64>| {
        let looks = curve.iter().filter_map(|step| Some((step.step, of(step)?)));
        looks.min_by(|a, b| a.1.total_cmp(&b.1))
    };
    let (weighted, plain) = lowest(|step| step.weighted_loss).zip(lowest(|step| step.validation_loss))?;
    let kept = format!(
        "The validation loss with its tokens weighted by what the capability hangs on chose the kept point: step {}",
        count(weighted.0)
    );
    Some(match weighted.0 == plain.0 {
        true => format!("{kept}, which the plain loss would have chosen too."),
        false => format!("{kept}. The plain loss would have chosen step {}.", count(plain.0)),
    })
}

/// The training run.
pub(crate) fn training(report: &Report) -> Markup {
    let last = report.curve.last();
    html! {
        @if let (Some(last), Some(picture)) = (last, curve(&report.curve)) {
            section {
                h2 { "Training" }
                p {
                    (count(last.step)) " steps, " (format!("{:.1}", last.epoch)) " passes over the samples, "
                    (count(last.tokens)) " tokens read, of which " (count(last.learned_tokens)) " were learned."
                }
                p.legend-line {
                    span { span.key.line.training {} "training loss" }
                    @if report.curve.iter().any(|step| step.validation_loss.is_some()) {
                        span { span.key.line.validation {} "validation loss" }
                    }
                    span.quiet { "in nats a learned token" }
                }
                (picture)
                @if let Some(said) = chosen(&report.curve) { p { (said) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weighted_choice_stands_beside_the_plain_one() {
        let step = |(step, plain, weighted): (u64, f64, Option<f64>)| TrainStep {
            step,
            epoch: 1.0,
            loss: 1.0,
            learning_rate: 0.0,
            gradient_norm: 1.0,
            tokens: 1,
            learned_tokens: 1,
            validation_loss: Some(plain),
            weighted_loss: weighted,
            preference: None,
        };
        let said = |looks: [(u64, f64, Option<f64>); 3]| chosen(&looks.map(step));
        assert_eq!(said([(1, 3.0, None), (2, 1.0, None), (3, 2.0, None)]), None);
        let other = said([(1, 3.0, Some(1.0)), (2, 1.0, Some(0.9)), (3, 2.0, Some(-0.4))]).expect("weighted");
        assert!(other.contains("step 3. The plain loss would have chosen step 2."), "{other}");
        let same = said([(1, 3.0, Some(1.0)), (2, 1.0, Some(0.5)), (3, 2.0, Some(0.6))]).expect("weighted");
        assert!(same.contains("step 2, which the plain loss would have chosen too"), "{same}");
    }
}
