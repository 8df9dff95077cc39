//! `lyceum practise` on a tiny random model: it is killed wherever it hurts and gives the same bytes;
//! bad input is named.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use record::shard::{read_json, read_jsonl, sha256_file};
use record::{Guard, Preference, TrainStep};

use crate::setting::{Setting, errors, run};

/// A folder with questions without answers and a model that was trained a little, on which practice
/// takes about a second.
fn setting() -> Setting {
    let setting = Setting::new();
    let line = |i: usize| format!("{{\"id\": \"q{i}\", \"question\": \"What is the colour of door {i}?\"}}\n");
    setting.write("questions.jsonl", (0..30).map(line).collect::<String>());
    let make = ["tasks", "--kind", "chain", "--difficulty", "1", "--count", "200", "--format", "samples"];
    let mut command = setting.lyceum(&make);
    command.args(["--out", "train.jsonl"]);
    assert!(run(command).status.success());
    let train = ["learn", "pretrain", "train.jsonl", "--size", "pico-200k", "--tokens", "20000", "--out", "pico"];
    let output = run(setting.lyceum(&train));
    assert!(output.status.success(), "{}", errors(&output));
    setting
}

/// Enough steps and checkpoints that every moment can be hit; nothing stops it.
fn practise(setting: &Setting, out: &str) -> Command {
    let sets = [
        "practise.max_tokens=12",
        "practise.boundary=tokens:4",
        "practise.steps=2",
        "practise.shard_items=4",
        "practise.learn.batch_pairs=4",
        "practise.learn.epochs=4",
        "practise.learn.learning_rate=0.003",
        "practise.learn.checkpoint_every=2",
        "practise.guard.held_out=0.3",
        "practise.guard.every=7",
        "practise.guard.stops=false",
    ];
    let mut command = setting.lyceum(&["practise", "questions.jsonl", "--model", "pico", "--threads", "1"]);
    command.args(["--out", out]).args(sets.iter().flat_map(|set| ["--set", set]));
    command
}

/// Adapter, preferences, curve and guard of a run, by content.
fn content(run: &Path) -> Vec<String> {
    let files = [
        "adapter-practised/adapter_model.safetensors",
        "adapter-practised/adapter_config.json",
        "preferences.jsonl",
        "practise/sample/preferences.jsonl",
        "practise/learn/steps.jsonl",
        "practise/learn/guards.jsonl",
    ];
    files.iter().map(|file| sha256_file(&run.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))).collect()
}

/// Files below a folder, those that are being written included.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}

/// Whether a run has come to where it is to be killed.
type Moment<'a> = Box<dyn Fn() -> bool + 'a>;

/// Starts a run and kills it as soon as `moment` is there; false, if it came to its end before.
fn kill_at(command: &mut Command, moment: impl Fn() -> bool) -> bool {
    let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("start");
    loop {
        if moment() {
            child.kill().expect("kill");
        }
        if child.try_wait().expect("wait").is_some() {
            return moment();
        }
        std::thread::yield_now();
    }
}

#[test]
fn killed_anywhere_practice_gives_the_same_adapter() {
    let setting = setting();
    let started = Instant::now();
    let output = run(practise(&setting, "calm"));
    assert!(output.status.success(), "{}", errors(&output));
    let whole = started.elapsed();
    let calm = content(&setting.path("calm"));
    let steps: Vec<TrainStep> = read_jsonl(&setting.path("calm/practise/learn/steps.jsonl")).expect("steps");
    let guards: Vec<Guard> = read_jsonl(&setting.path("calm/practise/learn/guards.jsonl")).expect("guards");
    assert!(steps.len() > 20 && guards.len() > 3, "{} steps, {} points", steps.len(), guards.len());
    assert!(!setting.path("calm/practise/learn/checkpoints").exists(), "a finished stage is its result");

    // Named moments, each in a run that goes on from where the last one was killed.
    let run_folder = setting.path("killed");
    let stage = run_folder.join("practise/learn");
    let in_learning = |wanted: &dyn Fn(&str) -> bool| {
        files(&stage).iter().any(|file| file.file_name().and_then(|name| name.to_str()).is_some_and(wanted))
    };
    let moments: [(&str, Moment<'_>); 5] = [
        ("in sampling", Box::new(|| run_folder.join("practise/sample/done/00002.json").exists())),
        ("while the references are cached", Box::new(|| in_learning(&|name| name.starts_with("references.json")))),
        ("after a first measurement", Box::new(|| in_learning(&|name| name == "guards.jsonl"))),
        ("in the middle of a pass", Box::new(|| in_learning(&|name| name == "training.safetensors"))),
        (
            "while a checkpoint is written",
            Box::new(|| in_learning(&|name| name.starts_with("training.safetensors.") && name.ends_with(".tmp"))),
        ),
    ];
    for (name, moment) in &moments {
        let hit = kill_at(&mut practise(&setting, "killed"), moment);
        assert!(hit || *name == "while a checkpoint is written", "{name} was never seen");
        if run_folder.join("practise.html").exists() {
            break;
        }
    }
    let output = run(practise(&setting, "killed"));
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(content(&run_folder), calm);
    let left: Vec<_> =
        files(&run_folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "tmp")).collect();
    assert!(left.is_empty(), "{left:?}");

    // And moments that nobody chose.
    for attempt in 0..12 {
        let share = record::seed::derive(5, "kill", &attempt.to_string()) as f64 / u64::MAX as f64;
        let moment = Instant::now() + whole.mul_f64(0.7 * share).max(Duration::from_millis(20));
        kill_at(&mut practise(&setting, "random"), || Instant::now() >= moment);
    }
    let output = run(practise(&setting, "random"));
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(content(&setting.path("random")), calm);
}

