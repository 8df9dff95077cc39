//! Models over HTTP: how does any OpenAI client use them, and the search?
//!
//! [`serve`] answers on an open listener until it is told to stop: `/v1/chat/completions`,
//! `/v1/completions` (with echo and log-probabilities), `/v1/embeddings`, `/v1/models`, `/tokenize`,
//! `/detokenize`, `/v1/strategies`, `/healthz`, `/metrics`, and a page at `/` that shows a search
//! while it grows. A strategy is chosen by the model's name (`NAME:phi`) or by the field `strategy`.
//!
//! Data flow: connection (`listen`) → host, token, counting (`guard`) → body as fields (`fields`) →
//! what is asked (`ask`, `chat`, `completions`) → a place (`gate`) → the model or a search → the
//! answer at once or in pieces (`answer`).
//!
//! Invariants: the models are given, never made here, so local weights and remote addresses are
//! served alike; every limit is a setting, and what exceeds it gets an error in OpenAI's shape that
//! names it; what a client asks for and we do not have is refused, never left out in silence, where
//! that would change the answer; a client that goes away drops its work and so frees the model's
//! places; other machines reach nothing without the token; the token stands in no log.

mod answer;
mod ask;
mod chat;
mod completions;
mod config;
mod embeddings;
mod error;
mod fields;
mod gate;
mod guard;
mod listen;
mod listing;
mod logprobs;
mod metrics;
mod models;
mod page;
mod patient;
mod refusal;
mod search;
mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Notify;

pub use config::{Config, Token};
pub use error::{Error, Result};
pub use models::{Entry, Models};

/// What all requests share.
pub(crate) struct Shared {
    models: Models,
    config: Config,
    address: SocketAddr,
    gate: gate::Gate,
    metrics: metrics::Metrics,
    /// Set once the server is asked to stop.
    closing: AtomicBool,
    /// Told when the last open request has ended.
    drained: Notify,
    /// Seconds since 1970 at the start.
    created: u64,
    requests: AtomicU64,
}

impl Shared {
    /// Seconds since 1970.
    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(self.created, |time| time.as_secs())
    }

    /// A name for an answer, not used before by this server.
    fn next_id(&self, kind: &str) -> String {
        format!("{kind}-{:x}-{:x}", self.created, self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// A seed for a request that brings none.
    fn next_seed(&self) -> u64 {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        record::seed::derive(self.config.seed, "serve", &number.to_string())
    }
}

/// Answers requests until `shutdown` is ready; then new requests get status 503, and running ones
/// the grace time to finish.
///
/// A listener that other machines can reach needs a token ([`Error::Open`]). On the loopback, only
/// requests for `localhost` or a loopback address are answered.
pub async fn serve(
    listener: TcpListener,
    models: Models,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    config.validate()?;
    models.validate()?;
    let address =
        listener.local_addr().map_err(|source| Error::Io { operation: "tell the listener's address", source })?;
    if !address.ip().is_loopback() && config.token.is_none() {
        return Err(Error::Open { address });
    }
    let shared = Arc::new(Shared {
        gate: gate::Gate::new(config.concurrent, config.queue),
        metrics: metrics::Metrics::default(),
        closing: AtomicBool::new(false),
        drained: Notify::new(),
        created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        requests: AtomicU64::new(0),
        models,
        config,
        address,
    });
    let router = Router::new()
        .merge(page::routes())
        .route("/healthz", get(listing::health))
        .route("/metrics", get(listing::metrics))
        .route("/v1/models", get(listing::models))
        .route("/v1/models/{*id}", get(listing::model))
        .route("/v1/strategies", get(listing::strategies))
        .route("/v1/chat/completions", post(chat::chat))
        .route("/v1/completions", post(completions::completions))
        .route("/v1/embeddings", post(embeddings::embeddings))
        .route("/tokenize", post(tokens::tokenize))
        .route("/detokenize", post(tokens::detokenize))
        .fallback(refusal::no_path)
        .method_not_allowed_fallback(refusal::no_method)
        .layer(axum::middleware::from_fn_with_state(shared.clone(), guard::guard))
        .with_state(shared.clone());
    listen::listen(listener, router, shared, shutdown).await;
    Ok(())
}
