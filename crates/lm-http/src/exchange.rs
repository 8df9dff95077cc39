//! One request until it is answered: cache, budget, attempts, time-outs, limits.

use std::time::{Duration, Instant, SystemTime};

use lm::{Delta, Error, Result, Usage};
use regex::Regex;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, redirect};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::address::{Address, Authorization, Key};
use crate::cache::RequestCache;
use crate::endpoint::{Endpoint, Endpoints};
use crate::meter::Meter;
use crate::sse::Events;
use crate::wire::{self, Body, Reply};
use crate::{Config, Retry, Timeouts, retry};

/// Sends requests.
pub(crate) struct Exchange {
    client: Client,
    endpoints: Endpoints,
    permits: Semaphore,
    timeouts: Timeouts,
    retry: Retry,
    answer_bytes: usize,
    pub(crate) meter: Meter,
    cache: RequestCache,
    key: Option<String>,
}

/// Why an attempt failed.
enum Failure {
    /// It may go well next time.
    Passing { problem: String, after: Option<Duration>, protocol: bool },
    /// It will not.
    Final(Error),
}

/// What an attempt gathers.
struct Receive<'a> {
    reply: Reply,
    until: Option<Regex>,
    raw: Vec<u8>,
    sink: &'a mut (dyn FnMut(Delta) + Send),
    told: bool,
}

impl Exchange {
    pub(crate) fn new(config: &Config, key: Option<Key>) -> crate::Result<Self> {
        let addresses: Vec<_> = config
            .addresses
            .iter()
            .map(|address| Address::read(address, key.as_ref(), config.key_over_http))
            .collect::<crate::Result<_>>()?;
        let mut client = Client::builder()
            .connect_timeout(Duration::from_secs_f64(config.timeouts.connect))
            // A redirect could lead the key and the prompt elsewhere.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("lyceum/", env!("CARGO_PKG_VERSION")));
        if addresses.iter().all(|address| address.loopback) {
            client = client.no_proxy();
        }
        Ok(Self {
            client: client.build().map_err(|e| crate::Error::Client(causes(&e)))?,
            endpoints: Endpoints::new(addresses),
            permits: Semaphore::new(config.concurrency),
            timeouts: config.timeouts,
            retry: config.retry,
            answer_bytes: config.answer_bytes,
            meter: Meter::new(config.budget, config.price),
            cache: RequestCache::new(config.cache.clone()),
            key: key.map(|key| key.value),
        })
    }

    /// The answer to a body, out of the cache or from the server.
    pub(crate) async fn ask(&self, body: &Body, seed: u64, sink: &mut (dyn FnMut(Delta) + Send)) -> Result<Reply> {
        let key = RequestCache::key(body);
        if let Some(reply) = self.cache.get(&key) {
            self.meter.found();
            for (index, choice) in reply.choices.iter().enumerate() {
                sink(Delta { index, text: choice.text.clone(), logprobs: Vec::new() });
            }
            return Ok(reply);
        }
        let until = body.until.as_deref().map(Regex::new).transpose();
        let until = until.map_err(|e| Error::Engine(format!("a pattern that was checked is none: {e}")))?;
        let bytes = serde_json::to_vec(body).map_err(|e| Error::Engine(format!("cannot encode a request: {e}")))?;
        let most = Usage {
            prefill: body.prompt_bytes().div_ceil(3) as u64,
            cached: 0,
            decode: (body.max_tokens * body.n.unwrap_or(1)) as u64,
        };
        let mut receive = Receive { reply: Reply::default(), until, raw: Vec::new(), sink, told: false };
        self.attempts(body.path(), Some((body, &bytes)), most, seed, &key, &mut receive).await?;
        let kept = self.cache.put(&key, body, receive.reply);
        kept.map_err(|e| Error::Engine(format!("cannot keep an answer: {e}")))
    }

    /// What the server says on a path without a body.
    pub(crate) async fn get(&self, path: &str) -> Result<Vec<u8>> {
        let mut nobody = |_: Delta| {};
        let mut receive =
            Receive { reply: Reply::default(), until: None, raw: Vec::new(), sink: &mut nobody, told: false };
        self.attempts(path, None, Usage::default(), 0, path, &mut receive).await?;
        Ok(receive.raw)
    }

