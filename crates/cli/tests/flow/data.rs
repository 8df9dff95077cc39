//! Files in the formats of other programs: shown, checked, learned.

use serde_json::Value;

use crate::setting::{Setting, errors, run};

/// Six good pairs and a bad one, as TRL has them.
fn pairs() -> String {
    let pair = |n: usize, worse: &str| {
        format!("{{\"prompt\":\"What is hall {n}?\",\"chosen\":\"Hall {n}.\",\"rejected\":\"{worse}\"}}\n")
    };
    (1..=6).map(|n| pair(n, "I do not know.")).chain([pair(7, "Hall 7.")]).collect()
}

/// Runs and parses the last line of its output.
fn result(setting: &Setting, arguments: &[&str]) -> Value {
    let output = run(setting.lyceum(&[arguments, &["--model", "tiny.gguf", "--json", "--threads", "1"]].concat()));
    assert!(output.status.success(), "{arguments:?}: {}", errors(&output));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

#[test]
fn pairs_of_other_programs_are_shown_checked_and_learned() {
    let setting = Setting::new();
    setting.write("pairs.jsonl", pairs());

    let seen = result(&setting, &["learn", "inspect", "pairs.jsonl", "-n", "1"]);
    assert_eq!(
        (&seen["records"], &seen["format"], &seen["dropped"]["same-answers"]),
        (&6.into(), &"pair-text".into(), &1.into())
    );
    let learned = |side: usize| {
        let tokens = seen["views"][side]["tokens"].as_array().expect("tokens").iter();
        tokens.filter(|t| t["learned"] == true).map(|t| t["piece"].as_str().expect("text")).collect::<String>()
    };
    assert_eq!([learned(0), learned(1)], ["Hall 1.<|im_end|>", "I do not know.<|im_end|>"]);
    let shown = run(setting.lyceum(&["learn", "inspect", "pairs.jsonl", "--model", "tiny.gguf"]));
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("assistant\n⟦Hall 1.<|im_end|>⟧") && text.contains("pairs.jsonl, line 7"), "{text}");

    let checked = run(setting.lyceum(&["validate", "pairs.jsonl"]));
    assert_eq!(checked.status.code(), Some(2));
    assert!(errors(&checked).contains("line 7") && errors(&checked).contains("1 same-answers"), "{}", errors(&checked));

    let prefer = ["learn", "prefer", "pairs.jsonl", "--loss", "dpo", "--out", "better"];
    let few = ["--set", "practise.learn.batch_pairs=2", "--set", "practise.learn.epochs=2"];
    let first = result(&setting, &[&prefer[..], &few].concat());
    assert_eq!(first["steps"], 6);
    assert!(first["last"]["preference"]["accuracy"].is_number(), "{first}");
    let adapter = std::fs::read(setting.path("better/learn/adapter/adapter_model.safetensors")).expect("adapter");
    let manifest: Value = record::shard::read_json(&setting.path("better/learn/manifest.json")).expect("manifest");
    assert_eq!(manifest["dropped"]["same-answers"], 1);
    assert!(!setting.path("better/learn/checkpoints").exists());
    // A finished training is not done again, and others go on from it.
    assert_eq!(result(&setting, &[&prefer[..], &few].concat()), first);
    assert!(adapter == std::fs::read(setting.path("better/learn/adapter/adapter_model.safetensors")).expect("adapter"));
    let start = ["--start", "better/learn/adapter", "--validation", "pairs.jsonl"];
    let further = ["learn", "prefer", "pairs.jsonl", "--loss", "ipo", "--out", "further"];
    let second = result(&setting, &[&further[..], &start, &few].concat());
    assert!(second["last"]["validation_loss"].is_number(), "{second}");
    let other = std::fs::read(setting.path("further/learn/adapter/adapter_model.safetensors")).expect("adapter");
    assert!(other.len() == adapter.len() && other != adapter);

    let sft =
        ["learn", "sft", "pairs.jsonl", "--out", "tuned", "--set", "learn.min_steps=0", "--set", "learn.epochs=1"];
    assert!(result(&setting, &sft)["loss"].is_number());
    let manifest: Value = record::shard::read_json(&setting.path("tuned/learn/manifest.json")).expect("manifest");
    assert_eq!(manifest["dropped"]["same-answers"], 1);
}

#[test]
fn every_answer_of_a_conversation_is_learned_where_asked() {
    let setting = Setting::new();
    let turn = |role: &str, said: &str| format!("{{\"role\":\"{role}\",\"content\":\"{said}\"}}");
    let talk = [turn("user", "1?"), turn("assistant", "1."), turn("user", "2?"), turn("assistant", "2.")].join(",");
    setting.write("talk.jsonl", format!("{{\"messages\":[{talk}]}}"));
    let inspect = ["learn", "inspect", "talk.jsonl"];
    assert_eq!(result(&setting, &inspect)["records"], 1);
    assert_eq!(result(&setting, &[&inspect[..], &["--turns", "all"]].concat())["records"], 2);
    let few = ["--set", "learn.min_steps=0", "--set", "learn.epochs=1", "--out", "tuned", "--model", "tiny.gguf"];
    let tuned = run(setting.lyceum(&[&["learn", "sft", "talk.jsonl"], &few[..]].concat()));
    assert!(tuned.status.success() && errors(&tuned).contains("--turns all"), "{}", errors(&tuned));
}

#[test]
fn what_cannot_be_learned_is_said_before_anything_is_made() {
    let setting = Setting::new();
    for (name, bytes, words) in [
        ("empty.jsonl", "", "is empty"),
        ("mixed.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n{\"question\":\"a\",\"answer\":\"b\"}\n", "line 2"),
        ("other.jsonl", "{\"foo\":1}", "`foo`"),
        ("bad.jsonl", "{\"prompt\":\"a\",\"completion\":7}", "field `completion` in line 1 that is a number"),
        ("long.jsonl", &format!("{{\"prompt\":\"a\",\"completion\":\"{}\"}}", "so ".repeat(900)), "too-long"),
    ] {
        setting.write(name, bytes);
        let output = run(setting.lyceum(&["learn", "sft", name, "--model", "tiny.gguf", "--out", "never"]));
        let text = errors(&output);
        assert!(output.status.code() == Some(2) && text.contains(name) | text.contains("line-1"), "{name}: {text}");
        assert!(text.contains(words) && !text.contains("panicked"), "{name}: {text}");
    }
    assert!(!setting.path("never/learn/adapter").exists());
}
