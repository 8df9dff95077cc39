//! What does the model itself think of a path?

use lm::{Generate, Message, Prompt, Score, Span};

use crate::session::Session;
use crate::steps::at;
use crate::{Error, Judge, Result};

/// Tokens of a drawn judgement at most.
const REPLY: usize = 4;

impl Session<'_> {
    /// Tokens that judging one path may decode at most. A server may count a scored reply as one.
    pub fn judge_tokens(&self, judge: &Judge) -> usize {
        if self.able.score { 2 } else { judge.votes * REPLY }
    }

    /// What the model thinks of each path, in [0, 1]; none if the budget is used up. Where it can
    /// score, P(yes) / (P(yes) + P(no)); else the share of drawn answers that begin with yes. Equal
    /// paths are asked about once.
    pub async fn judge(&mut self, nodes: &[usize], judge: &Judge) -> Result<Option<Vec<f64>>> {
        let texts: Vec<String> = nodes.iter().map(|id| self.path_text(*id)).collect();
        self.judge_texts(nodes, &texts, judge).await
    }

    /// What the model thinks of a path together with what was seen ahead of it.
    pub async fn judge_whole(&mut self, node: usize, judge: &Judge) -> Result<Option<f64>> {
        let mut text = self.path_text(node);
        if let Some(seen) = &self.nodes[node].foresight {
            text.push_str(&seen.text);
        }
        let values = self.judge_texts(&[node], &[text], judge).await?;
        Ok(values.and_then(|values| values.first().copied()))
    }

    async fn judge_texts(&mut self, nodes: &[usize], texts: &[String], judge: &Judge) -> Result<Option<Vec<f64>>> {
        let mut asked: Vec<usize> = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            if !asked.iter().any(|j| texts[*j] == *text) {
                asked.push(i);
            }
        }
        let mut prompts = Vec::new();
        for i in &asked {
            prompts.push((nodes[*i], self.judge_prompt(nodes[*i], &texts[*i], judge)?));
        }
        let values = if self.able.score {
            let replies = [&judge.yes, &judge.no];
            let scores = prompts.iter().flat_map(|(node, prompt)| {
                replies.map(|reply| {
                    let continuation = Span::from(reply.as_str());
                    let adapter = self.request.adapter.clone();
                    (*node, Score { prompt: prompt.clone(), continuation, adapter, top_logprobs: 0 })
                })
            });
            let scores = scores.collect();
            let Some(sums) = self.score("judge a path", scores).await? else { return Ok(None) };
            // P(yes) / (P(yes) + P(no)), from logarithms.
            sums.chunks(2).map(|pair| 1.0 / (1.0 + (pair[1] - pair[0]).exp())).collect::<Vec<f64>>()
        } else {
            let ask = |(node, prompt): (usize, Prompt)| {
                (node, Generate { n: judge.votes, sampling: at(1.0), ..Generate::greedy(prompt, REPLY) })
            };
            let asks = prompts.into_iter().map(ask).collect();
            let Some(replies) = self.ask_beside("judge a path", asks).await? else { return Ok(None) };
            let yes = judge.yes.to_lowercase();
            let says = |reply: &&String| reply.trim_start().to_lowercase().starts_with(&yes);
            replies.iter().map(|r| r.iter().filter(says).count() as f64 / r.len().max(1) as f64).collect()
        };
        let of = |text: &String| asked.iter().position(|j| texts[*j] == *text).map_or(0.0, |place| values[place]);
        Ok(Some(texts.iter().map(of).collect()))
    }

    fn judge_prompt(&self, node: usize, text: &str, judge: &Judge) -> Result<Prompt> {
        let begun = &self.request.begun.text;
        let raw = |prompt: &str| Prompt::Raw(format!("{prompt}{begun}{text}\n{}\n", judge.question));
        Ok(match &self.request.prompt {
            Prompt::Messages(messages) => {
                let mut messages = messages.clone();
                messages.push(Message::assistant(format!("{begun}{text}")));
                messages.push(Message::user(judge.question.clone()));
                Prompt::Messages(messages)
            }
            Prompt::Raw(prompt) => raw(prompt),
            Prompt::Tokens(tokens) => {
                let prompt = self.model.detokenize(tokens);
                let failed = |source| Error::Model { node, operation: "read the prompt's tokens", source };
                raw(&prompt.map_err(failed)?)
            }
        })
    }
}
