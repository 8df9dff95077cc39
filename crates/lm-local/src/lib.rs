//! lm-local
