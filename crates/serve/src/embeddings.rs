//! `/v1/embeddings`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::Shared;
use crate::fields::Fields;
use crate::refusal::{Answered, Refusal};

pub(crate) async fn embeddings(State(shared): State<Arc<Shared>>, request: Request) -> Answered<Json<Value>> {
    let fields = Fields::read(request, &shared.config).await?;
    let Some(embedder) = &shared.models.embedder else {
        let message = "this server has no encoder; start it with one to get embeddings";
        return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "no_encoder", message));
    };
    let name = fields.text("model")?.unwrap_or(embedder.name());
    if name != embedder.name() {
        let message = format!("there is no encoder {name:?} here; there is {}", embedder.name());
        let refusal = Refusal::new(StatusCode::NOT_FOUND, "model_not_found", message);
        return Err(Refusal { param: Some("model".into()), ..refusal });
    }
    let texts = texts(&fields, shared.config.prompts)?;
    let dimension = embedder.dimension();
    if fields.whole("dimensions", 1..=1 << 20)?.is_some_and(|wanted| wanted != dimension) {
        return Err(Refusal::unsupported("dimensions", format!("must be {dimension}, or absent")));
    }
    let coded = match fields.text("encoding_format")? {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(Refusal::field("encoding_format", "must be float or base64")),
    };
    let _place = shared.gate.enter().await?;
    let limit = Duration::from_secs_f64(shared.config.request_seconds);
    let late = |_| Refusal::new(StatusCode::GATEWAY_TIMEOUT, "too_long", "the vectors took too long; send fewer texts");
    let vectors = timeout(limit, embedder.embed(&texts)).await.map_err(late)??;
    let data = vectors.iter().enumerate().map(|(index, vector)| {
        let embedding = if coded { json!(base64(vector)) } else { json!(vector) };
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    });
    // How many tokens the encoder read is not known here; a number would be a guess.
    Ok(Json(json!({ "object": "list", "model": embedder.name(), "data": data.collect::<Vec<_>>(), "usage": null })))
}

/// Little-endian f32, as OpenAI's client asks for it.
fn base64(vector: &[f32]) -> String {
    BASE64_STANDARD.encode(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
}

fn texts(fields: &Fields, most: usize) -> Answered<Vec<String>> {
    let wrong = |problem: &str| Refusal::field("input", problem);
    match fields.required("input")? {
        Value::Array(list) if list.len() > most => Err(wrong(&format!("holds more than {most} texts"))),
        Value::Array(list) if list.first().is_some_and(|first| first.is_number() || first.is_array()) => {
            Err(Refusal::unsupported("input", "must be text; tokens mean nothing to this encoder"))
        }
        Value::Array(list) if list.is_empty() => Err(wrong("must not be empty")),
        _ => fields.texts("input", most),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn vectors_are_little_endian() {
        assert_eq!(super::base64(&[1.0, -2.0]), "AACAPwAAAMA=");
    }
}
