use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Tokens that a request cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens that were computed.
    pub prefill: u64,
    /// Prompt tokens whose keys and values were found in the prefix tree or a server's cache.
    pub cached: u64,
    /// Tokens generated.
    pub decode: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prefill += other.prefill;
        self.cached += other.cached;
        self.decode += other.decode;
    }
}

impl Usage {
    /// All tokens, cached ones included.
    pub fn total(&self) -> u64 {
        self.prefill + self.cached + self.decode
    }
}

/// A file that an artefact was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Path as the run saw it.
    pub path: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// How an artefact came to be. Never holds a key, a token or a user's home folder's secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this layout.
    pub schema_version: u32,
    /// Stage that made the artefact.
    pub stage: String,
    /// The recipe with every default filled in.
    pub recipe: serde_json::Value,
    /// What went in.
    pub inputs: Vec<Input>,
    /// What came out.
    pub outputs: Vec<Input>,
    /// Seed of the run.
    pub seed: u64,
    /// Version of lyceum.
    pub version: String,
    /// Git revision that the binary was built from, if known.
    pub git_revision: Option<String>,
    /// Whether the tree had uncommitted changes at build time.
    pub git_dirty: Option<bool>,
    /// Name of the kernel path, e.g. `avx512-vnni`, on which the same bytes hold.
    pub kernels: Option<String>,
    /// Tokens spent on language models.
    pub usage: Usage,
    /// Money spent at remote servers, in US dollars, where prices are known.
    pub cost_usd: f64,
    /// Wall time in seconds. Not part of any hash.
    pub seconds: f64,
    /// Records delivered.
    pub delivered: u64,
    /// Records dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
}
