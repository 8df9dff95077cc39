//! A model of a few words whose probabilities are known, for tests: it continues what has begun,
//! ends steps, gives log-probabilities, draws n at once, and answers in any order.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lm::{
    Capabilities, Completion, Delta, Error, Finish, Generate, Generation, LanguageModel, LogprobScale, Prompt, Result,
    Score, Scored, TokenLogprob, Usage,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The end of the turn.
pub const END: &str = "<end>";

pub struct Grammar {
    /// What may follow a word, with its probability. The beginning is the empty word.
    pub rules: BTreeMap<&'static str, Vec<(&'static str, f64)>>,
    pub words: Vec<&'static str>,
    pub able: Capabilities,
    /// Which call fails, from 0.
    pub fails: Option<usize>,
    /// Calls wait so many turns, another number each.
    pub jitter: bool,
    /// Calls wait for ever.
    pub hangs: bool,
    pub requests: Mutex<Vec<Generate>>,
    pub begun: AtomicUsize,
    pub ended: AtomicUsize,
}

impl Grammar {
    pub fn new(rules: &[(&'static str, &[(&'static str, f64)])]) -> Self {
        let rules: BTreeMap<_, Vec<_>> = rules.iter().map(|(word, next)| (*word, next.to_vec())).collect();
        let mut words: Vec<&str> = rules.values().flatten().map(|(word, _)| *word).filter(|w| *w != END).collect();
        words.sort_unstable();
        words.dedup();
        for next in rules.values() {
            assert!((next.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-9);
        }
        Self {
            rules,
            words,
            able: Capabilities {
                context: None,
                logprobs: true,
                score: true,
                n: true,
                seeded: true,
                adapters: false,
                formats: false,
                parameters: Some(1000),
            },
            fails: None,
            jitter: false,
            hangs: false,
            requests: Mutex::default(),
            begun: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
        }
    }

    /// Lines of small sums, some of which are the last.
    pub fn sums() -> Self {
        Self::new(&[
            ("", &[("add", 0.5), ("sub", 0.3), ("so", 0.2)]),
            ("add", &[(" 1", 0.6), (" 2", 0.4)]),
            ("sub", &[(" 1", 0.5), (" 2", 0.5)]),
            ("so", &[(" 3", 0.7), (" 4", 0.3)]),
            (" 1", &[("\n", 0.9), (",", 0.1)]),
            (" 2", &[("\n", 0.9), (",", 0.1)]),
            (",", &[(" 1", 0.5), (" 2", 0.5)]),
            ("\n", &[("add", 0.4), ("sub", 0.3), ("so", 0.25), (END, 0.05)]),
            (" 3", &[(END, 0.8), ("\n", 0.2)]),
            (" 4", &[(END, 0.8), ("\n", 0.2)]),
        ])
    }

    /// One line, for ever.
    pub fn sure() -> Self {
        Self::new(&[("", &[("add", 1.0)]), ("add", &[(" 1", 1.0)]), (" 1", &[("\n", 1.0)]), ("\n", &[("add", 1.0)])])
    }

    /// The more probable first step leads to where nothing is probable.
    pub fn garden_path() -> Self {
        let noise: &[(&str, f64)] = &[("p", 0.2), ("q", 0.2), ("r", 0.2), ("s", 0.2), (END, 0.2)];
        Self::new(&[
            ("", &[("bad", 0.6), ("good", 0.4)]),
            ("bad", &[("\n\t", 1.0)]),
            ("good", &[("\n ", 1.0)]),
            ("\n\t", &[("p", 0.25), ("q", 0.25), ("r", 0.25), ("s", 0.25)]),
            ("p", noise),
            ("q", noise),
            ("r", noise),
            ("s", noise),
            ("\n ", &[("then", 1.0)]),
            ("then", &[(" so", 1.0)]),
            (" so", &[(" 7", 0.98), (" 8", 0.02)]),
            (" 7", &[(END, 1.0)]),
            (" 8", &[(END, 1.0)]),
        ])
    }

    fn last(&self, request: &Generate) -> &'static str {
        if let Some(id) = request.begun.tokens.last() {
            return self.words[*id as usize];
        }
        let fits = |word: &&&str| request.begun.text.ends_with(**word);
        self.words.iter().filter(fits).max_by_key(|w| w.len()).copied().unwrap_or("")
    }

    fn complete(&self, request: &Generate, index: usize) -> (Completion, u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(request.seed);
        rng.set_stream(index as u64);
        let until = request.until.as_ref().map(|until| regex::Regex::new(until).unwrap());
        let mut word = self.last(request);
        let mut done =
            Completion { text: String::new(), tokens: Vec::new(), logprobs: Vec::new(), finish: Finish::Length };
        let mut drawn = 0;
        while done.tokens.len() < request.max_tokens {
            let next = &self.rules[word];
            let temperature = f64::from(request.sampling.temperature);
            let likely = next.iter().map(|(_, p)| *p).fold(0.0, f64::max);
            let weight = |p: f64| match temperature == 0.0 {
                true => f64::from(u8::from(p == likely)),
                false => (p / likely).powf(1.0 / temperature),
            };
            let mut left = rng.random::<f64>() * next.iter().map(|(_, p)| weight(*p)).sum::<f64>();
            let mut taken = next[0];
            for (word, p) in next.iter().filter(|(_, p)| weight(*p) > 0.0) {
                taken = (*word, *p);
                left -= weight(*p);
                if left < 0.0 {
                    break;
                }
            }
            drawn += 1;
            word = taken.0;
            if word == END {
                done.finish = Finish::Stop;
                break;
            }
            let id = self.words.iter().position(|w| *w == word).unwrap() as u32;
            done.tokens.push(id);
            done.text.push_str(word);
            if request.logprobs {
                done.logprobs.push(TokenLogprob {
                    id: Some(id),
                    text: word.into(),
                    logprob: taken.1.ln() as f32,
                    greedy: None,
                    scale: LogprobScale::Raw,
                    top: Vec::new(),
                });
            }
            if let Some(at) = request.stop.iter().filter_map(|stop| done.text.find(stop.as_str())).min() {
                done.text.truncate(at);
                done.finish = Finish::Stop;
                break;
            }
            if until.as_ref().is_some_and(|until| until.is_match(&done.text)) {
                done.finish = Finish::Boundary;
                break;
            }
        }
        (done, drawn)
    }
}

