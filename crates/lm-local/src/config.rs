use serde::{Deserialize, Serialize};

use crate::Kernels;

/// How exactly weights and activations are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Q4_1 weights as they are, everything else in 8 bits, a scale for 32 weights; activations in
    /// 8 bits, a scale for 32 values. Fast.
    Int8,
    /// Everything in f32: the reference.
    F32,
}

/// How the engine runs. The defaults suit a machine that has nothing else to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Threads that compute; 0 takes one for each core.
    pub threads: usize,
    /// How exactly weights and activations are kept.
    pub precision: Precision,
    /// Room for keys and values, MiB.
    pub memory_mb: usize,
    /// Positions that one step computes at most, 1 to 1024. More makes prompts faster, fewer lets
    /// waiting streams go on sooner.
    pub batch_rows: usize,
    /// Forces an instruction set; otherwise the fastest that the processor has.
    pub kernels: Option<Kernels>,
}

impl Default for Config {
    fn default() -> Self {
        Self { threads: 0, precision: Precision::Int8, memory_mb: 1024, batch_rows: 256, kernels: None }
    }
}
