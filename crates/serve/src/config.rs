use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What clients must show: `Authorization: Bearer TOKEN`. It is never printed or logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What the server allows. Every limit answers with an error that names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Asked of every client if there is one; without it the server stays on the loopback.
    pub token: Option<Token>,
    /// Largest body of a request, bytes.
    pub body_bytes: usize,
    /// Seconds for a request's line and headers, and of silence on an open connection.
    pub header_seconds: f64,
    /// Seconds for a request's body.
    pub body_seconds: f64,
    /// Seconds for a whole answer, once it has a place.
    pub request_seconds: f64,
    /// Seconds that a client may leave sent bytes unread.
    pub write_seconds: f64,
    /// Open connections; more wait to be accepted.
    pub connections: usize,
    /// Requests that are worked on at once.
    pub concurrent: usize,
    /// Requests that may wait for a place; more are refused with status 429.
    pub queue: usize,
    /// Largest `n`.
    pub n: usize,
    /// Prompts or texts of one request at most.
    pub prompts: usize,
    /// Largest `max_tokens`.
    pub max_tokens: usize,
    /// Tokens at most of a chat answer whose request does not say.
    pub default_tokens: usize,
    /// Seconds that running requests get to finish when the server is asked to stop.
    pub grace_seconds: f64,
    /// Requests without a seed draw from streams derived from this and their number.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            token: None,
            body_bytes: 8 << 20,
            header_seconds: 15.0,
            body_seconds: 30.0,
            request_seconds: 900.0,
            write_seconds: 60.0,
            connections: 1024,
            concurrent: 64,
            queue: 256,
            n: 128,
            prompts: 1024,
            max_tokens: 8192,
            default_tokens: 1024,
            grace_seconds: 20.0,
            seed: 0,
        }
    }
}

impl Config {
    /// Checks every field's range.
    pub fn validate(&self) -> Result<()> {
        let seconds = [
            ("header_seconds", self.header_seconds),
            ("body_seconds", self.body_seconds),
            ("request_seconds", self.request_seconds),
            ("write_seconds", self.write_seconds),
        ];
        for (field, value) in seconds {
            // A day is longer than any request and far from what a timer can hold.
            if !(value > 0.0 && value <= 86_400.0) {
                return Err(Error::Config { field, problem: "must lie in (0, 86400]".into() });
            }
        }
        if !(0.0..=86_400.0).contains(&self.grace_seconds) {
            return Err(Error::Config { field: "grace_seconds", problem: "must lie in [0, 86400]".into() });
        }
        let counts = [
            ("body_bytes", self.body_bytes),
            ("connections", self.connections),
            ("concurrent", self.concurrent),
            ("n", self.n),
            ("prompts", self.prompts),
            ("max_tokens", self.max_tokens),
            ("default_tokens", self.default_tokens),
        ];
        for (field, value) in counts {
            if value == 0 || value > 1 << 30 {
                return Err(Error::Config { field, problem: format!("must lie in 1 to {}", 1 << 30) });
            }
        }
        // A header holds visible ASCII only, so another token could never be shown.
        let empty = |token: &Token| token.0.is_empty() || !token.0.bytes().all(|byte| byte.is_ascii_graphic());
        if self.token.as_ref().is_some_and(empty) {
            return Err(Error::Config { field: "token", problem: "must be visible ASCII without spaces".into() });
        }
        Ok(())
    }
}
