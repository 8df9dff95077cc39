use std::fs;

use crate::setting::{Setting, errors, run};

const MAKE: [&str; 7] = ["tasks", "--kind", "all", "--difficulty", "1,3", "--count", "5"];

#[test]
fn problems_go_out_as_lines_and_the_same_seed_gives_the_same_ones() {
    let setting = Setting::new();
    let lines = |seed: &str| {
        let mut command = setting.lyceum(&MAKE);
        command.args(["--seed", seed]);
        let output = run(command);
        assert!(output.status.success(), "{}", errors(&output));
        String::from_utf8(output.stdout).expect("text")
    };
    let first = lines("1");
    assert_eq!(first.lines().count(), 7 * 2 * 5);
    let problems: Vec<tasks::Problem> =
        first.lines().map(|line| serde_json::from_str(line).expect("a problem")).collect();
    assert!(problems.iter().all(|problem| problem.verify(&problem.solution())));
    assert_eq!(first, lines("1"));
    assert_ne!(first, lines("2"));
}

#[test]
fn exam_problems_become_a_bank_and_never_samples() {
    let setting = Setting::new();
    for (split, format, allowed) in
        [("exam", "items", true), ("exam", "samples", false), ("validation", "samples", true), ("train", "items", true)]
    {
        let mut command = setting.lyceum(&MAKE);
        command.args(["--split", split, "--format", format, "--out", "made.jsonl"]);
        let output = run(command);
        assert_eq!(output.status.success(), allowed, "{split} {format}: {}", errors(&output));
        assert_eq!(setting.path("made.jsonl").exists(), allowed);
        if allowed {
            let output = run(setting.lyceum(&["validate", "made.jsonl"]));
            assert!(output.status.success(), "{split} {format}: {}", errors(&output));
            fs::remove_file(setting.path("made.jsonl")).expect("remove");
        } else {
            assert!(errors(&output).contains("never learned from"), "{}", errors(&output));
        }
    }
}
