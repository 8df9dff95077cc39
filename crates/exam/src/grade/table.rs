use std::collections::HashMap;

use marks::{Marks, Row};

use super::{Mark, Script};
use crate::Result;
use crate::paper::{Answer, Paper};

/// Every mark as a row of the table, with its grader's name; a grader who failed leaves a gap. Further
/// markings stand under the further grader's name.
pub fn table(paper: &Paper, answers: &[Answer], scripts: &[Script], given: &[Mark]) -> Result<Marks> {
    let mut table = Marks::default();
    let by_code: HashMap<&str, &Script> = scripts.iter().map(|script| (script.code.as_str(), script)).collect();
    for script in scripts {
        table.person(&script.person)?;
    }
    for item in &paper.items {
        table.item(&item.id, || marks::Item {
            subject: Some(item.subject.clone().unwrap_or_else(|| paper.subject.clone())),
            kind: Some(item.kind.name().into()),
            cluster: item.cluster.clone(),
            text: Some(item.question.clone()),
            difficulty: item.difficulty,
            chance: item.chance(),
            ..marks::Item::new(&item.id, item.points)
        })?;
    }
    for answer in answers {
        if let Some(day) = answer.published {
            let at = table.person(&answer.person)?;
            table.person_mut(at).date = Some(day.to_string());
        }
    }
    for mark in given {
        let (Some(script), Some(points)) = (by_code.get(mark.code.as_str()), mark.points) else { continue };
        let row = Row {
            person: table.person(&script.person)?,
            item: table.item(&script.item, || marks::Item::new(&script.item, points))?,
            grader: table.grader(&mark.grader)?,
            attempt: script.attempt,
            score: points as f32,
        };
        table.push(row)?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grade::example::{answer, paper};
    use crate::grade::{Mark, scripts};

    #[test]
    fn each_mark_is_a_row_with_its_grader() {
        let paper = paper();
        let mut answers = vec![answer("ann", "3", "gravity"), answer("ann", "1", "B"), answer("ann", "2", "42 m")];
        answers[0].published = "2024-01-01".parse().ok();
        let scripts = scripts(&paper, &answers, 1);
        let script = scripts.iter().find(|s| s.item == "3").expect("a script");
        let given = [
            Mark::new(script, "green", 0, 4.0, ""),
            Mark::failed(script, "judge", 0, "down"),
            Mark { further: true, ..Mark::new(script, "blue", 0, 5.5, "") },
        ];
        let table = table(&paper, &answers, &scripts, &given).expect("a table");
        assert_eq!((table.rows().len(), table.items().len(), table.persons().len()), (2, 4, 1));
        assert_eq!(table.graders(), ["green", "blue"]);
        assert_eq!((table.persons()[0].date.as_deref(), table.items()[0].chance), (Some("2024-01-01"), Some(0.5)));
        assert_eq!(table.cells()[0].score, 4.75);
    }
}
