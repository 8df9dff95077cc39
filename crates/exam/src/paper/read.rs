use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::{Date, Item, Paper};
use crate::{Error, Result};

/// The first line of a paper as JSON lines.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    title: String,
    date: Date,
    subject: String,
    licence: String,
}

/// Whether a file is meant to be a paper, and no bank: TOML, or JSON lines whose first has a `title`.
pub fn is_paper(path: &Path) -> bool {
    if path.extension().is_some_and(|extension| extension == "toml") {
        return true;
    }
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let first: serde_json::Value = serde_json::from_str(first.trim_start_matches('\u{feff}')).unwrap_or_default();
    first.get("title").is_some()
}

/// Reads a paper: TOML with `[[items]]`, or JSON lines of which the first is the head (title, date, subject,
/// licence) and each other an item. Checks every item; a fault names file, line, item and field.
pub fn read_paper(path: &Path) -> Result<Paper> {
    let text = std::fs::read_to_string(path).map_err(|e| record::Error::io("read", path, e))?;
    let text = text.trim_start_matches('\u{feff}');
    let toml = path.extension().is_some_and(|extension| extension == "toml");
    let (paper, lines) = if toml { from_toml(path, text)? } else { from_lines(path, text)? };
    for (field, value) in [("title", &paper.title), ("subject", &paper.subject), ("licence", &paper.licence)] {
        if value.trim().is_empty() {
            let problem = format!("field `{field}` is empty");
            return Err(Error::Paper { path: path.into(), line: 1, problem });
        }
    }
    if paper.items.is_empty() {
        return Err(Error::Empty { path: path.into() });
    }
    let line = |index: usize| lines.get(index).copied().unwrap_or(1);
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut groups: HashMap<&str, f64> = HashMap::new();
    for (index, item) in paper.items.iter().enumerate() {
        let wrong = |(field, problem): (&'static str, String)| Error::Item {
            path: path.into(),
            line: line(index),
            item: item.id.clone(),
            field,
            problem,
        };
        if let Some(fault) = item.fault() {
            return Err(wrong(fault));
        }
        if let Some(first) = seen.insert(&item.id, index) {
            return Err(wrong(("id", format!("was used before, on line {}", line(first)))));
        }
        if let Some(group) = &item.group {
            let points = *groups.entry(group).or_insert(item.points);
            if points != item.points {
                let problem = format!("are {}, but another item of group {group:?} gives {points}", item.points);
                return Err(wrong(("points", problem)));
            }
        }
    }
    Ok(paper)
}

fn from_toml(path: &Path, text: &str) -> Result<(Paper, Vec<usize>)> {
    let number = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    let paper = toml::from_str(text).map_err(|error: toml::de::Error| Error::Paper {
        path: path.into(),
        line: error.span().map_or(1, |span| number(span.start)),
        problem: error.message().to_string(),
    })?;
    let lines = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("[[items]]"));
    Ok((paper, lines.map(|(at, _)| at + 1).collect()))
}

