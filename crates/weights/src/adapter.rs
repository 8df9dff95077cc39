use std::collections::BTreeMap;

use std::path::Path;

use crate::{Architecture, Error, Part, Projection, Result};

/// A low-rank change to a model: W' = W + scale·B·A for each pair, scale = alpha / rank.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// Rows of each A; at least 1.
    pub rank: usize,
    /// Strength; [`Adapter::scale`] is alpha / rank.
    pub alpha: f32,
    /// Name of the model that it changes.
    pub base: String,
    /// Which block's which projection, and how.
    pub pairs: BTreeMap<(usize, Projection), Pair>,
}

/// The two factors of a change, in Hugging Face row order.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// rank × inputs, row-major.
    pub a: Vec<f32>,
    /// outputs × rank, row-major.
    pub b: Vec<f32>,
}

impl Adapter {
    /// alpha / rank.
    pub fn scale(&self) -> f32 {
        self.alpha / self.rank as f32
    }

    /// Writes a PEFT folder: adapter_config.json and adapter_model.safetensors, each to a temporary
    /// name first.
    pub fn save(&self, folder: &Path) -> Result<()> {
        todo!("{}", folder.display())
    }

    /// Reads a PEFT folder of a LoRA on a model of this architecture.
    pub fn load(folder: &Path, architecture: &Architecture) -> Result<Self> {
        todo!("{} {}", folder.display(), architecture.blocks)
    }

    /// Refuses pairs whose shapes do not fit the architecture, and numbers that are not finite.
    pub(crate) fn check(&self, architecture: &Architecture, path: &Path) -> Result<()> {
        let fail = |problem| Err(Error::Adapter { path: path.to_path_buf(), problem });
        if self.rank == 0 || !self.alpha.is_finite() {
            return fail(format!("rank {} and alpha {} are no usable strength", self.rank, self.alpha));
        }
        for ((block, projection), pair) in &self.pairs {
            let place = format!("block {block}, {}", projection.module());
            if *block >= architecture.blocks {
                return fail(format!("{place}: the model has only {} blocks", architecture.blocks));
            }
            let (rows, cols) = architecture.shape(Part::Projection(*block, *projection));
            let (a, b) = (self.rank * cols, rows * self.rank);
            if pair.a.len() != a || pair.b.len() != b {
                let found = (pair.a.len(), pair.b.len());
                return fail(format!("{place}: A and B hold {found:?} numbers, the model asks for {:?}", (a, b)));
            }
            if pair.a.iter().chain(&pair.b).any(|x| !x.is_finite()) {
                return fail(format!("{place}: holds a number that is not finite"));
            }
        }
        Ok(())
    }
}

impl Pair {
    /// weights += scale·B·A, where `weights` is outputs × `inputs`.
    pub fn add_to(&self, weights: &mut [f32], inputs: usize, rank: usize, scale: f32) {
        for (row, b) in weights.chunks_exact_mut(inputs).zip(self.b.chunks_exact(rank)) {
            for (a, b) in self.a.chunks_exact(inputs).zip(b) {
                let factor = scale * b;
                row.iter_mut().zip(a).for_each(|(w, a)| *w += factor * a);
            }
        }
    }
}
