use std::collections::{BTreeMap, HashMap};

use ::irt::design;
use ::irt::facets::{self, Mark};
use ::irt::raters::{Scale, icc, krippendorff};
use exam::scored::{Scored, category};
use marks::{Marks, Row};
use serde::Serialize;

use super::record::RaterLine;
use crate::{Error, Result};

/// What the graders' marks say of the graders.
#[derive(Debug, Clone, Serialize)]
pub struct Graders {
    /// The graders, in the order of the logs.
    pub lines: Vec<RaterLine>,
    /// Persons on the scale that severity is taken out of: name, θ, deviation.
    pub persons: Vec<(String, f64, f64)>,
    /// Categories of the common scale.
    pub categories: usize,
    /// Marks.
    pub marks: usize,
    /// p that all graders are equally severe.
    pub all_equal: f64,
    /// Krippendorff's α of the marks as shares of the most, on an interval scale.
    pub alpha: Option<f64>,
    /// ICC of one grader, and of the mean of all, where each marked everything.
    pub icc: Option<(f64, f64)>,
    /// Agreement rests on so many answers that two graders or more have marked.
    pub common: usize,
    /// What to be careful of.
    pub notes: Vec<String>,
}

/// Categories of the common scale at most: items with other steps share it.
const MOST: usize = 6;

