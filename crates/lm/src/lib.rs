//! What does a stage ask of a language model?
//!
//! [`LanguageModel`] generates and scores, [`Embedder`] embeds; local engine, remote server and the
//! test's [`ScriptedModel`] answer alike. Callers write code as if for one prompt; whoever stands
//! behind the trait batches across all callers.
//!
//! Invariants: no tensor library and no network here. A completion depends on (weights, prompt,
//! sampling, seed) alone. Dropping a future cancels its request and frees its place.

mod error;
mod request;
mod scripted;

use std::sync::Arc;

pub use error::{Error, Result};
pub use record::{Message, Role, Usage};
pub use request::{
    Alternative, Capabilities, Completion, Delta, Finish, Format, Generate, Generation, LogprobScale, Prompt, Sampling,
    Score, Scored, Span, TokenLogprob,
};
pub use scripted::{Fault, ScriptedModel};

/// A language model, wherever it runs.
#[async_trait::async_trait]
pub trait LanguageModel: Send + Sync {
    /// Name as given by the user, for manifests and reports.
    fn name(&self) -> &str;

    /// What this model can do. Asking for more is [`Error::Unsupported`], never a silent guess.
    fn capabilities(&self) -> Capabilities;

    /// As [`LanguageModel::capabilities`], but finds out first what is not known yet: a remote model is
    /// asked, once.
    async fn discover(&self) -> Result<Capabilities> {
        Ok(self.capabilities())
    }

    /// Generates `request.n` completions, and calls `sink` with each piece of text as it comes.
    async fn stream(&self, request: Generate, sink: &mut (dyn FnMut(Delta) + Send)) -> Result<Generation>;

    /// Log-probabilities of a continuation's tokens, each given all before it.
    async fn score(&self, request: Score) -> Result<Scored>;

    /// The tokens of a text, with a beginning-of-text token where the model expects one, or of a
    /// conversation in the model's template. A remote server may not tell.
    fn tokenize(&self, _prompt: &Prompt) -> Result<Vec<u32>> {
        Err(Error::Unsupported { model: self.name().into(), what: "show its tokens".into() })
    }

    /// The text of tokens.
    fn detokenize(&self, _tokens: &[u32]) -> Result<String> {
        Err(Error::Unsupported { model: self.name().into(), what: "show the text of tokens".into() })
    }

    /// Generates without looking at the pieces.
    async fn generate(&self, request: Generate) -> Result<Generation> {
        self.stream(request, &mut |_| {}).await
    }
}

/// A model that a stage may keep and share between tasks.
pub type SharedModel = Arc<dyn LanguageModel>;

/// Text in, unit vectors out.
#[async_trait::async_trait]
pub trait Embedder: Send + Sync {
    /// Name as given by the user.
    fn name(&self) -> &str;
    /// Length of a vector.
    fn dimension(&self) -> usize;
    /// One vector of length [`Embedder::dimension`] and norm 1 for each text.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>>;
}
