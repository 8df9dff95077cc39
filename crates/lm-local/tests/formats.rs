//! Text that must obey a format, on a model that says anything.

use futures::future::join_all;
use lm::{Error, Finish, Format, Generate, LanguageModel, Prompt, Sampling};
use lm_local::{Config, LocalModel, Precision};
use serde_json::{Value, json};
use weights::{Architecture, Checkpoint};

fn tiny() -> LocalModel {
    let checkpoint = Checkpoint::random(Architecture::tiny(), 7).expect("a random model");
    LocalModel::load(&checkpoint, Config { memory_mb: 8, precision: Precision::F32, ..Config::default() })
        .expect("loads")
}

fn ask(format: Format, seed: u64) -> Generate {
    let sampling = match seed % 4 {
        0 => Sampling::default(),
        1 => Sampling { temperature: 1.0, top_k: 20, ..Sampling::default() },
        2 => Sampling { temperature: 1.3, top_p: 0.9, repetition_penalty: 1.2, ..Sampling::default() },
        _ => Sampling { temperature: 1.0, ..Sampling::default() },
    };
    let prompt = Prompt::Raw(format!("the sea {seed}"));
    Generate { seed, n: 2, sampling, logprobs: true, format: Some(format), ..Generate::greedy(prompt, 200) }
}

fn person() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "maxLength": 12 },
            "age": { "type": "integer", "minimum": 0, "maximum": 150 },
            "sea": { "enum": ["north", "south", null] },
            "marks": { "type": "array", "items": { "type": "boolean" }, "maxItems": 3 },
        },
        "required": ["name", "age", "sea", "marks"],
        "additionalProperties": false,
    })
}

fn is_person(value: &Value) -> bool {
    value.as_object().is_some_and(|o| o.len() == 4)
        && value["name"].as_str().is_some_and(|name| name.chars().count() <= 12)
        && value["age"].as_u64().is_some_and(|age| age <= 150)
        && [json!("north"), json!("south"), json!(null)].contains(&value["sea"])
        && value["marks"].as_array().is_some_and(|marks| marks.len() <= 3 && marks.iter().all(Value::is_boolean))
}

#[tokio::test]
async fn a_finished_text_obeys_its_format() {
    let model = tiny();
    let (mut finished, mut cut) = (0, 0);
    for (kind, format) in [Format::JsonObject, Format::JsonSchema(person())].into_iter().enumerate() {
        let all = join_all((0..50).map(|seed| model.generate(ask(format.clone(), seed)))).await;
        for completion in all.into_iter().flat_map(|generation| generation.expect("generates").completions) {
            if completion.finish == Finish::Length {
                cut += 1;
                continue;
            }
            finished += 1;
            let value: Value = serde_json::from_str(&completion.text).expect(&completion.text);
            assert!(value.is_object() && (kind == 0 || is_person(&value)), "{}", completion.text);
            assert_eq!(completion.finish, Finish::Stop);
            assert_eq!(model.tokenizer().decode(&completion.tokens), completion.text);
        }
    }
    assert!(finished >= 60 && cut > 0, "{finished} finished, {cut} cut");
}

#[tokio::test]
async fn a_pattern_is_matched_whole_and_a_limit_still_cuts() {
    let model = tiny();
    let whole = regex::Regex::new("^(yes|no|perhaps), [0-9]{2}/[a-f]{3,5}!?$").expect("a pattern");
    for seed in 0..20 {
        let format = Format::Regex("(yes|no|perhaps), [0-9]{2}/[a-f]{3,5}!?".into());
        for completion in model.generate(ask(format.clone(), seed)).await.expect("generates").completions {
            assert!(completion.finish == Finish::Stop && whole.is_match(&completion.text), "{completion:?}");
        }
        let short = Generate { max_tokens: 3, ..ask(format, seed) };
        for completion in model.generate(short).await.expect("generates").completions {
            assert_eq!((completion.finish, completion.tokens.len()), (Finish::Length, 3));
        }
    }
    // A stop string and a boundary still end the text before it is complete.
    let format = Format::Regex("one two three".into());
    let stopped = Generate { stop: vec!["two".into()], ..ask(format.clone(), 1) };
    let stopped = model.generate(stopped).await.expect("generates").completions.remove(0);
    assert_eq!((stopped.text.as_str(), stopped.finish), ("one ", Finish::Stop));
    let step = Generate { until: Some("tw".into()), ..ask(format, 1) };
    let step = model.generate(step).await.expect("generates").completions.remove(0);
    assert!("one two three".starts_with(&step.text) && step.text.contains("tw"), "{step:?}");
    assert_eq!(step.finish, Finish::Boundary);
}

#[tokio::test]
async fn numbers_stay_raw_and_others_are_left_alone() {
    let model = tiny();
    let plain = |seed| Generate { format: None, max_tokens: 20, ..ask(Format::JsonObject, seed) };
    let formed = |seed| ask(Format::JsonSchema(person()), seed);
    let mut expected = Vec::new();
    for seed in 0..8 {
        expected.push(model.generate(plain(seed)).await.expect("generates").completions);
        expected.push(model.generate(formed(seed)).await.expect("generates").completions);
    }
    let together = (0..8).flat_map(|seed| [plain(seed), formed(seed)]).map(|request| model.generate(request));
    for (found, expected) in join_all(together).await.into_iter().zip(&expected) {
        assert_eq!(&found.expect("generates").completions, expected);
    }
    let completion = &expected[1][0];
    let prompt = model.tokenizer().raw("the sea 0");
    let logits = model.logits(&[prompt.clone(), completion.tokens.clone()].concat(), None).expect("logits");
    let rows: Vec<&[f32]> = logits.chunks_exact(model.architecture().vocab).collect();
    let mut forced = 0;
    for (i, token) in completion.logprobs.iter().enumerate() {
        let row = rows[prompt.len() + i - 1];
        let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
        let expected = f64::from(row[completion.tokens[i] as usize]) - sum.ln();
        assert!((f64::from(token.logprob) - expected).abs() < 1e-4, "{} against {expected}", token.logprob);
        forced += usize::from(token.greedy == Some(false));
    }
    assert!(forced > 0, "the format changes what a greedy model says");
}

#[tokio::test]
async fn a_format_that_cannot_be_followed_is_refused() {
    let model = tiny();
    for format in [
        Format::Regex("(".into()),
        Format::JsonSchema(json!({ "type": "wrong" })),
        Format::JsonSchema(json!({ "type": "array", "minItems": 3, "maxItems": 1 })),
    ] {
        let error = model.generate(ask(format.clone(), 1)).await.expect_err("cannot be followed");
        assert!(matches!(&error, Error::Request { field: "format", .. }), "{format:?}: {error}");
    }
    assert!(model.capabilities().formats);
}
