//! From a request that has a place to the bytes of its answer, at once or in pieces.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use lm::{Completion, Delta, TokenLogprob, Usage};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::Shared;
use crate::refusal::{Answered, Refusal};

/// Silence after which a stream shows that it lives; proxies cut silent connections.
const ALIVE: Duration = Duration::from_secs(15);

/// One of the completions asked for.
pub(crate) struct Choice {
    /// What stands before it, if that is wanted back.
    pub echo: Option<Echo>,
    pub completion: Completion,
}

/// A prompt as a client gets it back.
#[derive(Clone)]
pub(crate) struct Echo {
    pub text: String,
    /// Its tokens if log-probabilities are wanted; the first is given nothing and so has none.
    pub tokens: Vec<(String, Option<TokenLogprob>)>,
}

/// All that was asked for.
pub(crate) struct Answer {
    pub choices: Vec<Choice>,
    /// Tokens of all prompts, each counted once.
    pub prompt_tokens: u64,
    pub usage: Usage,
    /// The record of the search, if it is wanted.
    pub search: Option<Value>,
}

impl Answer {
    /// Tokens as OpenAI counts them.
    pub fn usage(&self) -> Value {
        let (prompt, completion) = (self.prompt_tokens, self.usage.decode);
        serde_json::json!({
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": { "cached_tokens": self.usage.cached },
        })
    }
}

/// Something that is known before the answer is whole.
pub(crate) enum Piece {
    Text(Delta),
    /// What a search looks at.
    Event(Value),
}

/// Where pieces go: to the client, or nowhere if it wants the whole at once.
#[derive(Clone)]
pub(crate) struct Outlet(Option<UnboundedSender<Message>>);

enum Message {
    Piece(Piece),
    End(Answered<Answer>),
}

impl Outlet {
    /// Sends a piece on. What a slow client has not read yet waits here; `max_tokens` bounds it.
    pub fn send(&self, piece: Piece) {
        if let Some(sender) = &self.0 {
            // Nobody listens any more; this work is about to be dropped.
            let _ = sender.send(Message::Piece(piece));
        }
    }

    /// Sends text.
    pub fn text(&self, index: usize, text: impl Into<String>) {
        self.send(Piece::Text(Delta { index, text: text.into(), logprobs: Vec::new() }));
    }
}

/// How answers look at one of the routes.
pub(crate) trait Shape: Send + 'static {
    /// The whole answer.
    fn whole(&self, answer: Answer) -> Value;
    /// What a piece looks like in a stream.
    fn piece(&mut self, piece: Piece) -> Vec<Value>;
    /// What ends a stream.
    fn end(&mut self, answer: Answer) -> Vec<Value>;
}

/// Ends work when nobody waits for it any more; the model's places become free.
struct Abort(JoinHandle<()>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits for a place, works, and answers. A client that goes away drops the work, streamed or not.
pub(crate) async fn answer<W>(
    shared: &Arc<Shared>,
    streamed: bool,
    mut shape: impl Shape,
    work: impl FnOnce(Outlet) -> W,
) -> Answered<Response>
where
    W: Future<Output = Answered<Answer>> + Send + 'static,
{
    let place = shared.gate.enter().await?;
    let limited = |work: W| {
        let shared = shared.clone();
        let seconds = shared.config.request_seconds;
        async move {
            let late = |_| {
                let message = format!("the answer took more than {seconds} seconds; ask for fewer tokens");
                Refusal::new(StatusCode::GATEWAY_TIMEOUT, "too_long", message)
            };
            let answer = timeout(Duration::from_secs_f64(seconds), work).await.map_err(late)?;
            drop(place);
            answer.inspect(|answer| shared.metrics.spent(answer.usage))
        }
    };
    if !streamed {
        return Ok(Json(shape.whole(limited(work(Outlet(None))).await?)).into_response());
    }
    let (sender, mut receiver) = unbounded_channel();
    let work = limited(work(Outlet(Some(sender.clone()))));
    let task = Abort(tokio::spawn(async move {
        let _ = sender.send(Message::End(work.await));
    }));
    // What fails before the first piece gets a status of its own.
    let first = match receiver.recv().await {
        Some(Message::Piece(piece)) => Next::More(shape.piece(piece).into()),
        Some(Message::End(answer)) => Next::Last(shape.end(answer?).into()),
        None => return Err(broken()),
    };
    let chunks = stream::unfold((first, shape, receiver, task), async |(mut next, mut shape, mut receiver, task)| {
        let event = next.event(&mut shape, &mut receiver).await?;
        Some((Ok::<_, std::convert::Infallible>(event), (next, shape, receiver, task)))
    });
    Ok(Sse::new(chunks).keep_alive(KeepAlive::new().interval(ALIVE)).into_response())
}

/// What a stream sends next.
enum Next {
    /// These chunks, and then more.
    More(VecDeque<Value>),
    /// These chunks, and then the end mark.
    Last(VecDeque<Value>),
    /// Nothing more.
    Over,
}

impl Next {
    async fn event(&mut self, shape: &mut impl Shape, receiver: &mut UnboundedReceiver<Message>) -> Option<Event> {
        loop {
            match self {
                Self::Over => return None,
                Self::Last(chunks) => {
                    if let Some(chunk) = chunks.pop_front() {
                        return Some(event(&chunk));
                    }
                    *self = Self::Over;
                    return Some(Event::default().data("[DONE]"));
                }
                Self::More(chunks) => {
                    if let Some(chunk) = chunks.pop_front() {
                        return Some(event(&chunk));
                    }
                    match receiver.recv().await.unwrap_or_else(|| Message::End(Err(broken()))) {
                        Message::Piece(piece) => *chunks = shape.piece(piece).into(),
                        Message::End(Ok(answer)) => *self = Self::Last(shape.end(answer).into()),
                        Message::End(Err(refusal)) => {
                            *self = Self::Over;
                            return Some(event(&refusal.json()));
                        }
                    }
                }
            }
        }
    }
}

fn event(chunk: &Value) -> Event {
    Event::default().data(chunk.to_string())
}

/// The work ended without a word: it panicked.
fn broken() -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "broken", "the server failed while it answered")
}
