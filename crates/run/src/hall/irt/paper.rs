use std::collections::HashMap;
use std::path::Path;

use ::irt::pairwise::Duel;
use exam::gaokao::{Config, Gaokao, paper as gaokao};
use marks::Marks;

use super::Settings;
use crate::{Error, Result};

/// The paper's mode on all marks.
pub(super) fn paper(marks: &Marks, settings: &Settings) -> Result<Gaokao> {
    let duels = settings.judgements.as_deref().map(|path| judgements(path, marks)).transpose()?.unwrap_or_default();
    let config =
        Config { source: settings.difficulty, duels, free_slope: settings.free_slope, draws: 0, seed: settings.seed };
    gaokao(marks, &config).map_err(|error| match error {
        exam::Error::Difficulty { problem } => Error::Nothing {
            problem,
            hint: "give logs with a column `difficulty`, --judgements FILE, or --difficulty others".into(),
        },
        error => error.into(),
    })
}

/// Lines `first,second,points`: how far the first item is harder than the second, 1 for harder, 0.5 for a
/// tie, 0 for easier. A header is passed over.
fn judgements(path: &Path, marks: &Marks) -> Result<Vec<Duel>> {
    let wrong = |line: usize, problem: String| {
        Error::Nothing {
        problem: format!("{}:{line}: {problem}", path.display()),
        hint: "each line is first,second,points: ids of two items, and 1 if the first is harder, 0 if easier, 0.5 for a tie"
            .into(),
    }
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(1, error.to_string()))?;
    let place: HashMap<&str, usize> = marks.items().iter().enumerate().map(|(at, item)| (&*item.id, at)).collect();
    let mut duels = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split(',').map(|cell| cell.trim().trim_matches('"')).collect();
        let [first, second, points] = cells[..] else {
            return Err(wrong(at + 1, format!("has {} fields, not 3", cells.len())));
        };
        let Ok(points) = points.parse::<f64>() else {
            if at == 0 {
                continue;
            }
            return Err(wrong(at + 1, format!("field `points` is {points:?}, no number")));
        };
        let find = |id: &str| {
            place.get(id).copied().ok_or_else(|| wrong(at + 1, format!("no item of the logs is called {id:?}")))
        };
        let (first, second) = (find(first)?, find(second)?);
        if first == second || !(0.0..=1.0).contains(&points) {
            return Err(wrong(at + 1, "needs two different items and points between 0 and 1".into()));
        }
        duels.push(Duel { first, second, points });
    }
    Ok(duels)
}
