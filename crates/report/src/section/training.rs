use maud::{Markup, html};

use crate::Report;
use crate::number::count;
use crate::plot::curve;

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
            }
        }
    }
}
