use futures::future::try_join_all;
use lm::{
    Capabilities, Completion, Delta, Error, Finish, Format, Generate, Generation, LanguageModel, Message, Prompt,
    Result, Score, Scored, Span, Usage,
};
use regex::Regex;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::address::Key;
use crate::exchange::Exchange;
use crate::probe::{self, Able, Listed};
use crate::wire::{Body, Choice, Reply, Text, Token};
use crate::{Config, Spent};

/// A model behind an OpenAI-compatible server.
///
/// What the server can do is found out when it first matters, or by [`HttpModel::discover`]; until
/// then [`LanguageModel::capabilities`] promises nothing but several completions, which n requests
/// give where the server knows no `n`. Scoring works on [`Prompt::Raw`] where the server echoes;
/// how it puts a conversation into text is not known here, so conversations cannot be scored. A turn
/// that has begun goes along as a last message of the assistant with `continue_final_message`, as
/// vLLM reads it; llama.cpp's server goes on with such a message by itself. [`Generate::until`] is
/// unknown to servers: the answer is streamed, cut after the token (or, without log-probabilities,
/// after the character) with which it first matches, and the connection closed; what it cost is
/// then counted here.
pub struct HttpModel {
    name: String,
    config: Config,
    exchange: Exchange,
    listed: OnceCell<Vec<Listed>>,
    chat: OnceCell<Able>,
    raw: OnceCell<Able>,
}

impl HttpModel {
    /// A model with these settings; nothing is sent yet. The key is read from the environment.
    pub fn new(config: Config) -> crate::Result<Self> {
        Self::with_environment(config, |variable| std::env::var(variable).ok())
    }

    pub(crate) fn with_environment(
        config: Config,
        environment: impl Fn(&str) -> Option<String>,
    ) -> crate::Result<Self> {
        let config = config.resolve()?;
        config.validate()?;
        let key = Key::read(&config, environment)?;
        let exchange = Exchange::new(&config, key)?;
        let address = crate::address::Address::read(&config.addresses[0], None, true)?.base;
        let model = config.model.as_ref().map(|model| format!("#{model}")).unwrap_or_default();
        let name = format!("{}{model}", address.as_str().trim_end_matches('/'));
        let (listed, chat, raw) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Ok(Self { name, config, exchange, listed, chat, raw })
    }

    /// Finds out what the server can do, with at most eight small requests, and remembers it.
    pub async fn discover(&self) -> Result<Capabilities> {
        if let Err(error) = self.listed().await {
            // With a name, a server that lists nothing can be used all the same.
            self.config.model.as_ref().map_or(Err(error), |_| Ok(()))?;
        }
        self.able(true).await?;
        self.able(false).await?;
        Ok(self.capabilities())
    }

    /// What was spent so far.
    pub fn spent(&self) -> Spent {
        self.exchange.meter.spent()
    }

    async fn listed(&self) -> Result<&[Listed]> {
        self.listed.get_or_try_init(|| probe::models(&self.exchange, &self.name)).await.map(Vec::as_slice)
    }

    /// Name of the model, or of the adapter, as the server knows it.
    async fn model(&self, adapter: Option<&str>) -> Result<String> {
        if let Some(adapter) = adapter {
            // Servers that hold adapters list them like models.
            let known = self.listed().await?.iter().any(|listed| listed.id == adapter);
            let missing = || Error::Adapter { model: self.name.clone(), adapter: adapter.into() };
            return known.then(|| adapter.to_string()).ok_or_else(missing);
        }
        if let Some(model) = &self.config.model {
            return Ok(model.clone());
        }
        let first = self.listed().await?.first().map(|listed| listed.id.clone());
        first.ok_or_else(|| Error::Protocol {
            endpoint: self.name.clone(),
            problem: "it lists no model; name one, as in http://HOST:PORT#MODEL".into(),
        })
    }

    async fn able(&self, chat: bool) -> Result<Able> {
        let cell = if chat { &self.chat } else { &self.raw };
        let find = || async { probe::able(&self.exchange, &self.model(None).await?, chat).await };
        cell.get_or_try_init(find).await.copied()
    }

    /// Which of the echoed tokens begin in the `count` characters after the first `from`.
    fn places(&self, echoed: &[Token], from: usize, count: usize) -> Result<std::ops::Range<usize>> {
        let mut counted = 0;
        let begins = echoed.iter().map(|token| {
            let offset = token.offset.unwrap_or(counted);
            counted = offset + token.text.chars().count();
            offset
        });
        let begins: Vec<usize> = begins.collect();
        let first = begins.iter().position(|at| *at == from);
        let first = first.filter(|first| echoed[*first].text.chars().count() > 0 || count == 0);
        let Some(first) = first else {
            return Err(self.unsupported("score this text: one of its tokens reaches over the end of the prompt"));
        };
        let more = begins[first..].iter().take_while(|at| **at < from + count).count();
        Ok(first..first + more)
    }

