//! A server in front of a server: what `--model http://…` gives.

use lm_http::HttpModel;
use serde_json::json;
use serve::{Config, Models};

use crate::house::{House, entry, texts, tiny};

#[tokio::test]
async fn a_remote_server_is_served_alike() {
    let behind = House::of(tiny()).await;
    let config = lm_http::Config::for_address(&behind.url("/v1"));
    let remote = HttpModel::new(config).expect("an address");
    let models = Models { entries: vec![entry("remote", remote)], embedder: None };
    let front = House::open(models, Config::default()).await;
    let body = json!({ "messages": [{ "role": "user", "content": "the sea" }], "temperature": 0, "max_tokens": 12 });
    let near = behind.ask("/v1/chat/completions", body.clone()).await;
    let far = front.ask("/v1/chat/completions", body.clone()).await;
    assert_eq!(far["choices"], near["choices"]);
    assert_eq!(far["model"], "remote");
    let text = near["choices"][0]["message"]["content"].as_str().expect("text");
    assert_eq!(texts(&front.stream("/v1/chat/completions", body).await, 1), [text]);
    let body = json!({ "prompt": "the sea", "temperature": 0, "max_tokens": 12, "logprobs": 1 });
    let near = behind.ask("/v1/completions", body.clone()).await;
    let far = front.ask("/v1/completions", body).await;
    assert_eq!(far["choices"][0]["text"], near["choices"][0]["text"]);
    assert_eq!(far["choices"][0]["logprobs"]["token_logprobs"], near["choices"][0]["logprobs"]["token_logprobs"]);
    let format = json!({
        "messages": [{ "role": "user", "content": "a" }], "response_format": { "type": "json_object" }, "max_tokens": 40,
    });
    let answer = front.ask("/v1/chat/completions", format).await;
    let text = answer["choices"][0]["message"]["content"].as_str().expect("text");
    assert!(text.trim_start().starts_with('{'), "{text}");
    let (status, answer) = front.post("/tokenize", json!({ "prompt": "a" })).await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (400, &json!("unsupported")));
    drop(behind);
}

#[tokio::test]
async fn a_dead_backend_is_a_bad_gateway() {
    let mut config = lm_http::Config::for_address("http://127.0.0.1:9/v1#x");
    config.retry.attempts = 1;
    let remote = HttpModel::new(config).expect("an address");
    let front = House::open(Models { entries: vec![entry("remote", remote)], embedder: None }, Config::default()).await;
    let (status, answer) = front.post("/v1/completions", json!({ "prompt": "a" })).await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (502, &json!("backend_failed")));
    front.lives().await;
}
