use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How an exam is sat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Tokens of a generated answer at most. The answer ends at the first line break in any case.
    pub max_tokens: usize,
    /// Items that are asked at once; a local engine batches them.
    pub concurrency: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_tokens: 24, concurrency: 64 }
    }
}

impl Config {
    /// Checks every field's range.
    pub fn validate(&self) -> Result<()> {
        if self.max_tokens == 0 {
            return Err(Error::Config { field: "max_tokens", problem: "must be 1 or more" });
        }
        if self.concurrency == 0 {
            return Err(Error::Config { field: "concurrency", problem: "must be 1 or more" });
        }
        Ok(())
    }
}
