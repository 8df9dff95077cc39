use serde_json::Value;

use weights::{Architecture, Checkpoint, Encoding};

use crate::setting::{Setting, errors, run};

const TEXTS: &str = "{\"text\":\"The warden of North Hall is Ilse.\",\"domain\":\"people\"}\n\
                     {\"text\":\" 19 degrees\",\"prompt\":\"The heating is set to\",\"domain\":\"numbers\"}\n";

#[test]
fn models_are_scored_into_one_matrix_and_other_texts_are_refused() {
    let setting = Setting::new();
    setting.write("texts.jsonl", TEXTS);
    let score = |texts: &str, name: &str| {
        let mut command = setting.lyceum(&["score", texts, "--model", "tiny.gguf", "--out", "losses"]);
        command.args(["--name", name, "--json", "--quiet", "--context", "16", "--threads", "1"]);
        run(command)
    };
    for (name, kept) in [("one", false), ("two", false), ("two", true)] {
        let output = score("texts.jsonl", name);
        assert!(output.status.success(), "{}", errors(&output));
        let scores: Value = serde_json::from_slice(&output.stdout).expect("json");
        assert_eq!((&scores["kept"], &scores["texts"]), (&Value::Bool(kept), &Value::from(2)));
        let row = scores["models"].as_array().and_then(|rows| rows.last()).expect("a row");
        assert_eq!(row["name"], name);
        assert!(row["loss"]["value"].as_f64().is_some_and(|loss| loss > 0.0) && row["domains"][0][0] == "numbers");
    }
    let losses = std::fs::read(setting.path("losses/losses.bin")).expect("a matrix");
    assert_eq!((&losses[..8], losses[8]), (&b"lycloss1"[..], 2));
    setting.write("other.txt", "something else");
    let refused = errors(&score("other.txt", "three"));
    assert!(refused.contains("losses holds losses on 2 texts, not on 1") && refused.contains("hint: "), "{refused}");
    let windows = setting.lyceum(&["score", "texts.jsonl", "--model", "tiny.gguf", "--context", "4", "--stride", "4"]);
    assert!(errors(&run(windows)).contains("cannot move on by 4"));
}

#[test]
fn laws_are_held_against_each_other_and_written_out() {
    let setting = Setting::new();
    let mut table = String::from("model,family,params,tokens,loss:a,loss:b,task,other\n");
    for i in 0..12 {
        let (a, b) = (3.0 - 0.15 * f64::from(i), 3.0 - 0.1 * f64::from((i * 5) % 12));
        let share = 1.0 / (1.0 + (4.0 * (a - 2.2)).exp());
        let (family, params, tokens) = (["x", "y", "z"][i as usize % 3], 10 * (1 + i / 3), 100 * (1 + i % 2));
        table += &format!("m{i},{family},{params},{tokens},{a},{b},{share},{}\n", 0.9 * share + 0.05);
    }
    setting.write("published.csv", &table);
    let mut command = setting.lyceum(&["scaling", "published.csv", "--out", "laws", "--replicates", "20", "--quiet"]);
    command.args(["--hold-out", "family,largest", "--items", "500"]);
    let output = run(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", errors(&output));
    assert!(text.contains("one family held out at a time") && text.contains("OLMo ladder"), "{text}");
    for file in ["scaling.html", "scaling.json", "methods.csv", "tasks.csv", "points.csv", "curve-task.svg"] {
        assert!(setting.path("laws").join(file).is_file(), "{file}");
    }
    let wrong = |table: &str, arguments: &[&str]| {
        setting.write("wrong.csv", table);
        let mut command = setting.lyceum(&["scaling", "wrong.csv", "--out", "wrong", "--quiet"]);
        command.args(arguments);
        let output = run(command);
        let text = errors(&output);
        assert!(output.status.code() == Some(2) && text.contains("error: ") && text.contains("hint: "), "{text}");
        text
    };
    assert!(wrong(&table.replace("m3,x", "m0,x"), &[]).contains("two lines have the same model"));
    assert!(wrong(&table.replace("\nm4,y,20,100,", "\nm4,y,20,100,NaN,"), &[]).contains("wrong.csv"));
    assert!(wrong(&table, &["--tasks", "tusk"]).contains("tusk"));
    setting.write("a.csv", "model,t\nnobody,0.5\n");
    assert!(wrong(&table, &["--accuracies", "a.csv"]).contains("accuracies of nobody"));
}

#[test]
fn what_tokens_say_of_a_capability_chooses_the_kept_point_of_a_training() {
    let setting = Setting::new();
    setting.write("texts.jsonl", TEXTS);
    let mut accuracies = String::from("model,sums\n");
    for seed in 0..9 {
        let model = Checkpoint::random(Architecture::tiny(), seed).expect("random model");
        weights::export_gguf(&model, None, &setting.path(&format!("m{seed}.gguf")), Encoding::F32).expect("export");
        let (file, name) = (format!("m{seed}.gguf"), format!("m{seed}"));
        let mut score = setting.lyceum(&["score", "texts.jsonl", "--model", &file, "--name", &name, "--out", "losses"]);
        score.args(["--quiet", "--threads", "1"]);
        let output = run(score);
        assert!(output.status.success(), "{}", errors(&output));
        accuracies += &format!("{name},{}\n", 0.1 + 0.09 * f64::from((seed * 5 % 9) as u32));
    }
    setting.write("accuracies.csv", &accuracies);
    let mut laws =
        setting.lyceum(&["scaling", "losses", "--accuracies", "accuracies.csv", "--items", "100", "--quiet"]);
    laws.args(["--tie", "type", "--replicates", "20", "--out", "laws"]);
    let output = run(laws);
    assert!(output.status.success(), "{}", errors(&output));
    let salience = std::fs::read_to_string(setting.path("laws/salience.csv")).expect("weights");
    assert!(salience.starts_with("task,token,weight\nsums,"), "{salience}");

    let evolve = |task: &str| {
        let mut command = setting.evolve("run");
        command.args(["--set", "early_stop.salience=laws/salience.csv", "--set", &format!("early_stop.task={task}")]);
        // A random model verifies no fact, and so would leave no validation bank.
        command.args(["--set", "synth.verify=false"]);
        run(command)
    };
    let refused = errors(&evolve("words"));
    assert!(refused.contains("no task words; there are: sums") && refused.contains("hint: "), "{refused}");
    let output = evolve("sums");
    assert!(output.status.success(), "{}", errors(&output));
    let report: Value = record::shard::read_json(&setting.path("run/report.json")).expect("a report");
    let looks = report["curve"].as_array().expect("a curve");
    assert!(looks.iter().any(|step| step["weighted_loss"].is_number()), "{looks:?}");
    let page = std::fs::read_to_string(setting.path("run/report.html")).expect("a page");
    assert!(page.contains("chose the kept point"), "the page says by what");
}
