use std::collections::BTreeMap;
use std::ops::Range;

use weights::{Architecture, Checkpoint, Matrix, Part, Projection};

use crate::Result;
use crate::layout::INPUTS;

/// Where each tensor of a decoder stands in one flat vector of all its weights: first the matrices,
/// then the vectors, so that weight decay takes a prefix. Projections of one input stand one below
/// the other, as one matrix.
pub(crate) struct Places {
    pub embedding: Range<usize>,
    /// The embedding's place where the head is tied.
    pub head: Range<usize>,
    pub final_norm: Range<usize>,
    pub blocks: Vec<BlockPlaces>,
    /// Numbers in matrices.
    pub matrices: usize,
    /// Numbers in all.
    pub length: usize,
    parts: Vec<(Part, Range<usize>)>,
}

/// The tensors of a block.
pub(crate) struct BlockPlaces {
    /// One for each input of `INPUTS`.
    pub matrices: [Range<usize>; 4],
    pub attention_norm: Range<usize>,
    pub feed_forward_norm: Range<usize>,
    /// Gains of query heads, then of key heads.
    pub head_norms: Option<Range<usize>>,
    /// Biases of q, k and v.
    pub bias: Option<Range<usize>>,
}

impl Places {
    /// The order depends on the architecture alone.
    pub fn new(architecture: &Architecture) -> Self {
        let (mut length, mut parts) = (0, Vec::new());
        let mut place = |of: &[Part]| {
            let start = length;
            for &part in of {
                let (rows, columns) = architecture.shape(part);
                parts.push((part, length..length + rows * columns));
                length += rows * columns;
            }
            start..length
        };
        let embedding = place(&[Part::Embedding]);
        let matrices: Vec<[Range<usize>; 4]> = (0..architecture.blocks)
            .map(|n| INPUTS.map(|group| place(&group.iter().map(|&p| Part::Projection(n, p)).collect::<Vec<_>>())))
            .collect();
        let head = if architecture.tied_head { embedding.clone() } else { place(&[Part::Head]) };
        let in_matrices = matrices.last().map_or(embedding.end, |last| last[3].end).max(head.end);
        let biases = |n| [Projection::Q, Projection::K, Projection::V].map(|p| Part::Bias(n, p));
        let blocks = matrices.into_iter().enumerate().map(|(n, matrices)| BlockPlaces {
            matrices,
            attention_norm: place(&[Part::AttentionNorm(n)]),
            feed_forward_norm: place(&[Part::FeedForwardNorm(n)]),
            head_norms: architecture.qk_norm.then(|| place(&[Part::QueryNorm(n), Part::KeyNorm(n)])),
            bias: architecture.qkv_bias.then(|| place(&biases(n))),
        });
        let blocks = blocks.collect();
        let final_norm = place(&[Part::FinalNorm]);
        Self { embedding, head, final_norm, blocks, matrices: in_matrices, length, parts }
    }

    /// All weights of a model as numbers.
    pub fn read(&self, base: &Checkpoint) -> Result<Vec<f32>> {
        let mut all = vec![0f32; self.length];
        for (part, place) in &self.parts {
            let matrix = base.matrix(*part)?;
            for (row, out) in all[place.clone()].chunks_exact_mut(matrix.cols).enumerate() {
                matrix.row(row, out);
            }
        }
        base.release();
        Ok(all)
    }

    /// The vector as tensors.
    pub fn tensors(&self, architecture: &Architecture, values: &[f32]) -> BTreeMap<Part, Matrix> {
        let tensor = |(part, place): &(Part, Range<usize>)| {
            let (rows, columns) = architecture.shape(*part);
            (*part, Matrix::f32(rows, columns, values[place.clone()].to_vec()))
        };
        self.parts.iter().map(tensor).collect()
    }
}

#[cfg(test)]
impl Places {
    /// Where one tensor stands.
    pub fn place(&self, part: Part) -> Range<usize> {
        self.parts.iter().find(|(known, _)| *known == part).expect("a part of the model").1.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_cover_the_vector_once_and_the_tensors_come_back() {
        let tiny = Architecture::tiny();
        let all = Architecture { qkv_bias: true, qk_norm: true, tied_head: false, ..tiny.clone() };
        for architecture in [tiny, all] {
            let base = Checkpoint::random(architecture.clone(), 1).expect("works");
            let places = Places::new(&architecture);
            assert_eq!(places.length, architecture.parameters());
            let mut seen = vec![0; places.length];
            places.parts.iter().for_each(|(_, place)| place.clone().for_each(|i| seen[i] += 1));
            assert!(seen.iter().all(|&n| n == 1));
            let vectors = places.parts.iter().filter(|(part, _)| part.is_vector());
            assert!(vectors.clone().all(|(_, place)| place.start >= places.matrices));
            assert_eq!(vectors.map(|(_, place)| place.len()).sum::<usize>(), places.length - places.matrices);
            let values = places.read(&base).expect("works");
            for (part, matrix) in places.tensors(&architecture, &values) {
                assert_eq!(matrix, base.matrix(part).expect("there"));
            }
        }
    }
}