#[test]
fn preferences_that_were_given_are_learned_and_the_run_answers() {
    let setting = setting();
    let output = run(practise(&setting, "first"));
    assert!(output.status.success(), "{}", errors(&output));
    let pairs: Vec<Preference> = read_jsonl(&setting.path("first/preferences.jsonl")).expect("pairs");
    assert!(pairs.len() > 20 && pairs.iter().all(|pair| pair.chosen.is_some() && pair.rejected.is_some()));
    let page = std::fs::read_to_string(setting.path("first/practise.html")).expect("page");
    assert!(page.contains("What the guard saw") && page.contains("whether it helped is not known"));

    let mut command = setting.lyceum(&["practise", "--pairs", "first/preferences.jsonl", "--model", "first"]);
    command.args(["--out", "second", "--loss", "dpo", "--set", "practise.learn.batch_pairs=8"]);
    let output = run(command);
    assert!(output.status.success(), "{}", errors(&output));
    let practice: serde_json::Value = read_json(&setting.path("second/practise.json")).expect("practice");
    assert_eq!((practice["loss"].as_str(), practice["method"].as_str()), (Some("dpo"), None));
    for model in ["first", "second"] {
        let output = run(setting.lyceum(&["generate", "x", "--max-tokens", "2", "--model", model]));
        assert!(output.status.success(), "{}", errors(&output));
    }
    assert!(run(setting.lyceum(&["export", "second", "--to", "peft", "--out", "peft"])).status.success());
    assert!(setting.path("peft/adapter_model.safetensors").exists());
}

#[test]
fn a_bank_guards_and_examines_and_is_never_practised_on() {
    let setting = setting();
    let line = |i: usize, bank: &str| {
        format!(
            "{{\"id\": \"{bank}{i}\", \"fact\": \"f{bank}{i}\", \"document\": \"d\", \"kind\": \"other\", \"bank\": \
             \"{bank}\", \"question\": \"What is the colour of door {i}?\", \"answers\": [\"blue\"]}}\n"
        )
    };
    let bank: String = (0..5).map(|i| line(i, "validation")).chain((5..10).map(|i| line(i, "exam"))).collect();
    setting.write("bank.jsonl", bank);
    let mut command = practise(&setting, "run");
    command.args(["--bank", "bank.jsonl"]);
    let output = run(command);
    assert!(output.status.success(), "{}", errors(&output));
    let guards: Vec<Guard> = read_jsonl(&setting.path("run/practise/learn/guards.jsonl")).expect("guards");
    assert!(guards.iter().all(|guard| guard.questions == 5 && guard.marks.len() == 5 && guard.accuracy.is_some()));
    assert!(setting.path("run/practise/before/responses.jsonl").exists());
    let pairs: Vec<Preference> = read_jsonl(&setting.path("run/preferences.jsonl")).expect("pairs");
    let held: Vec<String> = (0..10).map(|i| format!("q{i}")).collect();
    assert!(!pairs.is_empty() && pairs.iter().all(|pair| !held.contains(&pair.question)));
    let practice: serde_json::Value = read_json(&setting.path("run/practise.json")).expect("practice");
    assert_eq!((&practice["flow"][0]["asked"], &practice["flow"][0]["drops"]["held-out"]), (&30.into(), &10.into()));
    // This model answers nothing of that rightly, so nothing helped, and the run answers as its base does.
    assert_eq!(practice["kept"], 0);
    assert!(!setting.path("run/adapter-practised").exists());
    assert!(run(setting.lyceum(&["generate", "x", "--max-tokens", "2", "--model", "run"])).status.success());
}