    async fn attempts(
        &self,
        path: &str,
        body: Option<(&Body, &[u8])>,
        most: Usage,
        seed: u64,
        key: &str,
        receive: &mut Receive<'_>,
    ) -> Result<()> {
        // The clock starts with the first place in the queue: a long queue is no failure.
        let mut deadline = None;
        let mut attempt = 0;
        loop {
            let permit = self.permits.acquire().await.map_err(|_| Error::Engine("the queue is closed".into()))?;
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + seconds(self.retry.total));
            let _claim = self.meter.claim(most)?;
            let place = self.endpoints.take();
            self.meter.attempt();
            let left = deadline.saturating_duration_since(Instant::now()).min(seconds(self.timeouts.whole));
            let outcome = timeout(left, self.attempt(&place, path, body, receive)).await;
            let outcome = outcome.unwrap_or_else(|_| Err(passing(format!("no whole answer within {left:.1?}"))));
            drop(permit);
            let endpoint = place.address.base.to_string();
            let (problem, after, protocol) = match outcome {
                Ok(()) => {
                    place.recover();
                    if let Some((body, _)) = body {
                        self.meter.book(receive.reply.usage(body.prompt_bytes()));
                    }
                    return Ok(());
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing { problem, after, protocol }) => (problem, after, protocol),
            };
            let mut wait = retry::wait(&self.retry, attempt, seed, key);
            place.rest(after.unwrap_or_default().max(wait).max(Duration::from_secs(1)));
            if !self.endpoints.any_healthy() {
                wait = wait.max(after.unwrap_or_default());
            }
            drop(place);
            attempt += 1;
            // Text that the caller has heard cannot be taken back.
            if attempt >= self.retry.attempts || Instant::now() + wait >= deadline || receive.told {
                let asked = after.filter(|_| attempt < self.retry.attempts && !receive.told);
                let asked = asked.map(|t| format!("; it asks for {} s of patience", t.as_secs())).unwrap_or_default();
                let problem = format!("{problem}{asked}");
                return Err(match protocol {
                    true => Error::Protocol { endpoint, problem },
                    false => Error::Transport { endpoint, problem, attempts: attempt },
                });
            }
            log::debug!("{endpoint}{path}: {problem}; attempt {attempt}, next in {wait:.1?}");
            (receive.reply, receive.raw) = (Reply::default(), Vec::new());
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(
        &self,
        endpoint: &Endpoint,
        path: &str,
        body: Option<(&Body, &[u8])>,
        receive: &mut Receive<'_>,
    ) -> std::result::Result<(), Failure> {
        let base = &endpoint.address.base;
        let url = base.join(path).map_err(|e| Failure::Final(Error::Engine(format!("{base}{path}: {e}"))))?;
        let request = match body {
            Some((_, bytes)) => self.client.post(url).header(CONTENT_TYPE, "application/json").body(bytes.to_vec()),
            None => self.client.get(url),
        };
        let request = match &endpoint.address.authorization {
            Some(Authorization::Bearer(header)) => request.header("authorization", header),
            Some(Authorization::Basic(user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        };
        let response = self.silence(request.send()).await?;
        if !response.status().is_success() {
            return Err(self.refusal(base.as_str(), response).await);
        }
        let kind = content_type(response.headers());
        if let Some(kind) = kind.as_deref().filter(|kind| !kind.contains("json") && *kind != "text/event-stream") {
            return Err(garbage(format!("its content type is {kind:?}")));
        }
        let events = kind.as_deref() == Some("text/event-stream");
        let asked = body.map_or(1, |(body, _)| body.n.unwrap_or(1));
        self.read(response, events, asked, receive).await?;
        let Some((body, _)) = body else { return Ok(()) };
        if !events {
            let raw = std::mem::take(&mut receive.raw);
            receive.add(&raw).map_err(garbage)?;
        }
        let protocol = |problem| Failure::Final(Error::Protocol { endpoint: base.to_string(), problem });
        if !receive.reply.is_whole() {
            return Err(if events {
                passing("the stream broke off".into())
            } else {
                garbage("it is half an answer".into())
            });
        }
        let got = receive.reply.choices.len();
        if asked != got {
            return Err(protocol(format!("{asked} completions were asked for, {got} came")));
        }
        for choice in &receive.reply.choices {
            choice.completion(0).map_err(protocol)?;
            if body.logprobs.is_some() && choice.tokens.is_empty() && !choice.text.is_empty() {
                return Err(protocol("log-probabilities were asked for, none came".into()));
            }
        }
        Ok(())
    }

    /// Reads the body, piece by piece, up to the largest size.
    async fn read(
        &self,
        mut response: Response,
        events: bool,
        asked: usize,
        receive: &mut Receive<'_>,
    ) -> std::result::Result<(), Failure> {
        let (mut parser, mut size) = (Events::default(), 0);
        while let Some(chunk) = self.silence(response.chunk()).await? {
            size += chunk.len();
            if size > self.answer_bytes {
                let endpoint = response.url().as_str().to_string();
                let problem = format!("it is larger than {} bytes (answer_bytes)", self.answer_bytes);
                return Err(Failure::Final(Error::Protocol { endpoint, problem }));
            }
            if !events {
                receive.raw.extend_from_slice(&chunk);
                continue;
            }
            for data in parser.push(&chunk) {
                if data == b"[DONE]" {
                    return Ok(());
                }
                receive.add(&data).map_err(garbage)?;
                // Where texts are cut here, hanging up tells the server to stop.
                if receive.until.is_some() && receive.reply.is_enough(asked) {
                    return Ok(());
                }
            }
        }
        match parser.finish().filter(|data| data != b"[DONE]") {
            Some(data) => receive.add(&data).map_err(garbage),
            None => Ok(()),
        }
    }

    /// Why the server refused, and whether that may pass.
    async fn refusal(&self, endpoint: &str, mut response: Response) -> Failure {
        let status = response.status().as_u16();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = after.and_then(|value| retry::after(value, SystemTime::now()));
        let mut bytes = Vec::new();
        // The words are a courtesy: what cannot be read is left away.
        while let Ok(Some(chunk)) = self.silence(response.chunk()).await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > 64 << 10 {
                break;
            }
        }
        let said = match serde_json::from_slice::<serde_json::Value>(&bytes) {
            Ok(json) => wire::words(&json),
            Err(_) => wire::shorten(&String::from_utf8_lossy(&bytes)),
        };
        // Some servers repeat the key that they refuse.
        let said = self.key.as_ref().map_or(said.clone(), |key| said.replace(key.as_str(), "***"));
        // A quota that is used up has the status of a rate that is too high, and does not pass.
        if retry::passes(status) && !String::from_utf8_lossy(&bytes).contains("insufficient_quota") {
            return Failure::Passing { problem: format!("status {status}: {said}"), after, protocol: false };
        }
        Failure::Final(Error::Refused { endpoint: endpoint.into(), status, problem: said })
    }

    /// Waits for the server's next byte.
    async fn silence<T>(&self, future: impl Future<Output = reqwest::Result<T>>) -> std::result::Result<T, Failure> {
        let limit = self.timeouts.silence;
        match timeout(seconds(limit), future).await {
            Ok(result) => result.map_err(|e| passing(causes(&e.without_url()))),
            Err(_) => Err(passing(format!("no byte for {limit} s"))),
        }
    }
}

impl Receive<'_> {
    fn add(&mut self, json: &[u8]) -> std::result::Result<(), String> {
        let (sink, told) = (&mut *self.sink, &mut self.told);
        self.reply.add(json, self.until.as_ref(), &mut |delta| {
            *told = true;
            sink(delta);
        })
    }
}

fn passing(problem: String) -> Failure {
    Failure::Passing { problem, after: None, protocol: false }
}

fn garbage(problem: String) -> Failure {
    Failure::Passing { problem, after: None, protocol: true }
}

fn seconds(value: f64) -> Duration {
    Duration::from_secs_f64(value)
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or("").trim().to_ascii_lowercase())
}

/// An error with all its causes, which is where the system's words stand.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
