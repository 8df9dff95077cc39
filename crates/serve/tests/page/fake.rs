//! A server of a few lines that answers as ours does, at a pace and with the failures that a test
//! asks for, and remembers what it was asked. The page's files and their policy are the true ones.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::tree::grow;

/// As `serve` sends it with the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What tests look at afterwards.
#[derive(Clone, Default)]
pub struct Seen {
    /// Bodies of questions.
    pub asked: Arc<Mutex<Vec<Value>>>,
    /// Answers whose client went away before their end.
    pub left: Arc<Mutex<usize>>,
}

/// Starts the server; `pace` is the time between two events. Returns its address.
pub fn start(token: Option<&'static str>, pace: Duration, seen: &Seen) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}/", listener.local_addr().expect("an address"));
    let seen = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = seen.clone();
            std::thread::spawn(move || {
                let _ = answer(stream, token, pace, &seen);
            });
        }
    });
    address
}

fn strategies() -> Value {
    json!([
        {"name": "greedy", "what": "the most probable token", "settings": {"kind": "greedy"}},
        {"name": "beam-4", "what": "breaks off in the middle", "settings": {"kind": "beam", "width": 4}},
        {"name": "mcts", "what": "is refused", "settings": {"kind": "mcts", "simulations": 16}},
        {"name": "phi", "what": "looks ahead", "settings": {"kind": "phi", "beams": 4, "rollouts": 4,
            "step_temperature": 0.6000000238418579, "foresight": true, "clustering": "tf_idf"}},
        {"name": "phi-no-cluster", "what": "by advantage alone", "settings": {"kind": "phi", "beams": 4, "rollouts": 4,
            "step_temperature": 0.6000000238418579, "foresight": true, "clustering": "off"}},
        {"name": "self-consistency-8", "what": "eight paths, a vote", "settings": {"kind": "self-consistency", "n": 8}},
    ])
}

fn answer(stream: TcpStream, token: Option<&str>, pace: Duration, seen: &Seen) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length, mut secret) = (String::new(), 0, String::new());
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "authorization" => secret = value.to_string(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_string();
    let to = &stream;
    if path.starts_with("/v1/") && token.is_some_and(|token| secret != format!("Bearer {token}")) {
        return json_of(to, "401 Unauthorized", &refusal("a token is needed"));
    }
    match path.as_str() {
        "/v1/models" => json_of(
            to,
            "200 OK",
            &json!({"data": [{"id": "pico", "root": "pico"}, {"id": "pico:phi", "root": "pico"},
                {"id": "minilm", "root": "minilm", "embedding_dimension": 384}]}),
        ),
        "/v1/strategies" => json_of(to, "200 OK", &strategies()),
        "/v1/chat/completions" => {
            let body: Value = serde_json::from_slice(&body)?;
            seen.asked.lock().expect("lock").push(body.clone());
            let told = talk(to, &body, pace);
            if told.is_err() {
                *seen.left.lock().expect("lock") += 1;
            }
            told
        }
        path => {
            let name = if path == "/" { "index.html" } else { &path[1..] };
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("page").join(name);
            let Ok(text) = fs::read_to_string(file) else {
                return json_of(to, "404 Not Found", &refusal("no such path"));
            };
            let kind = match name.rsplit('.').next() {
                Some("html") => "text/html",
                Some("css") => "text/css",
                _ => "text/javascript",
            };
            reply(to, "200 OK", &format!("{kind}; charset=utf-8\r\ncontent-security-policy: {POLICY}"), &text)
        }
    }
}

fn refusal(message: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error"}})
}

fn json_of(to: &TcpStream, status: &str, value: &Value) -> std::io::Result<()> {
    reply(to, status, "application/json", &value.to_string())
}

fn reply(mut to: &TcpStream, status: &str, kind: &str, text: &str) -> std::io::Result<()> {
    let length = text.len();
    write!(
        to,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nx-content-type-options: nosniff\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{text}"
    )
}

fn talk(mut to: &TcpStream, body: &Value, pace: Duration) -> std::io::Result<()> {
    let strategy = body["strategy"].as_str().or(body["strategy"]["kind"].as_str()).unwrap_or_default();
    if strategy == "mcts" {
        return json_of(to, "400 Bad Request", &refusal("budget: must be 1 or more"));
    }
    to.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")?;
    let mut chunk = |value: Value| -> std::io::Result<()> {
        std::thread::sleep(pace);
        to.write_all(format!("data: {value}\n\n").as_bytes())
    };
    let piece = |text: &str| json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    let question = body["messages"][0]["content"].as_str().unwrap_or_default();
    let grown = match strategy {
        "greedy" => {
            for word in ["29 ", "pens ", "are ", "left."] {
                chunk(piece(word))?;
            }
            chunk(json!({"choices": [], "usage": {"prompt_tokens": 31, "completion_tokens": 6}}))?;
            return to.write_all(b"data: [DONE]\n\n");
        }
        "self-consistency-8" | "self-consistency" => {
            let mut grown = grow(question, 1, 8, 1);
            grown.search["name"] = json!("self-consistency-8");
            grown
        }
        _ => grow(question, 4, 4, 8),
    };
    for (index, event) in grown.events.iter().enumerate() {
        if strategy == "beam-4" && index == 40 {
            return chunk(json!({"error": {"message": "the engine has stopped", "code": "engine_failed"}}));
        }
        chunk(json!({"object": "chat.completion.chunk", "choices": [], "search_event": event}))?;
    }
    chunk(piece(grown.search["answer"].as_str().unwrap_or_default()))?;
    chunk(json!({"object": "chat.completion.chunk", "choices": [], "search": grown.search}))?;
    to.write_all(b"data: [DONE]\n\n")
}
