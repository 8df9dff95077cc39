//! Places, queue, time, token; and what a client that goes away leaves.

use std::time::Duration;

use futures::StreamExt;
use reqwest::StatusCode;
use serde_json::{Value, json};
use serve::{Config, Entry, Models, Token};
use tokio::net::TcpListener;

use crate::house::{House, Ticking, entry, tiny, until};

const CHAT: &str = "/v1/chat/completions";

fn ticking(milliseconds: u64, words: usize) -> Ticking {
    Ticking { tick: Duration::from_millis(milliseconds), words, failure: None }
}

fn one(entry: Entry) -> Models {
    Models { entries: vec![entry], embedder: None }
}

fn hello() -> Value {
    json!({ "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 5 })
}

#[tokio::test]
async fn a_full_queue_is_429_and_others_get_their_turn() {
    let config = Config { concurrent: 1, queue: 2, ..Config::default() };
    let house = House::open(one(entry("slow", ticking(100, 3))), config).await;
    let answers = futures::future::join_all((0..6).map(|_| async {
        let response = house.client.post(house.url(CHAT)).json(&hello()).send().await.expect("an answer");
        let retry = response.headers().get("retry-after").cloned();
        let status = response.status().as_u16();
        let body: Value = response.json().await.expect("JSON");
        (status, retry.is_some(), body["error"]["code"].clone())
    }))
    .await;
    let good = answers.iter().filter(|(status, ..)| *status == 200).count();
    let full = answers.iter().filter(|answer| **answer == (429, true, json!("queue_full"))).count();
    assert_eq!((good, full), (3, 3), "{answers:?}");
    house.lives().await;
}

#[tokio::test]
async fn an_answer_has_limited_time() {
    let config = Config { request_seconds: 0.3, ..Config::default() };
    let house = House::open(one(entry("slow", ticking(100, 100))), config).await;
    let (status, answer) = house.post(CHAT, hello()).await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (504, &json!("too_long")));
    let mut body = hello();
    body["stream"] = true.into();
    let text = house.client.post(house.url(CHAT)).json(&body).send().await.expect("begins").text().await.expect("ends");
    let last = text.lines().rfind(|line| !line.is_empty()).expect("a last line");
    assert!(last.contains("\"error\"") && last.contains("too_long"), "{text}");
}

#[tokio::test]
async fn a_failing_engine_is_500_before_the_stream_and_an_event_in_it() {
    let failure = Some(lm::Error::Engine("out of luck".into()));
    for words in [0, 2] {
        let house = House::of(Ticking { failure: failure.clone(), ..ticking(1, words) }).await;
        let (status, answer) = house.post(CHAT, hello()).await;
        assert_eq!((status.as_u16(), &answer["error"]["type"]), (500, &json!("server_error")));
        let mut body = hello();
        body["stream"] = true.into();
        let response = house.client.post(house.url(CHAT)).json(&body).send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), if words == 0 { 500 } else { 200 });
        let text = response.text().await.expect("ends");
        assert!(text.contains("out of luck") && !text.contains("[DONE]"), "{text}");
        assert_eq!(text.matches("tick ").count(), words);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_frees_the_engine() {
    let model = tiny();
    let house = House::of(model.clone()).await;
    // A pattern without an end keeps the engine busy for as long as it may.
    let body = |streamed: bool| {
        json!({ "messages": [{ "role": "user", "content": "go" }], "n": 16, "max_tokens": 8000,
                "regex": "([a-z ]{4000}){2}", "stream": streamed })
    };
    for streamed in [true, false] {
        let asking = house.client.post(house.url(CHAT)).json(&body(streamed)).send();
        if streamed {
            let mut stream = asking.await.expect("begins").bytes_stream();
            assert!(stream.next().await.is_some());
            assert!(model.statistics().requests > 0 && model.statistics().pages_held > 0);
            drop(stream);
        } else {
            let asking = tokio::spawn(asking);
            until("the engine works", || model.statistics().requests > 0).await;
            asking.abort();
        }
        until("the engine is idle", || model.statistics().requests == 0 && model.statistics().pages_held == 0).await;
        let (_, text) = house.get("/metrics").await;
        assert!(text.contains("lyceum_requests_running 0"), "{text}");
    }
    let (_, text) = house.get("/metrics").await;
    let gone = "lyceum_requests_total{route=\"/v1/chat/completions\",status=\"499\"} 1";
    assert!(text.contains(gone), "the one that had no status yet\n{text}");
}

#[tokio::test]
async fn the_token_is_asked_for_wherever_it_is_set() {
    let config = Config { token: Some(Token("secret".into())), ..Config::default() };
    assert!(!format!("{config:?}").contains("secret"));
    let house = House::open(one(entry("slow", ticking(1, 1))), config).await;
    let ask = async |path: &str, header: Option<&str>| {
        let request = house.client.get(house.url(path));
        let request = header.iter().fold(request, |request, header| request.header("authorization", *header));
        request.send().await.expect("an answer").status().as_u16()
    };
    for path in ["/v1/models", "/metrics", "/v1/strategies", "/nowhere"] {
        for wrong in
            [None, Some("Bearer secrets"), Some("Bearer "), Some("secret"), Some("Basic secret"), Some("Bearer secre")]
        {
            assert_eq!(ask(path, wrong).await, 401, "{path} {wrong:?}");
        }
    }
    assert_eq!(ask("/v1/models", Some("Bearer secret")).await, 200);
    assert_eq!(ask("/v1/models", Some("bearer secret")).await, 200);
    assert_eq!((ask("/", None).await, ask("/healthz", None).await), (200, 200));
    let (status, answer) = house.post(CHAT, hello()).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::UNAUTHORIZED, &json!("wrong_token")));
}

#[tokio::test]
async fn other_machines_need_a_token() {
    let open = || async { TcpListener::bind("0.0.0.0:0").await.expect("a port") };
    let models = || one(entry("slow", ticking(1, 1)));
    let refused = serve::serve(open().await, models(), Config::default(), async {}).await;
    assert!(matches!(refused, Err(serve::Error::Open { .. })));
    let config = Config { token: Some(Token("secret".into())), ..Config::default() };
    assert!(serve::serve(open().await, models(), config, async {}).await.is_ok());
    let config = Config { token: Some(Token("no good\n".into())), ..Config::default() };
    assert!(matches!(serve::serve(open().await, models(), config, async {}).await, Err(serve::Error::Config { .. })));
}
