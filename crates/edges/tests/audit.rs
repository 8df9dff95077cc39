//! Compares the workspace as it is with the lists of what is allowed.

use std::path::Path;
use std::process::Command;

use edges::{GUARDED, PRINTERS, ROOMS};
use serde_json::Value;

/// (crate, dependency) for every normal and build dependency, as cargo sees them.
fn dependencies() -> (Vec<String>, Vec<(String, String)>) {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let output = Command::new(option_env!("CARGO").unwrap_or("cargo"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(manifest)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let (mut crates, mut edges) = (Vec::new(), Vec::new());
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("name");
        crates.push(name.to_string());
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            // Tests may know more than the crate itself: `dev` dependencies are no edges.
            if dependency["kind"].as_str() != Some("dev") {
                edges.push((name.to_string(), dependency["name"].as_str().expect("name").to_string()));
            }
        }
    }
    (crates, edges)
}

/// What is wrong with an edge, if anything.
fn offence(from: &str, to: &str) -> Option<String> {
    let room = |name: &str| ROOMS.iter().find(|(room, _)| *room == name);
    if room(to).is_some() {
        let allowed = room(from).is_some_and(|(_, allowed)| allowed.contains(&to));
        return (!allowed).then(|| format!("{from} -> {to}: not in ROOMS; features do not depend on each other"));
    }
    let (_, users) = GUARDED.iter().find(|(guarded, _)| *guarded == to)?;
    (!users.contains(&from)).then(|| format!("{from} -> {to}: not in GUARDED; only {} may", users.join(", ")))
}

/// Lines of a source file that print or exit, its tests left out.
fn noises(source: &str) -> Vec<(usize, &str)> {
    const WORDS: [&str; 6] = ["println!", "print!", "eprintln!", "eprint!", "dbg!", "process::exit"];
    source
        .lines()
        .enumerate()
        // Tests stand at the bottom of a file.
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .filter(|(_, line)| {
            WORDS.iter().any(|word| {
                line.match_indices(word).any(|(at, _)| {
                    // `eprintln!` holds `println!`; a word is counted where it begins.
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                })
            })
        })
        .map(|(index, line)| (index + 1, line.trim()))
        .collect()
}

#[test]
fn every_edge_is_in_the_list() {
    let (crates, edges) = dependencies();
    for name in &crates {
        assert!(ROOMS.iter().any(|(room, _)| room == name), "crate {name} has no line in ROOMS");
    }
    assert!(edges.len() > crates.len(), "cargo metadata shows hardly any dependency: {edges:?}");
    let offences: Vec<_> = edges.iter().filter_map(|(from, to)| offence(from, to)).collect();
    assert!(offences.is_empty(), "edges that are not allowed:\n{}", offences.join("\n"));
}

#[test]
fn a_forbidden_edge_would_be_seen() {
    for (from, to) in [("synth", "rag"), ("lm", "lm-http"), ("lm", "candle-core"), ("exam", "reqwest"), ("rag", "run")]
    {
        assert!(offence(from, to).is_some(), "{from} -> {to}");
    }
    assert_eq!(offence("run", "lm-local"), None);
    assert_eq!(offence("lm", "serde"), None);
}

#[test]
fn libraries_neither_print_nor_exit() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut files, mut found) = (0, Vec::new());
    for entry in walkdir::WalkDir::new(&folder).sort_by_file_name() {
        let entry = entry.expect("readable");
        let path = entry.path().strip_prefix(&folder).expect("below").to_string_lossy().replace('\\', "/");
        let mut parts = path.split('/');
        let (room, place) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        if place != "src" || !path.ends_with(".rs") || PRINTERS.contains(&room) || is_test_module(entry.path()) {
            continue;
        }
        files += 1;
        let source = std::fs::read_to_string(entry.path()).expect("readable");
        found.extend(noises(&source).into_iter().map(|(line, text)| format!("crates/{path}:{line}: {text}")));
    }
    assert!(files > ROOMS.len(), "only {files} files looked at");
    assert!(found.is_empty(), "only cli prints or exits:\n{}", found.join("\n"));
}

/// Whether the module that a file holds is declared as `#[cfg(test)] mod name;` beside it.
fn is_test_module(file: &Path) -> bool {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let folder = file.parent().unwrap_or(Path::new("."));
    let declares = |parent: &Path| {
        std::fs::read_to_string(parent).is_ok_and(|source| source.contains(&format!("#[cfg(test)]\nmod {name};")))
    };
    ["lib.rs", "mod.rs"].iter().any(|parent| declares(&folder.join(parent))) || declares(&folder.with_extension("rs"))
}

#[test]
fn noise_is_heard_and_tests_are_not() {
    let source =
        "fn a() {\n    // println!(\"comment\")\n    eprintln!(\"x\");\n}\n#[cfg(test)]\nmod t { println!() }\n";
    assert_eq!(noises(source), [(3, "eprintln!(\"x\");")]);
    assert_eq!(noises("std::process::exit(1)").len(), 1);
    assert!(noises("my_println!(1)").is_empty());
}
