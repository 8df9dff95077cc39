//! Logs of each harness, read as they are: those of lm-evaluation-harness and Inspect were written by
//! the harnesses themselves, with models that answer nothing; those of HELM and OpenCompass by hand.

use std::path::{Path, PathBuf};

use marks::{Format, Marks, Options, Read, Row};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn read(name: &str, options: &Options) -> Read {
    marks::read(&[data(name)], options).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn persons(marks: &Marks) -> Vec<&str> {
    marks.persons().iter().map(|person| person.name.as_str()).collect()
}

fn items(marks: &Marks) -> Vec<&str> {
    marks.items().iter().map(|item| item.id.as_str()).collect()
}

/// Scores of a person as `ITEM GRADER ATTEMPT SCORE`.
fn scores(marks: &Marks, person: &str) -> Vec<String> {
    let score = |row: &&Row| marks.persons()[row.person as usize].name == person;
    let show = |row: &Row| {
        let grader = marks.graders().get(row.grader as usize).map_or("-", String::as_str);
        format!("{} {grader} {} {}", marks.items()[row.item as usize].id, row.attempt, row.score)
    };
    marks.rows().iter().filter(score).map(show).collect()
}

fn reasons(read: &Read) -> Vec<(&str, u64)> {
    read.notes.iter().map(|note| (note.reason, note.count)).collect()
}

#[test]
fn lm_evaluation_harness() {
    let read = read("lm-eval", &Options::default());
    let Read { marks, sources, .. } = &read;
    assert_eq!(persons(marks), ["org/alpha (shots=0)", "org/alpha (shots=1)", "org/beta"]);
    assert_eq!(marks.persons()[1].base.as_deref(), Some("org/alpha"));
    assert_eq!(marks.persons()[2].base, None);
    assert_eq!(items(marks), ["toy_gen/0", "toy_gen/1", "toy_gen/2", "toy_mc/0", "toy_mc/1", "toy_mc/2"]);
    let mc: Vec<_> = scores(marks, "org/beta").into_iter().filter(|score| score.contains("mc")).collect();
    let sum: f32 = marks.rows().iter().filter(|row| row.person == 2).map(|row| row.score).sum();
    // The harness said 0.6667 of acc on toy_mc and 0 on toy_gen.
    assert_eq!((mc.len(), sum), (3, 2.0));
    let item = &marks.items()[3];
    assert_eq!((item.subject.as_deref(), item.kind.as_deref()), (Some("toy_mc"), Some("choice")));
    assert_eq!((item.text.as_deref(), item.chance, item.max), (Some("What is 2+2?"), Some(0.25), 1.0));
    assert_eq!((marks.items()[0].kind.as_deref(), marks.items()[0].chance), (Some("open"), None));
    assert!(sources.len() == 6 && sources.iter().all(|source| source.format == Format::LmEval && source.rows == 3));
    let filters = read.notes.iter().find(|note| note.reason == "several-filters").expect("a note");
    assert!(filters.detail.contains("strict, flexible; taken: strict"), "{filters}");
    let metrics = read.notes.iter().find(|note| note.reason == "several-metrics").expect("a note");
    assert!(metrics.detail.contains("acc, acc_norm; taken: acc"), "{metrics}");
}

#[test]
fn a_metric_and_a_filter_can_be_asked_for() {
    let only = |metric: Option<&str>, filter: Option<&str>| {
        let (metric, filter) = (metric.map(Into::into), filter.map(Into::into));
        read("lm-eval", &Options { metric, filter, ..Options::default() }).marks
    };
    let norm = only(Some("acc_norm"), None);
    assert!(items(&norm).iter().all(|item| item.starts_with("toy_mc")) && norm.rows().len() == 9);
    // The harness names its filter `none` where there is only one, and nobody means that one.
    assert_eq!(only(None, Some("flexible")).rows().len(), 18);
    let nothing = Options { metric: Some("bleu".into()), ..Options::default() };
    let error = marks::read(&[data("lm-eval")], &nothing).expect_err("no bleu").to_string();
    assert!(error.contains("no score") && error.contains("bleu") && error.contains("exact_match"), "{error}");
}

#[test]
fn another_question_of_the_same_id_is_another_item() {
    let folder = tempfile::tempdir().expect("tempdir");
    let line = |hash: &str| {
        format!("{{\"doc_id\": 7, \"doc\": {{\"question\": \"q{hash}\"}}, \"doc_hash\": \"{hash}\", \"acc\": 1.0}}\n")
    };
    for (model, hash) in [("a", "11112222333344445555"), ("b", "aaaabbbbccccddddeeee")] {
        std::fs::create_dir(folder.path().join(model)).expect("folder");
        std::fs::write(folder.path().join(model).join("samples_arc_2026-01-01T00-00-00.0.jsonl"), line(hash))
            .expect("file");
    }
    let read = marks::read(&[folder.path().into()], &Options::default()).expect("read");
    assert_eq!((persons(&read.marks), items(&read.marks)), (vec!["a", "b"], vec!["arc/7", "arc/7@aaaabbbb"]));
    assert_eq!(reasons(&read), [("other-question", 1)]);
    let strict = Options { strict: true, ..Options::default() };
    let error = marks::read(&[folder.path().into()], &strict).expect_err("another question").to_string();
    assert!(error.contains("samples_arc") && error.contains(":1:") && error.contains("arc/7"), "{error}");
}

#[test]
fn inspect() {
    let read = read("inspect", &Options::default());
    let marks = &read.marks;
    assert_eq!(persons(marks), ["mockllm/model (temperature=unset)", "mockllm/model (temperature=0.5)"]);
    let words: Vec<_> = marks.rows().iter().filter(|row| items(marks)[row.item as usize] == "words/sum").collect();
    assert_eq!(
        words.iter().map(|row| (row.attempt, row.score)).collect::<Vec<_>>(),
        [(0, 0.0), (0, 0.0), (1, 0.0), (1, 0.0)]
    );
    assert_eq!(marks.graders(), ["half", "rubric/tone", "rubric/facts", "strange", "choice", "includes", "match"]);
    let of = |item: &str, grader: &str| -> Vec<f32> {
        let found =
            |row: &&Row| items(marks)[row.item as usize] == item && marks.graders()[row.grader as usize] == grader;
        marks.rows().iter().filter(found).map(|row| row.score).collect()
    };
    assert_eq!((of("broken/sum", "half"), of("broken/2", "half")), (vec![0.5], vec![]));
    assert_eq!((of("essay/sum", "rubric/tone"), of("essay/2", "rubric/facts")), (vec![0.5], vec![1.0]));
    // NaN was given for sample 2.
    assert_eq!((of("essay/sum", "strange"), of("essay/2", "strange")), (vec![1.0], vec![]));
    let item = marks.items().iter().find(|item| item.id == "pick/1").expect("item");
    assert_eq!((item.text.as_deref(), item.kind.as_deref()), (Some("Which is a colour?"), Some("choice")));
    assert_eq!((item.chance, item.subject.as_deref()), (Some(1.0 / 3.0), Some("pick")));
    let notes: Vec<_> = read.notes.iter().map(ToString::to_string).collect();
    assert!(notes.iter().any(|note| note.contains("broken.eval") && note.contains("judge away")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("essay.eval") && note.contains("strange")), "{notes:?}");
}

#[test]
fn an_archive_and_its_json_form_give_the_same() {
    let (archive, json) =
        (read("inspect/pick.eval", &Options::default()), read("inspect/pick.json", &Options::default()));
    assert_eq!(archive.marks.rows(), json.marks.rows());
    assert_eq!(archive.marks.items(), json.marks.items());
    assert_eq!((archive.marks.rows().len(), persons(&archive.marks)), (2, vec!["mockllm/model"]));
}

#[test]
fn a_scorer_of_inspect_can_be_asked_for() {
    for (metric, graders, rows) in [("match", vec!["match"], 4), ("tone", vec!["rubric/tone"], 2)] {
        let read = read("inspect", &Options { metric: Some(metric.into()), ..Options::default() });
        assert_eq!(
            (read.marks.graders().to_vec(), read.marks.rows().len()),
            (graders.iter().map(|g| g.to_string()).collect(), rows)
        );
    }
}

#[test]
fn helm() {
    let read = read("helm", &Options::default());
    let marks = &read.marks;
    assert_eq!(persons(marks), ["org/alpha", "org/beta"]);
    let task = "mmlu:subject=anatomy";
    let ids = ["id1", "id2", "id1~robustness", "id2~robustness"].map(|id| format!("{task}/{id}"));
    assert_eq!(items(marks), ids.each_ref());
    assert_eq!(scores(marks, "org/beta"), [format!("{} - 0 0", ids[0]), format!("{} - 0 1", ids[1])]);
    let item = &marks.items()[0];
    assert_eq!((item.text.as_deref(), item.chance), (Some("Which bone is in the arm?"), Some(0.25)));
    assert_eq!((item.subject.as_deref(), item.kind.as_deref()), (Some(task), Some("choice")));
    assert_eq!(reasons(&read), [("several-metrics", 2)]);
}

#[test]
fn open_compass() {
    let read = read("opencompass", &Options::default());
    let marks = &read.marks;
    assert_eq!(persons(marks), ["alpha", "beta"]);
    let alpha = ["aime/aime_0 - 0 1", "aime/aime_0 - 1 0", "aime/aime_1 - 0 1", "aime/aime_1 - 1 1", "gsm8k/0 - 0 1"];
    assert_eq!(scores(marks, "alpha")[..5], alpha);
    assert_eq!(scores(marks, "alpha")[5..], ["gsm8k/1 - 0 0", "piqa/0 - 0 0"]);
    assert_eq!(scores(marks, "beta"), ["gsm8k/0 - 0 1", "gsm8k/1 - 0 1"]);
    let of = |id: &str| marks.items().iter().find(|item| item.id == id).expect("item");
    assert_eq!((of("gsm8k/0").text.as_deref(), of("gsm8k/0").chance), (Some("What is 3 + 4?"), None));
    assert_eq!((of("piqa/0").kind.as_deref(), of("piqa/0").chance), (Some("choice"), Some(0.5)));
    // The summary is no table of persons and items.
    assert!(reasons(&read).contains(&("no-log", 1)), "{:?}", read.notes);
}

#[test]
fn our_own_answers() {
    let read = read("answers", &Options::default());
    let marks = &read.marks;
    assert_eq!(persons(marks), ["against", "candidate"]);
    assert_eq!(scores(marks, "candidate"), ["a1 - 0 1", "a2 - 0 0", "b1 - 0 0"]);
    let item = &marks.items()[2];
    assert_eq!((item.cluster.as_deref(), item.subject.as_deref()), (Some("f-b"), Some("handbook")));
    assert_eq!((item.kind.as_deref(), item.chance), (Some("choice"), Some(0.25)));
    assert_eq!(reasons(&read), [("failed", 1)]);
    let f1 = self::read("answers", &Options { metric: Some("secondary".into()), ..Options::default() });
    assert!(f1.marks.rows().iter().all(|row| row.score == 0.5));
}

#[test]
fn all_formats_make_one_table() {
    let folders = ["lm-eval", "inspect", "helm", "opencompass", "answers"];
    let paths = folders.map(data);
    let all = marks::read(&paths, &Options::default()).expect("read");
    let sum: usize = folders.iter().map(|name| read(name, &Options::default()).marks.rows().len()).sum();
    assert_eq!(all.marks.rows().len(), sum);
    assert_eq!(all.sources.iter().map(|source| source.rows).sum::<usize>(), sum);
    let folder = tempfile::tempdir().expect("tempdir");
    let path = folder.path().join("all.csv");
    all.marks.write_csv(&path).expect("written");
    let back = marks::read(&[path], &Options { strict: true, ..Options::default() }).expect("read");
    assert_eq!((back.marks.items(), back.marks.rows()), (all.marks.items(), all.marks.rows()));
}
