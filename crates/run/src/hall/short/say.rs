use irt::short::Method;
use report::{Section, Sheet, Table};

use super::record::{Candidate, Shortened};
use crate::hall::compare::csv;

/// A share as per cent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

fn points(share: f64) -> String {
    format!("{:+.2}", 100.0 * share).replace('-', "−")
}

fn hundredths(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

/// The sheet that page and terminal are drawn from.
pub(super) fn sheet(found: &Shortened, figure: Option<&plot::Figure>) -> Sheet {
    let (form, stated) = (&found.form, &found.form.stated);
    let mut sheet = Sheet::new(
        "Short form",
        format!(
            "{} of {} items tell the whole score to {} points on average (95 % limits {} to {}, {} held-out persons{}).",
            form.items.len(),
            found.whole,
            hundredths(stated.error),
            hundredths(stated.error_low),
            hundredths(stated.error_high),
            stated.n,
            if stated.bases < stated.n { format!(" of {} base models", stated.bases) } else { String::new() }
        ),
    );
    sheet.read = vec![
        (found.persons as u64, "persons".into()),
        (found.whole as u64, "items".into()),
        (form.items.len() as u64, "items chosen".into()),
    ];
    sheet.notes = found.notes.clone();
    let mut error = Section::new("Error of the score")
        .text(format!(
            "Forms were made without the persons of a fold and held against these: all variants of a base model lie in one \
             fold. The error is |estimate − score on all {} items|, in points of a hundred. {}",
            found.whole,
            described(form.method, form.mix)
        ))
        .table(table(found));
    if let Some(figure) = figure {
        let caption = format!(
            "Mean absolute error on held-out persons (n = {}) against the number of items; intervals are clustered by base \
             model.",
            stated.n
        );
        error = error.figure(figure.bare(), caption);
    }
    sheet.sections.push(error);
    let item = |item: &super::FormItem| {
        vec![
            item.id.clone(),
            item.subject.clone().unwrap_or_default(),
            format!("{:.4}", item.weight),
            percent(item.mean),
        ]
    };
    sheet.sections.push(
        Section::new("Items")
            .text(
                "Weights are those of the weighted mean. `lyceum short LOGS --form form.json` scores new persons by the form; \
                 for lm-evaluation-harness give samples.json, where it was written, to --samples.",
            )
            .table(
                Table::new(["item", "subject", "weight", "right %"], form.items.iter().map(item).collect())
                    .file("items.jsonl"),
            ),
    );
    sheet
}

fn described(method: Method, mix: f64) -> String {
    match method {
        Method::Random => "Items were drawn at random.".into(),
        Method::Stratified => "One item was drawn from each of equal strata of difficulty.".into(),
        Method::Anchor => {
            "Items were gathered by the responses that they got, and the middle one of each group stands for it.".into()
        }
        Method::Information => "The items that tell most of ability were taken; curves foretell the rest.".into(),
        Method::AnchorCurves => "The middle items of groups by response were taken; curves foretell the rest.".into(),
        Method::Mixed => format!(
            "The middle items of groups by response were taken; {} % of the estimate is their weighted mean, the rest what \
             curves foretell.",
            (100.0 * mix).round()
        ),
    }
}

fn table(found: &Shortened) -> Table {
    let chosen = |c: &Candidate| c.method == found.form.method && c.items == found.form.items.len();
    let row = |c: &Candidate| {
        vec![
            format!("{}{}", c.method.name(), if chosen(c) { " ←" } else { "" }),
            c.items.to_string(),
            hundredths(c.error),
            format!("[{}, {}]", hundredths(c.error_low), hundredths(c.error_high)),
            hundredths(c.reach),
            points(c.bias),
            c.ability_error.map_or("—".into(), |error| format!("{error:.2}")),
            c.against_random.map_or("—".into(), |d| points(d.mean)),
            c.against_random.map_or("—".into(), |d| format!("[{}, {}]", points(d.low), points(d.high))),
        ]
    };
    // The size that was taken comes first: a terminal shows few rows.
    let (own, others): (Vec<&Candidate>, Vec<&Candidate>) =
        found.measured.iter().partition(|c| c.items == found.form.items.len());
    let columns =
        ["method", "items", "error", "95 %", "95 of 100", "bias", "ability RMSE", "less random's", "its 95 %"];
    Table::new(columns, own.into_iter().chain(others).map(row).collect()).file("errors.csv")
}

/// All that was measured, with every number.
pub(super) fn errors(measured: &[Candidate]) -> Vec<u8> {
    let head = "method,items,persons,bases,error,standard_error,low,high,bias,reach_95,ability_rmse,less_random,\
                less_random_low,less_random_high";
    let mut lines = vec![head.split(',').map(String::from).collect()];
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    for c in measured {
        lines.push(vec![
            c.method.name().into(),
            c.items.to_string(),
            c.n.to_string(),
            c.bases.to_string(),
            c.error.to_string(),
            c.standard_error.to_string(),
            c.error_low.to_string(),
            c.error_high.to_string(),
            c.bias.to_string(),
            c.reach.to_string(),
            number(c.ability_error),
            number(c.against_random.map(|d| d.mean)),
            number(c.against_random.map(|d| d.low)),
            number(c.against_random.map(|d| d.high)),
        ]);
    }
    csv(&lines)
}
