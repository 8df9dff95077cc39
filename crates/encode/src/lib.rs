//! Which texts mean alike? Text in, a unit vector out.
//!
//! [`Encoder::open`] reads a folder with a BERT that was trained for sentences (all-MiniLM-L6-v2):
//! `config.json`, `model.safetensors`, `tokenizer.json`. It is an [`lm::Embedder`].
//!
//! Invariants: a text's vector depends on (weights, text) alone, bit for bit, whatever else is
//! encoded beside it and on however many threads; a damaged folder is a typed error.

mod bert;
mod error;
mod folder;

use std::path::Path;
use std::sync::Arc;

use futures::channel::oneshot;
use rayon::prelude::*;
use tokenizers::Tokenizer;

pub use error::{Error, Result};

/// Tokens of a text that are read, the two that frame it included; sentence-transformers cuts there too.
pub const MAX_TOKENS: usize = 256;

/// An encoder in memory; a clone shares the weights.
#[derive(Clone)]
pub struct Encoder {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    tokenizer: Tokenizer,
    bert: bert::Bert,
}

impl Encoder {
    /// Reads an encoder; its name is the folder's.
    pub fn open(folder: &Path) -> Result<Self> {
        let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let bert = folder::bert(folder)?;
        let tokenizer = folder::tokenizer(folder, MAX_TOKENS.min(bert.positions()), bert.vocabulary())?;
        Ok(Self { shared: Arc::new(Shared { name, tokenizer, bert }) })
    }

    /// One unit vector a text, on the threads of the current rayon pool.
    pub fn encode(&self, texts: &[String]) -> lm::Result<Vec<Vec<f32>>> {
        let Shared { name, tokenizer, bert } = &*self.shared;
        let tokens = texts.par_iter().enumerate().map(|(index, text)| {
            let tokens = tokenizer.encode_fast(text.as_str(), true);
            tokens.map(|tokens| (index, tokens.get_ids().to_vec())).map_err(|e| lm::Error::Engine(e.to_string()))
        });
        let mut jobs = tokens.collect::<lm::Result<Vec<_>>>()?;
        // A text is never split between threads, so the long ones go first and the short ones fill up.
        jobs.sort_by_key(|(_, ids)| std::cmp::Reverse(ids.len()));
        let jobs = jobs.into_par_iter().with_max_len(1);
        let mut vectors: Vec<_> = jobs.map(|(index, ids)| (index, bert.forward(&ids))).collect();
        vectors.sort_by_key(|(index, _)| *index);
        if vectors.iter().flat_map(|(_, vector)| vector).any(|x| !x.is_finite()) {
            return Err(lm::Error::NonFinite { model: name.clone(), place: "a text's vector".into() });
        }
        Ok(vectors.into_iter().map(|(_, vector)| vector).collect())
    }
}

#[async_trait::async_trait]
impl lm::Embedder for Encoder {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn dimension(&self) -> usize {
        self.shared.bert.width()
    }

    async fn embed(&self, texts: &[String]) -> lm::Result<Vec<Vec<f32>>> {
        let (encoder, texts) = (self.clone(), texts.to_vec());
        let (send, receive) = oneshot::channel();
        // Off the caller's thread, which serves other futures meanwhile.
        rayon::spawn(move || {
            // Nobody waits for the answer of a dropped future.
            let _ = send.send(encoder.encode(&texts));
        });
        receive.await.map_err(|_| lm::Error::Engine("the encoder broke off".into()))?
    }
}
