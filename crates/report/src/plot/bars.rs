use maud::{Markup, html};

use super::x;
use crate::Flow;
use crate::number::count;

/// Shades that stand for reasons, by rank; the last one for all others.
const SHADES: usize = 5;

/// What was asked as one bar: the part delivered, then the drops by reason, the most frequent first.
/// Below it the same in words.
pub(crate) fn stacked(flow: &Flow) -> Markup {
    let mut drops: Vec<(&str, u64)> = flow.drops.iter().map(|(reason, number)| (reason.as_str(), *number)).collect();
    drops.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let whole = (flow.delivered + drops.iter().map(|drop| drop.1).sum::<u64>()).max(flow.asked).max(1) as f64;
    let mut left = flow.delivered as f64 / whole;
    let mut parts = Vec::new();
    for (rank, (reason, number)) in drops.iter().enumerate() {
        parts.push((rank.min(SHADES - 1), *reason, *number, left));
        left += *number as f64 / whole;
    }
    let said = format!("{} of {} {} delivered", count(flow.delivered), count(flow.asked), flow.name);
    html! {
        svg.stacked role="img" aria-label=(said) height="18" {
            title { (said) }
            rect.rest x="0" y="0" width="100%" height="18" rx="3" {}
            rect.delivered x="0" y="0" width=(x(flow.delivered as f64 / whole)) height="18" rx="3" {}
            @for (shade, reason, number, start) in &parts {
                rect class={ "drop shade" (shade) } x=(x(*start)) y="0" width=(x(*number as f64 / whole)) height="18" {
                    title { (count(*number)) " " (reason) }
                }
            }
        }
        ul.legend {
            li { span.key.delivered {} b { (count(flow.delivered)) } " delivered" }
            @for (shade, reason, number, _) in &parts {
                li { span class={ "key drop shade" (shade) } {} b { (count(*number)) } " " span.said { (reason) } }
            }
            @if flow.unaccounted() != 0 {
                li.wrong { b { (flow.unaccounted()) } " unaccounted for: this stage does not add up" }
            }
        }
    }
}
