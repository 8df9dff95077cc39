//! Answers that are searched for: a strategy of `decode` in place of one plain request.

use axum::http::StatusCode;
use decode::{Boundary, By, Clustering, Error, Event, Request, Strategy, Tools};
use lm::{Completion, Finish, Generate, Usage};
use serde_json::Value;

use crate::Shared;
use crate::answer::{Answer, Choice, Echo, Outlet, Piece};
use crate::ask::Ask;
use crate::fields::{Fields, short};
use crate::refusal::{Answered, Refusal};

/// How an answer is searched for.
pub(crate) struct Plan {
    strategy: Strategy,
    boundary: Boundary,
    /// Tokens that the whole search may decode.
    budget: Option<u64>,
    /// Whether the client wants to see the search.
    shown: bool,
}

impl Plan {
    /// Reads the strategy, from the model's name or the body, and what goes with it.
    pub fn read(fields: &Fields, named: Option<&str>, request: &Generate) -> Answered<Option<Self>> {
        let (field, text) = match (named, fields.get("strategy")) {
            (None, None) => {
                for name in ["budget", "boundary"] {
                    if fields.get(name).is_some() {
                        return Err(Refusal::field(name, "means something only with a strategy"));
                    }
                }
                if fields.flag("search")? {
                    return Err(Refusal::field("search", "there is a search only with a strategy"));
                }
                return Ok(None);
            }
            (Some(_), Some(_)) => return Err(Refusal::field("strategy", "the model's name asks for one already")),
            (Some(name), None) => ("model", name.to_owned()),
            (None, Some(Value::String(name))) => ("strategy", name.clone()),
            (None, Some(settings @ Value::Object(_))) => ("strategy", settings.to_string()),
            (None, Some(other)) => {
                let problem = format!("must be a name or an object with its settings, not {}", short(other));
                return Err(Refusal::field("strategy", problem));
            }
        };
        let strategy = Strategy::parse(&text).map_err(|error| {
            let refusal = refuse(error);
            let unknown = refusal.status == StatusCode::NOT_FOUND && field == "strategy";
            let status = if unknown { StatusCode::BAD_REQUEST } else { refusal.status };
            Refusal { param: Some(field.into()), ..Refusal::new(status, refusal.code, refusal.message) }
        })?;
        if request.n > 1 {
            return Err(Refusal::unsupported("n", "a search gives one answer"));
        }
        if request.logprobs {
            return Err(Refusal::unsupported("logprobs", "a search shows them in its record; ask with search: true"));
        }
        if request.format.is_some() {
            return Err(Refusal::unsupported("response_format", "a search keeps to no format"));
        }
        let boundary = match fields.text("boundary")? {
            Some(text) => text.parse().map_err(refuse)?,
            None => Boundary::default(),
        };
        let budget = fields.whole("budget", 1..=1 << 40)?.map(|budget| budget as u64);
        Ok(Some(Self { strategy, boundary, budget, shown: fields.flag("search")? }))
    }
}

/// Searches, and tells of it on the way.
pub(crate) async fn run(
    plan: &Plan,
    ask: &Ask,
    echo: Option<Echo>,
    outlet: &Outlet,
    shared: &Shared,
) -> Answered<Answer> {
    let asked = &ask.request;
    let request = Request {
        prompt: asked.prompt.clone(),
        begun: asked.begun.clone(),
        adapter: asked.adapter.clone(),
        max_tokens: asked.max_tokens,
        stop: asked.stop.clone(),
        boundary: plan.boundary.clone(),
        budget: plan.budget,
        seed: asked.seed,
    };
    let tools = Tools { embedder: shared.models.embedder.as_deref(), ..Tools::default() };
    let mut progress = |event: Event| match event {
        Event::Text(text) => outlet.text(0, text),
        event if plan.shown => outlet.send(Piece::Event(json(&event))),
        _ => {}
    };
    let search = decode::search(&ask.entry.model, &plan.strategy, &request, &tools, &mut progress);
    let search = search.await.map_err(refuse)?;
    let finished = search.nodes.get(search.chosen).is_some_and(|node| node.finished);
    let completion = Completion {
        text: search.answer.clone(),
        tokens: Vec::new(),
        logprobs: Vec::new(),
        finish: if finished { Finish::Stop } else { Finish::Length },
    };
    let usage = Usage { prefill: search.cost.prefill, cached: search.cost.cached, decode: search.cost.decode };
    // A search reads its prompt often; a client counts it once. Where tokens are not known, all
    // that was read is.
    let prompt = ask.entry.model.tokenize(&asked.prompt).map_or(usage.prefill + usage.cached, |t| t.len() as u64);
    let search = plan.shown.then(|| json(&search));
    Ok(Answer { choices: vec![Choice { echo, completion }], prompt_tokens: prompt, usage, search })
}

fn json(value: &impl serde::Serialize) -> Value {
    // Records have string keys and numbers that are finite or null, which JSON can always hold.
    serde_json::to_value(value).unwrap_or_default()
}

fn refuse(error: Error) -> Refusal {
    let message = error.to_string();
    let bad = |code, param: &str| Refusal {
        param: Some(param.into()),
        ..Refusal::new(StatusCode::BAD_REQUEST, code, message.clone())
    };
    match error {
        Error::Model { source, .. } => Refusal { message, ..Refusal::from(source) },
        Error::Unknown { .. } => Refusal::new(StatusCode::NOT_FOUND, "unknown_strategy", message),
        Error::Setting { .. } => bad("invalid_value", "strategy"),
        Error::Needs { .. } => bad("unsupported", "strategy"),
        Error::Request { field, .. } => bad("invalid_value", field),
        Error::NonFinite { .. } => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "not_finite", message),
        Error::Record { .. } | Error::File { .. } => {
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "search_failed", message)
        }
    }
}

/// Names of the strategies that this server can follow, what each does, and its settings with their
/// defaults: what the field `strategy` takes.
pub(crate) fn list(shared: &Shared) -> Vec<(String, String, Value)> {
    let able = |strategy: &Strategy| match strategy {
        // A scorer is code of a caller's own; over HTTP there is none.
        Strategy::BestOf(best_of) => best_of.by != By::Scorer,
        Strategy::Phi(phi) => phi.clustering != Clustering::Encoder || shared.models.embedder.is_some(),
        _ => true,
    };
    let parsed = |(name, what): (String, String)| {
        let strategy = Strategy::parse(&name).ok().filter(able)?;
        Some((name, what, json(&strategy)))
    };
    Strategy::list().into_iter().filter_map(parsed).collect()
}

/// Whether a strategy can be asked for by this name.
pub(crate) fn knows(name: &str) -> bool {
    Strategy::parse(name).is_ok()
}
