//! `/v1/completions`: plain text in, plain text out, and the prompt's log-probabilities on demand,
//! which evaluation harnesses need.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use futures::future::{try_join, try_join_all};
use lm::{Completion, Finish, Generate, Generation, Prompt, Score, Span, TokenLogprob, Usage};
use serde_json::{Value, json};

use crate::answer::{Answer, Choice, Echo, Outlet, Piece, Shape, answer};
use crate::ask::{Ask, plain_logprobs};
use crate::fields::Fields;
use crate::refusal::{Answered, Refusal};
use crate::{Entry, Shared, logprobs, search};

/// Tokens of a completion whose request does not say, as at OpenAI.
const TOKENS: usize = 16;

pub(crate) async fn completions(State(shared): State<Arc<Shared>>, request: Request) -> Answered<Response> {
    let fields = Fields::read(request, &shared.config).await?;
    let mut ask = Ask::read(&fields, &shared, plain_logprobs(&fields)?).await?;
    let prompts = prompts(&fields, shared.config.prompts)?;
    if !ask.tokens_given {
        ask.request.max_tokens = TOKENS;
    }
    if ask.request.max_tokens == 0 && !ask.echo {
        return Err(Refusal::field("max_tokens", "may be 0 only with echo"));
    }
    if ask.plan.is_some() && (prompts.len() > 1 || ask.request.max_tokens == 0) {
        return Err(Refusal::field("strategy", "takes one prompt, and 1 token or more"));
    }
    let shape = Plain {
        id: shared.next_id("cmpl"),
        created: shared.now(),
        model: ask.name.clone(),
        logprobs: ask.request.logprobs,
        include_usage: ask.include_usage,
        echo: ask.echo,
        told: vec![(0, 0); prompts.len() * ask.request.n],
    };
    let tools = shared.clone();
    answer(&shared, ask.streamed, shape, |outlet| work(ask, prompts, outlet, tools)).await
}

async fn work(mut ask: Ask, mut prompts: Vec<Prompt>, outlet: Outlet, shared: Arc<Shared>) -> Answered<Answer> {
    if let (Some(plan), Some(prompt)) = (&ask.plan, prompts.pop_if(|_| ask.plan.is_some())) {
        let echo = if ask.echo { Some(echo(&ask.entry, &prompt)?.0) } else { None };
        if let Some(echo) = &echo {
            outlet.text(0, echo.text.as_str());
        }
        ask.request.prompt = prompt;
        return search::run(plan, &ask, echo, &outlet, &shared).await;
    }
    let works = prompts.into_iter().enumerate().map(|(at, prompt)| {
        let request = Generate { prompt, ..ask.request.clone() };
        complete(&ask.entry, request, ask.echo, &outlet, at * ask.request.n)
    });
    let mut answer = Answer { choices: Vec::new(), prompt_tokens: 0, usage: Usage::default(), search: None };
    for part in try_join_all(works).await? {
        answer.choices.extend(part.choices);
        answer.prompt_tokens += part.prompt_tokens;
        answer.usage += part.usage;
    }
    Ok(answer)
}