    fn unsupported(&self, what: &str) -> Error {
        Error::Unsupported { model: self.name.clone(), what: what.into() }
    }

    /// The requests to send, each with its seed: one that asks for all n where the server can, else n.
    async fn bodies(&self, request: &Generate, stream: bool) -> Result<Vec<(Body, u64)>> {
        request.validate()?;
        check_top(request.top_logprobs)?;
        if let Some(Err(e)) = request.until.as_deref().map(Regex::new) {
            return Err(Error::Request { field: "until", problem: format!("is no regular expression: {e}") });
        }
        let chat = matches!(request.prompt, Prompt::Messages(_));
        let mut body = Body {
            model: self.model(request.adapter.as_deref()).await?,
            max_tokens: request.max_tokens,
            stop: request.stop.clone(),
            until: request.until.clone(),
            ..Body::default()
        };
        let begun = &request.begun;
        if begun.text.is_empty() && !begun.tokens.is_empty() && !matches!(request.prompt, Prompt::Tokens(_)) {
            return Err(self.unsupported("go on after tokens of which it is not told the text"));
        }
        match &request.prompt {
            Prompt::Messages(messages) => {
                let mut messages = messages.clone();
                if !begun.is_empty() {
                    messages.push(Message::assistant(&begun.text));
                    (body.continue_final_message, body.add_generation_prompt) = (Some(true), Some(false));
                }
                body.messages = Some(messages);
            }
            Prompt::Raw(text) => body.prompt = Some(Text::Plain(format!("{text}{}", begun.text))),
            Prompt::Tokens(ids) => body.prompt = Some(Text::Ids(self.after(ids, begun)?)),
        }
        if let Some(format) = &request.format {
            let named = |schema| json!({ "name": "answer", "schema": schema, "strict": true });
            body.response_format = Some(match format {
                Format::JsonObject => json!({ "type": "json_object" }),
                Format::JsonSchema(schema) => json!({ "type": "json_schema", "json_schema": named(schema) }),
                Format::Regex(_) => return Err(self.unsupported("keep to a pattern")),
            });
            if !self.able(chat).await?.formats {
                return Err(self.unsupported("keep to a format (response_format)"));
            }
        }
        if request.logprobs {
            if !self.able(chat).await?.logprobs {
                return Err(self.unsupported("return log-probabilities of generated tokens"));
            }
            body = body.with_logprobs(request.top_logprobs);
        }
        if stream || request.until.is_some() {
            body = body.streamed();
        }
        let seed = |index: usize| record::seed::derive(request.seed, "lm-http", &index.to_string());
        if request.n > 1 && self.able(chat).await?.n {
            body.n = Some(request.n);
            return Ok(vec![(body.sampling(&request.sampling, seed(0)), seed(0))]);
        }
        let one = |index| (body.clone().sampling(&request.sampling, seed(index)), seed(index));
        Ok((0..request.n).map(one).collect())
    }

    /// Tokens, and what stands after them.
    fn after(&self, ids: &[u32], span: &Span) -> Result<Vec<u32>> {
        match span.tokens.is_empty() && !span.text.is_empty() {
            true => Err(self.unsupported("read text after tokens; give its tokens")),
            false => Ok([ids, &span.tokens].concat()),
        }
    }

    fn generation(&self, request: &Generate, replies: &[Reply]) -> Result<Generation> {
        let (mut completions, mut usage) = (Vec::new(), Usage::default());
        let prompt_bytes = match &request.prompt {
            Prompt::Raw(text) => text.len(),
            Prompt::Tokens(tokens) => tokens.len(),
            Prompt::Messages(messages) => messages.iter().map(|m| m.content.len()).sum(),
        };
        for reply in replies {
            usage += reply.usage(prompt_bytes);
            for choice in &reply.choices {
                let completion = self.completion(choice, request.top_logprobs)?;
                self.obeys(request, &completion)?;
                completions.push(completion);
            }
        }
        Ok(Generation { completions, usage })
    }

    /// A server that pays no attention to a format is found out where its answer is no JSON.
    fn obeys(&self, request: &Generate, completion: &Completion) -> Result<()> {
        let whole = completion.finish == Finish::Stop && request.stop.is_empty();
        let Some(format) = request.format.as_ref().filter(|_| whole) else { return Ok(()) };
        let json = serde_json::from_str::<serde_json::Value>(&completion.text);
        if json.is_ok_and(|json| json.is_object() || !matches!(format, Format::JsonObject)) {
            return Ok(());
        }
        let problem = "JSON was asked for, and its answer is none".into();
        Err(Error::Protocol { endpoint: self.name.clone(), problem })
    }

