//! `/tokenize` and `/detokenize`, as vLLM has them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use lm::Prompt;
use serde_json::{Value, json};

use crate::Shared;
use crate::chat::messages;
use crate::fields::Fields;
use crate::refusal::{Answered, Refusal};

pub(crate) async fn tokenize(State(shared): State<Arc<Shared>>, request: Request) -> Answered<Json<Value>> {
    let fields = Fields::read(request, &shared.config).await?;
    let (entry, _) = shared.models.find(fields.text("model")?)?;
    let model = &entry.model;
    let tokens = match (fields.text("prompt")?, fields.get("messages")) {
        (Some(text), None) => {
            let mut tokens = model.tokenize(&Prompt::Raw(text.into()))?;
            if fields.get("add_special_tokens").and_then(Value::as_bool) == Some(false) {
                // An empty text has no token but the ones that stand before every text.
                let special = model.tokenize(&Prompt::Raw(String::new()))?;
                tokens.drain(..special.len().min(tokens.len()));
            }
            tokens
        }
        (None, Some(_)) => {
            let (messages, begun) = messages(&fields)?;
            let mut tokens = model.tokenize(&Prompt::Messages(messages))?;
            if !begun.is_empty() {
                let special = model.tokenize(&Prompt::Raw(String::new()))?;
                tokens.extend(model.tokenize(&Prompt::Raw(begun.text))?.into_iter().skip(special.len()));
            }
            tokens
        }
        _ => return Err(Refusal::field("prompt", "give either prompt or messages")),
    };
    let mut answer = json!({ "count": tokens.len(), "max_model_len": model.capabilities().context, "tokens": tokens });
    if fields.flag("return_token_strs")? {
        let texts = tokens.iter().map(|token| model.detokenize(&[*token])).collect::<lm::Result<Vec<_>>>()?;
        answer["token_strs"] = json!(texts);
    }
    Ok(Json(answer))
}

pub(crate) async fn detokenize(State(shared): State<Arc<Shared>>, request: Request) -> Answered<Json<Value>> {
    let fields = Fields::read(request, &shared.config).await?;
    let (entry, _) = shared.models.find(fields.text("model")?)?;
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let tokens = fields.required("tokens")?.as_array().and_then(|list| list.iter().map(id).collect::<Option<Vec<_>>>());
    let tokens = tokens.ok_or_else(|| Refusal::field("tokens", "must be a list of token ids"))?;
    Ok(Json(json!({ "prompt": entry.model.detokenize(&tokens)? })))
}
