use std::fs;

use crate::setting::{Setting, errors, run};

/// Runs `lyceum evolve` after `spoil` and returns what it complained of.
fn complaint(spoil: impl Fn(&Setting), arguments: &[&str]) -> String {
    let setting = Setting::new();
    spoil(&setting);
    let mut command = setting.evolve("run");
    command.args(arguments);
    let output = run(command);
    let text = errors(&output);
    assert!(!output.status.success(), "it should have failed: {text}");
    assert!(text.contains("error: "), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

#[test]
fn a_truncated_model_is_named() {
    let text = complaint(
        |setting| {
            let bytes = fs::read(setting.path("tiny.gguf")).expect("read");
            setting.write("tiny.gguf", &bytes[..bytes.len() / 2]);
        },
        &[],
    );
    assert!(text.contains("tiny.gguf"), "{text}");
}

#[test]
fn a_folder_without_documents_says_what_was_looked_for() {
    let text = complaint(
        |setting| {
            fs::remove_dir_all(setting.path("docs")).expect("remove");
            setting.write("docs/picture.png", b"\x89PNG");
        },
        &[],
    );
    assert!(text.contains(".md") && text.contains(".pdf"), "{text}");
}

#[test]
fn an_unknown_key_has_a_hint() {
    let text = complaint(|_| {}, &["--set", "learn.epoch=2"]);
    assert!(text.contains("hint: did you mean `epochs`?"), "{text}");
}

#[test]
fn an_unreadable_document_is_left_out_with_its_reason() {
    let setting = Setting::new();
    setting.write("docs/noise.txt", (0..=255u8).cycle().take(4096).collect::<Vec<_>>());
    setting.write("docs/empty.pdf", b"%PDF-1.4\n%%EOF");
    let output = run(setting.evolve("run"));
    let text = errors(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("noise.txt") && text.contains("empty.pdf"), "{text}");
    let drops: Vec<record::Drop> =
        record::shard::read_jsonl(&setting.path("run/documents/drops.jsonl")).expect("drops");
    assert_eq!(drops.len(), 2);
}

#[test]
fn a_missing_folder_a_missing_model_and_a_file_in_its_place_are_told_apart() {
    let setting = Setting::new();
    for (arguments, words) in [
        (["evolve", "./nowhere", "--model", "tiny.gguf"], "no such folder"),
        (["evolve", "tiny.gguf", "--model", "tiny.gguf"], "is a file"),
        (["evolve", "docs", "--model", "missing.gguf"], "no such file"),
    ] {
        let text = errors(&run(setting.lyceum(&arguments)));
        assert!(text.contains(words) && text.contains("hint: "), "{arguments:?}: {text}");
    }
}

/// The kernel's own folder takes no files, not even from root.
#[cfg(target_os = "linux")]
#[test]
fn a_run_folder_that_cannot_be_written_is_said_at_once() {
    let text = errors(&run(Setting::new().evolve("/proc/lyceum")));
    assert!(text.contains("/proc/lyceum") && text.contains("--out"), "{text}");
}

/// A report holds exam questions with their answers: a run inside the documents' folder never reads
/// it, nor does the next run.
#[test]
fn a_run_inside_the_documents_folder_is_no_document() {
    let setting = Setting::new();
    assert!(run(setting.evolve("docs/run")).status.success());
    assert!(setting.path("docs/run/report.html").exists());
    let count = |out: &str| {
        let output = run(setting.evolve(out));
        assert!(output.status.success(), "{}", errors(&output));
        fs::read_to_string(setting.path(out).join("documents/documents.jsonl")).expect("documents").lines().count()
    };
    assert_eq!((count("docs/run"), count("elsewhere")), (3, 3));
}

#[test]
fn a_second_adapter_is_not_learned_on_top_of_a_first() {
    let setting = Setting::new();
    assert!(run(setting.evolve("first")).status.success());
    let text = errors(&run(setting.lyceum(&["evolve", "docs", "--model", "first", "--out", "second"])));
    assert!(text.contains("already answers through an adapter") && text.contains("hint: merge it first"), "{text}");
}

#[test]
fn samples_without_answer_are_found_before_training() {
    let setting = Setting::new();
    setting.write(
        "samples.jsonl",
        r#"{"id":"s1","fact":"f","document":"d","messages":[{"role":"user","content":"Why?"},{"role":"assistant","content":""}],"wording":"hand","citations":[]}"#,
    );
    let output = run(setting.lyceum(&["validate", "samples.jsonl"]));
    assert!(
        !output.status.success() && errors(&output).contains("line 1 (s1): turn 1 of the assistant says nothing"),
        "{}",
        errors(&output)
    );
}

#[test]
fn two_runs_do_not_write_to_one_folder() {
    let setting = Setting::new();
    fs::create_dir_all(setting.path("run")).expect("folder");
    let lock = fs::File::create(setting.path("run/.lock")).expect("lock file");
    lock.lock().expect("lock");
    let text = errors(&run(setting.evolve("run")));
    assert!(text.contains("in use by another"), "{text}");
}

/// A disk that fills up: a limit on file size is the same to the writer, and needs no mount.
#[cfg(unix)]
#[test]
fn a_full_disk_is_said_and_the_same_command_continues() {
    let setting = Setting::new();
    let mut shell = std::process::Command::new("sh");
    let inner = setting.evolve("run");
    shell.current_dir(setting.folder.path()).args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""]);
    shell.arg(inner.get_program()).args(inner.get_args());
    let output = run(shell);
    let text = errors(&output);
    assert!(!output.status.success() && text.contains("error: cannot write"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    let output = run(setting.evolve("run"));
    assert!(output.status.success(), "{}", errors(&output));
    let left: Vec<_> = walk(&setting.path("run")).into_iter().filter(|p| p.ends_with(".tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("folder").flatten() {
        if entry.path().is_dir() {
            files.extend(walk(&entry.path()));
        } else {
            files.push(entry.path().display().to_string());
        }
    }
    files
}

#[test]
fn every_help_names_an_example() {
    let setting = Setting::new();
    for verb in [
        "pull",
        "synth",
        "learn",
        "practise",
        "exam",
        "evolve",
        "report",
        "chat",
        "generate",
        "export",
        "validate",
        "plan",
        "cache",
        "completions",
    ] {
        let output = run(setting.lyceum(&[verb, "--help"]));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("Example") && text.contains(&format!("lyceum {verb}")), "{verb}: {text}");
    }
    let output = run(setting.lyceum(&["--help"]));
    let lines = String::from_utf8_lossy(&output.stdout).lines().count();
    assert!(lines <= 50, "the help has {lines} lines and does not fit a screen");
}