#[test]
fn bad_input_is_named_with_what_to_do() {
    let setting = setting();
    setting.write("empty.jsonl", "");
    setting.write("same.jsonl", "{\"question\": \" \"}\n{\"question\": \"\"}\n");
    let pair = r#"{"prompt": "x", "chosen": "a", "rejected": "a"}"#;
    setting.write("pairs.jsonl", format!("{pair}\n{pair}\n"));
    let cases: [(&[&str], &[&str]); 7] = [
        (&["nowhere.jsonl"], &["no such file, and no set", "asdiv"]),
        (&["empty.jsonl"], &["empty.jsonl"]),
        (&["same.jsonl"], &["same.jsonl"]),
        (&["tasks:chains-3:9"], &["chain"]),
        (&["questions.jsonl", "--method", "genious"], &["genius-released"]),
        (&["questions.jsonl", "--loss", "dop"], &["dpo, ipo"]),
        (&["--pairs", "pairs.jsonl"], &["pairs.jsonl"]),
    ];
    for (arguments, words) in cases {
        let mut command = setting.lyceum(&["practise", "--model", "pico", "--out", "bad"]);
        command.args(arguments);
        let output = run(command);
        let text = errors(&output);
        assert!(!output.status.success() && text.contains("error: ") && !text.contains("panicked"), "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{arguments:?}: {text}");
    }
}

/// A disk that fills up: a limit on file size is the same to the writer, and needs no mount.
#[cfg(unix)]
#[test]
fn a_full_disk_is_said_and_the_same_command_continues() {
    let setting = setting();
    let inner = practise(&setting, "run");
    let mut shell = Command::new("sh");
    shell.current_dir(setting.folder.path()).args(["-c", "trap '' XFSZ; ulimit -f 32; exec \"$0\" \"$@\""]);
    shell.arg(inner.get_program()).args(inner.get_args());
    let output = run(shell);
    let text = errors(&output);
    assert!(!output.status.success() && text.contains("error: cannot write"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    let output = run(practise(&setting, "run"));
    assert!(output.status.success(), "{}", errors(&output));
    assert!(setting.path("run/practise.html").exists());
}

#[test]
fn a_dead_server_ends_the_run_and_drops_nothing() {
    let setting = setting();
    let arguments = ["practise", "questions.jsonl", "--model", "http://127.0.0.1:9/v1", "--learner", "pico"];
    let mut command = setting.lyceum(&arguments);
    command.args(["--out", "run", "--set", "remote.retry.attempts=1"]);
    let output = run(command);
    let text = errors(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("127.0.0.1:9") && !text.contains("panicked"), "{text}");
    assert!(!setting.path("run/practise/sample/done/00000.json").exists(), "nothing is taken for finished");
}

/// `evolve` practises on top of what it learned, and a recipe without practice leaves nothing of it.
#[test]
fn evolve_practises_and_says_what_was_kept() {
    let setting = Setting::new();
    let evolve = |questions: &str| {
        let mut command = setting.evolve("run");
        let sets = [questions, "practise.learn.batch_pairs=4", "practise.max_tokens=8", "practise.boundary=tokens:3"];
        command.args(sets.iter().flat_map(|set| ["--set", set]));
        let output = run(command);
        assert!(output.status.success(), "{}", errors(&output));
        read_json::<serde_json::Value>(&setting.path("run/report.json")).expect("report")
    };
    let practice = evolve("practise.questions=8")["practice"].clone();
    let guards: Vec<Guard> = read_jsonl(&setting.path("run/practise/learn/guards.jsonl")).expect("guards");
    assert_eq!(practice["guards"].as_array().map(Vec::len), Some(guards.len()));
    let page = std::fs::read_to_string(setting.path("run/report.html")).expect("page");
    assert!(page.contains("What the guard saw"));
    let kept = practice["kept"].as_u64().expect("kept");
    assert_eq!(setting.path("run/adapter-practised/adapter_model.safetensors").exists(), kept > 0);
    let items: Vec<record::Item> = read_jsonl(&setting.path("run/samples/items.jsonl")).expect("items");
    let validation = items.iter().filter(|item| item.bank == record::Bank::Validation).count();
    assert_eq!(guards[0].marks.len(), validation, "the validation bank guards, where there is one");
    // No exam question is among those that were practised on.
    let sealed: Vec<_> = items.iter().filter(|item| item.bank != record::Bank::Practice).map(|i| &i.question).collect();
    let pairs: Vec<Preference> = read_jsonl(&setting.path("run/practise/sample/preferences.jsonl")).expect("pairs");
    assert!(!pairs.is_empty() && pairs.iter().all(|pair| !sealed.contains(&&pair.messages[0].content)));
    assert!(evolve("practise.questions=0")["practice"].is_null());
    assert!(!setting.path("run/adapter-practised").exists());
}
