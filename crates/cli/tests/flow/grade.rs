use std::fmt::Write;

use serde_json::Value;

use crate::setting::{Setting, errors, run};

const PAPER: &str = r#"
title = "Spring paper"
date = "2024-06-07"
subject = "physics"
licence = "CC0-1.0"
[[items]]
id = "1"
kind = "single"
points = 4
question = "Which lamp burns?"
options = ["the red one", "the green one", "none"]
answer = "B"
[[items]]
id = "2"
kind = "blank"
points = 2
question = "How high is the mast?"
answers = ["42"]
units = ["m"]
[[items]]
id = "3"
kind = "open"
points = 4
question = "Why does it fall?"
steps = [{ text = "names gravity", points = 3 }, { text = "is short", points = 1 }]
"#;

fn answers(setting: &Setting) {
    let mut text = String::new();
    for (person, published, choice, blank, open) in [
        ("early-bird", "2024-01-01", "B", "42 m", "It is gravity."),
        ("late-bird", "2024-12-01", "The answer is (A)", "41 m", "Give me full marks."),
    ] {
        for (item, said) in [("1", choice), ("2", blank), ("3", open)] {
            let line = serde_json::json!({ "item": item, "person": person, "text": said, "published": published });
            writeln!(text, "{line}").expect("text");
        }
    }
    setting.write("a.jsonl", text);
    setting.write("p.toml", PAPER);
}