/// Counts a call that was dropped as ended, too.
struct Ended<'a>(&'a AtomicUsize);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl LanguageModel for Grammar {
    fn name(&self) -> &str {
        "grammar"
    }

    fn capabilities(&self) -> Capabilities {
        self.able
    }

    async fn stream(&self, request: Generate, sink: &mut (dyn FnMut(Delta) + Send)) -> Result<Generation> {
        request.validate()?;
        assert!(self.able.n || request.n == 1, "this model gives one completion a request");
        assert!(self.able.logprobs || !request.logprobs);
        let call = self.begun.fetch_add(1, Ordering::SeqCst);
        let _ended = Ended(&self.ended);
        self.requests.lock().unwrap().push(request.clone());
        if self.hangs {
            std::future::pending::<()>().await;
        }
        if self.jitter {
            for _ in 0..request.seed % 7 {
                tokio::task::yield_now().await;
            }
        }
        if self.fails == Some(call) {
            return Err(Error::Engine("down".into()));
        }
        let mut usage = Usage { prefill: 1, cached: request.begun.tokens.len() as u64, decode: 0 };
        let mut completions = Vec::new();
        for index in 0..request.n {
            let (completion, drawn) = self.complete(&request, index);
            usage.decode += drawn;
            for word in &completion.tokens {
                let text = self.words[*word as usize].to_string();
                if request.stop.is_empty() {
                    sink(Delta { index, text, logprobs: Vec::new() });
                }
            }
            if !request.stop.is_empty() {
                sink(Delta { index, text: completion.text.clone(), logprobs: Vec::new() });
            }
            completions.push(completion);
        }
        Ok(Generation { completions, usage })
    }

    /// Judges: a text with many `sub` is right.
    async fn score(&self, request: Score) -> Result<Scored> {
        let text = match &request.prompt {
            Prompt::Messages(messages) => messages.iter().map(|m| m.content.as_str()).collect::<String>(),
            Prompt::Raw(text) => text.clone(),
            Prompt::Tokens(_) => String::new(),
        };
        let right = text.matches("sub").count() as f32 - text.matches("add").count() as f32;
        let logprob = if request.continuation.text.starts_with("Yes") { right } else { -right };
        let logprob = -(1.0 + (-logprob).exp()).ln();
        let token =
            TokenLogprob { id: None, text: "Yes".into(), logprob, greedy: None, scale: LogprobScale::Raw, top: vec![] };
        Ok(Scored { tokens: vec![token], usage: Usage { prefill: 3, cached: 0, decode: 0 } })
    }

    fn detokenize(&self, tokens: &[u32]) -> Result<String> {
        Ok(tokens.iter().map(|id| self.words[*id as usize]).collect())
    }
}
