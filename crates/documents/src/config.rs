use serde::{Deserialize, Serialize};

/// How documents are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A file larger than this (in units of 2^20 bytes) is refused.
    pub max_megabytes: u64,
    /// A chunk is closed before the sentence that would carry it over this many words.
    pub chunk_words: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_megabytes: 32, chunk_words: 160 }
    }
}
