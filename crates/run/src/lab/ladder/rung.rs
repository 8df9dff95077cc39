use std::path::Path;

use learn::PretrainConfig;
use record::{Input, Sample, seed};
use tasks::{Kind, Problem, Split};
use weights::{Architecture, Checkpoint, Tokenizer};

use super::super::pico;
use crate::carry::Stage;
use crate::plan::Output;
use crate::verbs::Flow;
use crate::{Error, Result, Watch};

/// The capabilities, and how hard their problems are: easy enough that the largest rung learns much of
/// them within its budget, hard enough that the smallest does not.
pub(crate) const CAPABILITIES: [(Kind, u8); 4] =
    [(Kind::Chain, 2), (Kind::Words, 1), (Kind::Programs, 1), (Kind::Lookup, 1)];

/// Training distributions: shares of the tokens, in the order of [`CAPABILITIES`], in hundredths.
pub(crate) const MIXTURES: [(&str, [u64; 4]); 3] =
    [("even", [25, 25, 25, 25]), ("numbers", [45, 10, 35, 10]), ("language", [10, 45, 10, 35])];

/// Name; width, blocks, query heads, key-value heads, feed-forward: each about three times the weights
/// of the one before. Widths and heads fit the engine as those of [`Architecture::pico`] do.
pub(crate) const SIZES: [(&str, [usize; 5]); 4] = [
    ("50k", [32, 3, 2, 1, 96]),
    ("120k", [64, 2, 4, 2, 192]),
    ("330k", [96, 3, 6, 3, 256]),
    ("950k", [128, 5, 4, 2, 384]),
];

/// A model of the ladder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rung {
    /// Place in [`MIXTURES`].
    pub mixture: usize,
    /// Place in [`SIZES`].
    pub size: usize,
    /// Training tokens, prompts included.
    pub tokens: u64,
}

impl Rung {
    /// Every mixture with every size and every budget.
    pub fn all(budgets: &[u64]) -> Vec<Self> {
        let sizes = || (0..SIZES.len()).flat_map(|size| budgets.iter().map(move |tokens| (size, *tokens)));
        let of = |mixture| sizes().map(move |(size, tokens)| Self { mixture, size, tokens });
        (0..MIXTURES.len()).flat_map(of).collect()
    }

    /// Name of the training distribution.
    pub fn family(&self) -> &'static str {
        MIXTURES[self.mixture].0
    }

    /// Name in tables and of its folders: `even-50k-500000`.
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.family(), SIZES[self.size].0, self.tokens)
    }

    /// What it learns from: problems of each capability until its share of the tokens is full, none
    /// twice. Rungs of one distribution read the same problems, a longer budget more of them.
    pub fn samples(&self, seed: u64) -> Result<Vec<Sample>> {
        let mut samples = Vec::new();
        for ((kind, difficulty), share) in CAPABILITIES.into_iter().zip(MIXTURES[self.mixture].1) {
            let wanted = self.tokens * share / 100;
            // Characters are tokens; the first problems say how many are needed.
            let length = |problem: &Problem| (problem.prompt().len() + problem.solution().len() + 1) as u64;
            let first = tasks::generate(kind, difficulty, Split::Train, 100, seed)?;
            let mean = first.iter().map(length).sum::<u64>().max(1) as f64 / first.len() as f64;
            let count = (wanted as f64 / mean * 1.1) as usize + 100;
            let mut read = 0;
            for problem in tasks::generate(kind, difficulty, Split::Train, count, seed)? {
                if read >= wanted {
                    break;
                }
                read += length(&problem);
                samples.push(problem.sample()?);
            }
        }
        Ok(samples)
    }

    fn architecture(&self, vocab: usize) -> Result<Architecture> {
        let [width, blocks, heads, kv_heads, hidden] = SIZES[self.size].1;
        let base = Architecture::pico("pico-200k", vocab).ok_or_else(|| Error::Model {
            problem: "there is no pico decoder".into(),
            hint: "please report this".into(),
        })?;
        Ok(Architecture { width, blocks, heads, kv_heads, head_dim: width / heads, hidden, ..base })
    }

    /// The decoder, trained now if it is not there yet.
    pub async fn carry(&self, flow: &Flow<'_>) -> Result<Checkpoint> {
        let seed = seed::derive(flow.recipe.seed, "lab/ladder", "");
        let stage = Train {
            folder: format!("models/{}", self.name()),
            rung: self.clone(),
            samples: self.samples(seed)?,
            seed: seed::derive(seed, "weights", &self.name()),
            threads: flow.recipe.learn.threads,
        };
        let carried = flow.carry(&stage).await?;
        Ok(Checkpoint::open(&carried.folder.join("model"))?)
    }
}

