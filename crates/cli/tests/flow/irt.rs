//! `lyceum irt` as a user runs it.

use std::fs;

use serde_json::Value;

use crate::setting::{Setting, errors, run};

const LSAT6: [u32; 32] = [
    3, 6, 2, 11, 1, 1, 3, 4, 1, 8, 0, 16, 0, 3, 2, 15, 10, 29, 14, 81, 3, 28, 15, 80, 16, 56, 21, 173, 11, 61, 28, 298,
];

/// Counts of the patterns 00000 to 11111 as a file of person, item, score.
fn lsat6() -> String {
    let mut text = "person,item,score,group\n".to_string();
    let mut person = 0;
    for (pattern, count) in LSAT6.iter().enumerate() {
        for _ in 0..*count {
            let group = if person % 2 == 0 { "even" } else { "odd" };
            for item in 0..5 {
                text += &format!("p{person:04},item{item},{},{group}\n", pattern >> (4 - item) & 1);
            }
            person += 1;
        }
    }
    text
}

/// Scores of `persons` on items by a rule, as a file.
fn table(persons: usize, items: usize, score: impl Fn(usize, usize) -> String) -> String {
    let mut text = "person,item,score\n".to_string();
    for person in 0..persons {
        for item in 0..items {
            let score = score(person, item);
            if !score.is_empty() {
                text += &format!("p{person},i{item},{score}\n");
            }
        }
    }
    text
}

/// Right where ability beats difficulty, with some noise that is the same everywhere.
fn plain(person: usize, item: usize) -> String {
    u8::from(person % 8 + (person * person + item * item * 3 + person * item * 5) % 7 > item % 7 + 3).to_string()
}

