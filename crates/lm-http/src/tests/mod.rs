//! Whole requests against a scripted server on the loopback.

mod search;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lm::{Error, Finish, Generate, LanguageModel, Prompt, Sampling, Score};

use crate::{Budget, Config, HttpModel, Price, Retry, Timeouts};

/// What the server does with a connection.
enum Act {
    /// Writes these bytes, one after the other with a pause between, and closes.
    Write(Vec<Vec<u8>>),
    /// Says nothing until the client has gone.
    Hang,
}

fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Act {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    Act::Write(vec![[head.as_bytes(), body].concat()])
}

fn json(body: &str) -> Act {
    answer("200 OK", "Content-Type: application/json\r\n", body)
}

fn events(pieces: Vec<Vec<u8>>) -> Act {
    let head =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n".to_vec();
    Act::Write([vec![head], pieces].concat())
}

fn chat(text: &str) -> String {
    format!(
        r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":10,"completion_tokens":2}}}}"#
    )
}

struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers the k-th request as the script says; the thread ends with the test's process.
    fn new(script: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = format!("http://{}", listener.local_addr().expect("address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, script) = (requests.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, script) = (seen.clone(), script.clone());
                std::thread::spawn(move || serve(stream, &seen, &*script));
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("lock").clone()
    }

    /// Quick to try again, but patient: a busy machine must not look like a silent server.
    fn config(&self) -> Config {
        Config {
            addresses: vec![self.address.clone()],
            model: Some("m".into()),
            timeouts: Timeouts { connect: 30.0, silence: 30.0, whole: 60.0 },
            retry: Retry { attempts: 3, first: 0.01, longest: 0.02, total: 20.0 },
            ..Config::default()
        }
    }

    fn model(&self) -> HttpModel {
        model(self.config())
    }
}

fn model(config: Config) -> HttpModel {
    HttpModel::with_environment(config, |_| None).expect("model")
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<String>>, script: &dyn Fn(usize, &str) -> Act) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    let request = loop {
        let Ok(count) = stream.read(&mut buffer) else { return };
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).to_string();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let length = lower.split("content-length: ").nth(1).and_then(|t| t.split("\r\n").next()?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break text;
            }
        }
        if count == 0 {
            return;
        }
    };
    let index = {
        let mut seen = seen.lock().expect("lock");
        seen.push(request.clone());
        seen.len() - 1
    };
    match script(index, &request) {
        // The client may hang up at any time: that is what some tests are about.
        Act::Hang => drop(stream.read(&mut buffer)),
        Act::Write(pieces) => {
            for piece in pieces {
                if stream.write_all(&piece).and_then(|()| stream.flush()).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn ask() -> Generate {
    Generate::greedy(Prompt::ask("Who?"), 8)
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_and_a_server_error_is_tried_again() {
    let server = Server::new(|k, _| match k {
        0 => answer("429 Too Many Requests", "Retry-After: 1\r\n", "slow down"),
        1 => answer("500 Internal Server Error", "", "{\"error\":{\"message\":\"oops\"}}"),
        _ => json(&chat("Ada")),
    });
    let start = Instant::now();
    let model = server.model();
    let generation = model.generate(ask()).await.expect("third time");
    assert!(start.elapsed() >= Duration::from_secs(1), "Retry-After was not kept: {:?}", start.elapsed());
    let completion = &generation.completions[0];
    assert_eq!((completion.text.as_str(), completion.finish), ("Ada", Finish::Stop));
    assert_eq!((generation.usage.prefill, generation.usage.decode), (10, 2));
    assert_eq!((model.spent().attempts, model.spent().answers), (3, 1));
    assert!(server.requests()[2].contains("POST /v1/chat/completions"));
    assert!(server.requests()[2].contains("\"content\":\"Who?\""));
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_not_begun() {
    let server = Server::new(|_, _| answer("503 Service Unavailable", "Retry-After: 3600\r\n", "later"));
    let start = Instant::now();
    let error = server.model().generate(ask()).await.expect_err("an hour");
    assert!(matches!(&error, Error::Transport { attempts: 1, problem, .. } if problem.contains("3600 s")), "{error}");
    assert!(start.elapsed() < Duration::from_secs(600));
}

#[tokio::test]
async fn a_refusal_is_not_repeated_and_never_shows_the_key() {
    let server = Server::new(|_, request| {
        assert!(request.to_lowercase().contains("authorization: bearer sk-hush"), "{request}");
        answer("401 Unauthorized", "", "{\"error\":{\"message\":\"bad key sk-hush\"}}")
    });
    let key = |name: &str| (name == "OPENAI_API_KEY").then(|| "sk-hush".to_string());
    let model = HttpModel::with_environment(server.config(), key).expect("model");
    let error = model.generate(ask()).await.expect_err("refused");
    assert!(matches!(error, Error::Refused { status: 401, .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    assert_eq!(server.requests().len(), 1);

    let quota =
        Server::new(|_, _| answer("429 Too Many Requests", "", "{\"error\":{\"code\":\"insufficient_quota\"}}"));
    assert!(matches!(quota.model().generate(ask()).await, Err(Error::Refused { status: 429, .. })));
    assert_eq!(quota.requests().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_refused() {
    let server = Server::new(|_, _| answer("307 Temporary Redirect", "Location: http://127.0.0.1:9/\r\n", ""));
    assert!(matches!(server.model().generate(ask()).await, Err(Error::Refused { status: 307, .. })));
}

#[tokio::test]
async fn what_is_no_answer_ends_in_a_protocol_error() {
    for body in ["<html>", "{\"choices\":[", "{}", "[]", "{\"choices\":[]}", "\u{0}", "{\"error\":{\"message\":\"x\"}}"]
    {
        let server = Server::new(move |_, _| json(body));
        let error = server.model().generate(ask()).await.expect_err(body);
        assert!(matches!(error, Error::Protocol { .. }), "{body}: {error}");
        assert_eq!(server.requests().len(), 3, "{body}");
    }
    let server = Server::new(|_, _| answer("200 OK", "Content-Type: text/html\r\n", chat("x")));
    let error = server.model().generate(ask()).await.expect_err("html");
    assert!(matches!(&error, Error::Protocol { problem, .. } if problem.contains("text/html")), "{error}");
    let half = "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"Ad\"}}]}";
    let server = Server::new(move |_, _| json(half));
    let error = server.model().generate(ask()).await.expect_err("half");
    assert!(matches!(&error, Error::Protocol { problem, .. } if problem.contains("half")), "{error}");
    let server = Server::new(|k, _| if k == 0 { json("<html>") } else { json(&chat("Ada")) });
    assert_eq!(server.model().generate(ask()).await.expect("second").completions[0].text, "Ada");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let server = Server::new(|_, _| Act::Hang);
    let mut config = server.config();
    config.timeouts.silence = 0.3;
    let error = model(config).generate(ask()).await.expect_err("silence");
    assert!(matches!(&error, Error::Transport { attempts: 3, problem, .. } if problem.contains("no byte")), "{error}");

    // One that drips is never silent, and is given up by the time for the whole.
    let drip = Server::new(|_, _| events((0..2000).map(|_| b": \n".to_vec()).collect()));
    let mut config = drip.config();
    (config.timeouts.whole, config.retry.attempts) = (0.4, 1);
    let error = model(config).generate(ask()).await.expect_err("drip");
    assert!(matches!(&error, Error::Transport { problem, .. } if problem.contains("whole")), "{error}");

    let nobody = Config { addresses: vec!["http://127.0.0.1:9".into()], ..server.config() };
    let error = model(nobody).generate(ask()).await.expect_err("nobody there");
    assert!(matches!(&error, Error::Transport { attempts: 3, .. }), "{error}");
}

#[tokio::test]
async fn a_connection_that_is_cut_is_tried_again() {
    let server = Server::new(|k, _| match k {
        0 => Act::Write(vec![]),
        1 => Act::Write(vec![
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"cho".to_vec(),
        ]),
        _ => json(&chat("Ada")),
    });
    assert_eq!(server.model().generate(ask()).await.expect("third").completions[0].text, "Ada");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_huge_answer_is_not_read_to_its_end() {
    let server = Server::new(|_, _| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n".to_vec();
        Act::Write([vec![head], vec![vec![b' '; 1 << 20]; 100]].concat())
    });
    let config = Config { answer_bytes: 2 << 20, ..server.config() };
    let error = model(config).generate(ask()).await.expect_err("huge");
    assert!(matches!(&error, Error::Protocol { problem, .. } if problem.contains("answer_bytes")), "{error}");
    assert_eq!(server.requests().len(), 1);
}

fn piece(text: &str, finish: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

#[tokio::test]
async fn a_stream_is_put_together_however_it_is_cut() {
    let text = [
        piece("Grüße, ", "null"),
        piece("𝄞 €", "null"),
        piece("", "\"stop\""),
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n".into(),
    ]
    .concat();
    // Seven bytes at a time go through the middle of characters.
    let server = Server::new(move |_, _| events(text.as_bytes().chunks(7).map(<[u8]>::to_vec).collect()));
    let model = server.model();
    let mut heard = String::new();
    let generation = model.stream(ask(), &mut |delta| heard.push_str(&delta.text)).await.expect("stream");
    assert_eq!((heard.as_str(), generation.completions[0].text.as_str()), ("Grüße, 𝄞 €", "Grüße, 𝄞 €"));
    assert_eq!((generation.usage.prefill, generation.usage.decode), (3, 5));
    assert!(server.requests()[0].contains("\"stream\":true"));
}

#[tokio::test]
async fn a_stream_that_breaks_is_tried_again_only_while_nobody_heard_it() {
    let server = Server::new(|k, _| match k {
        0 => events(vec![b": opening\n\n".to_vec()]),
        _ => events(vec![piece("Ada", "\"stop\"").into_bytes()]),
    });
    let mut heard = String::new();
    server.model().stream(ask(), &mut |delta| heard.push_str(&delta.text)).await.expect("second");
    assert_eq!((heard.as_str(), server.requests().len()), ("Ada", 2));

    let server = Server::new(|_, _| events(vec![piece("Ad", "null").into_bytes()]));
    let error = server.model().stream(ask(), &mut |_| {}).await.expect_err("broken");
    assert!(
        matches!(&error, Error::Transport { attempts: 1, problem, .. } if problem.contains("broke off")),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);

    // A server that knows no streams answers in one piece.
    let server = Server::new(|_, _| json(&chat("Ada")));
    let mut heard = Vec::new();
    server.model().stream(ask(), &mut |delta| heard.push(delta.text)).await.expect("whole");
    assert_eq!(heard, ["Ada"]);
}

#[tokio::test]
async fn several_completions_come_from_one_request_or_from_several() {
    let choice = |i: usize| format!(r#"{{"index":{i},"message":{{"content":"a{i}"}},"finish_reason":"stop"}}"#);
    let able = Server::new(move |_, request| match request.contains("\"n\":") {
        true => {
            let n = if request.contains("\"n\":3") { 3 } else { 2 };
            json(&format!("{{\"choices\":[{}]}}", (0..n).map(choice).collect::<Vec<_>>().join(",")))
        }
        false => json(&chat("x")),
    });
    let request =
        || Generate { n: 3, sampling: Sampling { temperature: 1.0, ..Sampling::default() }, seed: 5, ..ask() };
    let texts = |generation: lm::Generation| generation.completions.into_iter().map(|c| c.text).collect::<Vec<_>>();
    assert_eq!(texts(able.model().generate(request()).await.expect("able")), ["a0", "a1", "a2"]);
    assert_eq!(able.requests().iter().filter(|r| r.contains("\"n\":3")).count(), 1);

    // This one ignores n; the seeds tell its answers apart.
    let unable = Server::new(|_, request| {
        let seed = request.split("\"seed\":").nth(1).and_then(|t| t.split([',', '}']).next()).unwrap_or("none");
        json(&chat(seed))
    });
    let first = texts(unable.model().generate(request()).await.expect("unable"));
    assert!(first.len() == 3 && first[0] != first[1] && first[1] != first[2], "{first:?}");
    let mut streamed = vec![String::new(); 3];
    unable.model().stream(request(), &mut |delta| streamed[delta.index].push_str(&delta.text)).await.expect("stream");
    assert_eq!(first, streamed);
}

#[tokio::test]
async fn what_the_server_cannot_do_is_said_after_asking_once() {
    let server = Server::new(|_, request| match request {
        r if r.contains("\"logprobs\"") || r.contains("\"n\":") => answer("400 Bad Request", "", "unknown field"),
        r if r.contains("GET /v1/models") => json("{\"data\":[{\"id\":\"m\",\"max_model_len\":512}]}"),
        _ => json(&chat("x")),
    });
    let model = server.model();
    assert!(!model.capabilities().logprobs && !model.capabilities().score);
    for _ in 0..2 {
        let error = model.generate(Generate { logprobs: true, ..ask() }).await.expect_err("no logprobs");
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        let score = Score { prompt: Prompt::Raw("a".into()), continuation: "b".into(), adapter: None, top_logprobs: 0 };
        assert!(matches!(model.score(score).await, Err(Error::Unsupported { .. })));
    }
    let asked = server.requests().len();
    let known = model.discover().await.expect("discover");
    assert_eq!((known.context, known.logprobs, known.score, known.n), (Some(512), false, false, true));
    assert_eq!(server.requests().len(), asked + 1, "only the list of models was not asked for yet");
    let conversation = Score { prompt: Prompt::ask("a"), continuation: "b".into(), adapter: None, top_logprobs: 0 };
    assert!(matches!(model.score(conversation).await, Err(Error::Unsupported { .. })));
    let adapter = model.generate(Generate { adapter: Some("mine".into()), ..ask() }).await;
    assert!(matches!(adapter, Err(Error::Adapter { .. })));
}

/// The text and one token more, one character a token, each with log-probability −(its place).
fn echoing_text(prompt: &str) -> Act {
    let text = format!("{prompt}!");
    let list = |f: &dyn Fn((usize, char)) -> String| text.chars().enumerate().map(f).collect::<Vec<_>>().join(",");
    let logprobs = list(&|(i, _)| if i == 0 { "null".into() } else { format!("-{i}.5") });
    json(&format!(
        r#"{{"choices":[{{"index":0,"text":"{text}","finish_reason":"length","logprobs":{{"tokens":[{}],"token_logprobs":[{logprobs}],"text_offset":[{}]}}}}],"usage":{{"prompt_tokens":7,"completion_tokens":1}}}}"#,
        list(&|(_, c)| format!("\"{c}\"")),
        list(&|(i, _)| i.to_string()),
    ))
}

/// A server that echoes.
fn echoing() -> Server {
    Server::new(|_, request| {
        echoing_text(request.split("\"prompt\":\"").nth(1).and_then(|t| t.split('"').next()).unwrap_or(""))
    })
}

#[tokio::test]
async fn a_continuation_is_scored_where_the_server_echoes() {
    let server = echoing();
    let model = server.model();
    let score =
        Score { prompt: Prompt::Raw("Zürich".into()), continuation: " €1".into(), adapter: None, top_logprobs: 0 };
    let scored = model.score(score.clone()).await.expect("scored");
    let tokens: Vec<_> = scored.tokens.iter().map(|t| (t.text.as_str(), t.logprob)).collect();
    assert_eq!(tokens, [(" ", -6.5), ("€", -7.5), ("1", -8.5)]);
    assert!((scored.sum() + 22.5).abs() < 1e-9);
    assert!(model.discover().await.expect("discover").score);
    let empty = model.score(Score { continuation: "".into(), ..score }).await.expect("empty");
    assert!(empty.tokens.is_empty());
}

#[tokio::test]
async fn the_request_cache_gives_the_same_answer_without_the_server_and_holds_no_key() {
    let folder = tempfile::tempdir().expect("tempdir");
    let server = Server::new(|k, _| json(&chat(&format!("answer {k}"))));
    let config = Config { cache: Some(folder.path().into()), ..server.config() };
    let key = |name: &str| (name == "OPENAI_API_KEY").then(|| "sk-hush".to_string());
    let first = HttpModel::with_environment(config.clone(), key).expect("model").generate(ask()).await.expect("first");
    // Another address, another process, no server: the same answer.
    let elsewhere = model(Config { addresses: vec!["http://127.0.0.1:9".into()], ..config });
    let again = elsewhere.generate(ask()).await.expect("cached");
    assert_eq!(first, again);
    assert_eq!((elsewhere.spent().attempts, elsewhere.spent().from_cache), (0, 1));
    let mut heard = String::new();
    elsewhere.stream(ask(), &mut |delta| heard.push_str(&delta.text)).await.expect("streamed");
    assert_eq!(heard, "answer 0");
    let other = elsewhere.generate(Generate { max_tokens: 9, ..ask() }).await;
    assert!(matches!(other, Err(Error::Transport { .. })), "another request is not in the cache");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder.path()).expect("dir").flatten() {
        files.extend(std::fs::read_dir(entry.path()).expect("dir").flatten().map(|e| e.path()));
    }
    assert_eq!(files.len(), 1);
    let text = std::fs::read_to_string(&files[0]).expect("read");
    assert!(text.contains("Who?") && !text.contains("hush") && !text.contains("127.0.0.1"), "{text}");
}

#[tokio::test]
async fn the_budget_stops_before_the_money_is_spent() {
    let server = Server::new(|_, _| json(&chat("Ada")));
    let price = Some(Price { input: 100.0, cached: 0.0, output: 1000.0 });
    // Each answer costs 10 · 100 + 2 · 1000 = 3,000 millionths; at most 8 tokens are asked for.
    let budget = Budget { tokens: None, usd: Some(0.012) };
    let model = model(Config { price, budget, ..server.config() });
    model.generate(ask()).await.expect("affordable");
    assert!((model.spent().usd - 0.003).abs() < 1e-12);
    let error = model.generate(ask()).await.expect("affordable");
    assert_eq!(error.completions.len(), 1);
    assert!(matches!(model.generate(ask()).await, Err(Error::Budget(_))));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn no_more_requests_run_at_once_than_allowed() {
    let under_way = Arc::new(Mutex::new((0, 0)));
    let counter = under_way.clone();
    let server = Server::new(move |_, _| {
        {
            let mut count = counter.lock().expect("lock");
            count.0 += 1;
            count.1 = count.1.max(count.0);
        }
        std::thread::sleep(Duration::from_millis(30));
        counter.lock().expect("lock").0 -= 1;
        json(&chat("Ada"))
    });
    let model = model(Config { concurrency: 3, ..server.config() });
    let all = (0..12).map(|i| model.generate(Generate { max_tokens: 8 + i, ..ask() }));
    assert!(futures::future::join_all(all).await.iter().all(Result::is_ok));
    assert_eq!(under_way.lock().expect("lock").1, 3);
}

#[tokio::test]
async fn a_second_address_takes_over() {
    let good = Server::new(|_, _| json(&chat("Ada")));
    let bad = Server::new(|_, _| answer("503 Service Unavailable", "Retry-After: 3600\r\n", "down"));
    let config = Config { addresses: vec![bad.address.clone(), good.address.clone()], ..good.config() };
    let model = model(config);
    for i in 0..4 {
        model.generate(Generate { max_tokens: 8 + i, ..ask() }).await.expect("from the good one");
    }
    assert_eq!((bad.requests().len(), good.requests().len()), (1, 4));
}

#[tokio::test]
async fn dropping_a_request_frees_its_place() {
    let server = Server::new(|k, _| if k == 0 { Act::Hang } else { json(&chat("Ada")) });
    let mut config = server.config();
    (config.concurrency, config.timeouts.silence, config.timeouts.whole) = (1, 60.0, 60.0);
    config.budget.tokens = Some(60);
    let model = model(config);
    assert!(tokio::time::timeout(Duration::from_millis(100), model.generate(ask())).await.is_err());
    let next = tokio::time::timeout(Duration::from_secs(5), model.generate(ask())).await;
    assert_eq!(next.expect("in time").expect("answered").completions[0].text, "Ada");
}

#[tokio::test]
async fn without_a_name_the_first_listed_model_is_taken() {
    let server = Server::new(|_, request| match request.starts_with("GET /v1/models") {
        true => json("{\"data\":[{\"id\":\"first\"},{\"id\":\"lora\"}]}"),
        false => json(&chat(if request.contains("\"model\":\"lora\"") { "lora" } else { "first" })),
    });
    let model = model(Config { model: None, ..server.config() });
    assert_eq!(model.name(), format!("{}/v1", server.address));
    assert_eq!(model.generate(ask()).await.expect("first").completions[0].text, "first");
    let adapted = model.generate(Generate { adapter: Some("lora".into()), ..ask() }).await.expect("adapter");
    assert_eq!(adapted.completions[0].text, "lora");
    assert!(model.capabilities().adapters);
}
