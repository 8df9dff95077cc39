use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use crate::{
    Capabilities, Completion, Delta, Error, Finish, Generate, Generation, LanguageModel, LogprobScale, Prompt, Result,
    Score, Scored, TokenLogprob, Usage,
};

/// Something that goes wrong on the next request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The request fails with this.
    Fail(Error),
    /// The answer comes late.
    Delay(Duration),
    /// The answer is cut after so many characters, as by a token limit.
    Truncate(usize),
}

/// A model that answers from a script, for tests.
///
/// The first rule whose needle occurs in the prompt gives the answer; without one the answer is
/// empty. Each request takes the next fault off the queue.
#[derive(Default)]
pub struct ScriptedModel {
    rules: Vec<(String, String)>,
    scores: Vec<(String, f32)>,
    faults: Mutex<VecDeque<Fault>>,
    requests: Mutex<Vec<Generate>>,
}

impl ScriptedModel {
    /// A model with nothing to say.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers `reply` when the prompt holds `needle`.
    pub fn reply(mut self, needle: impl Into<String>, reply: impl Into<String>) -> Self {
        self.rules.push((needle.into(), reply.into()));
        self
    }

    /// Scores each word of a continuation that holds `needle` with `logprob`; −10 without a rule.
    pub fn score_words(mut self, needle: impl Into<String>, logprob: f32) -> Self {
        self.scores.push((needle.into(), logprob));
        self
    }

    /// Adds a fault for the next request that has none yet.
    pub fn fault(self, fault: Fault) -> Self {
        self.faults.lock().unwrap_or_else(|e| e.into_inner()).push_back(fault);
        self
    }

    /// Every generate request so far, in order of arrival.
    pub fn requests(&self) -> Vec<Generate> {
        self.requests.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    async fn next_fault(&self) -> Result<Option<usize>> {
        let fault = self.faults.lock().unwrap_or_else(|e| e.into_inner()).pop_front();
        match fault {
            None => Ok(None),
            Some(Fault::Fail(error)) => Err(error),
            Some(Fault::Delay(time)) => {
                tokio::time::sleep(time).await;
                Ok(None)
            }
            Some(Fault::Truncate(characters)) => Ok(Some(characters)),
        }
    }
}

fn text(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Raw(text) => text.clone(),
        Prompt::Tokens(tokens) => tokens.iter().map(u32::to_string).collect::<Vec<_>>().join(" "),
        Prompt::Messages(messages) => messages.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join("\n"),
    }
}

#[async_trait::async_trait]
impl LanguageModel for ScriptedModel {
    fn name(&self) -> &str {
        "scripted"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            context: None,
            logprobs: false,
            score: true,
            n: true,
            seeded: true,
            adapters: true,
            formats: false,
            parameters: None,
        }
    }

    async fn stream(&self, request: Generate, sink: &mut (dyn FnMut(Delta) + Send)) -> Result<Generation> {
        request.validate()?;
        self.requests.lock().unwrap_or_else(|e| e.into_inner()).push(request.clone());
        let cut = self.next_fault().await?;
        let prompt = text(&request.prompt);
        let reply = self.rules.iter().find(|(needle, _)| prompt.contains(needle.as_str()));
        let full = reply.map_or("", |(_, reply)| reply.as_str());
        let reply: String = full.chars().take(cut.unwrap_or(usize::MAX)).collect();
        let finish = if reply.len() < full.len() { Finish::Length } else { Finish::Stop };
        let words = reply.split_whitespace().count() as u64;
        let completions = (0..request.n)
            .map(|index| {
                sink(Delta { index, text: reply.clone(), logprobs: Vec::new() });
                Completion { text: reply.clone(), tokens: Vec::new(), logprobs: Vec::new(), finish }
            })
            .collect();
        let usage =
            Usage { prefill: prompt.split_whitespace().count() as u64, cached: 0, decode: words * request.n as u64 };
        Ok(Generation { completions, usage })
    }

    async fn score(&self, request: Score) -> Result<Scored> {
        self.next_fault().await?;
        let rule = self.scores.iter().find(|(needle, _)| request.continuation.text.contains(needle.as_str()));
        let logprob = rule.map_or(-10.0, |(_, logprob)| *logprob);
        let tokens: Vec<_> = request
            .continuation
            .text
            .split_whitespace()
            .map(|word| TokenLogprob {
                id: None,
                text: word.into(),
                logprob,
                greedy: None,
                scale: LogprobScale::Raw,
                top: Vec::new(),
            })
            .collect();
        let usage = Usage { prefill: tokens.len() as u64, cached: 0, decode: 0 };
        Ok(Scored { tokens, usage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_by_rule_and_injects_faults_in_order() {
        let model = ScriptedModel::new()
            .reply("capital", "Paris is it")
            .fault(Fault::Fail(Error::Engine("down".into())))
            .fault(Fault::Truncate(5));
        let ask = || Generate::greedy(Prompt::ask("What is the capital?"), 8);
        assert!(matches!(model.generate(ask()).await, Err(Error::Engine(_))));
        let cut = model.generate(ask()).await.expect("cut");
        assert_eq!((cut.completions[0].text.as_str(), cut.completions[0].finish), ("Paris", Finish::Length));
        let whole = model.generate(Generate { n: 2, ..ask() }).await.expect("whole");
        assert_eq!(whole.completions[1].text, "Paris is it");
        assert_eq!(model.requests().len(), 3);
    }
}
