use std::sync::Arc;

use lm::{Embedder, LanguageModel, Prompt};
use reqwest::StatusCode;
use serde_json::{Value, json};
use serve::{Config, Models};

use crate::house::{House, entry, tiny};

/// A text's length and its first letter, on the unit circle.
struct Lengths;

#[async_trait::async_trait]
impl Embedder for Lengths {
    fn name(&self) -> &str {
        "lengths"
    }
    fn dimension(&self) -> usize {
        2
    }
    async fn embed(&self, texts: &[String]) -> lm::Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| (text.len() as f32).sin_cos()).map(|(sin, cos)| vec![sin, cos]).collect())
    }
}

async fn two_models() -> House {
    let models = Models {
        entries: vec![entry("tiny", tiny()), entry("org/other:8b", tiny())],
        embedder: Some(Arc::new(Lengths)),
    };
    House::open(models, Config::default()).await
}

#[tokio::test]
async fn the_base_model_is_listed_first() {
    let house = two_models().await;
    let (status, text) = house.get("/v1/models").await;
    let list: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, &list["object"]), (StatusCode::OK, &json!("list")));
    let data = list["data"].as_array().expect("data");
    assert_eq!(
        (&data[0]["id"], &data[0]["root"], &data[0]["max_model_len"]),
        (&json!("tiny"), &json!("tiny"), &json!(8192))
    );
    assert_eq!(data[1]["id"], "org/other:8b");
    assert_eq!(data.last().expect("encoder")["id"], "lengths");
    let (status, text) = house.get("/v1/models/org/other:8b").await;
    assert_eq!((status, serde_json::from_str::<Value>(&text).expect("JSON")), (StatusCode::OK, data[1].clone()));
    let (status, text) = house.get("/v1/models/nobody").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(text.contains("tiny, org/other:8b"), "{text}");
    let answer = house.ask("/v1/completions", json!({ "model": "org/other:8b", "prompt": "a", "max_tokens": 2 })).await;
    assert_eq!(answer["model"], "org/other:8b");
}

#[tokio::test]
async fn embeddings_come_as_numbers_or_base64() {
    let house = two_models().await;
    let numbers = house.ask("/v1/embeddings", json!({ "model": "lengths", "input": ["a", "abc"] })).await;
    assert_eq!(numbers["data"][1]["index"], 1);
    assert_eq!(numbers["data"][1]["embedding"][0].as_f64().map(|x| x as f32), Some(3f32.sin()));
    let coded = house.ask("/v1/embeddings", json!({ "input": "abc", "encoding_format": "base64" })).await;
    let (sin, cos) = 3f32.sin_cos();
    let bytes: Vec<u8> = [sin, cos].iter().flat_map(|x| x.to_le_bytes()).collect();
    use base64::Engine;
    assert_eq!(coded["data"][0]["embedding"], base64::prelude::BASE64_STANDARD.encode(bytes));
    for (body, status, param) in [
        (json!({ "input": [1, 2] }), 400, json!("input")),
        (json!({ "input": [] }), 400, json!("input")),
        (json!({ "input": "a", "dimensions": 3 }), 400, json!("dimensions")),
        (json!({ "input": "a", "encoding_format": "int8" }), 400, json!("encoding_format")),
        (json!({ "input": "a", "model": "tiny" }), 404, json!("model")),
    ] {
        let (found, answer) = house.post("/v1/embeddings", body).await;
        assert_eq!((found.as_u16(), &answer["error"]["param"]), (status, &param));
    }
    let without = House::of(tiny()).await;
    let (status, answer) = without.post("/v1/embeddings", json!({ "input": "a" })).await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (501, &json!("no_encoder")));
}

#[tokio::test]
async fn tokens_and_back() {
    let model = tiny();
    let house = House::of(model.clone()).await;
    let text = "the sea, né <|im_end|>";
    let answer = house.ask("/tokenize", json!({ "prompt": text, "return_token_strs": true })).await;
    assert_eq!(answer["tokens"], json!(model.tokenize(&Prompt::Raw(text.into())).expect("tokens")));
    assert_eq!(answer["count"], answer["tokens"].as_array().expect("tokens").len());
    assert_eq!(answer["max_model_len"], 8192);
    let back = house.ask("/detokenize", json!({ "tokens": answer["tokens"] })).await;
    assert_eq!(back["prompt"], text);
    let chat = house.ask("/tokenize", json!({ "messages": [{ "role": "user", "content": "hi" }] })).await;
    assert_eq!(chat["tokens"], json!(model.tokenize(&Prompt::ask("hi")).expect("tokens")));
    for body in [json!({}), json!({ "prompt": "a", "messages": [] }), json!({ "prompt": 1 })] {
        assert_eq!(house.post("/tokenize", body).await.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(house.post("/detokenize", json!({ "tokens": [-1] })).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn health_metrics_and_the_page() {
    let house = House::of(tiny()).await;
    house.lives().await;
    let answer = house.ask("/v1/completions", json!({ "prompt": "the sea", "max_tokens": 5 })).await;
    house.stream("/v1/completions", json!({ "prompt": "the sea", "max_tokens": 5 })).await;
    house.post("/v1/completions", json!({ "prompt": 5 })).await;
    let (status, text) = house.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        "lyceum_requests_total{route=\"/v1/completions\",status=\"200\"} 2",
        "lyceum_requests_total{route=\"/v1/completions\",status=\"400\"} 1",
        "lyceum_requests_total{route=\"/healthz\",status=\"200\"} 1",
        "lyceum_requests_open 1",
        "lyceum_requests_running 0",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
    }
    let count = |kind: &str| {
        let start = format!("lyceum_tokens_total{{kind=\"{kind}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(start.as_str())?.parse::<u64>().ok()).expect(kind)
    };
    assert!(count("decode") >= answer["usage"]["completion_tokens"].as_u64().expect("usage"));
    assert!(count("prefill") > 0 && count("cached") > 0);
    let page = house.client.get(house.url("/")).send().await.expect("an answer");
    let policy = page.headers()["content-security-policy"].to_str().expect("text");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(page.text().await.expect("text").contains("<html"));
    for path in ["/app.js", "/style.css"] {
        assert_eq!(house.get(path).await.0, StatusCode::OK);
    }
}
