use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use weights::{Adapter, Architecture, Pair, Part, Projection};

use crate::ops::linear::{LowRank, Member};
use crate::places::Places;

/// The projections that share an input, in the order of a block.
pub(crate) const INPUTS: [&[Projection]; 4] = [
    &[Projection::Q, Projection::K, Projection::V],
    &[Projection::O],
    &[Projection::Gate, Projection::Up],
    &[Projection::Down],
];

/// What is trained, and where it stands in the one flat vector of parameters: low-rank pairs beside
/// frozen weights ([`Layout::new`]), or all weights themselves ([`Layout::whole`]).
///
/// Pairs stand, for each block and each input of `INPUTS`: the A matrices (rank × inputs), then the B
/// matrices (outputs × rank), all row-major. Whole weights stand as `Places` says.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Rank of every pair; 0 where there are none.
    pub rank: usize,
    /// α; y changes by α / rank · B (A x).
    pub alpha: f32,
    /// Whether α was given as rank-stabilised LoRA counts it; it is a note for [`Layout::adapter`].
    pub stabilised: bool,
    /// Projections that are adapted, in every block.
    pub targets: BTreeSet<Projection>,
    /// Numbers in the vector.
    pub length: usize,
    /// Numbers at its front that weight decay pulls to zero: all of pairs, the matrices of whole weights.
    pub decayed: usize,
    /// Whether the vector is the model's own weights.
    pub whole: bool,
    pub(crate) blocks: Vec<[LowRank; 4]>,
    pairs: Vec<Place>,
}

/// One pair's place and shapes.
#[derive(Debug, Clone)]
struct Place {
    block: usize,
    projection: Projection,
    inputs: usize,
    a: std::ops::Range<usize>,
    b: std::ops::Range<usize>,
}

impl Layout {
    /// A pair for each target in each block.
    pub fn new(architecture: &Architecture, rank: usize, alpha: f32, targets: BTreeSet<Projection>) -> Self {
        let (mut length, mut pairs) = (0, Vec::new());
        let mut place = |size: usize| {
            length += size;
            length - size..length
        };
        let blocks = (0..architecture.blocks).map(|block| {
            INPUTS.map(|group| {
                let shape = |projection| architecture.shape(Part::Projection(block, projection));
                let chosen: Vec<Projection> = group.iter().copied().filter(|p| targets.contains(p)).collect();
                let a: Vec<_> = chosen.iter().map(|&p| place(rank * shape(p).1)).collect();
                let start = a.first().map_or(0, |a| a.start);
                let all = start..a.last().map_or(0, |a| a.end);
                let mut members = Vec::new();
                for (&projection, a) in chosen.iter().zip(a) {
                    let (outputs, inputs) = shape(projection);
                    let before = group.iter().take_while(|&&p| p != projection).map(|&p| shape(p).0).sum();
                    let b = place(outputs * rank);
                    members.push(Member { columns: before..before + outputs, b: b.clone() });
                    pairs.push(Place { block, projection, inputs, a, b });
                }
                LowRank { rank, scale: if rank > 0 { alpha / rank as f32 } else { 0.0 }, a: all, members }
            })
        });
        let blocks = blocks.collect();
        Self { rank, alpha, stabilised: false, targets, length, decayed: length, whole: false, blocks, pairs }
    }

    /// As [`Layout::new`] with a strength of `alpha` / √rank, as rank-stabilised LoRA has it (Kalajdzievski,
    /// arXiv 2312.03732), so that a higher rank does not learn more slowly.
    pub fn stabilised(architecture: &Architecture, rank: usize, alpha: f32, targets: BTreeSet<Projection>) -> Self {
        let alpha = (f64::from(alpha) * (rank as f64).sqrt()) as f32;
        Self { stabilised: true, ..Self::new(architecture, rank, alpha, targets) }
    }

    /// All weights, and no pairs.
    pub fn whole(architecture: &Architecture) -> Self {
        let places = Places::new(architecture);
        let none = Self::new(architecture, 0, 0.0, BTreeSet::new());
        Self { length: places.length, decayed: places.matrices, whole: true, ..none }
    }

    /// The widest x Aᵀ.
    pub(crate) fn ranks(&self) -> usize {
        self.blocks.iter().flatten().map(LowRank::ranks).max().unwrap_or(0)
    }

    /// Parameters at the start of training: A uniform in ±1/√inputs (Kaiming with a = √5, as usual
    /// for LoRA) from the seed and the pair's name alone, B zero, so that the model is unchanged.
    pub fn initial(&self, seed: u64) -> Vec<f32> {
        let mut values = vec![0.0; self.length];
        for place in &self.pairs {
            let name = format!("{}.{}", place.block, place.projection.module());
            let mut random = ChaCha8Rng::seed_from_u64(record::seed::derive(seed, "learn-initial", &name));
            let bound = 1.0 / (place.inputs as f32).sqrt();
            values[place.a.clone()].fill_with(|| random.random_range(-bound..bound));
        }
        values
    }

    /// The parameters as an adapter of the model called `base`.
    pub fn adapter(&self, values: &[f32], base: &str) -> Adapter {
        let pair = |place: &Place| Pair { a: values[place.a.clone()].to_vec(), b: values[place.b.clone()].to_vec() };
        let pairs = self.pairs.iter().map(|place| ((place.block, place.projection), pair(place))).collect();
        Adapter { rank: self.rank, alpha: self.alpha, stabilised: self.stabilised, base: base.into(), pairs }
    }

    /// Layout and parameters of an adapter that fits `architecture`. A pair that it lacks in some
    /// block is zero.
    pub fn of(adapter: &Adapter, architecture: &Architecture) -> (Self, Vec<f32>) {
        let targets = adapter.pairs.keys().map(|&(_, projection)| projection).collect();
        let layout = Self::new(architecture, adapter.rank, adapter.alpha, targets);
        let layout = Self { stabilised: adapter.stabilised, ..layout };
        let mut values = vec![0.0; layout.length];
        let found: BTreeMap<_, _> = adapter.pairs.iter().collect();
        for place in &layout.pairs {
            if let Some(pair) = found.get(&(place.block, place.projection)) {
                values[place.a.clone()].copy_from_slice(&pair.a);
                values[place.b.clone()].copy_from_slice(&pair.b);
            }
        }
        (layout, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_cover_the_vector_once_and_an_adapter_comes_back() {
        let architecture = Architecture::tiny();
        for targets in [Projection::ALL.to_vec(), vec![Projection::Q, Projection::V, Projection::Down]] {
            let layout = Layout::new(&architecture, 3, 6.0, targets.iter().copied().collect());
            let mut seen = vec![0; layout.length];
            layout.pairs.iter().for_each(|p| p.a.clone().chain(p.b.clone()).for_each(|i| seen[i] += 1));
            assert!(seen.iter().all(|&n| n == 1));
            let mut values = layout.initial(1);
            assert!(values.iter().any(|&v| v != 0.0) && values == layout.initial(1) && values != layout.initial(2));
            values.iter_mut().enumerate().for_each(|(i, v)| *v += i as f32);
            let adapter = layout.adapter(&values, "tiny");
            assert_eq!(adapter.scale(), 2.0);
            let stabilised = Layout::stabilised(&architecture, 3, 6.0, layout.targets.clone()).adapter(&values, "tiny");
            assert!((stabilised.scale() - 6.0 / 3f32.sqrt()).abs() < 1e-6);
            assert!(Layout::of(&stabilised, &architecture).0.stabilised);
            assert_eq!(adapter.pairs.len(), 2 * targets.len());
            assert_eq!(Layout::of(&adapter, &architecture).1, values);
        }
    }
}