/// Problems in, a decoder out.
struct Train {
    folder: String,
    rung: Rung,
    samples: Vec<Sample>,
    seed: u64,
    threads: usize,
}

impl Train {
    /// One pass over the samples. Small batches: a pico model needs steps more than smooth gradients.
    fn config(&self) -> PretrainConfig {
        let (seed, threads) = (self.seed, self.threads);
        PretrainConfig { batch_tokens: 1024, row_tokens: 512, learning_rate: 5e-3, seed, threads, ..Default::default() }
    }
}

#[async_trait::async_trait]
impl Stage for Train {
    fn name(&self) -> String {
        self.folder.clone()
    }

    fn settings(&self) -> serde_json::Value {
        let Rung { mixture, size, tokens } = &self.rung;
        let PretrainConfig { batch_tokens, row_tokens, learning_rate, .. } = self.config();
        serde_json::json!({
            "mixture": MIXTURES[*mixture], "size": SIZES[*size], "tokens": tokens, "seed": self.seed,
            "batch_tokens": batch_tokens, "row_tokens": row_tokens, "learning_rate": learning_rate,
        })
    }

    fn inputs(&self) -> Vec<Input> {
        let bytes = record::shard::to_jsonl(&self.samples).unwrap_or_default();
        vec![Input { path: "train".into(), sha256: record::shard::sha256(&bytes) }]
    }

    fn shards(&self) -> u32 {
        1
    }

    async fn run_shard(&self, _: u32, folder: &Path, watch: &Watch) -> Result<Output> {
        let tokenizer = Tokenizer::learned(std::iter::empty(), 0)?;
        let start = Checkpoint::fresh(self.rung.architecture(tokenizer.vocab())?, tokenizer, self.seed)?;
        pico::train(&self.folder, start, self.samples.clone(), Vec::new(), self.config(), folder, watch).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_budgets_are_kept_and_nothing_is_learned_twice() {
        let rungs = Rung::all(&[20_000, 60_000]);
        assert_eq!(rungs.len(), 24);
        let names: std::collections::HashSet<_> = rungs.iter().map(Rung::name).collect();
        assert_eq!(names.len(), 24);
        let rung = Rung { mixture: 1, size: 0, tokens: 60_000 };
        let samples = rung.samples(3).expect("problems");
        let ids: std::collections::HashSet<_> = samples.iter().map(|sample| &sample.id).collect();
        assert_eq!(ids.len(), samples.len());
        let tokens = |sample: &Sample| sample.messages.iter().map(|m| m.content.len()).sum::<usize>() + 1;
        for ((kind, _), share) in CAPABILITIES.into_iter().zip(MIXTURES[1].1) {
            let own = samples.iter().filter(|sample| sample.wording == kind.name());
            let (read, wanted) = (own.map(tokens).sum::<usize>(), 600 * share as usize);
            assert!(read >= wanted && read < wanted + 300, "{kind}: {read} of {wanted}");
        }
        let tokenizer = Tokenizer::learned(std::iter::empty(), 0).expect("works");
        for (size, (name, _)) in SIZES.into_iter().enumerate() {
            let architecture = Rung { size, ..rung.clone() }.architecture(272).expect("a size");
            assert!(Checkpoint::fresh(architecture.clone(), tokenizer.clone(), 1).is_ok());
            let say: f64 = name.trim_end_matches('k').parse().expect("a number");
            let weights = architecture.parameters() as f64;
            assert!((weights / (1e3 * say) - 1.0).abs() < 0.1, "{say}k: {weights}");
        }
    }
}
