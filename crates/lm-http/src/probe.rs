//! Finds out what a server can do, by asking for the least there is: one token, or four of JSON.

use lm::{Error, Message, Result};
use serde::Deserialize;
use serde_json::json;

use crate::exchange::Exchange;
use crate::wire::{Body, Text};

/// What one of the two paths can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Able {
    /// Several completions a request.
    pub(crate) n: bool,
    /// Log-probabilities of generated tokens.
    pub(crate) logprobs: bool,
    /// Log-probabilities of the prompt's tokens.
    pub(crate) echo: bool,
    /// Text that must be JSON.
    pub(crate) formats: bool,
}

/// A model that the server lists.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Listed {
    pub(crate) id: String,
    /// Tokens that fit, where the server says.
    #[serde(alias = "context_length")]
    pub(crate) max_model_len: Option<usize>,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Listed>,
}

/// The models that the server lists.
pub(crate) async fn models(exchange: &Exchange, name: &str) -> Result<Vec<Listed>> {
    let bytes = exchange.get("models").await?;
    let list: List = serde_json::from_slice(&bytes).map_err(|e| Error::Protocol {
        endpoint: name.into(),
        problem: format!("the list of models is not the expected JSON: {e}"),
    })?;
    Ok(list.data)
}

/// Tries each ability on its own, so that one refusal says nothing about the others.
pub(crate) async fn able(exchange: &Exchange, model: &str, chat: bool) -> Result<Able> {
    const TEXT: &str = "Hello world";
    let body = Body { model: model.into(), max_tokens: 1, ..Body::default() };
    let body = match chat {
        true => Body { messages: Some(vec![Message::user(TEXT)]), ..body },
        false => Body { prompt: Some(Text::Plain(TEXT.into())), ..body },
    };
    let two = Body { n: Some(2), ..body.clone() };
    let n = answered(exchange, &two).await?.is_some();
    let logprobs = answered(exchange, &body.clone().with_logprobs(0)).await?.is_some_and(|reply| {
        // A token without text carries no log-probabilities on some servers and proves nothing.
        reply.choices.iter().any(|choice| choice.tokens.iter().any(|token| token.logprob.is_some()))
    });
    let mut echo = false;
    if !chat {
        let echoed = Body { echo: Some(true), ..body.clone().with_logprobs(0) };
        echo = answered(exchange, &echoed).await?.is_some_and(|reply| {
            let choice = &reply.choices[0];
            let scored = choice.tokens.iter().filter(|token| token.logprob.is_some()).count();
            choice.text.starts_with(TEXT) && choice.tokens.len() >= 2 && scored + 1 >= choice.tokens.len()
        });
    }
    // Some servers take the field and pay no attention: what comes must begin as an object does.
    let mut formed = Body { max_tokens: 4, response_format: Some(json!({ "type": "json_object" })), ..body };
    match chat {
        true => formed.messages = Some(vec![Message::user("Say hello as a JSON object.")]),
        false => formed.prompt = Some(Text::Plain("Hello as a JSON object: ".into())),
    }
    let formed = answered(exchange, &formed).await?;
    let formats = formed.is_some_and(|reply| reply.choices[0].text.trim_start().starts_with('{'));
    Ok(Able { n, logprobs, echo, formats })
}

/// The answer, or none if the server cannot do what was asked; what may pass is an error.
async fn answered(exchange: &Exchange, body: &Body) -> Result<Option<crate::wire::Reply>> {
    match exchange.ask(body, 0, &mut |_| {}).await {
        Ok(reply) => Ok(Some(reply)),
        Err(Error::Refused { status, .. }) if !matches!(status, 401..=403) => Ok(None),
        Err(Error::Protocol { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}
