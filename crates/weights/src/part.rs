use std::fmt;

use serde::{Deserialize, Serialize};

/// One of the seven matrices of a decoder block; an adapter may change each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Projection {
    /// Queries: heads·head_dim × width.
    Q,
    /// Keys: kv_heads·head_dim × width.
    K,
    /// Values: kv_heads·head_dim × width.
    V,
    /// Attention output: width × heads·head_dim.
    O,
    /// Feed-forward gate, through SiLU: hidden × width.
    Gate,
    /// Feed-forward up: hidden × width.
    Up,
    /// Feed-forward down: width × hidden.
    Down,
}

impl Projection {
    /// All seven, in the order of computation.
    pub const ALL: [Self; 7] = [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];

    /// The module's name in Hugging Face models and PEFT adapters: `q_proj` and so on.
    pub fn module(self) -> &'static str {
        match self {
            Self::Q => "q_proj",
            Self::K => "k_proj",
            Self::V => "v_proj",
            Self::O => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    /// The module's path below `model.layers.N.`: `self_attn.q_proj`, `mlp.down_proj`.
    pub(crate) fn path(self) -> String {
        let parent = if matches!(self, Self::Gate | Self::Up | Self::Down) { "mlp" } else { "self_attn" };
        format!("{parent}.{}", self.module())
    }

    fn gguf(self) -> &'static str {
        match self {
            Self::Q => "attn_q",
            Self::K => "attn_k",
            Self::V => "attn_v",
            Self::O => "attn_output",
            Self::Gate => "ffn_gate",
            Self::Up => "ffn_up",
            Self::Down => "ffn_down",
        }
    }
}

/// A tensor of the decoder, whatever its name in the file. The `usize` is the block, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Token embedding: vocab × width.
    Embedding,
    /// Weight of the last RMSNorm: 1 × width.
    FinalNorm,
    /// Output head: vocab × width; the embedding where the two are tied.
    Head,
    /// Weight of the RMSNorm before attention: 1 × width.
    AttentionNorm(usize),
    /// Weight of the RMSNorm before the feed-forward part: 1 × width.
    FeedForwardNorm(usize),
    /// A projection's matrix.
    Projection(usize, Projection),
    /// Bias of q, k or v (1 × outputs), where [`crate::Architecture::qkv_bias`] says so.
    Bias(usize, Projection),
    /// RMSNorm weight over each query head (1 × head_dim), where [`crate::Architecture::qk_norm`] says so.
    QueryNorm(usize),
    /// RMSNorm weight over each key head (1 × head_dim), where [`crate::Architecture::qk_norm`] says so.
    KeyNorm(usize),
}

impl Part {
    /// The tensor's name in a GGUF file.
    pub fn gguf_name(self) -> String {
        match self {
            Self::Embedding => "token_embd.weight".into(),
            Self::FinalNorm => "output_norm.weight".into(),
            Self::Head => "output.weight".into(),
            Self::AttentionNorm(n) => format!("blk.{n}.attn_norm.weight"),
            Self::FeedForwardNorm(n) => format!("blk.{n}.ffn_norm.weight"),
            Self::Projection(n, p) => format!("blk.{n}.{}.weight", p.gguf()),
            Self::Bias(n, p) => format!("blk.{n}.{}.bias", p.gguf()),
            Self::QueryNorm(n) => format!("blk.{n}.attn_q_norm.weight"),
            Self::KeyNorm(n) => format!("blk.{n}.attn_k_norm.weight"),
        }
    }

    /// The tensor's name in a Hugging Face folder.
    pub fn hf_name(self) -> String {
        match self {
            Self::Embedding => "model.embed_tokens.weight".into(),
            Self::FinalNorm => "model.norm.weight".into(),
            Self::Head => "lm_head.weight".into(),
            Self::AttentionNorm(n) => format!("model.layers.{n}.input_layernorm.weight"),
            Self::FeedForwardNorm(n) => format!("model.layers.{n}.post_attention_layernorm.weight"),
            Self::Projection(n, p) => format!("model.layers.{n}.{}.weight", p.path()),
            Self::Bias(n, p) => format!("model.layers.{n}.{}.bias", p.path()),
            Self::QueryNorm(n) => format!("model.layers.{n}.self_attn.q_norm.weight"),
            Self::KeyNorm(n) => format!("model.layers.{n}.self_attn.k_norm.weight"),
        }
    }

    /// Whether this is a vector: a norm or a bias.
    pub fn is_vector(self) -> bool {
        !matches!(self, Self::Embedding | Self::Head | Self::Projection(..))
    }

    /// Whether llama-type GGUF files store its rows permuted: q and k matrices and biases.
    pub(crate) fn is_rotated(self) -> bool {
        matches!(
            self,
            Self::Projection(_, Projection::Q | Projection::K) | Self::Bias(_, Projection::Q | Projection::K)
        )
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hf_name())
    }
}
