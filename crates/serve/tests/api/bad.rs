//! What is wrong gets an error of OpenAI's shape, and the server lives.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use serve::{Config, Models};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::{House, entry, tiny};

const CHAT: &str = "/v1/chat/completions";
const PLAIN: &str = "/v1/completions";

fn chat(extra: Value) -> Value {
    let mut body = json!({ "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 2 });
    for (key, value) in extra.as_object().expect("an object") {
        body[key] = value.clone();
    }
    body
}

fn plain(extra: Value) -> Value {
    let mut body = json!({ "prompt": "hi", "max_tokens": 2 });
    for (key, value) in extra.as_object().expect("an object") {
        body[key] = value.clone();
    }
    body
}

/// Path, body, status, and the field that the error must name.
fn wrong() -> Vec<(&'static str, Value, u16, &'static str)> {
    let of_chat = |extra, param| (CHAT, chat(extra), 400, param);
    let of_plain = |extra, param| (PLAIN, plain(extra), 400, param);
    let turn = |message: Value| json!({ "messages": [message] });
    vec![
        of_chat(json!({ "n": -1 }), "n"),
        of_chat(json!({ "n": 0 }), "n"),
        of_chat(json!({ "n": 1.5 }), "n"),
        of_chat(json!({ "n": 100_000 }), "n"),
        of_chat(json!({ "n": "2" }), "n"),
        of_chat(json!({ "max_tokens": 0 }), "max_tokens"),
        of_chat(json!({ "max_tokens": -5 }), "max_tokens"),
        of_chat(json!({ "max_completion_tokens": 1e9 }), "max_completion_tokens"),
        of_chat(json!({ "temperature": -0.1 }), "temperature"),
        of_chat(json!({ "temperature": "hot" }), "temperature"),
        of_chat(json!({ "top_p": 2 }), "top_p"),
        of_chat(json!({ "top_p": 0 }), "top_p"),
        of_chat(json!({ "min_p": 1.0 }), "min_p"),
        of_chat(json!({ "top_k": -2 }), "top_k"),
        of_chat(json!({ "repetition_penalty": 0 }), "repetition_penalty"),
        of_chat(json!({ "seed": 1.5 }), "seed"),
        of_chat(json!({ "stop": "" }), "stop"),
        of_chat(json!({ "stop": [1] }), "stop"),
        of_chat(json!({ "stream": "yes" }), "stream"),
        of_chat(json!({ "model": 7 }), "model"),
        of_chat(json!({ "top_logprobs": 5 }), "top_logprobs"),
        of_chat(json!({ "logprobs": true, "top_logprobs": 21 }), "top_logprobs"),
        of_chat(json!({ "logit_bias": { "5": 1 } }), "logit_bias"),
        of_chat(json!({ "tools": [{ "type": "function" }] }), "tools"),
        of_chat(json!({ "tool_choice": "required" }), "tool_choice"),
        of_chat(json!({ "functions": [{}] }), "functions"),
        of_chat(json!({ "audio": { "voice": "x" } }), "audio"),
        of_chat(json!({ "modalities": ["audio"] }), "modalities"),
        of_chat(json!({ "frequency_penalty": 0.5 }), "frequency_penalty"),
        of_chat(json!({ "presence_penalty": -1 }), "presence_penalty"),
        of_chat(json!({ "response_format": { "type": "xml" } }), "response_format"),
        of_chat(json!({ "response_format": { "type": "json_schema" } }), "response_format"),
        of_chat(json!({ "response_format": { "type": "json_object" }, "regex": "a" }), "regex"),
        of_chat(json!({ "messages": null }), "messages"),
        of_chat(json!({ "messages": [] }), "messages"),
        of_chat(json!({ "messages": "hi" }), "messages"),
        of_chat(turn(json!({ "role": "wizard", "content": "hi" })), "messages[0].role"),
        of_chat(turn(json!({ "role": "tool", "content": "hi" })), "messages[0].role"),
        of_chat(turn(json!({ "role": "user" })), "messages[0].content"),
        of_chat(turn(json!({ "role": "user", "content": [{ "type": "image_url" }] })), "messages[0].content"),
        of_chat(turn(json!({ "role": "assistant", "content": "a", "prefix": true })), "messages"),
        of_chat(json!({ "continue_final_message": true }), "messages"),
        of_plain(json!({ "prompt": null }), "prompt"),
        of_plain(json!({ "prompt": [] }), "prompt"),
        of_plain(json!({ "prompt": [1, "a"] }), "prompt"),
        of_plain(json!({ "prompt": [[1], []] }), "prompt"),
        of_plain(json!({ "prompt": [-1] }), "prompt"),
        of_plain(json!({ "prompt": [99_999] }), "prompt"),
        of_plain(json!({ "prompt": "" }), "prompt"),
        of_plain(json!({ "max_tokens": 0 }), "max_tokens"),
        of_plain(json!({ "logprobs": true }), "logprobs"),
        of_plain(json!({ "logprobs": 21 }), "logprobs"),
        of_plain(json!({ "suffix": "end" }), "suffix"),
        of_plain(json!({ "best_of": 4 }), "best_of"),
        (CHAT, chat(json!({ "model": "gpt-4" })), 404, "model"),
        (PLAIN, plain(json!({ "model": "" })), 404, "model"),
    ]
}

#[tokio::test]
async fn an_error_names_the_field() {
    let house = House::of(tiny()).await;
    for (path, body, status, param) in wrong() {
        for streamed in [false, true] {
            let mut body = body.clone();
            if body.get("stream").is_none() {
                body["stream"] = streamed.into();
            }
            let (found, answer) = house.post(path, body.clone()).await;
            assert_eq!((found.as_u16(), &answer["error"]["param"]), (status, &json!(param)), "{body} -> {answer}");
            assert!(answer["error"]["message"].as_str().is_some_and(|text| text.len() > 5), "{answer}");
        }
    }
    let long = json!({ "prompt": "a", "max_tokens": 8192 });
    let (status, answer) = house.post(PLAIN, long).await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (400, &json!("context_length_exceeded")));
    let many: Vec<_> = (0..2000).map(|_| "a").collect();
    assert_eq!(house.post(PLAIN, plain(json!({ "prompt": many }))).await.0.as_u16(), 400);
    // What servers ignore, and what is absent when null, is no error.
    let known = json!({
        "user": "u", "store": true, "metadata": {}, "logit_bias": {}, "tools": [], "tool_choice": "none",
        "frequency_penalty": 0, "n": null, "stop": null, "unheard_of": { "x": 1 }, "modalities": ["text"],
        "response_format": null, "stream_options": null, "service_tier": "auto",
    });
    house.ask(CHAT, chat(known)).await;
}

/// Sends bytes as they are; returns the status and the body.
async fn raw(house: &House, bytes: &[u8], wait: Duration) -> (u16, String) {
    let mut stream = TcpStream::connect(house.address).await.expect("connects");
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(wait, stream.read_to_end(&mut answer)).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn request(head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {PLAIN} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n{head}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn impatient() -> Config {
    Config { header_seconds: 0.4, body_seconds: 0.4, body_bytes: 64 << 10, ..Config::default() }
}

const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn slow_senders_cut_connections_and_bad_bytes() {
    let models = Models { entries: vec![entry("tiny", tiny())], embedder: None };
    let house = House::open(models, impatient()).await.without_pool();
    let wait = Duration::from_secs(5);
    let code = |body: &str| serde_json::from_str::<Value>(body).expect("JSON")["error"]["code"].clone();
    let (status, body) = raw(&house, b"POST /v1/completions HTTP/1.1\r\nHost: loc", wait).await;
    assert_eq!((status, code(&body)), (408, json!("slow_headers")));
    let slow = format!("POST {PLAIN} HTTP/1.1\r\nHost: localhost\r\n{JSON}\r\nContent-Length: 50\r\n\r\n{{\"prompt\"");
    let (status, body) = raw(&house, slow.as_bytes(), wait).await;
    assert_eq!((status, code(&body)), (408, json!("slow_body")));
    let (status, body) = raw(&house, &request(JSON, b"{\"prompt\": \"\xff\xfe\"}"), wait).await;
    assert_eq!((status, code(&body)), (400, json!("invalid_utf8")));
    for kind in ["Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded", "X: y"] {
        let (status, body) = raw(&house, &request(kind, b"{\"prompt\": \"a\"}"), wait).await;
        assert_eq!((status, code(&body)), (415, json!("not_json")));
    }
    let huge = vec![b' '; 100 << 10];
    let (status, body) = raw(&house, &request(JSON, &huge), wait).await;
    assert_eq!((status, code(&body)), (413, json!("body_too_large")));
    let endless = [format!("POST {PLAIN} HTTP/1.1\r\nHost: localhost\r\nX: ").as_bytes(), &[b'a'; 200 << 10]].concat();
    assert_eq!(raw(&house, &endless, wait).await.0, 431);
    assert_eq!(raw(&house, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", wait).await.0, 400);
    assert_eq!(raw(&house, b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n", wait).await.0, 400);
    for host in ["evil.example", "localhost.evil.example:80", ""] {
        let bytes = format!("GET /v1/models HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let (status, body) = raw(&house, bytes.as_bytes(), wait).await;
        assert_eq!((status, code(&body)), (403, json!("wrong_host")), "{host}");
    }
    let (status, body) =
        raw(&house, b"DELETE /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", wait).await;
    assert_eq!((status, code(&body)), (405, json!("method_not_allowed")));
    let (status, _) = raw(&house, b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", wait).await;
    assert_eq!(status, 404);
    // Cut in the middle of the body.
    drop({
        let mut stream = TcpStream::connect(house.address).await.expect("connects");
        stream.write_all(slow.as_bytes()).await.expect("sent");
        stream
    });
    house.lives().await;
}

/// A thousand bad requests of every kind, several at once; each gets its error, and then the server
/// answers a good one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_bad_requests() {
    let model = tiny();
    // On a machine with other work an honest client, too, may need more than a moment to say its request.
    let patient = Config { header_seconds: 1.5, body_seconds: 1.5, ..impatient() };
    let models = Models { entries: vec![entry("tiny", model.clone())], embedder: None };
    let house = House::open(models, patient).await.without_pool();
    let wrong = wrong();
    let wait = Duration::from_secs(20);
    let one = async |number: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(number);
        match number % 8 {
            0..4 => {
                let (path, body, status, _) = &wrong[rng.random_range(0..wrong.len())];
                let (found, answer) = house.post(path, body.clone()).await;
                assert_eq!(found.as_u16(), *status, "{body}");
                assert!(answer["error"]["type"].is_string());
            }
            4 => {
                // A good body, broken at a random place.
                let mut body = chat(json!({})).to_string().into_bytes();
                let at = rng.random_range(0..body.len());
                match rng.random_range(0..2) {
                    0 => body.truncate(at),
                    _ => body[at] = 0xff,
                }
                let (status, text) = raw(&house, &request(JSON, &body), wait).await;
                assert_eq!(status, 400, "{text}");
                assert!(text.contains("\"invalid_"), "{text}");
            }
            5 => {
                let size = rng.random_range(65 << 10..200 << 10);
                let (status, text) = raw(&house, &request(JSON, &vec![b'{'; size]), wait).await;
                assert_eq!(status, 413, "{text}");
            }
            6 => {
                let mut bytes = vec![0u8; rng.random_range(1..400)];
                rng.fill(&mut bytes[..]);
                bytes.extend(b"\r\n\r\n");
                let (status, _) = raw(&house, &bytes, wait).await;
                assert!([400, 408, 414, 431].contains(&status), "{status} for {bytes:?}");
            }
            _ => {
                // Slow, or gone.
                let good = request(JSON, chat(json!({})).to_string().as_bytes());
                let cut = &good[..rng.random_range(1..good.len())];
                if rng.random_range(0..2) == 0 {
                    let (status, text) = raw(&house, cut, wait).await;
                    assert_eq!(status, 408, "{text} for {:?}", String::from_utf8_lossy(cut));
                } else {
                    let mut stream = TcpStream::connect(house.address).await.expect("connects");
                    stream.write_all(cut).await.expect("sent");
                }
            }
        }
    };
    for block in 0..20 {
        futures::future::join_all((0..50).map(|number| one(block * 50 + number))).await;
    }
    house.lives().await;
    house.ask(CHAT, chat(json!({}))).await;
    crate::house::until("the engine is idle", || model.statistics().requests == 0).await;
}
