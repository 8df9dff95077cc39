use std::collections::HashMap;
use std::path::Path;

use super::{Mark, Script};
use crate::paper::Paper;
use crate::{Error, Result};

/// Marks that were given elsewhere: CSV with the columns person, item, grader, score and, if need be,
/// attempt. Their order of lines counts as the grader's order of marking. A line about an answer that is not
/// there is an error, as are points beyond the item's and a grader who marked an answer twice.
pub fn read_given(path: &Path, paper: &Paper, scripts: &[Script]) -> Result<Vec<Mark>> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(|source| match source.into_kind() {
            csv::ErrorKind::Io(source) => record::Error::io("read", path, source).into(),
            kind => Error::Table { path: path.into(), source: std::io::Error::other(format!("{kind:?}")).into() },
        })?;
    let known: HashMap<(&str, &str, u16), &Script> =
        scripts.iter().map(|s| ((s.person.as_str(), s.item.as_str(), s.attempt), s)).collect();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut marks: Vec<Mark> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let headings = reader.headers().map_err(|source| Error::Table { path: path.into(), source })?.clone();
    let place = |column: &str| headings.iter().position(|heading| heading.eq_ignore_ascii_case(column));
    for column in ["person", "item", "grader", "score"] {
        if place(column).is_none() {
            let problem = "is missing from the headings".into();
            return Err(Error::Cell { path: path.into(), line: 1, column, problem });
        }
    }
    for row in reader.records() {
        let row = row.map_err(|source| Error::Table { path: path.into(), source })?;
        let line = row.position().map_or(0, csv::Position::line);
        let wrong = |column: &'static str, problem: String| Error::Cell { path: path.into(), line, column, problem };
        let cell = |column: &str| place(column).and_then(|at| row.get(at)).unwrap_or_default();
        let (person, item, grader) = (cell("person"), cell("item"), cell("grader"));
        let attempt = match cell("attempt") {
            "" => 0,
            text => text.parse().map_err(|_| wrong("attempt", format!("{text:?} is no number from 0")))?,
        };
        let score: f64 =
            cell("score").parse().map_err(|_| wrong("score", format!("{:?} is no number", cell("score"))))?;
        let script = *known
            .get(&(person, item, attempt))
            .ok_or_else(|| wrong("item", format!("there is no answer of {person:?} to {item:?}, attempt {attempt}")))?;
        let most = paper.item(&script.item).map_or(0.0, |item| item.points);
        if !(0.0..=most).contains(&score) {
            return Err(wrong("score", format!("{score} does not lie between 0 and {most}")));
        }
        if !seen.insert((grader.to_string(), script.code.as_str())) {
            return Err(wrong("grader", format!("{:?} marked this answer before", grader)));
        }
        let place = places.entry(grader.to_string()).or_insert(0);
        marks.push(Mark::new(script, grader, *place, score, ""));
        *place += 1;
    }
    Ok(marks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grade::example::{answer, paper};
    use crate::grade::scripts;

    #[test]
    fn given_marks_are_read_and_faults_are_named() {
        let paper = paper();
        let scripts = scripts(&paper, &[answer("ann", "3", "gravity")], 1);
        let folder = tempfile::tempdir().expect("tempdir");
        let path = folder.path().join("g.csv");
        let read = |rows: &str| {
            std::fs::write(&path, format!("person,item,grader,score\n{rows}\n")).expect("write");
            read_given(&path, &paper, &scripts)
        };
        let marks = read("ann,3,green,4.5\nann,1,green,0\nann,3,blue,2").expect("marks");
        let told: Vec<_> = marks.iter().map(|m| (m.grader.as_str(), m.points, m.place)).collect();
        assert_eq!(told, [("green", Some(4.5), 0), ("green", Some(0.0), 1), ("blue", Some(2.0), 0)]);
        for (rows, wanted) in [
            ("ann,3,green,7", "between 0 and 6"),
            ("bob,3,green,1", "no answer of \"bob\""),
            ("ann,3,green,1\nann,3,green,2", "before"),
            ("ann,3,green,lots", "score"),
        ] {
            let error = read(rows).expect_err("must be refused").to_string();
            assert!(error.contains("g.csv") && error.contains(wanted), "{error}");
        }
        assert!(
            read_given(&folder.path().join("none.csv"), &paper, &scripts)
                .expect_err("no file")
                .to_string()
                .contains("none.csv")
        );
    }
}