/// Fits graders, items and persons on one scale. `wanted` makes what cannot be fitted an error; else it is
/// left out.
pub(super) fn graders(marks: &Marks, scored: &Scored, wanted: bool) -> Result<Option<Graders>> {
    let mut notes = Vec::new();
    let categories: Vec<usize> = scored.items.iter().map(|scale| scale.cuts.len() + 1).collect();
    let most = categories.iter().copied().max().unwrap_or(2).clamp(2, MOST);
    let same = categories.iter().all(|n| *n == most);
    if !same {
        notes.push(format!("items have different steps: marks were put into {most} equal classes of an item's marks"));
    }
    let mut rows: Vec<(Row, Mark)> = Vec::new();
    let mut nobody = 0;
    for row in marks.rows() {
        let person = scored.persons.binary_search(&row.person);
        let item = scored.items.binary_search_by_key(&row.item, |scale| scale.item);
        let (Ok(person), Ok(item)) = (person, item) else { continue };
        if row.grader == Row::NOBODY {
            nobody += 1;
            continue;
        }
        let score = f64::from(row.score);
        let share = score / marks.items()[row.item as usize].max;
        let score = match same {
            true => category(&scored.items[item].cuts, score),
            false => ((share * most as f64) as usize).min(most - 1),
        };
        let elements = vec![item as u32, u32::from(row.grader)];
        rows.push((*row, Mark { person: person as u32, elements, score: score as u8 }));
    }
    if nobody > 0 {
        notes.push(format!("{nobody} marks name no grader and were left out here"));
    }
    let sizes = [scored.responses.items(), marks.graders().len()];
    let persons = scored.responses.persons();
    let all: Vec<Mark> = rows.iter().map(|(_, mark)| mark.clone()).collect();
    let parts = design::of_marks(&all, persons, &sizes);
    let name = |person: usize| marks.persons()[scored.persons[person] as usize].name.clone();
    if parts.len() > 1 {
        let of = |part: &design::Part| {
            let graders: Vec<&str> = part.elements[1].iter().map(|&at| &*marks.graders()[at]).collect();
            let persons: Vec<String> = part.persons.iter().take(5).map(|&at| name(at)).collect();
            format!("graders {} with persons {}", graders.join(", "), persons.join(", "))
        };
        let named: Vec<String> = parts.iter().map(of).collect();
        notes.push(format!(
            "the graders' marks fall into {} parts that nothing connects ({}): only the first one was fitted",
            parts.len(),
            named.join("; ")
        ));
        rows.retain(|(_, mark)| parts[0].persons.binary_search(&(mark.person as usize)).is_ok());
    }
    // Numbers without gaps: only what has a mark, and scores that were given.
    let mut given: Vec<u8> = rows.iter().map(|(_, mark)| mark.score).collect();
    given.sort_unstable();
    given.dedup();
    if given.len() < most {
        notes.push(format!("of {most} classes {} were given; empty ones are joined with the one below", given.len()));
    }
    let dense = |numbers: Vec<u32>| -> HashMap<u32, u32> {
        let mut sorted = numbers;
        sorted.sort_unstable();
        sorted.dedup();
        sorted.into_iter().zip(0..).collect()
    };
    let person_at = dense(rows.iter().map(|(_, mark)| mark.person).collect());
    let item_at = dense(rows.iter().map(|(_, mark)| mark.elements[0]).collect());
    let grader_at = dense(rows.iter().map(|(_, mark)| mark.elements[1]).collect());
    let packed: Vec<Mark> = rows
        .iter()
        .map(|(_, mark)| Mark {
            person: person_at[&mark.person],
            elements: vec![item_at[&mark.elements[0]], grader_at[&mark.elements[1]]],
            score: given.binary_search(&mark.score).unwrap_or(0) as u8,
        })
        .collect();
    let sizes = [item_at.len(), grader_at.len()];
    let fitted = match facets::fit(&packed, person_at.len(), &sizes, &facets::Settings::default()) {
        Ok(fitted) => fitted,
        Err(error) if wanted => {
            let problem = format!("the graders' marks cannot be fitted: {error}");
            return Err(Error::Nothing { problem, hint: "take another --fit".into() });
        }
        Err(_) => return Ok(None),
    };
    let subsets = design::subsets(&packed, person_at.len(), &sizes, 1);
    if subsets[1].iter().flatten().any(|subset| *subset > 0) {
        notes.push(
            "not every two graders share persons and items closely enough: severities of different subsets are comparable \
             only if persons were dealt out to graders at random"
                .into(),
        );
    }
    if !fitted.converged {
        notes.push(format!("the fit had not converged after {} steps", fitted.steps));
    }
    // What each grader gave, and what the same answers would get from a grader of mean severity.
    let mut sums = vec![(0.0, 0.0); sizes[1]];
    for mark in &packed {
        let (item, grader) = (mark.elements[0] as usize, mark.elements[1] as usize);
        let from = fitted.persons[mark.person as usize].0 - fitted.facets[0][item].severity;
        sums[grader].0 += f64::from(mark.score);
        sums[grader].1 += expected(from, &fitted.thresholds);
    }
    let line = |(at, grader): (usize, &String)| {
        let at = *grader_at.get(&(at as u32))? as usize;
        let e = &fitted.facets[1][at];
        Some(RaterLine {
            name: grader.clone(),
            severity: e.severity,
            error: e.error,
            infit: e.infit,
            outfit: e.outfit,
            observed: sums[at].0 / e.n as f64,
            fair: sums[at].1 / e.n as f64,
            n: e.n,
            subset: subsets[1][at],
        })
    };
    let mut places: Vec<(u32, u32)> = person_at.into_iter().collect();
    places.sort_unstable();
    let placed = |(person, at): (u32, u32)| {
        let (theta, deviation) = fitted.persons[at as usize];
        (name(person as usize), theta, deviation)
    };
    let mut answers: BTreeMap<(u32, u32, u16), BTreeMap<u16, f64>> = BTreeMap::new();
    for (row, _) in &rows {
        let share = f64::from(row.score) / marks.items()[row.item as usize].max;
        answers.entry((row.person, row.item, row.attempt)).or_default().insert(row.grader, share);
    }
    let table: Vec<Vec<f64>> = answers.values().map(|own| own.values().copied().collect()).collect();
    let full = answers.values().all(|own| own.len() == sizes[1]);
    Ok(Some(Graders {
        lines: marks.graders().iter().enumerate().filter_map(line).collect(),
        persons: places.into_iter().map(placed).collect(),
        categories: given.len(),
        marks: packed.len(),
        all_equal: facets::all_equal(&fitted.facets[1]),
        alpha: krippendorff(&table, Scale::Interval),
        icc: if full { icc(&table).map(|icc| (icc.single, icc.mean)) } else { None },
        common: table.iter().filter(|row| row.len() > 1).count(),
        notes,
    }))
}

/// Expected category so far above an item, by the steps' thresholds.
fn expected(from: f64, thresholds: &[f64]) -> f64 {
    let (mut log, mut logs) = (0.0, vec![0.0]);
    for tau in thresholds {
        log += from - tau;
        logs.push(log);
    }
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights = || logs.iter().map(|log| (log - most).exp());
    weights().enumerate().map(|(k, w)| k as f64 * w).sum::<f64>() / weights().sum::<f64>()
}
