use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::checkpoint::{Source, hex};
use crate::{Architecture, Checkpoint, Error, Matrix, Part, Projection, Result, Tokenizer};

impl Checkpoint {
    /// An untrained model: the same seed gives the same weights on every machine.
    ///
    /// Initialised as GPT-2 and Llama are: matrices normal with mean 0 and deviation
    /// σ = 0.02 · √(768 / width), which is GPT-2's 0.02 at its own width and keeps the size of
    /// activations in narrower models; matrices that write to the residual stream (o and down) with
    /// σ / √(2 · blocks), because 2 · blocks of them add up; norms 1, biases 0.
    pub fn fresh(architecture: Architecture, tokenizer: Tokenizer, seed: u64) -> Result<Self> {
        let path = PathBuf::from("fresh");
        let problem = architecture.contradiction().or_else(|| {
            let fewer = architecture.vocab < tokenizer.vocab();
            fewer.then(|| ("vocab", format!("is {}, but the tokenizer has {}", architecture.vocab, tokenizer.vocab())))
        });
        if let Some((field, problem)) = problem {
            return Err(Error::Setting { path, key: field.into(), problem });
        }
        let parts = architecture.parts().into_iter().map(|part| (part, initial(&architecture, part, seed)));
        let source = Source::Memory(Arc::new(parts.collect()));
        let described = format!("{seed} {architecture:?} {}", tokenizer.json());
        let sha256 = hex(&Sha256::digest(described));
        Ok(Self { name: format!("fresh-{seed}"), sha256, architecture, tokenizer, path, metadata: None, source })
    }

    /// The same model with other weights, all of them.
    pub fn with(&self, parts: BTreeMap<Part, Matrix>) -> Result<Self> {
        let mut hash = Sha256::new();
        for (part, matrix) in &parts {
            hash.update(part.hf_name());
            matrix.to_f32().iter().for_each(|weight| hash.update(weight.to_le_bytes()));
        }
        let (sha256, source) = (hex(&hash.finalize()), Source::Memory(Arc::new(parts)));
        let changed = Self { sha256, source, ..self.clone() };
        changed.check()?;
        Ok(changed)
    }
}

fn initial(architecture: &Architecture, part: Part, seed: u64) -> Matrix {
    let (rows, cols) = architecture.shape(part);
    let deviation = 0.02 * (768.0 / architecture.width as f32).sqrt();
    let constant = |value| Matrix::f32(rows, cols, vec![value; rows * cols]);
    let deviation = match part {
        Part::Bias(..) => return constant(0.0),
        part if part.is_vector() => return constant(1.0),
        Part::Projection(_, Projection::O | Projection::Down) => deviation / (2.0 * architecture.blocks as f32).sqrt(),
        _ => deviation,
    };
    let mut random = ChaCha8Rng::seed_from_u64(record::seed::derive(seed, "fresh weights", &part.hf_name()));
    // The sum of twelve uniform numbers of variance 1/12 is normal to within a few thousandths, ends
    // at six deviations, and needs no logarithm or cosine, which differ between machines.
    let mut normal = || {
        let sum: u32 = (0..6).map(|_| random.next_u32()).map(|two| (two & 0xffff) + (two >> 16)).sum();
        (f64::from(sum) + 6.0) / 65536.0 - 6.0
    };
    Matrix::f32(rows, cols, (0..rows * cols).map(|_| deviation * normal() as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::Message;

    fn model(seed: u64) -> Checkpoint {
        let tokenizer = Tokenizer::learned(["ab ab ab ab"].into_iter(), 0).expect("tokenizer");
        let architecture = Architecture::pico("pico-200k", tokenizer.vocab()).expect("a size");
        Checkpoint::fresh(architecture, tokenizer, seed).expect("works")
    }

    #[test]
    fn weights_are_normal_with_the_stated_deviation() {
        let model = model(1);
        let deviation = |part| {
            let all = model.matrix(part).expect("there").into_f32();
            let mean = all.iter().sum::<f32>() / all.len() as f32;
            assert!(mean.abs() < 3e-3, "{part}: mean {mean}");
            (all.iter().map(|w| (w - mean) * (w - mean)).sum::<f32>() / all.len() as f32).sqrt()
        };
        let sigma = 0.02 * 12f32.sqrt();
        assert!((deviation(Part::Embedding) / sigma - 1.0).abs() < 0.03);
        assert!((deviation(Part::Projection(0, Projection::Gate)) / sigma - 1.0).abs() < 0.03);
        assert!((deviation(Part::Projection(3, Projection::Down)) / sigma * 8f32.sqrt() - 1.0).abs() < 0.03);
        assert!(model.matrix(Part::FinalNorm).expect("there").into_f32().iter().all(|&w| w == 1.0));
        assert_eq!(model.sha256, self::model(1).sha256);
        assert_ne!(model.sha256, self::model(2).sha256);
    }

    #[test]
    fn a_fresh_model_is_saved_and_opened_again() {
        let (model, folder) = (model(3), tempfile::tempdir().expect("works"));
        crate::export_hf(&model, None, folder.path()).expect("written");
        let read = Checkpoint::open(folder.path()).expect("opened");
        assert_eq!(read.architecture, model.architecture);
        assert_eq!(read.matrix(Part::Embedding).expect("there"), model.matrix(Part::Embedding).expect("there"));
        assert_eq!(read.tokenizer.eos, model.tokenizer.eos);
        let conversation = [Message::user("1 + 2?")];
        let tokens = read.tokenizer.render_chat(&conversation).expect("rendered");
        assert_eq!(tokens, model.tokenizer.render_chat(&conversation).expect("rendered"));
        assert_eq!(read.tokenizer.decode(&tokens), "Q: 1 + 2?\nA:\n");
    }

    #[test]
    fn other_weights_take_the_place_of_all() {
        let (one, two) = (model(1), model(2));
        let parts: BTreeMap<_, _> =
            two.architecture.parts().into_iter().map(|part| (part, two.matrix(part).expect("there"))).collect();
        let changed = one.with(parts.clone()).expect("fits");
        assert_eq!(changed.matrix(Part::Embedding).expect("there"), two.matrix(Part::Embedding).expect("there"));
        assert_ne!(changed.sha256, one.sha256);
        let fewer = parts.into_iter().skip(1).collect();
        assert!(one.with(fewer).is_err());
    }
}
