use serde::{Deserialize, Serialize};

use crate::{Part, Projection};

/// Which relative of Llama a model is. The decoder is the same; see the flags of [`Architecture`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Llama, SmolLM.
    Llama,
    /// Mistral; a sliding window shortens [`Architecture::context`], within which it has no effect.
    Mistral,
    /// Qwen 2 and 2.5: biases on q, k and v.
    Qwen2,
    /// Qwen 3: RMSNorm over each query and key head.
    Qwen3,
}

/// How rotary frequencies are stretched beyond the trained context.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Scaling {
    /// Not at all.
    None,
    /// f' = f / factor.
    Linear {
        /// At least 1.
        factor: f32,
    },
    /// Llama 3's rule. With wavelength λ = 2π/f and original context L: f' = f where λ < L/high,
    /// f/factor where λ > L/low, and between them (1−s)·f/factor + s·f with
    /// s = (L/λ − low)/(high − low).
    Llama3 {
        /// Divisor of low frequencies.
        factor: f32,
        /// `low` in the formula.
        low: f32,
        /// `high` in the formula.
        high: f32,
        /// L in the formula, tokens.
        original_context: usize,
    },
    /// f'_i = f_i / divisors_i, as GGUF files of Llama 3 hold them ready-made; head_dim/2 values.
    Divisors {
        /// One for each pair of coordinates.
        divisors: Vec<f32>,
    },
}

/// Rotary position embedding of the rotate-half kind.
///
/// With h = head_dim/2 and angle φ_i = position·f_i, coordinates i and i+h of each q and k head
/// become (x_i·cos φ_i − x_{i+h}·sin φ_i, x_{i+h}·cos φ_i + x_i·sin φ_i).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rope {
    /// Base of the frequencies: f_i = theta^(−2i/head_dim).
    pub theta: f32,
    /// Change to the frequencies.
    pub scaling: Scaling,
}

impl Rope {
    /// The f_i in radians a position, scaling included: head_dim/2 values.
    pub fn frequencies(&self, head_dim: usize) -> Vec<f32> {
        let plain = |i: usize| f64::from(self.theta).powf(-2.0 * i as f64 / head_dim as f64);
        let scaled = |i: usize| match &self.scaling {
            Scaling::None => plain(i),
            Scaling::Linear { factor } => plain(i) / f64::from(*factor),
            Scaling::Divisors { divisors } => plain(i) / f64::from(divisors[i]),
            Scaling::Llama3 { factor, low, high, original_context } => {
                let (factor, low, high) = (f64::from(*factor), f64::from(*low), f64::from(*high));
                let turns = *original_context as f64 * plain(i) / std::f64::consts::TAU;
                let share = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                plain(i) * ((1.0 - share) / factor + share)
            }
        };
        (0..head_dim / 2).map(|i| scaled(i) as f32).collect()
    }
}

/// Everything about a decoder that is not a tensor.
///
/// x = embedding_token; each block: x += O·attention(RoPE(Q·n), RoPE(K·n), V·n) with
/// n = RMSNorm(x), scores scaled by 1/√head_dim, query head i reading kv head i·kv_heads/heads;
/// then x += Down·(SiLU(Gate·n)·(Up·n)) with the second norm; logits = Head·RMSNorm(x).
/// RMSNorm(x) = x / √(mean(x²) + norm_eps) · weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// Which relative of Llama.
    pub family: Family,
    /// Number of decoder blocks.
    pub blocks: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Coordinates of a head; even.
    pub head_dim: usize,
    /// Width of the feed-forward part.
    pub hidden: usize,
    /// Rows of the embedding.
    pub vocab: usize,
    /// Longest sequence in tokens.
    pub context: usize,
    /// Added under the root of each RMSNorm.
    pub norm_eps: f32,
    /// Rotary positions.
    pub rope: Rope,
    /// Whether q, k and v have biases.
    pub qkv_bias: bool,
    /// Whether query and key heads are normalised before rotation.
    pub qk_norm: bool,
    /// Whether the head is the embedding.
    pub tied_head: bool,
}

impl Architecture {
    /// A small Llama for tests: 2 blocks, 64 wide, 4 heads on 2, feed-forward 96, 320 tokens, context 256.
    pub fn tiny() -> Self {
        Self {
            family: Family::Llama,
            blocks: 2,
            width: 64,
            heads: 4,
            kv_heads: 2,
            head_dim: 16,
            hidden: 96,
            vocab: 320,
            context: 256,
            norm_eps: 1e-5,
            rope: Rope { theta: 10_000.0, scaling: Scaling::None },
            qkv_bias: false,
            qk_norm: false,
            tied_head: true,
        }
    }

