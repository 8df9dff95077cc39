use std::fmt::Write;

use serde_json::Value;

use crate::setting::{Setting, errors, run};

/// Persons of rising strength on 40 items of rising difficulty; luck is a fixed mixing of both.
fn scores(persons: std::ops::Range<u64>, task: &str) -> String {
    let mut text = "person,item,score,task\n".to_string();
    for person in persons {
        for item in 0..40_u64 {
            let luck = ((person * 31 + item * 17 + 7).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % 100;
            let right = u8::from(luck < (50 + 3 * person).saturating_sub(item).min(98));
            writeln!(text, "m{person},{task}/{item},{right},{task}").expect("text");
        }
    }
    text
}

#[test]
fn a_form_is_made_measured_and_used() {
    let setting = Setting::new();
    setting.write("whole.csv", scores(0..16, "sums"));
    let output =
        run(setting.lyceum(&["short", "whole.csv", "--items", "10", "--draws", "5", "--out", "form", "--quiet"]));
    assert!(output.status.success(), "{}", errors(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("10 of 40 items") && text.contains("random"), "{text}");
    for file in ["form.json", "items.jsonl", "samples.json", "errors.csv", "errors.svg", "short.html", "manifest.json"]
    {
        assert!(setting.path(&format!("form/{file}")).is_file(), "{file}");
    }
    let samples: Value = record::shard::read_json(&setting.path("form/samples.json")).expect("samples");
    assert_eq!(samples["sums"].as_array().map(Vec::len), Some(10));
    let lines: Vec<Value> = record::shard::read_jsonl(&setting.path("form/items.jsonl")).expect("items");
    let weights: f64 = lines.iter().map(|line| line["weight"].as_f64().expect("a weight")).sum();
    assert!(lines.len() == 10 && (weights - 1.0).abs() < 1e-9);

    setting.write("new.csv", scores(20..22, "sums"));
    let output = run(setting.lyceum(&["short", "new.csv", "--form", "form/form.json", "--json", "--quiet"]));
    assert!(output.status.success(), "{}", errors(&output));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let estimate = found["persons"][0]["estimate"].as_f64().expect("an estimate");
    assert!((0.5..=1.0).contains(&estimate), "{found}");

    setting.write("other.csv", scores(0..2, "words"));
    let output = run(setting.lyceum(&["short", "other.csv", "--form", "form/form.json"]));
    assert!(
        output.status.code() == Some(2) && errors(&output).contains("nobody in the logs met all 10"),
        "{}",
        errors(&output)
    );
}

#[test]
fn what_gives_no_form_is_said() {
    let setting = Setting::new();
    setting.write("few.csv", scores(0..3, "sums"));
    setting.write("whole.csv", scores(0..12, "sums"));
    setting.write("gaps.csv", "person,item,score\na,x,1\nb,y,1\nc,z,0\n");
    for (arguments, says) in [
        (vec!["few.csv", "--items", "5"], "too few to hold some out"),
        (vec!["whole.csv", "--items", "40"], "1 to 39 can be chosen"),
        (vec!["whole.csv", "--error", "0"], "--error must lie between"),
        (vec!["whole.csv", "--error", "0.0001", "--method", "random", "--draws", "1"], "keeps the error within"),
        (vec!["gaps.csv", "--items", "1"], "0 items were met by all 3 persons"),
    ] {
        let output = run(setting.lyceum(&[&["short"][..], arguments.as_slice()].concat()));
        let text = errors(&output);
        assert!(output.status.code() == Some(2) && text.contains(says), "{arguments:?}: {text}");
    }
}
