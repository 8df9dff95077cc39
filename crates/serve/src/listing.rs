//! What there is: models, strategies, health, metrics.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::refusal::Answered;
use crate::{Entry, Shared, search};

pub(crate) async fn models(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "object": "list", "data": list(&shared) }))
}

pub(crate) async fn model(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answered<Json<Value>> {
    let found = list(&shared).into_iter().find(|model| model["id"] == id.as_str());
    if let Some(model) = found {
        return Ok(Json(model));
    }
    // Strategies with numbers of one's own are not in the list, but can be asked for.
    let (entry, strategy) = shared.models.find(Some(&id))?;
    match strategy {
        Some(strategy) if search::knows(strategy) => Ok(Json(object(&shared, entry, &id))),
        _ => Err(shared.models.unknown(&id)),
    }
}

/// The models themselves, each under every strategy, and the encoder.
fn list(shared: &Shared) -> Vec<Value> {
    let entries = &shared.models.entries;
    let mut list: Vec<_> = entries.iter().map(|entry| object(shared, entry, &entry.id)).collect();
    for entry in entries {
        let named = |(name, ..): &(String, _, _)| object(shared, entry, &format!("{}:{name}", entry.id));
        list.extend(search::list(shared).iter().map(named));
    }
    if let Some(embedder) = &shared.models.embedder {
        list.push(json!({
            "id": embedder.name(),
            "object": "model",
            "created": shared.created,
            "owned_by": "lyceum",
            "root": embedder.name(),
            "embedding_dimension": embedder.dimension(),
        }));
    }
    list
}

fn object(shared: &Shared, entry: &Entry, id: &str) -> Value {
    json!({
        "id": id,
        "object": "model",
        "created": shared.created,
        "owned_by": "lyceum",
        "root": entry.id,
        "max_model_len": entry.model.capabilities().context,
    })
}

pub(crate) async fn strategies(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let strategy = |(name, what, settings)| json!({ "name": name, "what": what, "settings": settings });
    Json(search::list(&shared).into_iter().map(strategy).collect())
}

/// Whether new requests are taken.
pub(crate) async fn health(State(shared): State<Arc<Shared>>) -> Response {
    match shared.closing.load(Ordering::Acquire) {
        false => Json(json!({ "status": "ok" })).into_response(),
        true => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "stopping" }))).into_response(),
    }
}

pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, shared.metrics.text(&shared.gate)).into_response()
}
