use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;

use crate::Error;

/// Who marks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grader {
    /// Rules by item type.
    Rule,
    /// A model as a judge, so many times with draws of their own.
    Model {
        /// Name, path or address; none for the model of the recipe.
        name: Option<String>,
        /// How many.
        copies: usize,
    },
    /// A filled-in marking sheet.
    Human(PathBuf),
    /// Marks that were given elsewhere (CSV: person, item, grader, score).
    Given(PathBuf),
}

impl FromStr for Grader {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Nothing {
            problem,
            hint: "write rule, model, model:NAME, model:NAME*3, human:FILE or marks:FILE".into(),
        };
        let (kind, rest) = text.split_once(':').map_or((text, ""), |(kind, rest)| (kind, rest));
        let (kind, rest, copies) = match (kind.split_once('*'), rest.rsplit_once('*')) {
            (Some((kind, copies)), _) if rest.is_empty() => (kind, rest, copies),
            (_, Some((rest, copies))) if copies.bytes().all(|b| b.is_ascii_digit()) => (kind, rest, copies),
            _ => (kind, rest, "1"),
        };
        let copies: usize = copies
            .parse()
            .ok()
            .filter(|copies| (1..=20).contains(copies))
            .ok_or_else(|| wrong(format!("grader {text:?}: {copies:?} is no number of graders from 1 to 20")))?;
        match (kind, rest) {
            ("rule", "") if copies == 1 => Ok(Self::Rule),
            ("model", "") => Ok(Self::Model { name: None, copies }),
            ("model", name) => Ok(Self::Model { name: Some(name.into()), copies }),
            ("human", file) if !file.is_empty() => Ok(Self::Human(file.into())),
            ("marks", file) if !file.is_empty() => Ok(Self::Given(file.into())),
            _ => Err(wrong(format!("{text:?} is no grader"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graders_are_read() {
        let model = |name: Option<&str>, copies| Grader::Model { name: name.map(Into::into), copies };
        for (text, wanted) in [
            ("rule", Grader::Rule),
            ("model", model(None, 1)),
            ("model*3", model(None, 3)),
            ("model:smollm2-135m*2", model(Some("smollm2-135m"), 2)),
            ("model:http://localhost:8000/v1", model(Some("http://localhost:8000/v1"), 1)),
            ("human:a/b.csv", Grader::Human("a/b.csv".into())),
            ("marks:m.csv", Grader::Given("m.csv".into())),
        ] {
            assert_eq!(text.parse::<Grader>().expect(text), wanted);
        }
        for wrong in ["", "teacher", "human:", "model*0", "model*many", "rule*2", "rule:x"] {
            let error = wrong.parse::<Grader>().expect_err(wrong);
            assert!(error.hint().expect("a hint").contains("human:FILE"));
        }
    }
}