fn found(setting: &Setting, arguments: &[&str]) -> Value {
    let mut command = setting.lyceum(&["irt"]);
    command.args(arguments).args(["--json", "--quiet"]);
    let output = run(command);
    assert!(output.status.success(), "{arguments:?}: {}", errors(&output));
    let text = String::from_utf8(output.stdout).expect("text");
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

fn complaint(setting: &Setting, arguments: &[&str]) -> String {
    let mut command = setting.lyceum(&["irt"]);
    command.args(arguments);
    let output = run(command);
    let text = errors(&output);
    assert!(!output.status.success() && !text.contains("panicked"), "{arguments:?}: {text}");
    assert_eq!(output.status.code(), Some(2), "{text}");
    text
}

#[track_caller]
fn near(found: impl IntoIterator<Item = f64>, wanted: &[f64], within: f64) {
    let found: Vec<f64> = found.into_iter().collect();
    let close = found.iter().zip(wanted).all(|(f, w)| (f - w).abs() <= within);
    assert!(close && found.len() == wanted.len(), "{found:?} is not {wanted:?}");
}

fn difficulties(found: &Value) -> Vec<f64> {
    let items = found["analysis"]["items"].as_array().expect("items");
    let one = |item: &Value| item["difficulties"][0].as_f64().expect("a number");
    let mut named: Vec<(&str, f64)> = items.iter().map(|i| (i["id"].as_str().expect("an id"), one(i))).collect();
    named.sort_by_key(|(id, _)| *id);
    named.into_iter().map(|(_, b)| b).collect()
}

#[test]
fn lsat6_comes_out_as_published() {
    let setting = Setting::new();
    setting.write("lsat6.csv", lsat6());
    let rasch = found(&setting, &["lsat6.csv", "--fit", "rasch", "--dif", "group", "--out", "one"]);
    let number = |found: &Value, key: &str| found["analysis"][key].as_f64().expect("a number");
    near([number(&rasch, "log_likelihood")], &[-2466.938], 1e-3);
    near(difficulties(&rasch), &[-3.6153, -1.3224, -0.3176, -1.7301, -2.7802], 1e-3);
    near([rasch["analysis"]["items"][0]["slope"].as_f64().expect("a slope")], &[0.7551], 5e-4);
    let tests = rasch["analysis"]["tests"].as_array().expect("tests");
    assert!(tests.iter().all(|test| test["test"]["p"].as_f64().is_some_and(|p| p > 0.05)), "{tests:?}");
    let dif = rasch["analysis"]["dif"]["lines"].as_array().expect("dif");
    assert!(dif.iter().all(|line| line["class"] == "A"), "{dif:?}");
    let two = found(&setting, &["lsat6.csv", "--fit", "2pl", "--out", "two"]);
    near([number(&two, "log_likelihood")], &[-2466.653], 1e-3);
    near(difficulties(&two), &[-3.359, -1.370, -0.280, -1.866, -3.126], 5e-3);
    let cml = found(&setting, &["lsat6.csv", "--method", "cml", "--out", "cml"]);
    near(difficulties(&cml), &[-1.2561, 0.4749, 1.2360, 0.1684, -0.6232], 5e-4);
    // The lower BIC is that of one slope, and auto says so.
    let auto = found(&setting, &["lsat6.csv", "--out", "auto", "--figures", "svg,png"]);
    assert_eq!(auto["analysis"]["model"], "rasch");
    assert!(auto["analysis"]["why"][0].as_str().expect("a reason").contains("BIC"));
    for name in ["items.csv", "persons.csv", "fit.json", "analysis.json", "manifest.json", "irt.html"] {
        assert!(setting.path("auto").join(name).exists(), "{name}");
    }
    for name in ["wright", "curves", "icc", "information", "kidmap"] {
        let svg = fs::read_to_string(setting.path("auto").join(format!("{name}.svg"))).expect("a figure");
        assert!(svg.starts_with("<svg"), "{name}");
        let png = fs::read(setting.path("auto").join(format!("{name}.png"))).expect("a figure");
        assert!(png.starts_with(b"\x89PNG"), "{name}");
    }
    assert_eq!(fs::read_to_string(setting.path("auto/persons.csv")).expect("persons").lines().count(), 1001);
}

#[test]
fn a_second_sitting_stands_on_the_scale_of_the_first() {
    let setting = Setting::new();
    setting.write("first.csv", lsat6());
    let first = found(&setting, &["first.csv", "--out", "first"]);
    // Two persons, before and after, on four of the five items: far too few to fit anything.
    let after = "person,item,score\nbefore,item0,1\nbefore,item1,0\nbefore,item2,0\nbefore,item3,1\n\
                 after,item0,1\nafter,item1,1\nafter,item2,1\nafter,item3,1\n";
    setting.write("second.csv", after);
    let second = found(&setting, &["second.csv", "--anchor", "first/fit.json", "--out", "second"]);
    near(difficulties(&second), &difficulties(&first)[..4], 1e-12);
    let person = |at: usize, key: &str| second["analysis"]["persons"][at][key].as_f64().expect("a number");
    assert!(person(1, "theta") > person(0, "theta") && person(0, "error") > 0.3, "{second}");
    assert!(second["analysis"]["scale"].as_str().expect("words").contains("anchor"));
    setting.write("other.csv", "person,item,score\na,x,1\na,y,0\nb,x,0\nb,y,1\n");
    let text = complaint(&setting, &["other.csv", "--anchor", "first/fit.json"]);
    assert!(text.contains("none of the 2 items of the logs stands in the anchor"), "{text}");
    setting.write("broken.json", "{\"schema_version\": 1}");
    let text = complaint(&setting, &["second.csv", "--anchor", "broken.json"]);
    assert!(text.contains("broken.json") && text.contains("hint: "), "{text}");
}

#[test]
fn bad_designs_are_named_and_what_can_be_estimated_is() {
    let setting = Setting::new();
    let scores = |person: usize, item: usize| match (person, item) {
        (_, 0) => "1".into(),
        (_, 1) => "0".into(),
        (0, _) => "1".into(),
        (1, _) => "0".into(),
        _ => plain(person, item),
    };
    setting.write("alike.csv", table(40, 12, scores));
    let alike = found(&setting, &["alike.csv"]);
    let aside = alike["analysis"]["aside"].to_string();
    assert!(
        aside.contains("i0") && aside.contains("answered it right") && aside.contains("answered it wrong"),
        "{aside}"
    );
    let persons = &alike["analysis"]["persons"];
    assert_eq!((&persons[0]["extreme"], &persons[1]["extreme"]), (&"all right".into(), &"all wrong".into()));
    assert!(persons[0]["theta"].as_f64().is_some());

    let apart =
        |person: usize, item: usize| if (person < 25) == (item < 8) { plain(person, item) } else { String::new() };
    setting.write("apart.csv", table(40, 14, apart));
    let parts = found(&setting, &["apart.csv"]);
    let named = parts["analysis"]["parts"].as_array().expect("parts");
    assert_eq!(named.len(), 2, "{named:?}");
    assert!(named[1]["persons"].to_string().contains("p39") && named[1]["items"].to_string().contains("i13"));
    assert_eq!(parts["analysis"]["persons"].as_array().map(Vec::len), Some(25));

    // Nobody scores 1 of 3 on the first item.
    let gap = |person: usize, item: usize| match item {
        0 => [0, 2, 3][person % 3].to_string(),
        _ => (person * 5 + item * 3 + person * item).rem_euclid(4).to_string(),
    };
    setting.write("gap.csv", table(60, 6, gap));
    let gap = found(&setting, &["gap.csv", "--fit", "pcm"]);
    assert_eq!(gap["analysis"]["items"][0]["how"], "joined");
    assert_eq!(gap["analysis"]["items"][0]["cuts"].as_array().map(Vec::len), Some(2));
    let mut command = setting.lyceum(&["irt", "gap.csv", "--fit", "pcm"]);
    command.arg("--quiet");
    let said = String::from_utf8(run(command).stdout).expect("text");
    assert!(said.contains("Nobody reached some score of 1 item (i0)"), "{said}");
}

#[test]
fn two_persons_one_item_and_no_number_are_named() {
    let setting = Setting::new();
    setting.write("two.csv", table(2, 9, plain));
    let two = found(&setting, &["two.csv"]);
    assert_eq!(two["analysis"]["method"], "bayes");
    assert!(two["analysis"]["why"].to_string().contains("2 persons are fewer than 30"), "{}", two["analysis"]["why"]);
    assert!(two["analysis"]["persons"][0]["deviation"].as_f64().is_some_and(|sd| sd > 0.3));

    setting.write("one.csv", table(9, 1, |person, _| (person % 2).to_string()));
    let text = complaint(&setting, &["one.csv"]);
    assert!(text.contains("1 of 1 items") && text.contains("95 % interval") && text.contains("hint: "), "{text}");
    setting.write("single.csv", table(1, 5, |_, item| (item % 2).to_string()));
    let text = complaint(&setting, &["single.csv"]);
    assert!(text.contains("of 1 persons can be compared") && text.contains("hint: "), "{text}");

    let nan = |person: usize, item: usize| if (person, item) == (3, 2) { "NaN".into() } else { plain(person, item) };
    setting.write("nan.csv", table(40, 6, nan));
    let read = found(&setting, &["nan.csv"]);
    assert!(read["analysis"]["reading"].to_string().contains("nan.csv:22"), "{}", read["analysis"]["reading"]);
    assert_eq!(read["analysis"]["responses"], 239);
    let text = complaint(&setting, &["nan.csv", "--strict"]);
    assert!(text.contains("nan.csv:22"), "{text}");

    let twice = table(40, 6, plain) + "p0,i0,0\np0,i0,1\n";
    setting.write("twice.csv", twice);
    let text = complaint(&setting, &["twice.csv"]);
    assert!(text.contains("p0") && text.contains("i0"), "{text}");
    assert_eq!(found(&setting, &["twice.csv", "--duplicates", "first"])["analysis"]["responses"], 240);
}

#[test]
fn what_cannot_be_fitted_so_is_said_with_what_can() {
    let setting = Setting::new();
    setting.write("plain.csv", table(40, 8, plain));
    for (arguments, words) in [
        (["--fit", "5pl"], "no model of responses is called \"5pl\""),
        (["--fit", "facets"], "needs two graders"),
        (["--dif", "colour"], "no column \"colour\""),
        (["--dif", "group=a:b"], "group \"a\" has 0 persons"),
        (["--kidmap", "nobody"], "no such person"),
    ] {
        let text = complaint(&setting, &[&["plain.csv"], &arguments[..]].concat());
        assert!(text.contains(words) && text.contains("hint: "), "{arguments:?}: {text}");
    }
    let text = complaint(&setting, &["plain.csv", "--fit", "2pl", "--method", "cml"]);
    assert!(text.contains("cml cannot fit 2pl"), "{text}");
    let few = found(&setting, &["plain.csv", "--fit", "2pl", "--method", "mml"]);
    assert!(few["analysis"]["why"].to_string().contains("prefer rasch"), "{}", few["analysis"]["why"]);
    let jml = found(&setting, &["plain.csv", "--method", "jml"]);
    assert!(jml["analysis"]["why"].to_string().contains("biased"));
    let planes = found(&setting, &["plain.csv", "--fit", "mirt-2"]);
    assert_eq!(planes["analysis"]["planes"]["items"][7]["slopes"].as_array().map(Vec::len), Some(2));
}

#[test]
fn graders_stand_on_the_same_scale() {
    let setting = Setting::new();
    let mut text = "person,item,grader,score,max\n".to_string();
    for person in 0..30 {
        for item in 0..4 {
            for (grader, off) in [("kind", 1), ("plain", 0), ("strict", -1)] {
                let mark = (person / 8 + (person * 3 + item * 7) % 3 - item / 2 + off).clamp(0, 4);
                text += &format!("p{person},i{item},{grader},{mark},4\n");
            }
        }
    }
    setting.write("marks.csv", text);
    let found = found(&setting, &["marks.csv", "--fit", "facets"]);
    let graders = found["analysis"]["graders"]["lines"].as_array().expect("graders");
    let severity = |at: usize| graders[at]["severity"].as_f64().expect("a number");
    assert!(severity(0) < severity(1) && severity(1) < severity(2), "{graders:?}");
    assert!(found["analysis"]["graders"]["all_equal"].as_f64().is_some_and(|p| p < 0.001));
}

#[test]
fn the_paper_s_questions_come_with_their_nulls() {
    let setting = Setting::new();
    let mut text = "person,item,score,difficulty,base,subject\n".to_string();
    for person in 0..10_usize {
        for item in 0..40_usize {
            let hash = (person * 7919 + item * 104_729 + person * item * 31) % 1000;
            let logit = 2.0 + 0.3 * person as f64 - 0.12 * item as f64;
            let right = (hash as f64) < 1000.0 / (1.0 + (-logit).exp());
            text += &format!(
                "p{person},i{item},{},{:.2},b{},s{}\n",
                u8::from(right),
                item as f64 / 4.0,
                person / 2,
                item % 2
            );
        }
    }
    setting.write("logs.csv", text);
    let found = found(&setting, &["logs.csv", "--mode", "paper", "--slope", "free"]);
    let paper = &found["analysis"]["paper"];
    assert_eq!(paper["discrepancies"].as_array().map(Vec::len), Some(4), "{paper}");
    assert_eq!(paper["consistency"].as_array().map(Vec::len), Some(20));
    for d in paper["discrepancies"].as_array().expect("a list") {
        assert!(d["simulated"]["p"].as_f64().is_some() && d["permuted"]["p"].as_f64().is_some(), "{d}");
        assert_eq!(d["controls"], 20);
    }
    let warnings = paper["warnings"].to_string();
    assert!(
        warnings.contains("10 persons are fewer than 30") && warnings.contains("5 independent bases"),
        "{warnings}"
    );
    let page = fs::read_to_string(setting.path("runs/irt/irt.html")).expect("the page");
    assert!(page.contains("31.7 %") && page.contains("Negative control"));
    setting.write("judged.csv", "first,second,points\ni0,i1,0\ni1,nowhere,1\n");
    let text =
        complaint(&setting, &["logs.csv", "--mode", "paper", "--difficulty", "elo", "--judgements", "judged.csv"]);
    assert!(text.contains("judged.csv:3") && text.contains("nowhere"), "{text}");
}

#[test]
fn a_run_tells_abilities_before_and_after_on_the_scale_of_a_calibration() {
    let setting = Setting::new();
    let done = |command| {
        let output = run(command);
        assert!(output.status.success(), "{}", errors(&output));
    };
    done(setting.evolve("first"));
    let answers = fs::read_to_string(setting.path("first/before/responses.jsonl")).expect("answers");
    let mut items: Vec<String> = Vec::new();
    for line in answers.lines() {
        let answer: Value = serde_json::from_str(line).expect("JSON");
        let item = answer["item"].as_str().expect("an id").to_string();
        if !items.contains(&item) {
            items.push(item);
        }
    }
    let mut marks = "person,item,score\n".to_string();
    for person in 0..40 {
        items.iter().enumerate().for_each(|(at, id)| marks += &format!("p{person},{id},{}\n", plain(person, at)));
    }
    setting.write("marks.csv", marks);
    done(setting.lyceum(&["irt", "marks.csv", "--out", "scale", "--quiet"]));

    let mut second = setting.evolve("second");
    second.args(["--set", "exam.calibration=scale/fit.json"]);
    done(second);
    let report: Value = record::shard::read_json(&setting.path("second/report.json")).expect("a report");
    let growth = &report["papers"][0]["growth"];
    assert_eq!((&growth["persons"], &growth["items"]), (&Value::from(40), &Value::from(items.len())));
    for sitting in ["before", "after"] {
        let (theta, error) = (growth[sitting][0].as_f64(), growth[sitting][1].as_f64());
        assert!(theta.is_some_and(f64::is_finite) && error.is_some_and(|error| error > 0.0), "{growth}");
    }
    // Items that nobody calibrated tell nothing, and the report says so.
    setting.write("other.csv", table(40, 10, plain));
    done(setting.lyceum(&["irt", "other.csv", "--out", "other", "--quiet"]));
    let mut third = setting.evolve("third");
    third.args(["--set", "exam.calibration=other/fit.json"]);
    done(third);
    let report: Value = record::shard::read_json(&setting.path("third/report.json")).expect("a report");
    assert_eq!(report["papers"][0]["growth"], Value::Null);
    assert!(report["notes"].to_string().contains("exam.calibration"), "{}", report["notes"]);
}
