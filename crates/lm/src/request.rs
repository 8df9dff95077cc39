use record::{Message, Usage};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What the model reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prompt {
    /// A conversation, put into the model's own chat template; the model's turn is opened.
    Messages(Vec<Message>),
    /// Text as it is; special tokens in it are not interpreted, a beginning-of-text token is added
    /// where the model expects one.
    Raw(String),
    /// Ids of the model's own vocabulary, as they are.
    Tokens(Vec<u32>),
}

impl Prompt {
    /// A conversation of a single question.
    pub fn ask(question: impl Into<String>) -> Self {
        Self::Messages(vec![Message::user(question)])
    }
}

/// A piece of text, with its tokens where they are known.
///
/// A model that knows its vocabulary reads `tokens` if there are any, and so continues exactly what
/// it drew before; else the text is tokenised apart from what stands before it, so that a boundary
/// never merges. A remote server reads the text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The text.
    pub text: String,
    /// Its tokens, or nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<u32>,
}

impl Span {
    /// Appends a completion. Tokens stay known only while they are known for every part.
    pub fn push(&mut self, completion: &Completion) {
        let known = self.tokens.is_empty() == self.text.is_empty();
        self.text.push_str(&completion.text);
        match known && (completion.text.is_empty() || !completion.tokens.is_empty()) {
            true => self.tokens.extend_from_slice(&completion.tokens),
            false => self.tokens.clear(),
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.tokens.is_empty()
    }
}

impl<T: Into<String>> From<T> for Span {
    fn from(text: T) -> Self {
        Self { text: text.into(), tokens: Vec::new() }
    }
}

/// What the whole text of a completion (the part in [`Generate::begun`] not counted) must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Any JSON object.
    JsonObject,
    /// JSON that obeys this JSON Schema.
    JsonSchema(serde_json::Value),
    /// Text that matches this regular expression from beginning to end.
    Regex(String),
}

/// How the next token is drawn. The default is greedy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Logits are divided by it; 0 takes the most probable token.
    pub temperature: f32,
    /// Keep the k most probable tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the smallest set of tokens whose probability reaches this, in (0, 1].
    pub top_p: f32,
    /// Drop tokens less probable than this share of the most probable one, in [0, 1).
    pub min_p: f32,
    /// Divide positive and multiply negative logits of tokens already seen; 1 does nothing.
    pub repetition_penalty: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0 }
    }
}

impl Sampling {
    /// Checks every field's range.
    pub fn validate(&self) -> Result<()> {
        let check = |ok: bool, field, problem: &str| {
            if ok { Ok(()) } else { Err(Error::Request { field, problem: problem.into() }) }
        };
        check(self.temperature.is_finite() && self.temperature >= 0.0, "temperature", "must be 0 or more")?;
        check(self.top_p > 0.0 && self.top_p <= 1.0, "top_p", "must lie in (0, 1]")?;
        check((0.0..1.0).contains(&self.min_p), "min_p", "must lie in [0, 1)")?;
        check(
            self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0,
            "repetition_penalty",
            "must be above 0",
        )
    }
}

/// A request for completions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generate {
    /// What the model reads.
    pub prompt: Prompt,
    /// How many completions. Completion i draws from its own stream, derived from (seed, i).
    pub n: usize,
    /// Tokens at most.
    pub max_tokens: usize,
    /// Generation ends before the first of these; the stop string is not part of the text.
    pub stop: Vec<String>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Seed of the draws.
    pub seed: u64,
    /// Name of a loaded adapter, or none for the base model.
    pub adapter: Option<String>,
    /// Return the log-probability of each generated token.
    pub logprobs: bool,
    /// With `logprobs`: the most probable tokens at each place, so many of them.
    #[serde(default)]
    pub top_logprobs: usize,
    /// What the model's turn says already; the completion continues it and does not repeat it.
    #[serde(default, skip_serializing_if = "Span::is_empty")]
    pub begun: Span,
    /// A regular expression: the completion ends after the token with which its text first matches;
    /// that token belongs to it whole ([`Finish::Boundary`]). Foresight ends its steps so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// What the completion's text must be, or none for any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
}

