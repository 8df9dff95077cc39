//! A server in this process, and models for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lm::{Capabilities, Completion, Delta, Finish, Generate, Generation, LanguageModel, Score, Scored, Usage};
use lm_local::LocalModel;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use serve::{Config, Entry, Models};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use weights::{Architecture, Checkpoint};

/// A server that ends with the test.
pub struct House {
    pub address: SocketAddr,
    pub client: Client,
    stop: Option<oneshot::Sender<()>>,
    pub task: JoinHandle<serve::Result<()>>,
}

/// A small model with much room.
pub fn tiny() -> LocalModel {
    let architecture = Architecture { context: 8192, ..Architecture::tiny() };
    let checkpoint = Checkpoint::random(architecture, 7).expect("a random model");
    LocalModel::load(&checkpoint, lm_local::Config { memory_mb: 64, threads: 1, ..lm_local::Config::default() })
        .expect("loads")
}

pub fn entry(id: &str, model: impl LanguageModel + 'static) -> Entry {
    Entry { id: id.into(), model: Arc::new(model), adapter: None }
}

impl House {
    /// Serves models with these settings.
    pub async fn open(models: Models, config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(serve::serve(listener, models, config, async {
            let _ = stopped.await;
        }));
        let client = Client::builder().no_proxy().build().expect("a client");
        Self { address, client, stop: Some(stop), task }
    }

    /// Makes clients open a connection for every request.
    pub fn without_pool(mut self) -> Self {
        self.client = Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("a client");
        self
    }

    /// Serves one model, called `tiny`, with the usual settings.
    pub async fn of(model: impl LanguageModel + 'static) -> Self {
        Self::open(Models { entries: vec![entry("tiny", model)], embedder: None }, Config::default()).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What the server answers to a body.
    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let response = self.client.post(self.url(path)).json(&body).send().await.expect("an answer");
        let status = response.status();
        (status, response.json().await.expect("JSON"))
    }

    /// As [`House::post`], for what must go well.
    pub async fn ask(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.post(path, body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    pub async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.client.get(self.url(path)).send().await.expect("an answer");
        (response.status(), response.text().await.expect("text"))
    }

    /// The chunks of a stream, which must end as it should.
    pub async fn stream(&self, path: &str, mut body: Value) -> Vec<Value> {
        body["stream"] = true.into();
        let response = self.client.post(self.url(path)).json(&body).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        let text = response.text().await.expect("a whole stream");
        let mut chunks: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(chunks.pop(), Some("[DONE]"), "{text}");
        chunks.into_iter().map(|chunk| serde_json::from_str(chunk).expect("JSON")).collect()
    }

    /// Asks the server to stop.
    pub fn stop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
    }

    /// That it still answers.
    pub async fn lives(&self) {
        let (status, text) = self.get("/healthz").await;
        assert_eq!((status, text.as_str()), (StatusCode::OK, "{\"status\":\"ok\"}"));
    }
}

/// The texts of a stream by choice.
pub fn texts(chunks: &[Value], n: usize) -> Vec<String> {
    let mut texts = vec![String::new(); n];
    for choice in chunks.iter().flat_map(|chunk| chunk["choices"].as_array().expect("choices")) {
        let text = choice["delta"]["content"].as_str().or_else(|| choice["text"].as_str()).unwrap_or_default();
        texts[choice["index"].as_u64().expect("an index") as usize].push_str(text);
    }
    texts
}

/// Waits until something holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

/// A model that says a word each tick, or fails when it has said them all.
#[derive(Clone)]
pub struct Ticking {
    pub tick: Duration,
    pub words: usize,
    pub failure: Option<lm::Error>,
}

#[async_trait::async_trait]
impl LanguageModel for Ticking {
    fn name(&self) -> &str {
        "ticking"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            context: None,
            logprobs: false,
            score: false,
            n: true,
            seeded: true,
            adapters: false,
            formats: false,
            parameters: None,
        }
    }

    async fn stream(&self, request: Generate, sink: &mut (dyn FnMut(Delta) + Send)) -> lm::Result<Generation> {
        for _ in 0..self.words {
            tokio::time::sleep(self.tick).await;
            (0..request.n).for_each(|index| sink(Delta { index, text: "tick ".into(), logprobs: vec![] }));
        }
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let text = "tick ".repeat(self.words);
        let completion = Completion { text, tokens: vec![], logprobs: vec![], finish: Finish::Stop };
        let usage = Usage { prefill: 1, cached: 0, decode: self.words as u64 };
        Ok(Generation { completions: vec![completion; request.n], usage })
    }

    async fn score(&self, _: Score) -> lm::Result<Scored> {
        Err(lm::Error::Unsupported { model: "ticking".into(), what: "score".into() })
    }
}
