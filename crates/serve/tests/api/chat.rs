use lm::{Generate, LanguageModel, Message, Prompt, Sampling};
use serde_json::{Value, json};

use crate::house::{House, texts, tiny};

const CHAT: &str = "/v1/chat/completions";

fn ask(extra: Value) -> Value {
    let mut body = json!({
        "model": "tiny", "messages": [{ "role": "user", "content": "the sea" }], "max_tokens": 24, "seed": 3,
    });
    for (key, value) in extra.as_object().expect("an object") {
        body[key] = value.clone();
    }
    body
}

#[tokio::test]
async fn the_answer_is_the_model_s_own() {
    let model = tiny();
    let house = House::of(model.clone()).await;
    let answer = house.ask(CHAT, ask(json!({ "n": 3, "temperature": 1.3, "top_k": 40, "min_p": 0.01 }))).await;
    let request = Generate {
        n: 3,
        seed: 3,
        sampling: Sampling { temperature: 1.3, top_k: 40, min_p: 0.01, ..Sampling::default() },
        ..Generate::greedy(Prompt::ask("the sea"), 24)
    };
    let own = model.generate(request).await.expect("generates");
    for (index, completion) in own.completions.iter().enumerate() {
        assert_eq!(answer["choices"][index]["message"]["content"], completion.text);
        assert_eq!(answer["choices"][index]["index"], index);
    }
    let prompt = model.tokenize(&Prompt::ask("the sea")).expect("tokens").len();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!((&answer["model"], &answer["usage"]["prompt_tokens"]), (&json!("tiny"), &json!(prompt)));
    assert_eq!(answer["usage"]["completion_tokens"], own.usage.decode);
}

#[tokio::test]
async fn a_stream_says_the_same() {
    let house = House::of(tiny()).await;
    for extra in [json!({}), json!({ "n": 4 }), json!({ "stop": ["e", "1"], "n": 2 }), json!({ "temperature": 0 })] {
        let n = extra["n"].as_u64().unwrap_or(1) as usize;
        let whole = house.ask(CHAT, ask(extra.clone())).await;
        let mut body = ask(extra);
        body["stream_options"] = json!({ "include_usage": true });
        let chunks = house.stream(CHAT, body).await;
        for (index, text) in texts(&chunks, n).iter().enumerate() {
            let choice = &whole["choices"][index];
            assert_eq!(choice["message"]["content"], *text);
            let of_choice = |chunk: &&Value| chunk["choices"][0]["index"] == index;
            let own: Vec<_> = chunks.iter().filter(of_choice).map(|chunk| &chunk["choices"][0]).collect();
            assert_eq!(own[0]["delta"], json!({ "role": "assistant", "content": "" }));
            assert_eq!(own.last().expect("an end")["finish_reason"], choice["finish_reason"]);
            assert_eq!(own.iter().filter(|choice| !choice["finish_reason"].is_null()).count(), 1);
        }
        let last = chunks.last().expect("usage");
        assert_eq!(last["choices"], json!([]));
        assert_eq!(last["usage"]["total_tokens"], whole["usage"]["total_tokens"]);
        assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["id"] == last["id"]));
    }
    let without = house.stream(CHAT, ask(json!({}))).await;
    assert!(without.iter().all(|chunk| chunk.get("usage").is_none() && chunk["choices"] != json!([])));
}

#[tokio::test]
async fn an_answer_ends_before_a_stop_string() {
    let house = House::of(tiny()).await;
    let whole = house.ask(CHAT, ask(json!({ "temperature": 0 }))).await;
    let text = whole["choices"][0]["message"]["content"].as_str().expect("text").to_owned();
    let stop: String = text.chars().skip(4).take(3).collect();
    assert_eq!(stop.chars().count(), 3, "{text:?}");
    let at = text.find(&stop).expect("in it");
    for stops in [json!(stop), json!([stop]), json!(["not there", stop])] {
        let cut = house.ask(CHAT, ask(json!({ "temperature": 0, "stop": stops }))).await;
        assert_eq!(cut["choices"][0]["message"]["content"], text[..at]);
        assert_eq!(cut["choices"][0]["finish_reason"], "stop");
    }
}

#[tokio::test]
async fn a_seed_fixes_the_answer_and_none_does_not() {
    let house = House::of(tiny()).await;
    let text = async |extra: Value| house.ask(CHAT, ask(extra)).await["choices"][0]["message"]["content"].clone();
    let seeded = text(json!({})).await;
    assert_eq!(text(json!({})).await, seeded);
    assert_ne!(text(json!({ "seed": 4 })).await, seeded);
    assert_ne!(text(json!({ "seed": -3 })).await, seeded);
    assert_ne!(text(json!({ "seed": null })).await, text(json!({ "seed": null })).await);
    assert_eq!(text(json!({ "temperature": 0 })).await, text(json!({ "temperature": 0, "seed": 9 })).await);
}

