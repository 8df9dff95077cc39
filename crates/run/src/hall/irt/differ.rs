use std::collections::BTreeMap;

use ::irt::Mml;
use ::irt::dif::{logistic, mantel_haenszel, wald};
use exam::scored::{Scored, Whole};
use marks::{Marks, Person};

use super::measure::adjusted;
use super::record::{Dif, DifLine};
use crate::{Error, Result};

/// Persons of a group below which its DIF is mostly chance.
const FEW: usize = 100;

/// Does an item favour a group? `asked` is `COLUMN=ref:focal`, or `COLUMN` where it has two values.
pub(super) fn differ(marks: &Marks, scored: &Scored, asked: &str) -> Result<Dif> {
    let (column, pair) = match asked.split_once('=') {
        Some((column, pair)) => (column, Some(pair)),
        None => (asked, None),
    };
    let wrong = |problem: String, hint: &str| Err(Error::Nothing { problem, hint: hint.into() });
    let value = |person: &Person| match column {
        "group" => person.group.clone(),
        "base" => person.base.clone(),
        "date" => person.date.clone(),
        "name" => Some(person.name.clone()),
        _ => None,
    };
    if !["group", "base", "date", "name"].contains(&column) {
        return wrong(format!("--dif {asked}: persons have no column {column:?}"), "group, base, date or name");
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let of_person = |at: &u32| value(&marks.persons()[*at as usize]);
    scored.persons.iter().filter_map(of_person).for_each(|value| *counts.entry(value).or_default() += 1);
    let known: Vec<String> = counts.iter().take(8).map(|(value, n)| format!("{value} ({n})")).collect();
    let (reference, focal) = match pair.map(|pair| pair.split_once(':')) {
        Some(Some((reference, focal))) => (reference.to_string(), focal.to_string()),
        Some(None) => return wrong(format!("--dif {asked}: no two groups"), "write COLUMN=reference:focal"),
        None if counts.len() == 2 => {
            // The larger group is the reference.
            let mut two: Vec<(&String, &usize)> = counts.iter().collect();
            two.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
            (two[0].0.clone(), two[1].0.clone())
        }
        None => {
            return wrong(
                format!("--dif {asked}: the column has {} values: {}", counts.len(), known.join(", ")),
                "write COLUMN=reference:focal",
            );
        }
    };
    for group in [&reference, &focal] {
        let n = counts.get(group).copied().unwrap_or(0);
        if n < 2 {
            return wrong(
                format!("--dif {asked}: group {group:?} has {n} persons; the column has: {}", known.join(", ")),
                "each group needs two persons",
            );
        }
    }
    // Only persons of the two groups, and items right or wrong, which all three methods take.
    let mut small = Marks::default();
    for row in marks.rows() {
        let person = &marks.persons()[row.person as usize];
        let kept = value(person).is_some_and(|value| value == reference || value == focal)
            && scored.persons.binary_search(&row.person).is_ok()
            && scored.items.binary_search_by_key(&row.item, |scale| scale.item).is_ok();
        if kept {
            let place = small.person(&person.name)?;
            *small.person_mut(place) = person.clone();
            let item = &marks.items()[row.item as usize];
            let item = small.item(&item.id, || item.clone())?;
            small.push(marks::Row { person: place, item, ..*row })?;
        }
    }
    let two = Scored::new(&small, &Whole { binary: true, ..Whole::default() })?;
    let in_focal: Vec<bool> =
        two.persons.iter().map(|at| value(&small.persons()[*at as usize]).as_ref() == Some(&focal)).collect();
    let numbers = |wanted: bool| in_focal.iter().filter(|f| **f == wanted).count();
    let mut notes = Vec::new();
    if numbers(true).min(numbers(false)) < FEW {
        notes.push(format!("groups of fewer than {FEW} persons: classes are mostly chance, intervals are what counts"));
    }
    if scored.items.iter().any(|scale| scale.cuts.len() > 1) {
        notes.push("items with partial credit were made right (half of the marks or more) or wrong".into());
    }
    let responses = &two.responses;
    let mh = mantel_haenszel(responses, &in_focal, true);
    let regressed = logistic(responses, &in_focal);
    let lord = match wald(responses, &in_focal, &Mml::default()) {
        Ok(found) => found,
        Err(error) => {
            notes.push(format!("the Wald test was not done: {error}"));
            vec![None; responses.items()]
        }
    };
    let missing = mh.iter().filter(|found| found.is_none()).count();
    if missing > 0 {
        notes.push(format!("{missing} items have no persons of both groups at a common score: no Mantel–Haenszel"));
    }
    let p = adjusted(mh.iter().map(|found| found.map(|found| found.p)));
    let p_uniform = adjusted(regressed.iter().map(|found| found.map(|found| found.p_uniform)));
    let p_nonuniform = adjusted(regressed.iter().map(|found| found.map(|found| found.p_nonuniform)));
    let p_wald = adjusted(lord.iter().map(|found| found.map(|found| found.p)));
    let line = |at: usize| DifLine {
        id: small.items()[two.items[at].item as usize].id.clone(),
        delta: mh[at].map(|found| found.delta),
        error: mh[at].map(|found| found.error),
        class: mh[at].map(|found| found.class),
        p: p[at],
        uniform: regressed[at].map(|found| found.uniform),
        p_uniform: p_uniform[at],
        p_nonuniform: p_nonuniform[at],
        difference: lord[at].map(|found| found.difference),
        difference_error: lord[at].map(|found| found.error),
        p_wald: p_wald[at],
    };
    Ok(Dif {
        column: column.into(),
        reference: (reference.clone(), numbers(false)),
        focal: (focal.clone(), numbers(true)),
        lines: (0..responses.items()).map(line).collect(),
        notes,
    })
}
