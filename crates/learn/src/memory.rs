use weights::Architecture;

use crate::places::Places;
use crate::{Layout, Tape};

/// Bytes that a training takes at its peak, besides the program; the pages of its
/// base's file are given back before it begins.
///
/// Frozen weights as f32 (none where all are trained); five vectors as long as the layout: parameters,
/// two moments, the best parameters so far, and a gradient for each of `lanes`; and a [`Tape`] for
/// rows of `row_tokens` tokens for each lane, with the logits of the head.
pub fn memory(architecture: &Architecture, layout: &Layout, row_tokens: usize, lanes: usize, recompute: bool) -> u64 {
    let number = size_of::<f32>() as u64;
    let frozen = if layout.whole { 0 } else { Places::new(architecture).length as u64 };
    let vectors = (4 + lanes as u64) * layout.length as u64;
    number * (frozen + vectors) + lanes as u64 * Tape::bytes(architecture, layout, row_tokens, recompute)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weights::Projection;

    #[test]
    fn a_135m_model_fits_where_it_was_measured() {
        let sizes =
            Architecture { blocks: 30, width: 576, heads: 9, kv_heads: 3, head_dim: 64, ..Architecture::tiny() };
        let base = Architecture { hidden: 1536, vocab: 49_152, ..sizes };
        let pairs = Layout::new(&base, 16, 32.0, Projection::ALL.into());
        let megabytes = |tokens, recompute| memory(&base, &pairs, tokens, 1, recompute) >> 20;
        // `examples/step.rs` took 2201 and 1011 MB, about 120 of them for the file and the program.
        assert!((1950..2150).contains(&megabytes(2048, false)), "{}", megabytes(2048, false));
        assert!((800..1000).contains(&megabytes(2048, true)), "{}", megabytes(2048, true));
        let whole = Layout::whole(&base);
        assert!(memory(&base, &whole, 8, 8, false) > 12 * 4 * base.parameters() as u64);
    }
}
