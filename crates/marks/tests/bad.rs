//! Bad input is named, and what can be read is read.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use marks::{Duplicates, Options, Read};
use tempfile::TempDir;

/// A folder with one file, and the file's path.
fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("tempdir");
    let path = folder.path().join(name);
    fs::write(&path, content).expect("file");
    (folder, path)
}

fn read(name: &str, content: impl AsRef<[u8]>, options: &Options) -> Result<Read, String> {
    let (_folder, path) = file(name, content);
    marks::read(&[path], options).map_err(|error| error.to_string())
}

fn lax() -> Options {
    Options::default()
}

fn strict() -> Options {
    Options { strict: true, ..Options::default() }
}

/// `PERSON ITEM SCORE` of every row.
fn rows(read: &Read) -> Vec<String> {
    let marks = &read.marks;
    let show = |row: &marks::Row| {
        let (person, item) = (&marks.persons()[row.person as usize].name, &marks.items()[row.item as usize].id);
        format!("{person} {item} {}", row.score)
    };
    marks.rows().iter().map(show).collect()
}

fn notes(read: &Read) -> Vec<(&str, Option<u64>, u64)> {
    read.notes.iter().map(|note| (note.reason, note.line, note.count)).collect()
}

#[test]
fn a_broken_line_in_the_middle_is_named_and_costs_itself_alone() {
    let csv = "model,item,correct\na,q1,1\na,q2\na,q3,0\na,q4,maybe\na,,1\n,q5,1\na,\"q6,1\na,q7,1\n";
    let found = read("x.csv", csv, &lax()).expect("read");
    assert_eq!(rows(&found), ["a q1 1", "a q3 0", "a q7 1"]);
    let expected = [
        ("columns", Some(3), 1),
        ("not-a-score", Some(5), 1),
        ("no-item", Some(6), 1),
        ("no-person", Some(7), 1),
        ("broken-line", Some(8), 1),
    ];
    assert_eq!(notes(&found), expected);
    let error = read("x.csv", csv, &strict()).expect_err("strict");
    assert!(error.contains("x.csv:3: has 2 fields, the header has 3"), "{error}");
    let lines = "{\"model\":\"a\",\"item\":1,\"score\":true}\n{\"model\":\"a\",\"item\":2,\"sco\n\n{\"model\":\"a\",\"item\":3,\"score\":0.5}\n[1]\n";
    let found = read("x.jsonl", lines, &lax()).expect("read");
    assert_eq!((rows(&found), notes(&found)), (vec!["a 1 1".into(), "a 3 0.5".into()], vec![("not-json", Some(2), 2)]));
    let error = read("x.jsonl", lines, &strict()).expect_err("strict");
    assert!(error.contains("x.jsonl:2:"), "{error}");
}

#[test]
fn scores_that_cannot_be_are_set_aside() {
    let csv = "person,item,score,max,attempt,chance\na,q1,NaN,1,,\na,q2,inf,1,,\na,q3,-1,1,,\na,q4,3,2,,\na,q5,2,2,,\n\
               b,q5,1,3,,\na,q6,1,0,,\na,q7,1,1,1.5,\na,q8,1,1,,2\na,q9,,1,,\n";
    let found = read("x.csv", csv, &lax()).expect("read");
    assert_eq!(rows(&found), ["a q5 2"]);
    let reasons: Vec<_> = notes(&found).iter().map(|note| note.0).filter(|r| !r.ends_with("without-score")).collect();
    let expected =
        ["not-finite", "negative", "over-max", "other-max", "bad-max", "bad-attempt", "bad-chance", "no-score"];
    assert_eq!(reasons, expected);
    assert_eq!(notes(&found)[0], ("not-finite", Some(2), 2));
    // Nobody but `a` has a score, and only for q5; the rest is named and left out.
    assert_eq!((found.marks.persons().len(), found.marks.items().len()), (1, 1));
    let error = read("x.csv", csv, &strict()).expect_err("strict");
    assert!(error.contains("x.csv:2: NaN is no score"), "{error}");
    let error = read("x.csv", "person,item,score\na,q,NaN\n", &lax()).expect_err("nothing left");
    assert!(error.contains("no score in") && error.contains("x.csv:2"), "{error}");
}

#[test]
fn what_an_item_gives_is_stated_given_or_inferred() {
    let csv = "person,item,score\na,q1,5\nb,q1,3\na,q2,1\n";
    let found = read("x.csv", csv, &lax()).expect("read");
    assert_eq!(found.marks.items().iter().map(|item| item.max).collect::<Vec<_>>(), [5.0, 1.0]);
    assert_eq!(found.notes.iter().map(|note| (note.reason, note.count)).collect::<Vec<_>>(), [("inferred-max", 1)]);
    let found = read("x.csv", csv, &Options { max: Some(4.0), ..lax() }).expect("read");
    assert_eq!((rows(&found), notes(&found)), (vec!["b q1 3".into(), "a q2 1".into()], vec![("over-max", Some(2), 1)]));
    assert_eq!(found.marks.items()[1].max, 4.0);
}