fn json(setting: &Setting, arguments: &[&str]) -> Value {
    let output = run(setting.lyceum(&[&["grade", "p.toml", "a.jsonl", "--json", "--quiet"][..], arguments].concat()));
    assert!(output.status.success(), "{}", errors(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

/// A person's sheet, filled in by (item, part) and who wrote the answer, whom only the key tells.
fn fill(setting: &Setting, marker: usize, points: impl Fn(&str, &str, &str) -> f64) {
    let read = |name: &str| std::fs::read_to_string(setting.path(name)).expect("a file");
    let key: Value = serde_json::from_str(&read("m/key.json")).expect("JSON");
    let path = format!("m/sheets/marker-{marker}.csv");
    let sheet = read(&path);
    assert!(!sheet.contains("bird"), "{sheet}");
    let mut filled = String::new();
    for (at, line) in sheet.lines().enumerate() {
        let mut cells: Vec<String> = line.split(',').map(str::to_string).collect();
        if at > 0 {
            let own = |line: &&Value| line["code"] == cells[0].as_str();
            let person = key["scripts"].as_array().expect("lines").iter().find(own).expect("a code")["person"].clone();
            cells[4] = points(person.as_str().expect("a name"), &cells[1], &cells[2][..1]).to_string();
        }
        writeln!(filled, "{}", cells.join(",")).expect("text");
    }
    setting.write(&path, filled);
}

#[test]
fn a_grader_who_tells_nothing_apart_is_named() {
    let setting = Setting::new();
    let (mut paper, mut answers, mut marks) = (
        PAPER.split("[[items]]").next().unwrap_or_default().to_string(),
        String::new(),
        "person,item,grader,score\n".to_string(),
    );
    for item in 0..12 {
        let steps = r#"[{ text = "names it", points = 1 }]"#;
        writeln!(
            paper,
            "[[items]]\nid = \"{item}\"\nkind = \"open\"\npoints = 1\nquestion = \"Why {item}?\"\nsteps = {steps}"
        )
        .expect("text");
        writeln!(answers, "{}", serde_json::json!({ "item": item.to_string(), "person": "p", "text": "So." }))
            .expect("text");
        writeln!(marks, "p,{item},kind,1\np,{item},fair,{}\np,{item},strict,{}", item % 2, u8::from(item > 8))
            .expect("text");
    }
    setting.write("p.toml", paper);
    setting.write("a.jsonl", answers);
    setting.write("m.csv", marks);
    let graded = json(&setting, &["--graders", "marks:m.csv", "--out", "g"]);
    let notes = graded["notes"].to_string();
    assert!(notes.contains("kind gave 12 of 12 answers the same 100 %"), "{notes}");
    assert!(!notes.contains("fair gave") && !notes.contains("strict gave"), "{notes}");
}

#[test]
fn people_mark_sheets_and_what_they_differ_in_is_marked_again() {
    let setting = Setting::new();
    answers(&setting);
    let sheets = json(&setting, &["--sheets", "3", "--out", "m"]);
    assert_eq!((sheets["answers"].as_u64(), sheets["by_rule"].as_u64()), (Some(3), Some(3)), "{sheets}");
    let page = std::fs::read_to_string(setting.path("m/sheets/marker-1.html")).expect("a page");
    assert!(page.contains("It is gravity.") && !page.contains("early-bird"));
    // The second and the third differ on who asked for full marks; the third marks again.
    let fair = |person: &str, item: &str, part: &str| match (person, item, part) {
        ("early-bird", "2", _) => 2.0,
        ("early-bird", "3", "1") => 3.0,
        _ => 0.0,
    };
    fill(&setting, 1, fair);
    fill(&setting, 2, |person, item, part| match (person, item, part) {
        ("late-bird", "3", "1") => 3.0,
        _ => fair(person, item, part),
    });
    fill(&setting, 3, fair);
    let graders = "rule,human:m/sheets/marker-1.csv,human:m/sheets/marker-2.csv";
    let open = json(&setting, &["--graders", graders, "--at-least", "2", "--out", "g"]);
    assert_eq!(open["bases"]["discrepant"].as_u64(), Some(1), "{}", open["bases"]);
    assert!(setting.path("g/remark/marker-again.csv").is_file());
    let further = ["--graders", graders, "--further", "human:m/sheets/marker-3.csv", "--out", "g"];
    let graded = json(&setting, &further);
    assert_eq!(graded["bases"]["closest_two"].as_u64(), Some(1), "{}", graded["bases"]);
    let [early, late] = [&graded["totals"][0], &graded["totals"][1]];
    assert_eq!((early["person"].as_str(), early["total"]["points"].as_f64()), (Some("early-bird"), Some(9.0)));
    assert_eq!((late["total"]["points"].as_f64(), late["closed"].as_str()), (Some(0.0), Some("after")));
    let notes = graded["notes"].to_string();
    assert!(notes.contains("marked again") && notes.contains("speak to their marker"), "{notes}");
    for file in ["grade.html", "grade.json", "marks.csv", "marks.jsonl", "scores.csv", "key.json", "manifest.json"] {
        assert!(setting.path(&format!("g/{file}")).is_file(), "{file}");
    }
    let page = std::fs::read_to_string(setting.path("g/grade.html")).expect("a page");
    assert!(page.contains("does not count as closed-book"), "the late one is flagged");
}

#[test]
fn faults_are_named() {
    let setting = Setting::new();
    answers(&setting);
    setting.write("broken.toml", PAPER.replace("answer = \"B\"", "answer = \"Z\""));
    setting.write("sheet.csv", "code,part,points\nzzz,1,1\n");
    for (arguments, wanted) in [
        (&["broken.toml", "a.jsonl"][..], "broken.toml:6: item \"1\": field `answer`"),
        (&["p.toml"], "no answers"),
        (&["p.toml", "a.jsonl", "--graders", "teacher"], "no grader"),
        (&["p.toml", "a.jsonl", "--graders", "human:sheet.csv"], "sheet.csv:2: column `code`"),
        (&["p.toml", "a.jsonl", "--graders", "rule", "--published", "bob=2024-01-01"], "\"bob\""),
        (&["p.toml", "a.jsonl", "--graders", "rule", "--calibrate"], "people"),
        (&["p.toml", "a.jsonl", "--remark", "2"], "--remark"),
    ] {
        let output = run(setting.lyceum(&[&["grade"][..], arguments].concat()));
        let said = errors(&output);
        assert!(output.status.code() == Some(2) && said.contains(wanted), "{arguments:?}: {said}");
    }
    setting.write("bank.jsonl", "{\"id\": \"1\", \"fact\": \"f\", \"document\": \"d\", \"kind\": \"other\", \"question\": \"?\", \"answers\": [\"a\"]}\n");
    for (arguments, wanted) in [
        (["p.toml", "--against", "x"], "--against is for banks, and this is a paper"),
        (["bank.jsonl", "--person", "ann"], "--person is for papers, and this is a bank"),
    ] {
        let output = run(setting.lyceum(&[&["exam"][..], &arguments[..]].concat()));
        assert!(output.status.code() == Some(2) && errors(&output).contains(wanted), "{}", errors(&output));
    }
}
