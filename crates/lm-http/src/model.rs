use futures::future::try_join_all;
use lm::{
    Capabilities, Completion, Delta, Error, Generate, Generation, LanguageModel, Prompt, Result, Score, Scored, Usage,
};
use tokio::sync::OnceCell;

use crate::address::Key;
use crate::exchange::Exchange;
use crate::probe::{self, Able, Listed};
use crate::wire::{Body, Choice, Reply};
use crate::{Config, Spent};

/// A model behind an OpenAI-compatible server.
///
/// What the server can do is found out when it first matters, or by [`HttpModel::discover`]; until
/// then [`LanguageModel::capabilities`] promises nothing but several completions, which n requests
/// give where the server knows no `n`. Scoring works on [`Prompt::Raw`] where the server echoes;
/// how it puts a conversation into text is not known here, so conversations cannot be scored.
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

    /// Finds out what the server can do, with at most six small requests, and remembers it.
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

    fn unsupported(&self, what: &str) -> Error {
        Error::Unsupported { model: self.name.clone(), what: what.into() }
    }

    /// The requests to send, each with its seed: one that asks for all n where the server can, else n.
    async fn bodies(&self, request: &Generate, stream: bool) -> Result<Vec<(Body, u64)>> {
        request.validate()?;
        let chat = matches!(request.prompt, Prompt::Messages(_));
        let mut body = Body {
            model: self.model(request.adapter.as_deref()).await?,
            max_tokens: request.max_tokens,
            stop: request.stop.clone(),
            ..Body::default()
        };
        match &request.prompt {
            Prompt::Messages(messages) => body.messages = Some(messages.clone()),
            Prompt::Raw(text) => body.prompt = Some(text.clone()),
            Prompt::Tokens(_) => return Err(self.unsupported("read tokens")),
        }
        if request.logprobs {
            if !self.able(chat).await?.logprobs {
                return Err(self.unsupported("return log-probabilities of generated tokens"));
            }
            body = body.with_logprobs();
        }
        if stream {
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
                completions.push(self.completion(choice)?);
            }
        }
        Ok(Generation { completions, usage })
    }

    fn completion(&self, choice: &Choice) -> Result<Completion> {
        choice.completion().map_err(|problem| Error::Protocol { endpoint: self.name.clone(), problem })
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
            formats: false,
            parameters: None,
        }
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
            let mut numbered = |delta: Delta| sink(Delta { index: delta.index + place, text: delta.text });
            replies.push(self.exchange.ask(&body, seed, &mut numbered).await?);
        }
        self.generation(&request, &replies)
    }

    async fn score(&self, request: Score) -> Result<Scored> {
        let Prompt::Raw(prompt) = &request.prompt else {
            return Err(self.unsupported("score a conversation: its chat template is not known here; score raw text"));
        };
        if request.continuation.text.is_empty() {
            return Ok(Scored { tokens: Vec::new(), usage: Usage::default() });
        }
        if !self.able(false).await?.echo {
            return Err(self.unsupported("score a given text: it returns no log-probabilities of the prompt (echo)"));
        }
        let text = format!("{prompt}{}", request.continuation.text);
        let model = self.model(request.adapter.as_deref()).await?;
        // Not every server takes 0 tokens; the one token more is cut off below.
        let body = Body { model, prompt: Some(text.clone()), max_tokens: 1, echo: Some(true), ..Body::default() };
        let reply = self.exchange.ask(&body.with_logprobs(), 0, &mut |_| {}).await?;
        let (from, to) = (prompt.chars().count(), text.chars().count());
        let mut tokens = Vec::new();
        let mut counted = 0;
        let mut aligned = false;
        for (index, token) in reply.choices[0].tokens.iter().enumerate() {
            let offset = token.offset.unwrap_or(counted);
            counted = offset + token.text.chars().count();
            if offset < from || offset >= to {
                continue;
            }
            aligned |= offset == from;
            let place = || format!("the log-probability of token {index} of the text");
            let scored = token.scored().filter(|scored| scored.logprob.is_finite());
            tokens.push(scored.ok_or_else(|| Error::NonFinite { model: self.name.clone(), place: place() })?);
        }
        if !aligned {
            return Err(self.unsupported("score this text: one of its tokens reaches over the end of the prompt"));
        }
        Ok(Scored { tokens, usage: reply.usage(text.len()) })
    }
}
