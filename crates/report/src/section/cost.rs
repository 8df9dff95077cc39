use maud::{Markup, html};
use record::{Manifest, Usage};

use crate::Cost;
use crate::number::{count, duration};

/// Time, tokens and money, by stage.
pub(crate) fn cost(costs: &[Cost]) -> Markup {
    let mut usage = Usage::default();
    costs.iter().for_each(|cost| usage += cost.usage);
    let seconds = costs.iter().map(|cost| cost.seconds).sum();
    let money: f64 = costs.iter().map(|cost| cost.cost_usd).sum();
    let paid = money > 0.0;
    let cells = |seconds: f64, usage: &Usage, money: f64| {
        html! {
            td { (duration(seconds)) }
            td { (count(usage.prefill)) }
            td { (count(usage.cached)) }
            td { (count(usage.decode)) }
            @if paid { td { (format!("${money:.2}")) } }
        }
    };
    html! {
        @if !costs.is_empty() {
            section {
                h2 { "What it cost" }
                div.scroll tabindex="0" {
                    table {
                        thead { tr {
                            th scope="col" { "stage" } th scope="col" { "time" } th scope="col" { "tokens read" }
                            th scope="col" { "from cache" } th scope="col" { "written" }
                            @if paid { th scope="col" { "US dollars" } }
                        } }
                        tbody {
                            @for cost in costs {
                                tr { th scope="row" { (cost.stage) } (cells(cost.seconds, &cost.usage, cost.cost_usd)) }
                            }
                        }
                        tfoot { tr { th scope="row" { "together" } (cells(seconds, &usage, money)) } }
                    }
                }
            }
        }
    }
}

/// How it came to be, for whoever wants to do it again.
pub(crate) fn manifest(manifest: &Manifest) -> Markup {
    let revision = match (&manifest.git_revision, manifest.git_dirty) {
        (Some(revision), Some(true)) => format!("{revision}, with changes that were not committed"),
        (Some(revision), _) => revision.clone(),
        (None, _) => "not known".into(),
    };
    let recipe = serde_json::to_string_pretty(&manifest.recipe).unwrap_or_default();
    let files = [("What went in, by hash", &manifest.inputs), ("What came out, by hash", &manifest.outputs)];
    html! {
        section {
            h2 { "How to do it again" }
            dl {
                dt { "seed" } dd { (manifest.seed) }
                dt { "version" } dd { (manifest.version) }
                dt { "revision" } dd.said { (revision) }
                @if let Some(kernels) = &manifest.kernels { dt { "kernels" } dd.said { (kernels) } }
            }
            details { summary { "The recipe, every default filled in" } pre.said { (recipe) } }
            @for (title, files) in files {
                @if !files.is_empty() {
                    details {
                        summary { (title) }
                        ul.hashes { @for file in files { li { span.said { (file.path) } " " code { (file.sha256) } } } }
                    }
                }
            }
        }
    }
}