impl Generate {
    /// One greedy completion of at most `max_tokens` tokens.
    pub fn greedy(prompt: Prompt, max_tokens: usize) -> Self {
        Self {
            prompt,
            n: 1,
            max_tokens,
            stop: Vec::new(),
            sampling: Sampling::default(),
            seed: 0,
            adapter: None,
            logprobs: false,
            top_logprobs: 0,
            begun: Span::default(),
            until: None,
            format: None,
        }
    }

    /// Checks every field's range.
    pub fn validate(&self) -> Result<()> {
        if self.n == 0 {
            return Err(Error::Request { field: "n", problem: "must be 1 or more".into() });
        }
        if self.stop.iter().any(String::is_empty) {
            return Err(Error::Request { field: "stop", problem: "must not hold an empty string".into() });
        }
        self.sampling.validate()
    }
}

/// A piece of a completion, while it is generated.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    /// Which of the n completions.
    pub index: usize,
    /// New text.
    pub text: String,
    /// The tokens that it took, if asked for log-probabilities and known already. Tokens that stand
    /// in no piece, as those of a stop string, are in the finished completion only.
    pub logprobs: Vec<TokenLogprob>,
}

/// Why a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// An end-of-text token or a stop string.
    Stop,
    /// `max_tokens` was reached.
    Length,
    /// The text matched [`Generate::until`]; the model's turn may go on.
    Boundary,
}

/// Which distribution a log-probability comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogprobScale {
    /// Softmax of the raw logits.
    Raw,
    /// Softmax of logits already changed by temperature, penalty or truncation.
    Processed,
    /// A remote server that does not say.
    Unknown,
}

/// A token that stood at a place, or might have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// Id in the model's vocabulary, where known.
    pub id: Option<u32>,
    /// The token's text.
    pub text: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
}

/// A token and how probable it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// Id in the model's vocabulary, where known.
    pub id: Option<u32>,
    /// The token's text; bytes that are no character alone show as U+FFFD.
    pub text: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// Whether it was the most probable token at its place, where known.
    pub greedy: Option<bool>,
    /// What distribution `logprob` comes from.
    pub scale: LogprobScale,
    /// The most probable tokens at this place, most probable first, if asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<Alternative>,
}

/// One of the n completions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// The text, without stop string and special tokens.
    pub text: String,
    /// Generated token ids, the end token excluded; empty for a remote server.
    pub tokens: Vec<u32>,
    /// Log-probability of each generated token, if asked.
    pub logprobs: Vec<TokenLogprob>,
    /// Why it ended.
    pub finish: Finish,
}

/// The answer to [`Generate`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// The n completions, in order.
    pub completions: Vec<Completion>,
    /// What they cost.
    pub usage: Usage,
}

/// A request for the log-probabilities of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// What stands before.
    pub prompt: Prompt,
    /// What is scored. It is tokenised apart from the prompt, so a boundary never merges.
    pub continuation: Span,
    /// Name of a loaded adapter, or none for the base model.
    pub adapter: Option<String>,
    /// The most probable tokens at each place, so many of them.
    #[serde(default)]
    pub top_logprobs: usize,
}

/// The answer to [`Score`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The continuation's tokens.
    pub tokens: Vec<TokenLogprob>,
    /// What it cost.
    pub usage: Usage,
}

impl Scored {
    /// Log-probability of the whole continuation, in nats.
    pub fn sum(&self) -> f64 {
        self.tokens.iter().map(|t| f64::from(t.logprob)).sum()
    }
}

/// What a model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Tokens of prompt and completion together, where known.
    pub context: Option<usize>,
    /// Log-probabilities of generated tokens.
    pub logprobs: bool,
    /// Log-probabilities of a given continuation.
    pub score: bool,
    /// Several completions a request.
    pub n: bool,
    /// The same seed gives the same tokens.
    pub seeded: bool,
    /// Adapters by name.
    pub adapters: bool,
    /// Text that obeys a [`Format`].
    pub formats: bool,
    /// Weights that a token is multiplied with (P of the FLOP formulas), where known.
    pub parameters: Option<u64>,
}
