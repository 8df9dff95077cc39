use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::setting::{Setting, errors, hashes, run};

/// Killed at 20 moments and resumed, a recipe gives the same merged records as undisturbed, and no
/// finished shard runs again.
#[test]
fn twenty_kills_change_no_byte_and_repeat_no_shard() {
    let setting = Setting::new();
    let started = Instant::now();
    let output = run(setting.evolve("calm"));
    assert!(output.status.success(), "{}", errors(&output));
    let whole = started.elapsed();

    let mut killed = 0;
    for attempt in 0..200 {
        if killed == 20 {
            break;
        }
        let mut child = setting.evolve("killed").stderr(std::process::Stdio::null()).spawn().expect("start");
        // Moments over the first half of a run: later ones are reached since finished work is kept.
        let share = record::seed::derive(5, "kill", &attempt.to_string()) as f64 / u64::MAX as f64;
        std::thread::sleep(whole.mul_f64(0.5 * share).max(Duration::from_millis(5)));
        if child.try_wait().expect("wait").is_none() {
            child.kill().expect("kill");
            killed += 1;
        }
        child.wait().expect("wait");
        // A run that came to its end has nothing left to kill: start over beside it.
        if setting.path("killed/report.html").exists() && killed < 20 {
            check(&setting, "killed");
            std::fs::remove_dir_all(setting.path("killed")).expect("remove");
        }
    }
    assert_eq!(killed, 20);
    let output = run(setting.evolve("killed"));
    assert!(output.status.success(), "{}", errors(&output));
    check(&setting, "killed");
}

/// Same hashes as the calm run; in the ledger nothing follows a shard's `finish`.
fn check(setting: &Setting, name: &str) {
    assert_eq!(hashes(&setting.path("calm")), hashes(&setting.path(name)));
    let ledger: Vec<HashMap<String, serde_json::Value>> =
        record::shard::read_jsonl(&setting.path(name).join("ledger.jsonl")).expect("ledger");
    let mut finished = HashSet::new();
    for entry in &ledger {
        let key = (entry["stage"].to_string(), entry["shard"].to_string(), entry["plan"].to_string());
        assert!(!finished.contains(&key), "{key:?} ran again after it was finished");
        if entry["event"] == "finish" {
            finished.insert(key);
        }
    }
    assert!(finished.len() > 10, "only {} shards", finished.len());
}

/// A second run of the same command does nothing and says the same.
#[test]
fn a_finished_run_is_not_repeated_and_a_damaged_shard_is() {
    let setting = Setting::new();
    assert!(run(setting.evolve("run")).status.success());
    let before = hashes(&setting.path("run"));
    let ledger = || std::fs::read_to_string(setting.path("run/ledger.jsonl")).expect("ledger").lines().count();
    let lines = ledger();
    assert!(run(setting.evolve("run")).status.success());
    assert_eq!(ledger(), lines);
    setting.write("run/before/shards/00000.jsonl", "{}\n");
    let output = run(setting.evolve("run"));
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(ledger(), lines + 2, "the damaged shard alone runs again");
    assert_eq!(hashes(&setting.path("run")), before);
}

/// Ctrl-C ends cleanly with its own exit code and a hint, and the same command continues.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_cleanly_and_the_same_command_continues() {
    let setting = Setting::new();
    assert!(run(setting.evolve("calm")).status.success());
    let slow = || {
        let mut command = setting.evolve("run");
        command.args(["--set", "learn.epochs=400"]);
        command
    };
    let child = slow().stderr(std::process::Stdio::piped()).spawn().expect("start");
    let training = setting.path("run/learn/plan.json");
    while !training.exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().expect("kill").success());
    let output = child.wait_with_output().expect("wait");
    assert_eq!(output.status.code(), Some(130), "{}", errors(&output));
    assert!(errors(&output).contains("hint: run the same command again"), "{}", errors(&output));
    // The same command with fewer passes shares everything before the training.
    assert!(run(setting.evolve("run")).status.success());
    assert_eq!(hashes(&setting.path("calm")), hashes(&setting.path("run")));
}

/// A budget of tokens or time stops between pieces of work and says so.
#[test]
fn a_budget_stops_cleanly() {
    for (flag, value, words) in [("--token-budget", "50", "token budget"), ("--budget", "0s", "time budget")] {
        let setting = Setting::new();
        let mut command = setting.evolve("run");
        command.args([flag, value]);
        let output = run(command);
        assert_eq!(output.status.code(), Some(130), "{}", errors(&output));
        assert!(errors(&output).contains(words), "{}", errors(&output));
    }
}
