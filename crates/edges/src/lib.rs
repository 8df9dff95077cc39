//! Which crate may know which?
//!
//! [`ROOMS`] lists, for each crate of the workspace, the other crates that it may depend on;
//! [`GUARDED`] lists, for each third-party crate that an invariant speaks of, who may use it. A new
//! edge is an entry here, with a reviewer's eye on it. The test in `tests/audit.rs` compares both
//! with `cargo metadata` and looks through the libraries' sources for printing and exiting.
//!
//! Invariants that the lists write down: pure rooms know nothing of models; features never depend
//! on each other; `lm` has no tensor library and no network; only `run` knows engines; only `cli`
//! prints or exits.

/// Each crate, and the crates of the workspace that it may depend on, in the order of the data flow.
pub const ROOMS: &[(&str, &[&str])] = &[
    ("record", &[]),
    ("edges", &[]),
    ("assets", &["record"]),
    ("documents", &["record"]),
    ("lm", &["record"]),
    ("weights", &["record"]),
    ("lm-local", &["lm", "record", "weights"]),
    ("lm-http", &["lm", "record"]),
    ("encode", &["lm"]),
    ("decode", &["lm", "record"]),
    ("rag", &["lm", "record"]),
    ("synth", &["lm", "record"]),
    ("tasks", &["record"]),
    ("learn", &["record", "weights"]),
    ("irt", &[]),
    ("scaling", &[]),
    ("marks", &[]),
    ("plot", &[]),
    // The open-book exam takes the retriever by its type; `rag` is pure and has no model behind it.
    ("exam", &["irt", "lm", "marks", "rag", "record"]),
    // A report draws comparisons, by the type that the exam gives.
    ("report", &["exam", "plot", "record"]),
    (
        "run",
        &[
            "assets",
            "decode",
            "documents",
            "encode",
            "exam",
            "irt",
            "learn",
            "lm",
            "lm-http",
            "lm-local",
            "marks",
            "plot",
            "rag",
            "record",
            "report",
            "scaling",
            "synth",
            "tasks",
            "weights",
        ],
    ),
    // Models are given to it: it serves local and remote ones alike.
    ("serve", &["decode", "lm", "record"]),
    // Verbs that only look (a bank, a sample, the catalogue) ask the room itself; engines are `run`'s alone.
    (
        "cli",
        &[
            "assets", "decode", "exam", "learn", "lm", "marks", "record", "report", "run", "serve", "synth", "tasks",
            "weights",
        ],
    ),
];

/// Third-party crates that only some may use, and those who may.
pub const GUARDED: &[(&str, &[&str])] = &[
    // Tensor and linear algebra libraries.
    ("candle-core", &["weights"]),
    ("gemm", &["encode", "learn", "lm-local"]),
    ("half", &["learn", "lm-local", "weights"]),
    ("safetensors", &["encode", "learn", "weights"]),
    // Tables of training data and of scores.
    ("parquet", &["learn", "marks"]),
    ("tokenizers", &["encode", "weights"]),
    // Pictures.
    ("resvg", &["plot"]),
    // Network.
    ("reqwest", &["lm-http"]),
    ("axum", &["serve"]),
    ("hyper", &["serve"]),
    ("hyper-util", &["serve"]),
    ("hf-hub", &["assets"]),
    // The terminal.
    ("anyhow", &["cli"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("indicatif", &["cli"]),
    ("mimalloc", &["cli"]),
];

/// Crates that may print and exit.
pub const PRINTERS: &[&str] = &["cli"];
