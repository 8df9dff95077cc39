//! `/v1/chat/completions`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use lm::{Message, Prompt, Role, Span};
use serde_json::{Value, json};

use crate::answer::{Answer, Choice, Echo, Outlet, Piece, Shape, answer};
use crate::ask::{Ask, chat_logprobs};
use crate::fields::Fields;
use crate::refusal::{Answered, Refusal};
use crate::{Shared, logprobs, search};

pub(crate) async fn chat(State(shared): State<Arc<Shared>>, request: Request) -> Answered<Response> {
    let fields = Fields::read(request, &shared.config).await?;
    let mut ask = Ask::read(&fields, &shared, chat_logprobs(&fields)?).await?;
    let (messages, begun) = messages(&fields)?;
    ask.request.prompt = Prompt::Messages(messages);
    ask.request.begun = begun;
    limit_tokens(&mut ask)?;
    let shape = Chat {
        id: shared.next_id("chatcmpl"),
        created: shared.now(),
        model: ask.name.clone(),
        logprobs: ask.request.logprobs,
        include_usage: ask.include_usage,
        begun: vec![false; ask.request.n],
        told: vec![0; ask.request.n],
    };
    let tools = shared.clone();
    answer(&shared, ask.streamed, shape, |outlet| work(ask, outlet, tools)).await
}

async fn work(ask: Ask, outlet: Outlet, shared: Arc<Shared>) -> Answered<Answer> {
    let echo = ask.echo.then(|| Echo { text: ask.request.begun.text.clone(), tokens: Vec::new() });
    if let Some(echo) = echo.as_ref().filter(|echo| !echo.text.is_empty()) {
        (0..ask.request.n).for_each(|index| outlet.text(index, echo.text.as_str()));
    }
    if let Some(plan) = &ask.plan {
        return search::run(plan, &ask, echo, &outlet, &shared).await;
    }
    let generation = ask.entry.model.stream(ask.request, &mut |delta| outlet.send(Piece::Text(delta))).await?;
    let usage = generation.usage;
    let choices = generation.completions.into_iter().map(|completion| Choice { echo: echo.clone(), completion });
    Ok(Answer { choices: choices.collect(), prompt_tokens: usage.prefill + usage.cached, usage, search: None })
}

/// A chat answer has 1 token or more; if the client does not say how many, what fits.
fn limit_tokens(ask: &mut Ask) -> Answered<()> {
    if ask.request.max_tokens == 0 {
        return Err(Refusal::field("max_tokens", "must be 1 or more"));
    }
    let Some(context) = ask.entry.model.capabilities().context.filter(|_| !ask.tokens_given) else { return Ok(()) };
    // A remote model does not tell its tokens; it will say itself if there are too many.
    let span = |span: &Span| ask.entry.model.tokenize(&Prompt::Raw(span.text.clone())).map_or(0, |tokens| tokens.len());
    let Ok(prompt) = ask.entry.model.tokenize(&ask.request.prompt) else { return Ok(()) };
    let room = context.saturating_sub(prompt.len() + span(&ask.request.begun));
    ask.request.max_tokens = ask.request.max_tokens.min(room).max(1);
    Ok(())
}

/// The conversation, and the turn that is to be continued.
pub(crate) fn messages(fields: &Fields) -> Answered<(Vec<Message>, Span)> {
    let list = fields.required("messages")?.as_array().filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| Refusal::field("messages", "must be a list of at least one message"))?;
    let mut messages = list.iter().enumerate().map(|(at, value)| message(at, value)).collect::<Answered<Vec<_>>>()?;
    let prefix = list.last().and_then(|last| last.get("prefix")).and_then(Value::as_bool).unwrap_or(false);
    let continued = fields.flag("continue_final_message")?;
    if !prefix && !continued {
        if fields.get("add_generation_prompt").and_then(Value::as_bool) == Some(false) {
            return Err(Refusal::unsupported("add_generation_prompt", "the model's turn is always opened"));
        }
        return Ok((messages, Span::default()));
    }
    match messages.pop() {
        Some(Message { role: Role::Assistant, content }) if !messages.is_empty() => Ok((messages, content.into())),
        _ => Err(Refusal::field("messages", "only an assistant's turn after others can be continued")),
    }
}