#[test]
fn duplicates_are_dropped_if_equal_and_decided_if_not() {
    let equal = "person,item,score\na,q,1\nb,q,0\na,q,1\na,q,1\n";
    let found = read("x.csv", equal, &lax()).expect("read");
    assert_eq!((rows(&found), notes(&found)), (vec!["a q 1".into(), "b q 0".into()], vec![("duplicate", None, 2)]));
    let other = "person,item,score,grader,attempt\na,q,1,x,0\na,q,0,x,0\na,q,0,y,0\na,q,0,x,1\na,q,0,x,0\n";
    let error = read("x.csv", other, &lax()).expect_err("a contradiction");
    for word in ["\"a\"", "1 and 0", "\"q\"", "grader \"x\"", "attempt 0", "x.csv", "mean"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    for (duplicates, score) in [(Duplicates::First, "1"), (Duplicates::Mean, "0.33333334")] {
        let found = read("x.csv", other, &Options { duplicates, ..lax() }).expect("read");
        assert_eq!(rows(&found), [format!("a q {score}"), "a q 0".into(), "a q 0".into()]);
        assert_eq!(notes(&found), [("contradiction", None, 2)]);
    }
}

#[test]
fn contradicting_logs_are_both_named() {
    let folder = tempfile::tempdir().expect("tempdir");
    for (name, score) in [("one.csv", 1), ("two.csv", 0)] {
        fs::write(folder.path().join(name), format!("person,item,score\na,q,{score}\n")).expect("file");
    }
    let error = marks::read(&[folder.path().into()], &lax()).expect_err("a contradiction").to_string();
    assert!(error.contains("one.csv") && error.contains("two.csv"), "{error}");
}

#[test]
fn what_is_no_log_says_what_it_is() {
    for (name, content, word) in [
        ("empty.csv", &b""[..], "is empty"),
        ("blank.csv", b"\xef\xbb\xbf \n\n", "is empty"),
        ("text.txt", b"Once upon a time.\n", "no table of scores"),
        ("poem.csv", b"roses,red\nviolets,blue\n", "has no column for person"),
        ("summary.csv", b"model,acc\na,0.5\n", "has no column for item, only model, acc"),
        ("other.json", b"{\"a\": 1}", "has no person, item, score"),
        ("list.json", b"[{\"a\": 1}]", "no log that is known"),
        ("bytes.bin", b"\x01\x00\x02", "is binary"),
        ("wide16.csv", b"\xff\xfea\x00,\x00", "UTF-16"),
        ("bare.csv", b"1,0,0,1\n1,1,0,1\n", "lack its header"),
        ("run_spec.json", b"{\"adapter_spec\": {}}", "name its folder"),
    ] {
        let error = read(name, content, &lax()).expect_err(name);
        assert!(error.contains(name) && error.contains(word), "{name}: {error}");
    }
    let folder = tempfile::tempdir().expect("tempdir");
    let error = marks::read(&[folder.path().into()], &lax()).expect_err("an empty folder").to_string();
    assert!(error.contains("no log is in this folder"), "{error}");
    let error = marks::read(&[folder.path().join("gone")], &lax()).expect_err("no file").to_string();
    assert!(error.contains("cannot read") && error.contains("gone"), "{error}");
    assert!(marks::read(&[], &lax()).is_err());
}

#[test]
fn other_files_of_a_folder_are_passed_over_with_a_note() {
    let (folder, _) = file("marks.tsv", "model\titem\tscore\na\tq\t1\n");
    fs::write(folder.path().join("readme.md"), "# Notes\n").expect("file");
    fs::write(folder.path().join(".hidden.csv"), "person,item,score\nb,q,1\n").expect("file");
    fs::create_dir(folder.path().join("wide")).expect("folder");
    fs::write(folder.path().join("wide/table.csv"), "student;q;r\nc;1;\nd;NA;0\n").expect("file");
    let found = marks::read(&[folder.path().into(), folder.path().join("marks.tsv")], &lax()).expect("read");
    assert_eq!(rows(&found), ["a q 1", "c q 1", "d r 0"]);
    assert_eq!(found.notes.iter().map(|note| note.reason).collect::<Vec<_>>(), ["no-log", "named-twice"]);
    assert!(found.notes[0].detail.contains("readme.md"), "{:?}", found.notes);
}

#[test]
fn a_summary_beside_logs_is_no_log() {
    let log = "{\"doc_id\": 0, \"doc\": {}, \"acc\": 1.0}\n";
    let (folder, _) = file("samples_t_2026-01-01T00-00-00.1.jsonl", log);
    fs::write(folder.path().join("summary.csv"), "name,arc,mmlu\na,0.5,0.25\n").expect("file");
    let found = marks::read(&[folder.path().into()], &lax()).expect("read");
    assert_eq!((found.marks.rows().len(), notes(&found)), (1, vec![("summary", None, 1)]));
    let empty = tempfile::tempdir().expect("tempdir");
    let both = [folder.path().to_path_buf(), empty.path().to_path_buf()];
    let error = marks::read(&both, &lax()).expect_err("an empty folder").to_string();
    assert!(error.contains("no log is in this folder"), "{error}");
}

#[test]
fn what_is_said_of_persons_and_items_is_looked_at() {
    let csv = "person,item,score,date,difficulty,kind\na,q,1,2024-05-01,0.5,choice\nb,q,0,May,hard,choice\na,r,0,2024-05-02,,open\n";
    let found = read("x.csv", csv, &lax()).expect("read");
    assert_eq!(notes(&found), [("bad-date", Some(3), 1), ("bad-difficulty", Some(3), 1), ("other-words", Some(4), 1)]);
    let dates: Vec<_> = found.marks.persons().iter().map(|person| person.date.as_deref()).collect();
    assert_eq!((dates, found.marks.items()[0].difficulty), (vec![Some("2024-05-01"), None], Some(0.5)));
    let found = read("wide.csv", "person,date,q\na,2024-05-01,1\nb,soon,1\n", &lax()).expect("read");
    assert_eq!((found.marks.persons()[1].date.as_deref(), notes(&found)), (None, vec![("bad-date", Some(3), 1)]));
}

#[test]
fn marks_line_ends_and_quoted_lines_are_read() {
    let csv = "\u{feff}Model,Question ID,Correct,Text\r\na,q1,True,\"one,\r\n\"\"two\"\"\"\r\n\r\na,q2,False,\r\n";
    let found = read("x.csv", csv, &strict()).expect("read");
    assert_eq!(rows(&found), ["a q1 1", "a q2 0"]);
    assert_eq!(found.marks.items()[0].text.as_deref(), Some("one,\r\n\"two\""));
    let found = read("x.csv", b"person,item,score\na,q\xff1,1\na,q2,1\n", &lax()).expect("read");
    assert_eq!((rows(&found), notes(&found)), (vec!["a q2 1".into()], vec![("broken-line", Some(2), 1)]));
}

#[test]
fn a_wide_table_has_gaps_and_tells_of_its_persons() {
    let csv = "name,group,q1,q2,q3\nann,x,1,0,\nbob,y,NA,2,0.5\ncid,y,1,huh,0\ndan,x,1,1\n,x,1,1,1\n";
    let found = read("x.csv", csv, &lax()).expect("read");
    assert_eq!(rows(&found), ["ann q1 1", "ann q2 0", "bob q2 2", "bob q3 0.5", "cid q1 1", "cid q3 0"]);
    assert_eq!(found.marks.persons()[1].group.as_deref(), Some("y"));
    let expected =
        [("not-a-score", Some(4), 1), ("columns", Some(5), 1), ("no-person", Some(6), 1), ("inferred-max", None, 1)];
    assert_eq!(notes(&found), expected);
    assert!(found.notes[0].detail.contains("\"huh\" in column \"q2\""), "{:?}", found.notes);
}

#[test]
fn one_id_in_several_subjects_is_several_items() {
    let csv = "model,subject,question_id,correct\na,law,1,1\na,math,1,0\nb,math,1,1\nb,law,1,1\n";
    let found = read("x.csv", csv, &lax()).expect("read");
    assert_eq!(rows(&found), ["a 1 1", "a math/1 0", "b math/1 1", "b 1 1"]);
    assert_eq!(notes(&found), [("same-id", Some(3), 2)]);
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

#[test]
fn damaged_archives_and_tables_are_named() {
    let archive = fs::read(data("inspect/words.eval")).expect("log");
    for cut in [3, 100, archive.len() / 2, archive.len() - 10] {
        let error = read("cut.eval", &archive[..cut], &lax()).expect_err("cut off");
        assert!(error.contains("cut.eval"), "{error}");
    }
    let mut spoilt = archive.clone();
    // The first sample's compressed bytes, behind the journal's beginning.
    spoilt[900..960].fill(0);
    let found = read("spoilt.eval", &spoilt, &lax()).expect("the other samples");
    assert_eq!(found.notes.iter().map(|note| note.reason).collect::<Vec<_>>(), ["damaged-member"], "{:?}", found.notes);
    assert!(found.marks.rows().len() == 6, "{}", found.marks.rows().len());
    assert!(read("spoilt.eval", &spoilt, &strict()).is_err());
    let table = fs::read(data("long.parquet")).expect("table");
    let whole = read("x.parquet", &table, &strict()).expect("read");
    assert_eq!(rows(&whole), ["a 1 1", "a 2 0", "b 1 0.5"]);
    for cut in [4, 50, table.len() / 2, table.len() - 3] {
        let error = read("cut.parquet", &table[..cut], &lax()).expect_err("cut off");
        assert!(error.contains("cut.parquet") && error.contains("damaged"), "{error}");
    }
}

/// A deflated zip archive whose members are named so and hold that.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("member");
        zip.write_all(content).expect("content");
    }
    zip.finish().expect("archive").into_inner()
}

