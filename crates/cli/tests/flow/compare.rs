use std::fmt::Write;
use std::process::Output;

use serde_json::Value;

use crate::setting::{Setting, errors, run};

/// A table of scores: persons with these chances on 90 items of two subjects, three to a passage. Chance is
/// a fixed mixing of person and item, so the same table comes every time.
fn scores(persons: &[(&str, u64)]) -> String {
    let mut text = "person,item,score,subject,cluster,base\n".to_string();
    for (name, chance) in persons {
        for item in 0..90_u64 {
            let mixed = (item * 2_654_435_761 + name.len() as u64 * 40_503 + chance * 977)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                >> 40;
            let right = u8::from(mixed % 100 < *chance);
            let subject = if item < 45 { "law" } else { "art" };
            let base = name.split('-').next().unwrap_or_default();
            writeln!(text, "{name},{subject}/{item},{right},{subject},p{},{base}", item / 3).expect("text");
        }
    }
    text
}

fn compare(setting: &Setting, arguments: &[&str]) -> Output {
    run(setting.lyceum(&[&["compare"][..], arguments].concat()))
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", errors(output));
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

#[test]
fn persons_are_compared_and_everything_lies_in_its_folder() {
    let setting = Setting::new();
    setting.write("a.csv", scores(&[("strong-1", 90), ("strong-22", 88), ("weak", 40)]));
    let output = compare(&setting, &["a.csv", "--by", "subject", "--baseline", "weak", "--out", "out"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", errors(&output));
    assert!(text.contains("cannot be told apart from strong") && text.contains("## Subjects"), "{text}");
    for file in
        ["compare.html", "compare.json", "pairs.csv", "persons.csv", "forest.svg", "forest.png", "manifest.json"]
    {
        assert!(setting.path(&format!("out/{file}")).is_file(), "{file}");
    }
    let pairs = std::fs::read_to_string(setting.path("out/pairs.csv")).expect("pairs");
    // Three pairs over all, and three in each subject.
    assert_eq!(pairs.lines().count(), 1 + 9);
    let found = json(&compare(&setting, &["a.csv", "--resamples", "0", "--json", "--quiet"]));
    assert_eq!(found["tied"].as_array().map(Vec::len), Some(2), "{}", found["tied"]);
    let same: Vec<&Value> = found["pairs"].as_array().expect("pairs").iter().map(|pair| &pair["same_base"]).collect();
    assert_eq!(same.iter().filter(|same| same.as_bool() == Some(true)).count(), 1);
    assert_eq!(found["clustered"], 90);
}

#[test]
fn groups_and_attempts_are_compared_where_the_logs_have_them() {
    let setting = Setting::new();
    let mut text = "person,item,attempt,score,group,base\n".to_string();
    for (at, person) in ["a", "b", "c", "d", "e", "f"].iter().enumerate() {
        for item in 0..20 {
            for attempt in 0..3 {
                let right = u8::from((item * 7 + attempt * 5 + at * 3) % 10 < 4 + at);
                let group = if at < 3 { "old" } else { "new" };
                writeln!(text, "{person},{item},{attempt},{right},{group},{person}").expect("text");
            }
        }
    }
    setting.write("tries.csv", text);
    let found = json(&compare(&setting, &["tries.csv", "--json", "--quiet"]));
    assert_eq!(found["groups"][0]["bases"], serde_json::json!([3, 3]));
    assert!(found["groups"][0]["difference"]["mean"].as_f64().expect("a mean") > 0.1);
    let attempts = &found["persons"][0]["attempts"];
    assert_eq!((&attempts["items"], &attempts["attempts"]), (&20.into(), &60.into()));
    let pass = json(&compare(&setting, &["tries.csv", "--score", "pass@3", "--json", "--quiet"]));
    let score = |found: &Value| found["persons"][0]["standing"]["score"].as_f64().expect("a score");
    assert!(score(&pass) > score(&found));
    let text = errors(&compare(&setting, &["tries.csv", "--score", "pass@4"]));
    assert!(text.contains("tried as often") && text.contains("hint:"), "{text}");
}

#[test]
fn what_cannot_be_compared_is_said() {
    let setting = Setting::new();
    setting.write("one.csv", scores(&[("alone", 50)]));
    setting.write("item.csv", "person,item,score\na,x,1\nb,x,0\n");
    setting.write("apart.csv", "person,item,score\na,x,1\na,y,0\nb,v,0\nb,w,1\n");
    setting.write("three.csv", scores(&[("strong", 90), ("weak", 40)]));
    for (arguments, says) in [
        (vec!["one.csv"], "needs two persons"),
        (vec!["item.csv"], "no two persons met two common items"),
        (vec!["apart.csv"], "no two persons met two common items"),
        (vec!["three.csv", "--baseline", "stron"], "no person \"stron\""),
        (vec!["three.csv", "--alpha", "0"], "--alpha"),
        (vec!["three.csv", "--resamples", "7"], "--resamples"),
    ] {
        let output = compare(&setting, &arguments);
        let text = errors(&output);
        assert!(
            output.status.code() == Some(2) && text.contains(says) && text.contains("hint:"),
            "{arguments:?}: {text}"
        );
    }
    // All answers alike: nothing differs, and that is said.
    setting.write("alike.csv", "person,item,score\na,x,1\na,y,1\na,z,1\nb,x,1\nb,y,1\nb,z,1\n");
    let found = json(&compare(&setting, &["alike.csv", "--json", "--quiet"]));
    assert_eq!((&found["pairs"][0]["p"], found["tied"].as_array().map(Vec::len)), (&1.0.into(), Some(1)));
}