fn message(at: usize, value: &Value) -> Answered<Message> {
    let wrong = |what: &str, problem: &str| Refusal::field(&format!("messages[{at}].{what}"), problem);
    let role = match value.get("role").and_then(Value::as_str) {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool" | "function") => return Err(wrong("role", "tools are not supported")),
        _ => return Err(wrong("role", "must be system, developer, user or assistant")),
    };
    if value.get("tool_calls").is_some_and(|calls| !calls.is_null() && *calls != json!([])) {
        return Err(wrong("tool_calls", "tools are not supported"));
    }
    let part = |part: &Value| match part.get("type").and_then(Value::as_str) {
        Some("text") => part.get("text").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    let content = match value.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts
            .iter()
            .map(part)
            .collect::<Option<String>>()
            .ok_or_else(|| wrong("content", "only parts of type text are supported"))?,
        _ => return Err(wrong("content", "must be a string or a list of parts")),
    };
    Ok(Message { role, content })
}

/// How chat answers look.
struct Chat {
    id: String,
    created: u64,
    model: String,
    logprobs: bool,
    include_usage: bool,
    /// Whether a choice's first chunk, which names the role, was sent.
    begun: Vec<bool>,
    /// Tokens of each choice whose log-probabilities were sent.
    told: Vec<usize>,
}

impl Chat {
    fn chunk(&self, choices: Value) -> Value {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        });
        if self.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn delta(&self, index: usize, delta: Value, logprobs: Value) -> Value {
        self.chunk(json!([{ "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": null }]))
    }

    fn begin(&mut self, index: usize) -> Option<Value> {
        let begun = self.begun.get_mut(index)?;
        let first = json!({ "role": "assistant", "content": "" });
        (!std::mem::replace(begun, true)).then(|| self.delta(index, first, Value::Null))
    }
}

impl Shape for Chat {
    fn whole(&self, answer: Answer) -> Value {
        let choice = |(index, choice): (usize, &Choice)| {
            let echo = choice.echo.as_ref().map_or("", |echo| &echo.text);
            json!({
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": format!("{echo}{}", choice.completion.text),
                    "refusal": null,
                },
                "logprobs": self.logprobs.then(|| logprobs::chat(&choice.completion.logprobs)),
                "finish_reason": logprobs::finish(choice.completion.finish),
            })
        };
        let mut whole = json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": answer.choices.iter().enumerate().map(choice).collect::<Vec<_>>(),
            "usage": answer.usage(),
        });
        if let Some(search) = answer.search {
            whole["search"] = search;
        }
        whole
    }

    fn piece(&mut self, piece: Piece) -> Vec<Value> {
        match piece {
            Piece::Text(delta) => {
                let first = self.begin(delta.index);
                let tokens = (!delta.logprobs.is_empty()).then(|| logprobs::chat(&delta.logprobs));
                if let Some(told) = self.told.get_mut(delta.index) {
                    *told += delta.logprobs.len();
                }
                let text = self.delta(delta.index, json!({ "content": delta.text }), tokens.unwrap_or_default());
                first.into_iter().chain([text]).collect()
            }
            Piece::Event(event) => {
                let mut chunk = self.chunk(json!([]));
                chunk["search_event"] = event;
                vec![chunk]
            }
        }
    }

    fn end(&mut self, answer: Answer) -> Vec<Value> {
        let mut chunks = Vec::new();
        for (index, choice) in answer.choices.iter().enumerate() {
            chunks.extend(self.begin(index));
            let reason = logprobs::finish(choice.completion.finish);
            let tokens = &choice.completion.logprobs;
            let rest = tokens.get(self.told.get(index).copied().unwrap_or(0)..).filter(|rest| !rest.is_empty());
            let rest = rest.map(logprobs::chat);
            chunks
                .push(self.chunk(json!([{ "index": index, "delta": {}, "logprobs": rest, "finish_reason": reason }])));
        }
        if self.include_usage || answer.search.is_some() {
            let mut last = self.chunk(json!([]));
            if self.include_usage {
                last["usage"] = answer.usage();
            }
            if let Some(search) = answer.search {
                last["search"] = search;
            }
            chunks.push(last);
        }
        chunks
    }
}
