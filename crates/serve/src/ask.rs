//! What chat and plain completions ask for alike.

use lm::{Format, Generate, Prompt, Sampling};
use serde_json::Value;

use crate::fields::{Fields, short};
use crate::refusal::{Answered, Refusal};
use crate::search::Plan;
use crate::{Entry, Shared};

/// Alternatives at a place at most, as at OpenAI.
const ALTERNATIVES: usize = 20;

/// Stop strings of one request at most.
const STOPS: usize = 64;

/// A request, but for what the model reads.
pub(crate) struct Ask {
    /// The model as the client called it.
    pub name: String,
    pub entry: Entry,
    /// All that is asked of the model; the prompt is yet to be filled in.
    pub request: Generate,
    /// Whether the client said how many tokens.
    pub tokens_given: bool,
    /// How an answer is searched for, or none for one plain request.
    pub plan: Option<Plan>,
    pub streamed: bool,
    pub include_usage: bool,
    pub echo: bool,
}

impl Ask {
    /// Reads the common fields; how log-probabilities are asked for differs, and so is read before.
    pub async fn read(fields: &Fields, shared: &Shared, logprobs: Option<usize>) -> Answered<Self> {
        refuse_what_is_not_there(fields)?;
        let config = &shared.config;
        let name = fields.text("model")?;
        let (entry, named) = shared.models.find(name)?;
        let number = |name, range| fields.number(name, range).map(|x| x.map(|x| x as f32));
        let sampling = Sampling {
            temperature: number("temperature", 0.0..=2.0)?.unwrap_or(1.0),
            top_k: fields.whole("top_k", 0..=1 << 30)?.unwrap_or(0),
            top_p: number("top_p", 0.0..=1.0)?.unwrap_or(1.0),
            min_p: number("min_p", 0.0..=1.0)?.unwrap_or(0.0),
            repetition_penalty: number("repetition_penalty", 0.01..=10.0)?.unwrap_or(1.0),
        };
        sampling.validate()?;
        let n = fields.whole("n", 1..=config.n)?.unwrap_or(1);
        if fields.whole("best_of", 1..=config.n)?.is_some_and(|best_of| best_of > n) {
            return Err(Refusal::unsupported("best_of", "is not more than n here; ask for the strategy best-of-8"));
        }
        // Plain completions may ask for no token at all.
        let given = match fields.get("max_completion_tokens") {
            Some(_) => fields.whole("max_completion_tokens", 0..=config.max_tokens)?,
            None => fields.whole("max_tokens", 0..=config.max_tokens)?,
        };
        let options = fields.get("stream_options").and_then(|options| options.get("include_usage"));
        let request = Generate {
            n,
            stop: fields.texts("stop", STOPS)?,
            sampling,
            seed: seed(fields)?.unwrap_or_else(|| shared.next_seed()),
            adapter: entry.adapter.clone(),
            logprobs: logprobs.is_some(),
            top_logprobs: logprobs.unwrap_or(0),
            format: format(fields)?,
            ..Generate::greedy(Prompt::Raw(String::new()), given.unwrap_or(config.default_tokens))
        };
        let plan = Plan::read(fields, named, &request)?;
        // What a remote model can do is found out only where it matters.
        let asked = plan.is_some() || request.format.is_some();
        let able = if asked { entry.model.discover().await? } else { entry.model.capabilities() };
        if request.format.is_some() && !able.formats {
            let name = if fields.get("regex").is_some() { "regex" } else { "response_format" };
            return Err(Refusal::unsupported(name, format!("model {} cannot keep to a format", entry.id)));
        }
        Ok(Self {
            name: name.unwrap_or(&entry.id).to_owned(),
            entry: entry.clone(),
            request,
            tokens_given: given.is_some(),
            plan,
            streamed: fields.flag("stream")?,
            include_usage: options.and_then(Value::as_bool).unwrap_or(false),
            echo: fields.flag("echo")?,
        })
    }
}

/// How many alternatives chat asks for: `logprobs` is a flag there.
pub(crate) fn chat_logprobs(fields: &Fields) -> Answered<Option<usize>> {
    let top = fields.whole("top_logprobs", 0..=ALTERNATIVES)?;
    match (fields.flag("logprobs")?, top) {
        (true, top) => Ok(Some(top.unwrap_or(0))),
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => Err(Refusal::field("top_logprobs", "needs logprobs: true")),
    }
}

/// How many alternatives a plain completion asks for: `logprobs` is their number.
pub(crate) fn plain_logprobs(fields: &Fields) -> Answered<Option<usize>> {
    fields.whole("logprobs", 0..=ALTERNATIVES)
}

/// Any whole number of 64 bits is a seed.
fn seed(fields: &Fields) -> Answered<Option<u64>> {
    let Some(value) = fields.get("seed") else { return Ok(None) };
    let seed = value.as_u64().or_else(|| value.as_i64().map(|seed| seed as u64));
    seed.map(Some).ok_or_else(|| Refusal::field("seed", format!("must be a whole number, not {}", short(value))))
}

/// Refuses what we do not have, where leaving it out would give another answer than was asked for.
fn refuse_what_is_not_there(fields: &Fields) -> Answered<()> {
    for name in ["tools", "functions", "logit_bias", "function_call", "audio", "web_search_options", "suffix"] {
        let empty = |value: &Value| match value {
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::String(text) => text.is_empty() || text == "none",
            _ => false,
        };
        if fields.get(name).is_some_and(|value| !empty(value)) {
            return Err(Refusal::unsupported(name, "is not supported"));
        }
    }
    for name in ["frequency_penalty", "presence_penalty"] {
        if fields.number(name, -2.0..=2.0)?.is_some_and(|penalty| penalty != 0.0) {
            return Err(Refusal::unsupported(name, "is not supported; use repetition_penalty"));
        }
    }
    let choice = fields.get("tool_choice");
    if choice.is_some_and(|choice| !matches!(choice.as_str(), Some("none" | "auto"))) {
        return Err(Refusal::unsupported("tool_choice", "there are no tools"));
    }
    if let Some(kinds) = fields.get("modalities")
        && *kinds != serde_json::json!(["text"])
    {
        return Err(Refusal::unsupported("modalities", "must be [\"text\"]"));
    }
    Ok(())
}

fn format(fields: &Fields) -> Answered<Option<Format>> {
    let regex = fields.text("regex")?.map(|pattern| Format::Regex(pattern.into()));
    let Some(wanted) = fields.get("response_format") else { return Ok(regex) };
    let name = "response_format";
    let format = match wanted.get("type").and_then(Value::as_str) {
        Some("text") => return Ok(regex),
        Some("json_object") => Format::JsonObject,
        Some("json_schema") => match wanted.pointer("/json_schema/schema") {
            Some(schema) if schema.is_object() || schema.is_boolean() => Format::JsonSchema(schema.clone()),
            _ => return Err(Refusal::field(name, "must hold json_schema.schema, a JSON Schema")),
        },
        _ => return Err(Refusal::field(name, "type must be text, json_object or json_schema")),
    };
    if regex.is_some() {
        return Err(Refusal::field("regex", "cannot go with a response_format"));
    }
    Ok(Some(format))
}
