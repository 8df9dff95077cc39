use std::collections::HashMap;
use std::path::{Path, PathBuf};

use irt::short::{Bank, Form};
use report::{Section, Sheet, Table as Rows};
use serde::Serialize;

use super::record::FormFile;
use super::{nothing, say};
use crate::hall::compare::{Count, Table};
use crate::{Event, Result, Watch};

/// A person's score by a form.
#[derive(Debug, Clone, Serialize)]
pub struct ScoredLine {
    /// The person.
    pub name: String,
    /// Items of the form that it met.
    pub met: usize,
    /// Estimate of the score on the whole exam; none where an item of the form is missing.
    pub estimate: Option<f64>,
    /// 95 of 100 held-out persons lay nearer to their estimate than this.
    pub reach: f64,
    /// Ability by the form's curves.
    pub ability: Option<f64>,
}

/// Persons scored by a form.
#[derive(Debug, Clone, Serialize)]
pub struct Scored {
    /// Items of the form.
    pub items: usize,
    /// Items of the whole exam.
    pub whole: usize,
    /// Persons, in the order of the logs.
    pub persons: Vec<ScoredLine>,
    /// The same in lines for a terminal.
    #[serde(skip)]
    pub text: String,
}

/// Reads a form that [`super::short`] wrote and estimates what the persons of some logs would have scored on
/// the whole exam.
pub fn score_by_form(form: &Path, paths: &[PathBuf], options: &marks::Options, watch: &Watch) -> Result<Scored> {
    let file: FormFile = record::shard::read_json(form)?;
    let places: HashMap<&str, usize> = file.whole.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
    let mut items = Vec::new();
    for item in &file.items {
        match places.get(item.id.as_str()) {
            Some(&at) => items.push(at),
            None => {
                return nothing(
                    format!("{}: item {:?} is not of its own exam", form.display(), item.id),
                    "make the form anew",
                );
            }
        }
    }
    let bank = file.bank.clone().map(Bank::load).transpose()?;
    if bank.as_ref().is_some_and(|bank| bank.record().points.len() != file.whole.len()) {
        return nothing(format!("{}: curves and items do not agree in number", form.display()), "make the form anew");
    }
    let weights = file.items.iter().map(|item| item.weight).collect();
    let made = Form { method: file.method, items, weights, mix: file.mix, bank };
    let read = marks::read(paths, options)?;
    for note in &read.notes {
        watch.tell(Event::Note { text: note.to_string() });
    }
    let table = Table::new(&read.marks, &[], Count::Mean)?;
    let column: HashMap<&str, usize> = table.items.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
    let persons: Vec<ScoredLine> = (0..table.names.len())
        .map(|person| {
            let share = |id: &str| column.get(id).and_then(|&at| table.row(person)[at]);
            let shares: Vec<f64> = file.items.iter().filter_map(|item| share(&item.id)).collect();
            let all = shares.len() == file.items.len();
            ScoredLine {
                name: table.names[person].clone(),
                met: shares.len(),
                estimate: all.then(|| made.estimate(&shares).clamp(0.0, 1.0)),
                reach: file.stated.reach,
                ability: made.ability(&shares).filter(|_| all),
            }
        })
        .collect();
    let scored = persons.iter().filter(|person| person.estimate.is_some()).count();
    if scored == 0 {
        let most = persons.iter().map(|person| person.met).max().unwrap_or(0);
        return nothing(
            format!("nobody in the logs met all {} items of the form (the most is {most})", file.items.len()),
            "a form's items are found by id: give logs of the same exam",
        );
    }
    let mut sheet = Sheet::new(
        "Scores by a short form",
        format!(
            "{scored} of {} persons scored by {} items that stand for {}; 95 of 100 held-out persons lay within {} points \
             of the truth (n = {}).",
            persons.len(),
            file.items.len(),
            file.whole.len(),
            say::percent(file.stated.reach),
            file.stated.n
        ),
    );
    let row = |person: &ScoredLine| {
        let met = format!("{} of {}", person.met, file.items.len());
        let score = |estimate: f64| format!("{} ± {}", say::percent(estimate), say::percent(person.reach));
        let ability = person.ability.map_or("—".into(), |theta| format!("{theta:.2}").replace('-', "−"));
        vec![person.name.clone(), met, person.estimate.map_or("—".into(), score), ability]
    };
    let rows = Rows::new(["person", "items met", "whole exam %", "ability θ"], persons.iter().map(row).collect());
    sheet.sections.push(Section::new("Persons").table(rows));
    let text = report::sheet_text(&sheet);
    Ok(Scored { items: file.items.len(), whole: file.whole.len(), persons, text })
}
