//! A request's body as fields, each taken by name, so that an error names the field.

use std::ops::RangeInclusive;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use futures::StreamExt;
use serde_json::{Map, Value};

use crate::Config;
use crate::refusal::{Answered, Refusal};

/// A JSON object. A field that is null counts as absent; one that nobody takes is ignored, as
/// OpenAI's own server does.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a request's body, within the limits of size and time.
    pub async fn read(request: Request, config: &Config) -> Answered<Self> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        // Browsers send anything else across origins without asking first.
        if !essence.eq_ignore_ascii_case("application/json") {
            let message = "send JSON, with the header `Content-Type: application/json`";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message));
        }
        let limit = Duration::from_secs_f64(config.body_seconds);
        let bytes = tokio::time::timeout(limit, gather(request.into_body(), config.body_bytes)).await;
        let slow = |_| {
            let message = format!("the body did not come within {} seconds", config.body_seconds);
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "slow_body", message)
        };
        Self::parse(&bytes.map_err(slow)??)
    }

    fn parse(bytes: &[u8]) -> Answered<Self> {
        let wrong = |code, message: String| Refusal::new(StatusCode::BAD_REQUEST, code, message);
        let text = std::str::from_utf8(bytes)
            .map_err(|e| wrong("invalid_utf8", format!("the body is not UTF-8: byte {} is wrong", e.valid_up_to())))?;
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(wrong("invalid_json", "the body must be a JSON object".into())),
            Err(error) => Err(wrong("invalid_json", format!("the body is not JSON: {error}"))),
        }
    }

    /// A field's value.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A field that is text.
    pub fn text(&self, name: &str) -> Answered<Option<&str>> {
        self.typed(name, Value::as_str, "a string")
    }

    /// A field that is true or false; false if absent.
    pub fn flag(&self, name: &str) -> Answered<bool> {
        Ok(self.typed(name, Value::as_bool, "true or false")?.unwrap_or(false))
    }

    /// A field that is a whole number in a range.
    pub fn whole(&self, name: &str, range: RangeInclusive<usize>) -> Answered<Option<usize>> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let read = |value: &Value| value.as_u64().map(|n| n as usize).filter(|n| range.contains(n));
        self.typed(name, read, &wanted)
    }

    /// A field that is a number in a range.
    pub fn number(&self, name: &str, range: RangeInclusive<f64>) -> Answered<Option<f64>> {
        let wanted = format!("a number from {} to {}", range.start(), range.end());
        self.typed(name, |value| value.as_f64().filter(|x| range.contains(x)), &wanted)
    }

    /// A field that is one string or a list of them, none of them empty.
    pub fn texts(&self, name: &str, most: usize) -> Answered<Vec<String>> {
        let one = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let read = |value: &Value| match value {
            Value::Array(list) if list.len() <= most => list.iter().map(one).collect(),
            Value::String(_) => one(value).map(|text| vec![text]),
            _ => None,
        };
        let wanted = format!("a string that is not empty, or a list of at most {most} such strings");
        Ok(self.typed(name, read, &wanted)?.unwrap_or_default())
    }

    /// A field that must be there.
    pub fn required(&self, name: &str) -> Answered<&Value> {
        self.get(name).ok_or_else(|| Refusal::field(name, "is missing"))
    }

    fn typed<'a, T>(&'a self, name: &str, read: impl Fn(&'a Value) -> Option<T>, wanted: &str) -> Answered<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let wrong = || Refusal::field(name, format!("must be {wanted}, not {}", short(value)));
        read(value).map(Some).ok_or_else(wrong)
    }
}

/// A value as an error shows it.
pub(crate) fn short(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        _ => {
            let text = value.to_string();
            let cut: String = text.chars().take(60).collect();
            if cut.len() < text.len() { cut + "…" } else { cut }
        }
    }
}

/// All bytes of a body. One that is a little too long is read to its end all the same, because a
/// client that is cut off while it sends seldom sees the answer.
async fn gather(body: Body, limit: usize) -> Answered<Vec<u8>> {
    // Longer than this is not waited for, announced or sent.
    let patience = limit.saturating_mul(8);
    let (mut bytes, mut length) = (Vec::new(), 0usize);
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut chunks = body.into_data_stream();
    while length.max(announced) <= patience
        && let Some(chunk) = chunks.next().await
    {
        let chunk = chunk
            .map_err(|e| Refusal::new(StatusCode::BAD_REQUEST, "broken_body", format!("the body broke off: {e}")))?;
        length += chunk.len();
        if length <= limit {
            bytes.extend_from_slice(&chunk);
        } else {
            bytes = Vec::new();
        }
    }
    if length.max(announced) > limit {
        let message = format!("the body is larger than {limit} bytes");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use futures::FutureExt;
    use hyper::body::{Frame, SizeHint};

    use super::*;

    fn fields(text: &str) -> Fields {
        Fields::parse(text.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    #[test]
    fn an_error_names_its_field() {
        let fields = fields(r#"{"n": -1, "temperature": 9, "stop": [""], "stream": 1, "model": null, "user": {}}"#);
        let params = [
            fields.whole("n", 1..=8).err(),
            fields.number("temperature", 0.0..=2.0).err(),
            fields.texts("stop", 4).err(),
            fields.flag("stream").err(),
            fields.text("user").err(),
            fields.required("model").err(),
        ];
        let params: Vec<_> = params.into_iter().flatten().filter_map(|refusal| refusal.param).collect();
        assert_eq!(params, ["n", "temperature", "stop", "stream", "user", "model"]);
        assert!(matches!(fields.text("model"), Ok(None)));
        assert!(matches!(fields.whole("absent", 1..=2), Ok(None)));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for (bytes, code) in [
            (&b"{\"a\": \xff}"[..], "invalid_utf8"),
            (b"", "invalid_json"),
            (b"[1]", "invalid_json"),
            (b"{\"a\": 1,}", "invalid_json"),
            ("[".repeat(100_000).as_bytes(), "invalid_json"),
        ] {
            assert_eq!(Fields::parse(bytes).err().map(|refusal| refusal.code), Some(code));
        }
    }

    /// Announces bytes that never come.
    struct Silent(u64);

    impl HttpBody for Silent {
        type Data = axum::body::Bytes;
        type Error = axum::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<std::result::Result<Frame<Self::Data>, Self::Error>>> {
            Poll::Pending
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0)
        }
    }

    #[test]
    fn a_body_announced_far_too_long_is_refused_at_once() {
        let refused = gather(Body::new(Silent(1 << 40)), 100).now_or_never().expect("at once");
        assert_eq!(refused.err().map(|refusal| refusal.code), Some("body_too_large"));
        assert!(gather(Body::new(Silent(101)), 100).now_or_never().is_none(), "a little too long is read");
        assert_eq!(gather(Body::from("x".repeat(100)), 100).now_or_never().map(|read| read.is_ok()), Some(true));
        assert_eq!(gather(Body::from("x".repeat(101)), 100).now_or_never().map(|read| read.is_ok()), Some(false));
    }
}
