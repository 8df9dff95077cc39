use std::path::Path;

use crate::note::Notes;
use crate::{Duplicates, Error, Marks, Result, Row, Source};

fn key(row: &Row) -> (u32, u32, u16, u16) {
    (row.person, row.item, row.grader, row.attempt)
}

/// Leaves one row for each person, item, grader and attempt. Equal scores are dropped and noted;
/// contradicting ones go by `choice`.
pub(crate) fn settle(marks: &mut Marks, notes: &mut Notes, sources: &[Source], choice: Duplicates) -> Result<()> {
    // Most logs come in order, each person once.
    if marks.rows().windows(2).all(|pair| key(&pair[0]) < key(&pair[1])) {
        return Ok(());
    }
    let order = marks.order();
    let rows = marks.rows();
    let score = |at: u32| rows[at as usize].score;
    let mut dropped: Vec<u32> = Vec::new();
    let mut means: Vec<(u32, f32)> = Vec::new();
    for same in order.chunk_by(|&a, &b| key(&rows[a as usize]) == key(&rows[b as usize])) {
        let [first, rest @ ..] = same else { continue };
        let Some(&again) = rest.first() else { continue };
        let other = rest.iter().copied().find(|&at| score(at) != score(*first));
        for &at in rest {
            let path = source(sources, at);
            match other {
                None => notes.add(path, None, "duplicate", || {
                    let Row { person, item, .. } = rows[again as usize];
                    let (person, item) = (&marks.persons()[person as usize].name, &marks.items()[item as usize].id);
                    format!("person {person:?} has item {item:?} again, with the same score")
                }),
                Some(other) => notes.add(path, None, "contradiction", || {
                    let Row { person, item, .. } = rows[other as usize];
                    let (person, item) = (&marks.persons()[person as usize].name, &marks.items()[item as usize].id);
                    let choice = if choice == Duplicates::Mean { "their mean" } else { "the first" };
                    let scores = (score(*first), score(other));
                    format!("person {person:?} has {} and {} for item {item:?}; {choice} counts", scores.0, scores.1)
                }),
            }
        }
        match (other, choice) {
            (Some(other), Duplicates::Refuse) => return Err(contradiction(marks, sources, *first, other)),
            (Some(_), Duplicates::Mean) => {
                let sum: f64 = same.iter().map(|&at| f64::from(score(at))).sum();
                means.push((*first, (sum / same.len() as f64) as f32));
            }
            _ => {}
        }
        dropped.extend(rest);
    }
    dropped.sort_unstable();
    let rows = marks.rows_mut();
    for (at, mean) in means {
        rows[at as usize].score = mean;
    }
    let (mut at, mut dropped) = (0_u32, dropped.into_iter().peekable());
    rows.retain(|_| {
        at += 1;
        dropped.next_if_eq(&(at - 1)).is_none()
    });
    Ok(())
}

/// The log that a row came from.
fn source(sources: &[Source], row: u32) -> &Path {
    let mut end = 0;
    let holds = |source: &&Source| {
        end += source.rows;
        (row as usize) < end
    };
    sources.iter().find(holds).map_or(Path::new(""), |source| &source.path)
}

fn contradiction(marks: &Marks, sources: &[Source], first: u32, second: u32) -> Error {
    let row = marks.rows()[first as usize];
    Error::Contradiction {
        person: marks.persons()[row.person as usize].name.clone(),
        item: marks.items()[row.item as usize].id.clone(),
        grader: marks.graders().get(row.grader as usize).cloned(),
        attempt: row.attempt,
        first: row.score.into(),
        second: marks.rows()[second as usize].score.into(),
        paths: Box::new((source(sources, first).into(), source(sources, second).into())),
    }
}
