use std::collections::HashSet;
use std::path::Path;

use record::Usage;
use serde::{Deserialize, Serialize};

use super::{Date, Paper};
use crate::{Error, Result};

/// What somebody wrote to an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Id of the item.
    pub item: String,
    /// Who wrote it: a model with its settings.
    pub person: String,
    /// Number of the attempt, from 0.
    #[serde(default)]
    pub attempt: u16,
    /// The text, whole.
    pub text: String,
    /// The answer was cut off at the limit of tokens.
    #[serde(default)]
    pub cut: bool,
    /// The request failed, with the reason; it counts as an empty answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The day on which the person's weights became public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Date>,
    /// Tokens that it cost. Not stored, as records must not depend on what others asked before.
    #[serde(skip)]
    pub usage: Usage,
}

/// Reads answers (JSON lines) to a paper. A line that is no answer, one to an item that the paper does
/// not have, and one that stands there twice are errors with file and line.
pub fn read_answers(path: &Path, paper: &Paper) -> Result<Vec<Answer>> {
    let text = std::fs::read_to_string(path).map_err(|e| record::Error::io("read", path, e))?;
    let wrong = |at: usize, problem: String| Error::Paper { path: path.into(), line: at + 1, problem };
    let (mut answers, mut seen) = (Vec::<Answer>::new(), HashSet::new());
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let answer: Answer = serde_json::from_str(line).map_err(|e| wrong(at, format!("not an answer: {e}")))?;
        if answer.person.trim().is_empty() {
            return Err(wrong(at, "field `person` is empty".into()));
        }
        if paper.item(&answer.item).is_none() {
            return Err(wrong(at, format!("field `item`: the paper has no item {:?}", answer.item)));
        }
        if !seen.insert((answer.person.clone(), answer.item.clone(), answer.attempt)) {
            let Answer { person, item, attempt, .. } = &answer;
            return Err(wrong(at, format!("attempt {attempt} of {person:?} at item {item:?} stands there twice")));
        }
        answers.push(answer);
    }
    if answers.is_empty() {
        return Err(Error::Empty { path: path.into() });
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_line_is_named() {
        let folder = tempfile::tempdir().expect("tempdir");
        let (sheet, path) = (folder.path().join("p.jsonl"), folder.path().join("a.jsonl"));
        let head = r#"{"title":"t","date":"2024-06-07","subject":"s","licence":"l"}"#;
        let item = r#"{"id":"1","kind":"blank","points":1,"question":"?","answers":["x"]}"#;
        std::fs::write(&sheet, format!("{head}\n{item}\n")).expect("write");
        let paper = crate::paper::read_paper(&sheet).expect("a paper");
        let read = |text: &str| {
            std::fs::write(&path, text).expect("write");
            read_answers(&path, &paper)
        };
        let good = r#"{"item":"1","person":"m","text":"x","published":"2024-01-01"}"#;
        let other = r#"{"item":"1","person":"m","attempt":1,"text":"y"}"#;
        assert_eq!(read(&format!("{good}\n\n{other}\n")).expect("two").len(), 2);
        for (line, wanted) in [
            (good, "twice"),
            (r#"{"item":"9","person":"m","text":"x"}"#, "no item \"9\""),
            (r#"{"item":"1","person":" ","text":"x"}"#, "`person`"),
            (r#"{"item":"1","text":"x"}"#, "person"),
            (r#"{"item":"1","person":"n","text":"x","published":"soon"}"#, "YYYY-MM-DD"),
        ] {
            let error = read(&format!("{good}\n\n{line}\n")).expect_err("must be refused").to_string();
            assert!(error.contains("a.jsonl:3:") && error.contains(wanted), "{error}");
        }
        assert!(matches!(read(""), Err(Error::Empty { .. })));
    }
}
