//! lm-http
