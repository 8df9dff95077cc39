//! Answers as an exam writes them are read as they are. Tests may know `record`; the crate does not.

use marks::Options;
use record::{FactKind, Mode, Response};

#[test]
fn what_an_exam_writes_is_read() {
    let answer = |item: &str, score: f64| Response {
        item: item.into(),
        fact: "f1".into(),
        document: "d1".into(),
        kind: FactKind::Name,
        model: "candidate".into(),
        mode: Mode::Open,
        question: "Who?".into(),
        expected: "Ann".into(),
        text: String::new(),
        score,
        secondary: 0.25,
        choice_logprobs: vec![-1.0, -2.0],
        abstained: true,
        failed: (score == 0.0).then(|| "timeout".into()),
        usage: record::Usage::default(),
    };
    let answers = [answer("q1", 1.0), answer("q2", 0.0)];
    let folder = tempfile::tempdir().expect("tempdir");
    for run in ["one", "two"] {
        let stage = folder.path().join(run).join("candidate");
        let lines = record::shard::to_jsonl(&answers).expect("lines");
        record::shard::write_atomic(&stage.join("responses.jsonl"), &lines).expect("written");
        let wrapped: Vec<_> = answers.iter().map(|answer| serde_json::json!({ "response": answer })).collect();
        record::shard::write_jsonl(&stage.join("shards/00000.jsonl"), &wrapped).expect("written");
    }
    let read = marks::read(&[folder.path().into()], &Options::default()).expect("read");
    let item = &read.marks.items()[0];
    assert_eq!((item.id.as_str(), item.chance, item.cluster.as_deref()), ("q1", Some(0.5), Some("f1")));
    // Two exams each have a candidate; the shards beside the answers count once.
    let persons = read.marks.persons();
    assert!(persons[0].name.starts_with("candidate (folder=") && persons[0].name.ends_with("one/candidate)"));
    assert_eq!((persons.len(), read.marks.rows().len(), read.notes.len()), (2, 4, 2));
    let shard = folder.path().join("one/candidate/shards/00000.jsonl");
    let read = marks::read(&[shard], &Options::default()).expect("read");
    assert_eq!(read.marks.rows().iter().map(|row| row.score).collect::<Vec<_>>(), [1.0, 0.0]);
}