fn from_lines(path: &Path, text: &str) -> Result<(Paper, Vec<usize>)> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let wrong = |at: usize, what: &str, error: serde_json::Error| Error::Paper {
        path: path.into(),
        line: at + 1,
        problem: format!("not {what}: {error}"),
    };
    let (at, first) = lines.next().ok_or_else(|| Error::Empty { path: path.into() })?;
    let what = "the head of a paper (title, date, subject, licence)";
    let head: Head = serde_json::from_str(first).map_err(|e| wrong(at, what, e))?;
    let (mut items, mut numbers): (Vec<Item>, Vec<usize>) = (Vec::new(), Vec::new());
    for (at, line) in lines {
        items.push(serde_json::from_str(line).map_err(|e| wrong(at, "an item", e))?);
        numbers.push(at + 1);
    }
    let Head { title, date, subject, licence } = head;
    Ok((Paper { title, date, subject, licence, items }, numbers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::Kind;

    const HEAD: &str =
        "title = \"Spring paper\"\ndate = \"2024-06-07\"\nsubject = \"physics\"\nlicence = \"CC0-1.0\"\n";
    const SINGLE: &str = "[[items]]\nid = \"1\"\nkind = \"single\"\npoints = 6\nquestion = \"Which?\"\noptions = [\"p\", \"q\"]\nanswer = \"B\"\n";

    fn read(name: &str, text: &str) -> Result<Paper> {
        let folder = tempfile::tempdir().expect("tempdir");
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("write");
        read_paper(&path)
    }

    #[test]
    fn both_forms_give_the_same_paper() {
        let toml = read("p.toml", &format!("{HEAD}{SINGLE}")).expect("a paper");
        let head = r#"{"title":"Spring paper","date":"2024-06-07","subject":"physics","licence":"CC0-1.0"}"#;
        let item = r#"{"id":"1","kind":"single","points":6,"question":"Which?","options":["p","q"],"answer":"B"}"#;
        assert_eq!(read("p.jsonl", &format!("{head}\n\n{item}\n")).expect("a paper"), toml);
        assert!(matches!(&toml.items[0].kind, Kind::Single(single) if single.right() == Some(1)));
        let again = serde_json::to_string(&toml.items[0]).expect("json");
        assert_eq!(serde_json::from_str::<Item>(&again).expect("an item"), toml.items[0]);
    }

    #[test]
    fn each_fault_names_file_line_and_field() {
        let second = |change: (&str, &str)| {
            let changed = SINGLE.replace("id = \"1\"", "id = \"2\"").replace(change.0, change.1);
            assert_ne!(changed, SINGLE.replace("id = \"1\"", "id = \"2\""), "{change:?} changes nothing");
            read("p.toml", &format!("{HEAD}{SINGLE}{changed}")).expect_err("must be refused").to_string()
        };
        for (change, wanted) in [
            (("answer = \"B\"", "answer = \"C\""), "`answer`"),
            (("points = 6", "points = 0"), "`points`"),
            (("[\"p\", \"q\"]", "[\"p\"]"), "`options`"),
            (("[\"p\", \"q\"]", "[\"p\", \"p\"]"), "`options`"),
            (("\"Which?\"", "\" \""), "`question`"),
            (("id = \"2\"", "id = \"1\""), "line 5"),
        ] {
            let message = second(change);
            assert!(message.contains("p.toml:12:") && message.contains(wanted), "{message}");
        }
        let unknown = second(("answer = \"B\"", "answer = \"B\"\ntolerance = 1.0"));
        assert!(unknown.contains("p.toml:") && unknown.contains("tolerance"), "{unknown}");
        let kind = second(("\"single\"", "\"oral\""));
        assert!(kind.contains("p.toml:12:") && kind.contains("oral"), "{kind}");
        let date = read("p.toml", &HEAD.replace("06-07", "13-07")).expect_err("no such month").to_string();
        assert!(date.contains("p.toml:2:") && date.contains("YYYY-MM-DD"), "{date}");
        let empty = read("p.toml", HEAD).expect_err("no item");
        assert!(matches!(empty, Error::Empty { .. }));
        let line =
            read("p.jsonl", "{\"title\":\"t\",\"date\":\"2024-06-07\",\"subject\":\"s\",\"licence\":\"l\"}\n{}\n");
        let line = line.expect_err("no item").to_string();
        assert!(line.contains("p.jsonl:2:"), "{line}");
    }

    #[test]
    fn steps_criteria_and_groups_add_up() {
        let open = |steps: &str, more: &str| {
            let item = format!(
                "[[items]]\nid = \"1\"\nkind = \"open\"\npoints = 3\nquestion = \"Why?\"\nsteps = {steps}\n{more}"
            );
            read("p.toml", &format!("{HEAD}{item}"))
        };
        open("[{ text = \"a\", points = 1 }, { text = \"b\", points = 2 }]", "").expect("adds up");
        let error = open("[{ text = \"a\", points = 1 }]", "").expect_err("1 is not 3").to_string();
        assert!(error.contains("`steps`") && error.contains('3'), "{error}");
        let essay = "[[items]]\nid = \"2\"\nkind = \"essay\"\npoints = 4\nquestion = \"Write.\"\n\
                     criteria = [{ name = \"style\", points = 4, levels = [{ points = 3, text = \"x\" }, { points = 1, text = \"y\" }] }]\n";
        let error = open("[{ text = \"a\", points = 3 }]", essay).expect_err("falling levels").to_string();
        assert!(error.contains("`levels`") && error.contains("rise"), "{error}");
        let group = |points: u32, id: u32| {
            format!(
                "[[items]]\nid = \"{id}\"\ngroup = \"elective\"\nkind = \"blank\"\npoints = {points}\nquestion = \"?\"\nanswers = [\"x\"]\n"
            )
        };
        read("p.toml", &format!("{HEAD}{}{}", group(5, 1), group(5, 2))).expect("equal points");
        let error =
            read("p.toml", &format!("{HEAD}{}{}", group(5, 1), group(6, 2))).expect_err("5 is not 6").to_string();
        assert!(error.contains("elective"), "{error}");
    }

    #[test]
    fn the_example_paper_is_in_order() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/station/paper.toml");
        assert!(is_paper(&path));
        let paper = read_paper(&path).expect("a paper");
        assert_eq!((paper.items.len(), paper.item("9b").map(|item| item.parts().len())), (10, Some(3)));
        assert!(!is_paper(&path.with_file_name("bank.jsonl")));
    }
}
