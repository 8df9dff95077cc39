use serde::{Deserialize, Serialize};

/// How passages are found and cut.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Saturation of a term's count in BM25, 0 or more. 0 ignores how often a term occurs.
    pub k1: f64,
    /// How much long chunks are held back in BM25, in [0, 1].
    pub b: f64,
    /// Passages for a query.
    pub passages: usize,
    /// Words of a passage at most, headings included. Few are better for a small model: it loses the
    /// answer in long passages, and each word costs time.
    pub words: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75, passages: 3, words: 40 }
    }
}
