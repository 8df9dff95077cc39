//! llama.cpp, as its users run it: one context, the requested threads, everything else by default.

use std::num::NonZeroU32;
use std::path::Path;

use anyhow::Result;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;

/// Loads a model.
pub fn load(backend: &LlamaBackend, path: &Path) -> Result<LlamaModel> {
    Ok(LlamaModel::load_from_file(backend, path, &LlamaModelParams::default())?)
}

/// A running model.
pub struct Llama<'a> {
    context: LlamaContext<'a>,
    batch: LlamaBatch<'a>,
}

/// Positions in one call.
const BATCH: usize = 512;

impl<'a> Llama<'a> {
    /// A context of `positions` in all, shared by up to `sequences`; keys and values in f32 where
    /// `exact`, else as llama.cpp has them by default (f16).
    pub fn new(
        backend: &LlamaBackend,
        model: &'a LlamaModel,
        threads: usize,
        positions: usize,
        sequences: usize,
        exact: bool,
    ) -> Result<Self> {
        let mut params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(positions as u32))
            .with_n_batch(BATCH as u32)
            .with_n_ubatch(BATCH as u32)
            .with_n_seq_max(sequences as u32)
            .with_kv_unified(true)
            .with_n_threads(threads as i32)
            .with_n_threads_batch(threads as i32);
        if exact {
            params = params.with_type_k(KvCacheType::F32).with_type_v(KvCacheType::F32);
        }
        Ok(Self { context: model.new_context(backend, params)?, batch: LlamaBatch::new(BATCH, 1) })
    }

    /// Forgets all sequences.
    pub fn clear(&mut self) {
        self.context.clear_kv_cache();
    }

    /// Reads tokens into sequence 0 from position `start` on; calls `see` with the logits of each
    /// position where `all`, else of the last one.
    pub fn read(&mut self, tokens: &[u32], start: usize, all: bool, see: &mut dyn FnMut(usize, &[f32])) -> Result<()> {
        for (chunk, part) in tokens.chunks(BATCH).enumerate() {
            self.batch.clear();
            let first = chunk * BATCH;
            for (i, token) in part.iter().enumerate() {
                let wanted = all || first + i + 1 == tokens.len();
                self.batch.add(LlamaToken(*token as i32), (start + first + i) as i32, &[0], wanted)?;
            }
            self.context.decode(&mut self.batch)?;
            for i in 0..part.len() {
                if all || first + i + 1 == tokens.len() {
                    see(first + i, self.context.get_logits_ith(i as i32));
                }
            }
        }
        Ok(())
    }

    /// Makes sequence `to` share everything that sequence 0 holds.
    pub fn share(&mut self, to: usize) -> Result<()> {
        Ok(self.context.kv_cache_seq_cp(0, to as i32, None, None)?)
    }

    /// One step: token i goes to sequence i at `position`. Returns each sequence's likeliest next token.
    pub fn step(&mut self, tokens: &[u32], position: usize) -> Result<Vec<u32>> {
        self.batch.clear();
        for (i, token) in tokens.iter().enumerate() {
            self.batch.add(LlamaToken(*token as i32), position as i32, &[i as i32], true)?;
        }
        self.context.decode(&mut self.batch)?;
        Ok((0..tokens.len()).map(|i| likeliest(self.context.get_logits_ith(i as i32)) as u32).collect())
    }
}

/// Index of the largest number; the first of equals.
pub fn likeliest(logits: &[f32]) -> usize {
    let mut best = 0;
    for (i, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = i;
        }
    }
    best
}