/// Completes one prompt; its choices are numbered from `base`.
async fn complete(
    entry: &Entry,
    mut request: Generate,
    echoed: bool,
    outlet: &Outlet,
    base: usize,
) -> Answered<Answer> {
    let n = request.n;
    let generate = async |request: Generate| -> Answered<Generation> {
        if request.max_tokens == 0 {
            let completion =
                Completion { text: String::new(), tokens: vec![], logprobs: vec![], finish: Finish::Length };
            return Ok(Generation { completions: vec![completion; n], usage: Usage::default() });
        }
        let send = &mut |mut delta: lm::Delta| {
            delta.index += base;
            outlet.send(Piece::Text(delta));
        };
        Ok(entry.model.stream(request, send).await?)
    };
    if !echoed {
        let generation = generate(request).await?;
        let usage = generation.usage;
        let choices = generation.completions.into_iter().map(|completion| Choice { echo: None, completion });
        return Ok(Answer {
            choices: choices.collect(),
            prompt_tokens: usage.prefill + usage.cached,
            usage,
            search: None,
        });
    }
    let (mut echo, tokens) = echo(entry, &request.prompt)?;
    (0..n).for_each(|index| outlet.text(base + index, echo.text.as_str()));
    if !request.logprobs {
        let generation = generate(request).await?;
        let usage = generation.usage;
        let choice = |completion| Choice { echo: Some(echo.clone()), completion };
        let choices = generation.completions.into_iter().map(choice).collect();
        let prompt_tokens = (usage.prefill + usage.cached).max(tokens.map_or(0, |tokens| tokens.len() as u64));
        return Ok(Answer { choices, prompt_tokens, usage, search: None });
    }
    let tokens = tokens.ok_or_else(|| {
        let problem = format!("with logprobs needs a model that shows its tokens; {} does not", entry.id);
        Refusal::unsupported("echo", problem)
    })?;
    let Some((first, rest)) = tokens.split_first() else {
        return Err(Refusal::field("prompt", "has no token; give at least one character"));
    };
    request.prompt = Prompt::Tokens(tokens.clone());
    let score = Score {
        prompt: Prompt::Tokens(vec![*first]),
        continuation: Span { text: String::new(), tokens: rest.to_vec() },
        adapter: request.adapter.clone(),
        top_logprobs: request.top_logprobs,
    };
    let scored = async { Ok(entry.model.score(score).await?) };
    let (scored, mut generation) = try_join(scored, generate(request.clone())).await?;
    echo.tokens.push((entry.model.detokenize(&[*first])?, None));
    echo.tokens.extend(scored.tokens.into_iter().map(|token| (token.text.clone(), Some(token))));
    let mut usage = scored.usage;
    usage += generation.usage;
    for completion in &mut generation.completions {
        usage += end_token(entry, &request, &tokens, completion).await?;
    }
    let choice = |completion| Choice { echo: Some(echo.clone()), completion };
    let choices = generation.completions.into_iter().map(choice).collect();
    Ok(Answer { choices, prompt_tokens: tokens.len() as u64, usage, search: None })
}

/// Appends the token that ended a greedy completion to its log-probabilities.
///
/// A completion holds no end token, but a client that asks for the prompt's log-probabilities and
/// one token more counts that token: lm-eval cuts off the last entry, whatever it is.
async fn end_token(entry: &Entry, request: &Generate, prompt: &[u32], completion: &mut Completion) -> Answered<Usage> {
    let drawn = completion.tokens.len();
    let greedy = request.sampling.temperature == 0.0 && request.sampling.repetition_penalty == 1.0;
    let by_token = completion.finish == Finish::Stop && request.stop.is_empty() && request.format.is_none();
    if !greedy || !by_token || drawn >= request.max_tokens {
        return Ok(Usage::default());
    }
    // What stands at a place is known from scoring any token there.
    let score = Score {
        prompt: Prompt::Tokens([prompt, &completion.tokens].concat()),
        continuation: Span { text: String::new(), tokens: prompt[..1].to_vec() },
        adapter: request.adapter.clone(),
        top_logprobs: request.top_logprobs.max(1),
    };
    let mut scored = entry.model.score(score).await?;
    if let Some(TokenLogprob { top, scale, .. }) = scored.tokens.pop()
        && let Some(end) = top.first().cloned()
    {
        let top = if request.top_logprobs == 0 { Vec::new() } else { top };
        completion.logprobs.push(TokenLogprob {
            id: end.id,
            text: end.text,
            logprob: end.logprob,
            greedy: Some(true),
            scale,
            top,
        });
    }
    Ok(scored.usage)
}

/// A prompt's text, and its tokens where the model shows them.
fn echo(entry: &Entry, prompt: &Prompt) -> Answered<(Echo, Option<Vec<u32>>)> {
    let (text, tokens) = match prompt {
        Prompt::Tokens(tokens) => (entry.model.detokenize(tokens)?, Some(tokens.clone())),
        Prompt::Raw(text) => (text.clone(), entry.model.tokenize(prompt).ok()),
        Prompt::Messages(_) => (String::new(), None),
    };
    Ok((Echo { text, tokens: Vec::new() }, tokens))
}