    fn completion(&self, choice: &Choice, top: usize) -> Result<Completion> {
        choice.completion(top).map_err(|problem| Error::Protocol { endpoint: self.name.clone(), problem })
    }
}

/// No server gives more, and the local engine sets the same limit.
fn check_top(count: usize) -> Result<()> {
    match count {
        0..=20 => Ok(()),
        _ => Err(Error::Request { field: "top_logprobs", problem: format!("is {count}, but must lie in 0..=20") }),
    }
}

#[async_trait::async_trait]
impl LanguageModel for HttpModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        let known = |cell: &OnceCell<Able>| cell.get().copied().unwrap_or_default();
        let (chat, raw) = (known(&self.chat), known(&self.raw));
        let listed = self.listed.get().map_or(&[][..], Vec::as_slice);
        let model = match &self.config.model {
            Some(name) => listed.iter().find(|listed| listed.id == *name),
            None => listed.first(),
        };
        Capabilities {
            context: model.and_then(|listed| listed.max_model_len),
            logprobs: chat.logprobs,
            score: raw.echo,
            n: true,
            // No server promises it; the request cache gives the same answer again.
            seeded: false,
            adapters: listed.len() > 1,
            formats: chat.formats,
            parameters: None,
        }
    }

    async fn discover(&self) -> Result<Capabilities> {
        Self::discover(self).await
    }

    async fn generate(&self, request: Generate) -> Result<Generation> {
        let bodies = self.bodies(&request, false).await?;
        let ask = |(body, seed): (Body, u64)| async move { self.exchange.ask(&body, seed, &mut |_| {}).await };
        let replies = try_join_all(bodies.into_iter().map(ask)).await?;
        self.generation(&request, &replies)
    }

    async fn stream(&self, request: Generate, sink: &mut (dyn FnMut(Delta) + Send)) -> Result<Generation> {
        let mut replies = Vec::new();
        for (place, (body, seed)) in self.bodies(&request, true).await?.into_iter().enumerate() {
            // Where each completion is a request of its own, the server numbers each one 0.
            let mut numbered = |delta: Delta| sink(Delta { index: delta.index + place, ..delta });
            replies.push(self.exchange.ask(&body, seed, &mut numbered).await?);
        }
        self.generation(&request, &replies)
    }

    async fn score(&self, request: Score) -> Result<Scored> {
        check_top(request.top_logprobs)?;
        let span = &request.continuation;
        let text = match &request.prompt {
            Prompt::Messages(_) => {
                return Err(
                    self.unsupported("score a conversation: its chat template is not known here; score raw text")
                );
            }
            Prompt::Raw(_) if span.text.is_empty() && !span.tokens.is_empty() => {
                return Err(self.unsupported("score tokens of which it is not told the text"));
            }
            Prompt::Raw(prompt) => Text::Plain(format!("{prompt}{}", span.text)),
            Prompt::Tokens(ids) => Text::Ids(self.after(ids, span)?),
        };
        if span.is_empty() {
            return Ok(Scored { tokens: Vec::new(), usage: Usage::default() });
        }
        if !self.able(false).await?.echo {
            return Err(self.unsupported("score a given text: it returns no log-probabilities of the prompt (echo)"));
        }
        let model = self.model(request.adapter.as_deref()).await?;
        // Not every server takes 0 tokens; the one token more is cut off below.
        let body = Body { model, prompt: Some(text), max_tokens: 1, echo: Some(true), ..Body::default() };
        let body = body.with_logprobs(request.top_logprobs);
        let reply = self.exchange.ask(&body, 0, &mut |_| {}).await?;
        let echoed = &reply.choices[0].tokens;
        let places = match &request.prompt {
            Prompt::Tokens(ids) => ids.len()..ids.len() + span.tokens.len(),
            Prompt::Raw(prompt) => self.places(echoed, prompt.chars().count(), span.text.chars().count())?,
            Prompt::Messages(_) => 0..0,
        };
        let scored = |(index, token): (usize, &Token)| {
            let scored = token.scored(request.top_logprobs).filter(|scored| scored.logprob.is_finite());
            let place = format!("the log-probability of token {index} of the text");
            scored.ok_or_else(|| Error::NonFinite { model: self.name.clone(), place })
        };
        if echoed.len() < places.end {
            let problem = format!("{} tokens were to be echoed, {} came", places.end, echoed.len());
            return Err(Error::Protocol { endpoint: self.name.clone(), problem });
        }
        let tokens = echoed.iter().enumerate().take(places.end).skip(places.start).map(scored);
        Ok(Scored { tokens: tokens.collect::<Result<_>>()?, usage: reply.usage(body.prompt_bytes()) })
    }
}