    /// Rows (outputs) and columns (inputs) of a part; vectors have one row.
    pub fn shape(&self, part: Part) -> (usize, usize) {
        let (queries, keys) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        match part {
            Part::Embedding | Part::Head => (self.vocab, self.width),
            Part::FinalNorm | Part::AttentionNorm(_) | Part::FeedForwardNorm(_) => (1, self.width),
            Part::QueryNorm(_) | Part::KeyNorm(_) => (1, self.head_dim),
            Part::Bias(n, p) => (1, self.shape(Part::Projection(n, p)).0),
            Part::Projection(_, p) => match p {
                Projection::Q => (queries, self.width),
                Projection::K | Projection::V => (keys, self.width),
                Projection::O => (self.width, queries),
                Projection::Gate | Projection::Up => (self.hidden, self.width),
                Projection::Down => (self.width, self.hidden),
            },
        }
    }

    /// Every part that a model of this architecture has, a tied head left out, in file order.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part::Embedding];
        for n in 0..self.blocks {
            parts.push(Part::AttentionNorm(n));
            for p in Projection::ALL {
                parts.push(Part::Projection(n, p));
                if self.qkv_bias && matches!(p, Projection::Q | Projection::K | Projection::V) {
                    parts.push(Part::Bias(n, p));
                }
            }
            if self.qk_norm {
                parts.extend([Part::QueryNorm(n), Part::KeyNorm(n)]);
            }
            parts.push(Part::FeedForwardNorm(n));
        }
        parts.push(Part::FinalNorm);
        if !self.tied_head {
            parts.push(Part::Head);
        }
        parts
    }

    /// Number of weights, a tied head counted once.
    pub fn parameters(&self) -> usize {
        self.parts().into_iter().map(|part| self.shape(part)).map(|(rows, cols)| rows * cols).sum()
    }

    /// The first contradiction among the numbers, as (field, problem).
    pub(crate) fn contradiction(&self) -> Option<(&'static str, String)> {
        let sizes = [
            ("blocks", self.blocks, 1 << 10),
            ("width", self.width, 1 << 18),
            ("heads", self.heads, 1 << 12),
            ("kv_heads", self.kv_heads, 1 << 12),
            ("head_dim", self.head_dim, 1 << 12),
            ("hidden", self.hidden, 1 << 20),
            ("vocab", self.vocab, 1 << 24),
            ("context", self.context, 1 << 28),
        ];
        if let Some((field, value, most)) = sizes.into_iter().find(|(_, value, most)| *value == 0 || value > most) {
            return Some((field, format!("is {value}, which is not between 1 and {most}")));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Some(("heads", format!("is {}, not a multiple of {} kv heads", self.heads, self.kv_heads)));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Some(("head_dim", format!("is {}, not even", self.head_dim)));
        }
        if !(self.norm_eps.is_finite() && self.norm_eps > 0.0) {
            return Some(("norm_eps", format!("is {}, not above 0", self.norm_eps)));
        }
        if !(self.rope.theta.is_finite() && self.rope.theta > 1.0) {
            return Some(("rope theta", format!("is {}, not above 1", self.rope.theta)));
        }
        match &self.rope.scaling {
            Scaling::Linear { factor } if !(factor.is_finite() && *factor >= 1.0) => {
                Some(("rope scaling factor", format!("is {factor}, not 1 or more")))
            }
            Scaling::Llama3 { factor, low, high, original_context } => {
                let fine = factor.is_finite() && *factor >= 1.0 && *low > 0.0 && high > low && *original_context > 0;
                (!fine).then(|| ("rope scaling", "has factors that contradict each other".into()))
            }
            Scaling::Divisors { divisors } => {
                let fine = divisors.len() == self.head_dim / 2 && divisors.iter().all(|d| d.is_finite() && *d > 0.0);
                (!fine).then(|| ("rope_freqs", format!("must be {} numbers above 0", self.head_dim / 2)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama3_scaling_keeps_fast_and_slows_slow_frequencies() {
        let scaling = Scaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original_context: 8192 };
        let plain = Rope { theta: 500_000.0, scaling: Scaling::None }.frequencies(128);
        let scaled = Rope { theta: 500_000.0, scaling }.frequencies(128);
        assert_eq!(scaled[0], plain[0]);
        assert!((scaled[63] - plain[63] / 8.0).abs() < 1e-12);
        assert!(scaled.iter().zip(&plain).all(|(s, p)| s <= p && *s >= p / 8.0 * 0.999));
        // Between the two limits the rule blends: at i = 33 the wavelength is 5,440 tokens.
        let turns = 8192.0 * plain[33] / std::f32::consts::TAU;
        let share = (turns - 1.0) / 3.0;
        assert!(share > 0.0 && share < 1.0);
        assert!((scaled[33] / plain[33] - ((1.0 - share) / 8.0 + share)).abs() < 1e-5);
    }

    #[test]
    fn counts_parameters() {
        let tiny = Architecture::tiny();
        let block = 64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 96 + 2 * 64;
        assert_eq!(tiny.parameters(), 320 * 64 + 2 * block + 64);
        assert_eq!(Architecture { tied_head: false, ..tiny.clone() }.parameters(), tiny.parameters() + 320 * 64);
        assert_eq!(tiny.contradiction(), None);
        assert!(Architecture { kv_heads: 3, ..tiny }.contradiction().is_some());
    }
}
