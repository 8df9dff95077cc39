use std::sync::{Arc, Mutex};

use lm::{Alternative, Completion, Finish, Generate, Generation, LogprobScale, Scored, TokenLogprob, Usage};
use rand_chacha::ChaCha8Rng;
use regex::Regex;
use tokio::sync::{mpsc, oneshot};
use weights::Tokenizer;

use crate::adapter::Loaded;
use crate::guide::Guide;
use crate::kernels::Segment;
use crate::text::Text;
use crate::tree::NodeId;

/// What comes back while a request is worked on.
pub(crate) enum Event {
    Delta(lm::Delta),
    End(lm::Result<Generation>),
}

/// What is asked, with the way back.
pub(crate) enum Ask {
    Generate {
        request: Box<Generate>,
        until: Option<Regex>,
        /// The beginning of each completion's grammar.
        guide: Option<Box<Guide>>,
        /// Whether somebody reads text as it comes; waking a reader at each token costs steps time.
        deltas: bool,
        reply: mpsc::UnboundedSender<Event>,
    },
    /// The tokens after the prompt are the continuation; `top` alternatives a place.
    Score { prompt: usize, top: usize, reply: oneshot::Sender<lm::Result<Scored>> },
    /// Logits of all positions.
    Logits { reply: std::sync::mpsc::Sender<lm::Result<Vec<f32>>> },
}

/// A request as the scheduler gets it.
pub(crate) struct Job {
    /// Prompt, and continuation if one is scored.
    pub tokens: Vec<u32>,
    /// Number and weights of the adapter; 0 is the base model.
    pub adapter: u64,
    pub loaded: Option<Arc<Loaded>>,
    pub ask: Ask,
}

impl Job {
    /// Tokens whose keys and values the prompt's branch computes.
    pub fn stem(&self) -> &[u32] {
        match &self.ask {
            // The last token of a scored text is only looked for, never read.
            Ask::Score { .. } => &self.tokens[..self.tokens.len() - 1],
            _ => &self.tokens,
        }
    }

    /// Positions at whose end logits are needed.
    pub fn wanted(&self) -> std::ops::Range<usize> {
        match &self.ask {
            Ask::Generate { .. } => self.tokens.len() - 1..self.tokens.len(),
            Ask::Score { prompt, .. } => prompt - 1..self.tokens.len() - 1,
            Ask::Logits { .. } => 0..self.tokens.len(),
        }
    }

    /// Completions, and tokens of each whose keys and values are needed.
    pub fn streams(&self) -> (usize, usize) {
        match &self.ask {
            Ask::Generate { request, .. } => (request.n, request.max_tokens.saturating_sub(1)),
            _ => (0, 0),
        }
    }

    /// The most probable tokens that are asked for at each place.
    pub fn top(&self) -> usize {
        match &self.ask {
            Ask::Generate { request, .. } if request.logprobs => request.top_logprobs,
            Ask::Generate { .. } => 0,
            Ask::Score { top, .. } => *top,
            Ask::Logits { .. } => 0,
        }
    }

    /// Whether the answer tells log-probabilities.
    pub fn tells(&self) -> bool {
        match &self.ask {
            Ask::Generate { request, .. } => request.logprobs,
            Ask::Score { .. } => true,
            Ask::Logits { .. } => false,
        }
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_cancelled(&self) -> bool {
        match &self.ask {
            Ask::Generate { reply, .. } => reply.is_closed(),
            Ask::Score { reply, .. } => reply.is_closed(),
            Ask::Logits { .. } => false,
        }
    }

    /// Answers with an error.
    pub fn fail(self, error: lm::Error) {
        // Whoever has gone meanwhile misses nothing.
        match self.ask {
            Ask::Generate { reply, .. } => drop(reply.send(Event::End(Err(error)))),
            Ask::Score { reply, .. } => drop(reply.send(Err(error))),
            Ask::Logits { reply } => drop(reply.send(Err(error))),
        }
    }
}

/// A request that is being worked on.
pub(crate) struct Live {
    pub job: Job,
    /// Rows computed for the prompt, and tokens drawn.
    pub computed: u64,
    pub drawn: u64,
    /// Finished completions, in order of their index.
    pub completions: Vec<Option<Completion>>,
    pub scored: Vec<TokenLogprob>,
    pub logits: Vec<f32>,
}

impl Live {
    pub fn new(job: Job) -> Self {
        let completions = vec![None; job.streams().0];
        Self { job, computed: 0, drawn: 0, completions, scored: Vec::new(), logits: Vec::new() }
    }

    fn usage(&self) -> Usage {
        let stem = self.job.stem().len() as u64;
        Usage { prefill: self.computed, cached: stem.saturating_sub(self.computed), decode: self.drawn }
    }

    /// Answers, now that everything is there.
    pub fn finish(mut self) {
        let usage = self.usage();
        match self.job.ask {
            Ask::Generate { reply, .. } => {
                let completions = self.completions.iter_mut().filter_map(Option::take).collect();
                drop(reply.send(Event::End(Ok(Generation { completions, usage }))));
            }
            Ask::Score { reply, .. } => drop(reply.send(Ok(Scored { tokens: self.scored, usage }))),
            Ask::Logits { reply } => drop(reply.send(Ok(self.logits))),
        }
    }
}

/// One completion under way.
pub(crate) struct Completing {
    pub index: usize,
    pub rng: ChaCha8Rng,
    pub text: Text,
    /// Locked only to be shared between the threads of a step, of which one uses it.
    pub guide: Option<Mutex<Guide>>,
    pub tokens: Vec<u32>,
    pub logprobs: Vec<TokenLogprob>,
    /// How many of `logprobs` went out with pieces of text.
    pub told: usize,
    /// Tokens of prompt and completion, each once, if there is a repetition penalty.
    pub seen: Vec<u32>,
}

impl Completing {
    /// The finished completion.
    pub fn end(self, finish: Finish) -> Completion {
        Completion { text: self.text.into_text(), tokens: self.tokens, logprobs: self.logprobs, finish }
    }
}

/// A path of the tree that somebody waits for.
pub(crate) struct Branch {
    /// Which request.
    pub request: u64,
    /// The pinned end of the path.
    pub end: NodeId,
    /// Positions on the path.
    pub len: usize,
    /// Positions before it are done: filled, and their logits looked at if wanted.
    pub cursor: usize,
    /// First position whose logits are wanted; all after it are, too.
    pub wanted: usize,
    /// The step that last looked at its logits.
    pub served: u64,
    /// Promised pages not yet taken.
    pub promised: usize,
    /// The tree's version at which nodes and segments were looked up.
    pub version: Option<u64>,
    pub nodes: Vec<NodeId>,
    pub segments: Vec<Segment>,
    /// The completion, unless this is a prompt.
    pub completing: Option<Completing>,
}

/// A token with its raw log-probability, and the most probable ones at its place.
pub(crate) fn token_logprob(
    tokenizer: &Tokenizer,
    id: u32,
    logprob: f32,
    greedy: bool,
    top: &[(f32, u32)],
) -> TokenLogprob {
    let alternative =
        |(logprob, id): &(f32, u32)| Alternative { id: Some(*id), text: tokenizer.piece(*id), logprob: *logprob };
    TokenLogprob {
        id: Some(id),
        text: tokenizer.piece(id),
        logprob,
        greedy: Some(greedy),
        scale: LogprobScale::Raw,
        top: top.iter().map(alternative).collect(),
    }
}