#[tokio::test]
async fn log_probabilities_are_the_model_s_own() {
    let model = tiny();
    let house = House::of(model.clone()).await;
    let body = ask(json!({ "logprobs": true, "top_logprobs": 3, "temperature": 1.0 }));
    let answer = house.ask(CHAT, body.clone()).await;
    let request = Generate {
        seed: 3,
        logprobs: true,
        top_logprobs: 3,
        sampling: Sampling { temperature: 1.0, ..Sampling::default() },
        ..Generate::greedy(Prompt::ask("the sea"), 24)
    };
    let own = &model.generate(request).await.expect("generates").completions[0];
    let content = answer["choices"][0]["logprobs"]["content"].as_array().expect("content").clone();
    assert!(!content.is_empty() && content.len() == own.logprobs.len());
    for (token, own) in content.iter().zip(&own.logprobs) {
        assert_eq!(token["token"], own.text);
        assert_eq!(token["logprob"].as_f64().map(|x| x as f32), Some(own.logprob));
        assert_eq!(token["bytes"].is_null(), own.text.contains('\u{fffd}'));
        let top = token["top_logprobs"].as_array().expect("top");
        assert_eq!(top.len(), 3);
        assert!(top.windows(2).all(|pair| pair[0]["logprob"].as_f64() >= pair[1]["logprob"].as_f64()));
    }
    let chunks = house.stream(CHAT, body).await;
    let streamed: Vec<_> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["logprobs"]["content"].as_array())
        .flatten()
        .cloned()
        .collect();
    assert_eq!(streamed, content);
    let none = house.ask(CHAT, ask(json!({}))).await;
    assert_eq!(none["choices"][0]["logprobs"], Value::Null);
}

#[tokio::test]
async fn a_begun_turn_is_continued() {
    let model = tiny();
    let house = House::of(model.clone()).await;
    let turn = |extra: Value| {
        let mut last = json!({ "role": "assistant", "content": "it is" });
        last["prefix"] = extra["prefix"].clone();
        let messages = json!([{ "role": "system", "content": "s" }, { "role": "user", "content": "what" }, last]);
        let mut body = ask(json!({ "messages": messages, "temperature": 0 }));
        body["continue_final_message"] = extra["continue"].clone();
        body["echo"] = extra["echo"].clone();
        body
    };
    let request = Generate {
        begun: "it is".into(),
        ..Generate::greedy(Prompt::Messages(vec![Message::system("s"), Message::user("what")]), 24)
    };
    let own = model.generate(request).await.expect("generates").completions.remove(0).text;
    for extra in [json!({ "prefix": true }), json!({ "continue": true })] {
        let answer = house.ask(CHAT, turn(extra)).await;
        assert_eq!(answer["choices"][0]["message"]["content"], own);
    }
    let echoed = turn(json!({ "prefix": true, "echo": true }));
    let answer = house.ask(CHAT, echoed.clone()).await;
    assert_eq!(answer["choices"][0]["message"]["content"], format!("it is{own}"));
    assert_eq!(texts(&house.stream(CHAT, echoed).await, 1), [format!("it is{own}")]);
    let plain = house.ask(CHAT, turn(json!({}))).await;
    assert_ne!(plain["choices"][0]["message"]["content"], own, "the turn is closed and a new one opened");
}

#[tokio::test]
async fn an_answer_keeps_to_its_format() {
    let house = House::of(tiny()).await;
    let schema = json!({
        "type": "object",
        "properties": { "city": { "enum": ["Rome", "Oslo"] }, "big": { "type": "boolean" } },
        "required": ["city", "big"],
        "additionalProperties": false,
    });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "city", "schema": schema } });
    for seed in 0..5 {
        let body = ask(json!({ "response_format": format, "max_tokens": 200, "seed": seed }));
        let answer = house.ask(CHAT, body).await;
        let choice = &answer["choices"][0];
        if choice["finish_reason"] == "stop" {
            let text = choice["message"]["content"].as_str().expect("text");
            let object: Value = serde_json::from_str(text).expect("JSON");
            assert!(["Rome", "Oslo"].contains(&object["city"].as_str().expect("a city")), "{text}");
            assert!(object["big"].is_boolean(), "{text}");
        }
    }
    let answer =
        house.ask(CHAT, ask(json!({ "regex": "(yes|no), [0-9]{3}", "response_format": { "type": "text" } }))).await;
    let text = answer["choices"][0]["message"]["content"].as_str().expect("text");
    assert!(
        (text.starts_with("yes, ") || text.starts_with("no, ")) && text.ends_with(|c: char| c.is_ascii_digit()),
        "{text}"
    );
}