#[test]
fn archives_cannot_fill_the_memory_or_write_elsewhere() {
    let header = br#"{"eval": {"task": "t", "model": "m"}}"#;
    let sample = br#"{"id": 1, "epoch": 1, "scores": {"s": {"value": "C"}}}"#;
    let mut bomb = br#"{"id": 2, "epoch": 1, "scores": {"s": {"value": "C"}}, "store": ""#.to_vec();
    bomb.resize((256 << 20) + 1, b' ');
    let log = archive(&[
        ("header.json", header),
        ("samples/1_epoch_1.json", sample),
        ("samples/2_epoch_1.json", &bomb),
        ("samples/../../../evil.json", br#"{"id": 3, "scores": {"s": {"value": "I"}}}"#),
    ]);
    assert!(log.len() < 1 << 20, "{}", log.len());
    let (folder, path) = file("bomb.eval", log);
    let found = marks::read(&[path], &lax()).expect("read");
    assert_eq!(rows(&found), ["m t/1 1", "m t/3 0"]);
    assert_eq!(found.notes.iter().map(|note| note.reason).collect::<Vec<_>>(), ["damaged-member"]);
    assert!(found.notes[0].detail.contains("unpacks to more than 256 MiB"), "{:?}", found.notes);
    assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 1);
    let error = read("other.eval", archive(&[("a.txt", b"hello")]), &lax()).expect_err("no log");
    assert!(error.contains("no Inspect log"), "{error}");
    let deep = format!("{{\"eval\": {}{}, \"version\": 2}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read("deep.json", deep, &lax()).is_err());
}

#[test]
fn a_harness_log_with_broken_parts_gives_the_others() {
    let lines = "{\"doc_id\": 0, \"doc\": {}, \"exact_match\": NaN, \"filter\": \"none\"}\n\
                 {\"doc_id\": 0, \"doc\": {}, \"exact_match\": 1.0}\n{\"doc_id\": 1, \"doc\": {}, \"exact_match\": NaN}\n\
                 {\"doc\": {}, \"exact_match\": 1.0}\n{\"doc_id\": 2, \"doc\": {}, \"exact_ma\n{\"doc_id\": 3, \"doc\": {}, \"exact_match\": [0]}\n";
    let found = read("samples_t_2026-01-01T00-00-00.1.jsonl", lines, &lax()).expect("read");
    assert_eq!(found.marks.items()[0].id, "t/0");
    let reasons: Vec<_> = notes(&found);
    let expected =
        [("no-metric", Some(1), 1), ("no-score", Some(3), 2), ("no-item", Some(4), 1), ("not-json", Some(5), 1)];
    assert_eq!(reasons, expected);
    let helm =
        "[{\"instance_id\": \"a\", \"stats\": [{\"name\": {\"name\": \"exact_match\"}, \"count\": 1, \"sum\": 1}]}, 7]";
    let found = read("per_instance_stats.json", helm, &lax()).expect("read");
    assert_eq!((found.marks.rows().len(), notes(&found)), (1, vec![("not-an-answer", None, 1)]));
    let error = read("per_instance_stats.json", &helm[..60], &lax()).expect_err("cut off");
    assert!(error.contains("HELM"), "{error}");
    let compass = "{\"details\": {\"0\": {\"correct\": true}, \"1\": {\"pred\": \"x\"}, \"2\": {\"correct\": NaN}}}";
    let found = read("t.json", compass, &lax()).expect("read");
    assert_eq!((found.marks.rows().len(), notes(&found)), (1, vec![("no-score", None, 2)]));
    let error = read("t.json", "{\"details\": null}", &lax()).expect_err("no details");
    assert!(error.contains("dump-eval-details"), "{error}");
}
