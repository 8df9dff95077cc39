//! What every request passes before its handler: counting, the closing door, the host, the token.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use subtle::ConstantTimeEq;

use crate::refusal::{Answered, Refusal};
use crate::{Shared, page};

/// Counts a request until its answer has ended or its client is gone.
struct Counted {
    shared: Arc<Shared>,
    route: String,
    begun: Instant,
    status: u16,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.metrics.ended(&self.route, self.status, self.begun.elapsed());
        if self.shared.metrics.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.drained.notify_waiters();
        }
    }
}

/// Stands around all routes.
pub(crate) async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    shared.metrics.open.fetch_add(1, Ordering::AcqRel);
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_string();
    // What a client does not wait for is dropped with this status.
    let mut counted = Counted { shared: shared.clone(), route, begun: Instant::now(), status: 499 };
    let mut response = match admit(&shared, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    counted.status = response.status().as_u16();
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_none_or(|kind| !kind.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    response.map(|body| {
        Body::from_stream(body.into_data_stream().map(move |chunk| {
            let _ = &counted;
            chunk
        }))
    })
}

fn admit(shared: &Shared, request: &Request) -> Answered<()> {
    if shared.closing.load(Ordering::Acquire) && request.uri().path() != "/healthz" {
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping");
        return Err(Refusal { retry_after: Some(5), ..refusal });
    }
    let headers = request.headers();
    let host = request.uri().authority().map(|authority| authority.as_str());
    let host = host.or_else(|| headers.get(header::HOST)?.to_str().ok()).unwrap_or_default();
    if shared.address.ip().is_loopback() && !is_local(host, shared.address) {
        // A page elsewhere whose name was made to point here would reach us without this.
        let message = "this server answers to localhost only; `Host` names another";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "wrong_host", message));
    }
    let Some(token) = &shared.config.token else { return Ok(()) };
    // The page itself asks for the token.
    if request.uri().path() == "/healthz" || page::is_page(request.uri().path()) {
        return Ok(());
    }
    let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let given = match given.split_at_checked(7) {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case(b"bearer ") => given,
        _ => b"",
    };
    if bool::from(given.trim_ascii().ct_eq(token.0.as_bytes())) {
        return Ok(());
    }
    let message = "give the server's token: `Authorization: Bearer TOKEN`";
    Err(Refusal::new(StatusCode::UNAUTHORIZED, "wrong_token", message))
}

/// Whether a host is this machine by a name that nobody else can give out.
fn is_local(host: &str, address: SocketAddr) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        let address: SocketAddr = ([127, 0, 0, 1], 80).into();
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:80", "127.0.0.9", "[::1]:80", "[::1]"] {
            assert!(is_local(host, address), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", ":80"] {
            assert!(!is_local(host, address), "{host}");
        }
    }
}