/// Text, texts, tokens, or lists of tokens.
fn prompts(fields: &Fields, most: usize) -> Answered<Vec<Prompt>> {
    let wrong = || {
        let problem = "must be a string, a list of strings, a list of token ids or a list of such lists; none empty";
        Refusal::field("prompt", problem)
    };
    let ids = |list: &[Value]| -> Option<Prompt> {
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        list.iter().map(id).collect::<Option<Vec<u32>>>().filter(|ids| !ids.is_empty()).map(Prompt::Tokens)
    };
    let one = |value: &Value| match value {
        Value::String(text) => Some(Prompt::Raw(text.clone())),
        Value::Array(list) => ids(list),
        _ => None,
    };
    let prompts = match fields.required("prompt")? {
        Value::Array(list) if list.first().is_some_and(Value::is_number) => vec![ids(list).ok_or_else(wrong)?],
        Value::Array(list) => list.iter().map(one).collect::<Option<Vec<_>>>().ok_or_else(wrong)?,
        value => vec![one(value).ok_or_else(wrong)?],
    };
    if prompts.is_empty() {
        return Err(wrong());
    }
    if prompts.len() > most {
        return Err(Refusal::field("prompt", format!("holds {} prompts; at most {most} go at once", prompts.len())));
    }
    Ok(prompts)
}

/// How plain completions look.
struct Plain {
    id: String,
    created: u64,
    model: String,
    logprobs: bool,
    include_usage: bool,
    /// The prompt's log-probabilities come at the end of a stream, and so do all.
    echo: bool,
    /// Characters and tokens of each choice that were sent.
    told: Vec<(usize, usize)>,
}

impl Plain {
    fn object(&self, choices: Vec<Value>, usage: Option<Value>) -> Value {
        let mut object = json!({
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        });
        if let Some(usage) = usage {
            object["usage"] = usage;
        }
        object
    }

    /// In a stream, `usage` is there and null until the end, if it is wanted at all.
    fn chunk(&self, choices: Vec<Value>) -> Value {
        self.object(choices, self.include_usage.then_some(Value::Null))
    }

    fn logprobs(&self, choice: &Choice) -> Value {
        if self.logprobs { logprobs::plain(choice) } else { Value::Null }
    }
}

impl Shape for Plain {
    fn whole(&self, answer: Answer) -> Value {
        let choice = |(index, choice): (usize, &Choice)| {
            let echo = choice.echo.as_ref().map_or("", |echo| &echo.text);
            json!({
                "index": index,
                "text": format!("{echo}{}", choice.completion.text),
                "logprobs": self.logprobs(choice),
                "finish_reason": logprobs::finish(choice.completion.finish),
            })
        };
        let mut whole = self.object(answer.choices.iter().enumerate().map(choice).collect(), Some(answer.usage()));
        if let Some(search) = answer.search {
            whole["search"] = search;
        }
        whole
    }

    fn piece(&mut self, piece: Piece) -> Vec<Value> {
        vec![match piece {
            Piece::Text(delta) => {
                let mut tokens = Value::Null;
                if let Some((characters, told)) = self.told.get_mut(delta.index).filter(|_| !self.echo) {
                    if !delta.logprobs.is_empty() {
                        tokens = logprobs::part(&delta.text, *characters, &delta.logprobs);
                    }
                    *characters += delta.text.chars().count();
                    *told += delta.logprobs.len();
                }
                let choice =
                    json!({ "index": delta.index, "text": delta.text, "logprobs": tokens, "finish_reason": null });
                self.chunk(vec![choice])
            }
            Piece::Event(event) => {
                let mut chunk = self.chunk(Vec::new());
                chunk["search_event"] = event;
                chunk
            }
        }]
    }

    fn end(&mut self, answer: Answer) -> Vec<Value> {
        let last = |(index, choice): (usize, &Choice)| {
            let reason = logprobs::finish(choice.completion.finish);
            let (characters, told) = self.told.get(index).copied().unwrap_or_default();
            let rest = choice.completion.logprobs.get(told..).filter(|rest| !rest.is_empty());
            let tokens = match self.echo {
                true => self.logprobs(choice),
                false => rest.map(|rest| logprobs::part("", characters, rest)).unwrap_or_default(),
            };
            self.chunk(vec![json!({ "index": index, "text": "", "logprobs": tokens, "finish_reason": reason })])
        };
        let mut chunks: Vec<_> = answer.choices.iter().enumerate().map(last).collect();
        if self.include_usage || answer.search.is_some() {
            let mut last = self.chunk(Vec::new());
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
