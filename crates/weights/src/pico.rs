use crate::{Architecture, Family, Rope, Scaling};

/// A pico decoder's name and numbers: width, blocks, query heads, key-value heads, feed-forward.
type Size = (&'static str, [usize; 5]);

/// Every width is a multiple of 32 and every head 16 or 32 wide, so that the int8 engine computes
/// them without padding; the feed-forward part is about 8/3 of the width, as in Llama.
const SIZES: [Size; 6] = [
    ("pico-200k", [64, 4, 4, 2, 192]),
    ("pico-500k", [96, 5, 6, 3, 256]),
    ("pico-1m", [128, 5, 4, 2, 384]),
    ("pico-2m", [192, 5, 6, 3, 512]),
    ("pico-5m", [256, 7, 8, 4, 672]),
    ("pico-10m", [320, 8, 10, 5, 960]),
];

impl Architecture {
    /// Names of the pico sizes, smallest first. With a vocabulary of characters they have as many
    /// weights as their names say, to within a tenth.
    pub fn picos() -> impl Iterator<Item = &'static str> {
        SIZES.into_iter().map(|(name, _)| name)
    }

    /// A small Llama that is trained from nothing in minutes: grouped queries (two heads on one key),
    /// tied head, context of 1,024 tokens. `None` where there is no such size.
    pub fn pico(name: &str, vocab: usize) -> Option<Self> {
        let (_, [width, blocks, heads, kv_heads, hidden]) = SIZES.into_iter().find(|(size, _)| *size == name)?;
        Some(Self {
            family: Family::Llama,
            blocks,
            width,
            heads,
            kv_heads,
            head_dim: width / heads,
            hidden,
            vocab,
            context: 1024,
            norm_eps: 1e-5,
            rope: Rope { theta: 10_000.0, scaling: Scaling::None },
            qkv_bias: false,
            qk_norm: false,
            tied_head: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_what_their_names_say_and_fit_the_engine() {
        for (name, say) in Architecture::picos().zip([2e5, 5e5, 1e6, 2e6, 5e6, 1e7]) {
            let size = Architecture::pico(name, 272).expect("a size");
            let weights = size.parameters() as f64;
            assert!((weights / say - 1.0).abs() < 0.1, "{name}: {weights}");
            assert_eq!(size.contradiction(), None);
            assert!(size.head_dim.is_multiple_of(16) && size.width == size.heads * size.head_dim, "{name}");
            assert!(size.width.is_multiple_of(32) && size.hidden.is_multiple_of(32), "{name}");
        }
        assert!(Architecture::pico("pico-3m", 272).is_none());
    }
}
