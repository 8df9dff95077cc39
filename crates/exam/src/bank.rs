use std::collections::HashMap;
use std::path::Path;

use record::{Bank, Item};

use crate::{Error, Result, normalise};

/// Reads an item bank (JSON lines) and checks every item.
pub fn read_bank(path: &Path) -> Result<Vec<Item>> {
    let items: Vec<Item> = record::shard::read_jsonl(path)?;
    if items.is_empty() {
        return Err(Error::Empty { path: path.into() });
    }
    let lines = line_numbers(path)?;
    check(&items, path, |index| lines.get(index).copied().unwrap_or(index + 1))?;
    Ok(items)
}

/// Checks items that do not come from a file: no empty or repeated id, no empty question, an answer
/// that says something, and for a choice item two choices or more, all different, the answer among
/// them. `name` stands in the message, with the item's position as its line.
pub fn check_bank(items: &[Item], name: &str) -> Result<()> {
    check(items, Path::new(name), |index| index + 1)
}

fn check(items: &[Item], path: &Path, line: impl Fn(usize) -> usize) -> Result<()> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        let wrong = |(field, problem): (&'static str, String)| Error::Item {
            path: path.into(),
            line: line(index),
            item: item.id.clone(),
            field,
            problem,
        };
        check_item(item).map_err(wrong)?;
        if let Some(first) = seen.insert(&item.id, index) {
            return Err(wrong(("id", format!("was used before, on line {}", line(first)))));
        }
    }
    Ok(())
}

fn check_item(item: &Item) -> std::result::Result<(), (&'static str, String)> {
    let empty = |field, text: &str| {
        if text.trim().is_empty() { Err((field, "is empty".to_string())) } else { Ok(()) }
    };
    empty("id", &item.id)?;
    empty("fact", &item.fact)?;
    empty("document", &item.document)?;
    empty("question", &item.question)?;
    if item.answers.is_empty() {
        return Err(("answers", "holds no answer".into()));
    }
    for answer in &item.answers {
        empty("answers", answer)?;
    }
    if item.choices.is_empty() {
        return Ok(());
    }
    if item.choices.len() == 1 {
        return Err(("choices", "holds a single choice".into()));
    }
    let mut normal = Vec::new();
    for choice in &item.choices {
        empty("choices", choice)?;
        // Choices such as `<` and `>` differ in nothing but punctuation, which normalising drops.
        let form = Some(normalise(choice)).filter(|form| !form.is_empty()).unwrap_or_else(|| choice.trim().into());
        if normal.contains(&form) {
            return Err(("choices", format!("holds {choice:?} twice")));
        }
        normal.push(form);
    }
    if !item.choices.contains(&item.answers[0]) {
        return Err(("answers", format!("starts with {:?}, which is not among the choices", item.answers[0])));
    }
    Ok(())
}

/// Numbers of the lines that are not blank, as [`record::shard::read_jsonl`] takes them.
fn line_numbers(path: &Path) -> Result<Vec<usize>> {
    let text = std::fs::read_to_string(path).map_err(|e| record::Error::io("read", path, e))?;
    Ok(text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(|(index, _)| index + 1).collect())
}

/// Refuses items of an exam or control bank. Called by everything that trains on items or selects
/// by them; `allow` is the user's explicit flag, and whoever passes `true` stamps it into the
/// report. `stage` names the caller for the message.
pub fn require_not_exam(items: &[Item], stage: &str, allow: bool) -> Result<()> {
    let sealed = items.iter().find(|item| matches!(item.bank, Bank::Exam | Bank::Control));
    match sealed {
        Some(item) if !allow => Err(Error::Sealed {
            stage: stage.into(),
            item: item.id.clone(),
            bank: if item.bank == Bank::Exam { "exam" } else { "control" },
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn line() -> Value {
        json!({"id": "a", "fact": "f", "document": "d", "kind": "number", "question": "How high?", "answers": ["42 m"]})
    }

    fn read(lines: &[Value]) -> Result<Vec<Item>> {
        let folder = tempfile::tempdir().expect("tempdir");
        let path = folder.path().join("bank.jsonl");
        let text: String = lines.iter().map(|line| format!("{line}\n\n")).collect();
        std::fs::write(&path, text).expect("write");
        read_bank(&path)
    }

    fn message(change: impl Fn(&mut Value)) -> String {
        let mut second = line();
        second["id"] = "b".into();
        change(&mut second);
        read(&[line(), second]).expect_err("must be refused").to_string()
    }

    #[test]
    fn a_hand_written_bank_is_read_with_its_defaults() {
        let items = read(&[line()]).expect("read");
        assert_eq!((items[0].bank, items[0].wording.as_str()), (Bank::Exam, "hand"));
    }

    #[test]
    fn each_fault_names_file_line_and_field() {
        let cases: Vec<(&str, &str, Value)> = vec![
            ("question", "is empty", json!("  ")),
            ("answers", "holds no answer", json!([])),
            ("answers", "is empty", json!(["42", ""])),
            ("id", "was used before, on line 1", json!("a")),
            ("choices", "single", json!(["42 m"])),
            ("choices", "twice", json!(["42 m", "7 m", "7 M."])),
            ("answers", "not among the choices", json!("")),
        ];
        for (field, problem, value) in cases {
            let message = message(|item| {
                if problem == "not among the choices" {
                    item["choices"] = json!(["41 m", "43 m"]);
                } else {
                    item[field] = value.clone();
                }
            });
            assert!(message.contains("bank.jsonl:3:"), "{message}");
            assert!(message.contains(&format!("`{field}`")) && message.contains(problem), "{message}");
        }
        let wrong_type = message(|item| item["answers"] = json!("42"));
        assert!(wrong_type.contains("bank.jsonl:3:"), "{wrong_type}");
        assert!(matches!(read(&[]), Err(Error::Empty { .. })));
    }

    #[test]
    fn exam_and_control_items_feed_nothing() {
        let mut items = read(&[line()]).expect("read");
        for (bank, sealed) in
            [(Bank::Exam, true), (Bank::Control, true), (Bank::Practice, false), (Bank::Validation, false)]
        {
            items[0].bank = bank;
            assert_eq!(require_not_exam(&items, "merge", false).is_err(), sealed);
            assert!(require_not_exam(&items, "merge", true).is_ok());
        }
    }
}
