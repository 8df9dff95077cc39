//! What a client is told when its request is not answered: OpenAI's error shape.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A request that is not answered, and why.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub status: StatusCode,
    pub kind: &'static str,
    pub code: &'static str,
    pub param: Option<String>,
    pub message: String,
    /// Seconds after which it may go better.
    pub retry_after: Option<u64>,
}

/// Shorthand for what a handler gives.
pub(crate) type Answered<T> = std::result::Result<T, Refusal>;

impl Refusal {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let kind = match status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        Self { status, kind, code, param: None, message: message.into(), retry_after: None }
    }

    /// A field is missing, of a wrong type or out of range.
    pub fn field(name: &str, problem: impl std::fmt::Display) -> Self {
        let message = format!("{name}: {problem}");
        Self { param: Some(name.into()), ..Self::new(StatusCode::BAD_REQUEST, "invalid_value", message) }
    }

    /// A field asks for something that is not there; ignoring it would change the answer's meaning.
    pub fn unsupported(name: &str, problem: impl std::fmt::Display) -> Self {
        Self { code: "unsupported", ..Self::field(name, problem) }
    }

    /// The whole answer, for a connection that no longer speaks HTTP.
    pub fn plain(&self) -> String {
        let body = self.json().to_string();
        format!(
            "HTTP/1.1 {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.status,
            body.len()
        )
    }

    /// OpenAI's error object.
    pub fn json(&self) -> Value {
        json!({ "error": { "message": self.message, "type": self.kind, "param": self.param, "code": self.code } })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.json())).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // What is left of a refused body is not worth reading, and a server that stops wants no more.
        if matches!(self.status.as_u16(), 408 | 413 | 503) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<lm::Error> for Refusal {
    fn from(error: lm::Error) -> Self {
        use lm::Error;
        let (status, code) = match &error {
            Error::Unsupported { .. } => (StatusCode::BAD_REQUEST, "unsupported"),
            Error::Request { .. } => (StatusCode::BAD_REQUEST, "invalid_value"),
            Error::Context { .. } => (StatusCode::BAD_REQUEST, "context_length_exceeded"),
            Error::Adapter { .. } => (StatusCode::NOT_FOUND, "model_not_found"),
            Error::Budget(_) => (StatusCode::TOO_MANY_REQUESTS, "budget_used_up"),
            Error::Transport { .. } | Error::Refused { .. } | Error::Protocol { .. } => {
                (StatusCode::BAD_GATEWAY, "backend_failed")
            }
            Error::NonFinite { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "not_finite"),
            Error::Engine(_) => (StatusCode::INTERNAL_SERVER_ERROR, "engine_failed"),
        };
        let param = match &error {
            Error::Request { field, .. } => Some(field.to_string()),
            _ => None,
        };
        if status.is_server_error() {
            log::warn!("{error}");
        }
        Self { param, ..Self::new(status, code, error.to_string()) }
    }
}

/// No such path.
pub(crate) async fn no_path(uri: axum::http::Uri) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "unknown_path", format!("no such path: {}", uri.path()))
}

/// The path is there, the method is not.
pub(crate) async fn no_method(method: axum::http::Method, uri: axum::http::Uri) -> Refusal {
    let message = format!("{} does not take {method}", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
