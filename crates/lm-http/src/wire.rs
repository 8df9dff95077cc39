//! The protocol: what is sent, what comes back.

use std::collections::BTreeMap;

use lm::{Alternative, Completion, Delta, Finish, LogprobScale, Message, Sampling, TokenLogprob, Usage};
use regex::Regex;
use serde::{Deserialize, Serialize};

/// A request's body. Fields stand in a fixed order, so that equal requests have equal bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Body {
    pub(crate) model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) messages: Option<Vec<Message>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompt: Option<Text>,
    /// The last message is the model's own and goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) continue_final_message: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) add_generation_prompt: Option<bool>,
    pub(crate) max_tokens: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) n: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) stop: Vec<String>,
    pub(crate) temperature: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) top_k: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repetition_penalty: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logprobs: Option<Logprobs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) top_logprobs: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) echo: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) response_format: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stream_options: Option<StreamOptions>,
    /// The answer is cut after the token with which its text first matches; no server knows this.
    #[serde(skip)]
    pub(crate) until: Option<String>,
}

/// What a model reads outside of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Text {
    Plain(String),
    Ids(Vec<u32>),
}

/// Conversations ask for log-probabilities by a flag, raw text by a number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Logprobs {
    Flag(bool),
    Number(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct StreamOptions {
    pub(crate) include_usage: bool,
}

/// How a text ended that was cut here.
const BOUNDARY: &str = "lyceum:boundary";

/// Where conversations go.
pub(crate) const CHAT: &str = "chat/completions";
/// Where raw text goes.
pub(crate) const RAW: &str = "completions";

impl Body {
    /// The path below the address that this body is for.
    pub(crate) fn path(&self) -> &'static str {
        if self.messages.is_some() { CHAT } else { RAW }
    }

    /// Sets how tokens are drawn. What stands at its default is not sent: not every server knows it.
    pub(crate) fn sampling(mut self, sampling: &Sampling, seed: u64) -> Self {
        let plain = Sampling::default();
        self.temperature = sampling.temperature;
        self.top_p = (sampling.top_p != plain.top_p).then_some(sampling.top_p);
        self.top_k = (sampling.top_k != plain.top_k).then_some(sampling.top_k);
        self.min_p = (sampling.min_p != plain.min_p).then_some(sampling.min_p);
        self.repetition_penalty =
            (sampling.repetition_penalty != plain.repetition_penalty).then_some(sampling.repetition_penalty);
        // Servers read a signed 32-bit number at least.
        self.seed = (sampling.temperature > 0.0).then_some(seed & 0x7fff_ffff);
        self
    }

    /// Asks for the log-probability of each token, and for the most probable tokens beside it: at
    /// least one, which says whether the token was it.
    pub(crate) fn with_logprobs(mut self, top: usize) -> Self {
        if self.messages.is_some() {
            (self.logprobs, self.top_logprobs) = (Some(Logprobs::Flag(true)), Some(top.max(1)));
        } else {
            self.logprobs = Some(Logprobs::Number(top.max(1)));
        }
        self
    }

    /// Asks for a stream of pieces.
    pub(crate) fn streamed(mut self) -> Self {
        self.stream = Some(true);
        self.stream_options = Some(StreamOptions { include_usage: true });
        self
    }

    /// Bytes of the text that the model reads: for estimates.
    pub(crate) fn prompt_bytes(&self) -> usize {
        let messages = self.messages.iter().flatten().map(|m| m.content.len() + 8).sum::<usize>();
        let prompt = match &self.prompt {
            Some(Text::Plain(text)) => text.len(),
            // A token has four bytes on average.
            Some(Text::Ids(ids)) => ids.len() * 4,
            None => 0,
        };
        messages + prompt
    }
}

/// An answer, or a piece of a streamed one.
#[derive(Debug, Deserialize)]
struct Response {
    #[serde(default)]
    choices: Vec<WireChoice>,
    usage: Option<WireUsage>,
    /// Some servers report an error in the middle of a stream this way.
    error: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct WireChoice {
    #[serde(default)]
    index: usize,
    message: Option<WireText>,
    delta: Option<WireText>,
    text: Option<String>,
    logprobs: Option<WireLogprobs>,
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct WireText {
    content: Option<String>,
}

#[derive(Debug, Deserialize)]
struct WireLogprobs {
    content: Option<Vec<WireToken>>,
    tokens: Option<Vec<String>>,
    token_logprobs: Option<Vec<Option<f32>>>,
    top_logprobs: Option<Vec<Option<BTreeMap<String, f32>>>>,
    text_offset: Option<Vec<usize>>,
}

#[derive(Debug, Deserialize)]
struct WireToken {
    token: String,
    logprob: f32,
    #[serde(default)]
    top_logprobs: Vec<WireTop>,
}

#[derive(Debug, Deserialize)]
struct WireTop {
    token: String,
    logprob: f32,
}

#[derive(Debug, Deserialize)]
struct WireUsage {
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    prompt_tokens_details: Option<WireDetails>,
}

#[derive(Debug, Deserialize)]
struct WireDetails {
    cached_tokens: Option<u64>,
}

/// A token of an answer. The first token of an echoed prompt has no log-probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) logprob: Option<f32>,
    pub(crate) greedy: Option<bool>,
    /// Characters before it, where the server says.
    pub(crate) offset: Option<usize>,
    /// The most probable tokens at its place, most probable first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) top: Vec<(String, f32)>,
}

impl Token {
    /// As the contract has it, with `top` alternatives at most; none without a log-probability.
    pub(crate) fn scored(&self, top: usize) -> Option<TokenLogprob> {
        let alternative =
            |(text, logprob): &(String, f32)| Alternative { id: None, text: text.clone(), logprob: *logprob };
        Some(TokenLogprob {
            id: None,
            text: self.text.clone(),
            logprob: self.logprob?,
            greedy: self.greedy,
            scale: LogprobScale::Unknown,
            top: self.top.iter().take(top).map(alternative).collect(),
        })
    }
}

/// One choice, put together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Choice {
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
    finish: Option<String>,
    seen: bool,
}

/// A whole answer, however it came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) choices: Vec<Choice>,
    usage: Option<Usage>,
}

impl Reply {
    /// Adds an answer, or the next piece of one; `sink` hears each new text, up to where it matches
    /// `until`.
    pub(crate) fn add(
        &mut self,
        json: &[u8],
        until: Option<&Regex>,
        sink: &mut (dyn FnMut(Delta) + Send),
    ) -> Result<(), String> {
        let response: Response = serde_json::from_slice(json).map_err(|e| format!("not the expected JSON: {e}"))?;
        if let Some(error) = response.error.filter(|error| !error.is_null()) {
            return Err(format!("the server reports: {}", words(&error)));
        }
        for wire in response.choices {
            // More would make us allocate at the server's pleasure.
            if wire.index >= 1024 {
                return Err(format!("it holds a choice number {}", wire.index));
            }
            if self.choices.len() <= wire.index {
                self.choices.resize_with(wire.index + 1, Choice::default);
            }
            let choice = &mut self.choices[wire.index];
            choice.seen = true;
            if choice.finish.as_deref() == Some(BOUNDARY) {
                continue;
            }
            let text = wire.text.or(wire.message.or(wire.delta).and_then(|m| m.content)).unwrap_or_default();
            if let Some(logprobs) = wire.logprobs {
                choice.tokens.extend(tokens(logprobs)?);
            }
            choice.finish = wire.finish_reason.or(choice.finish.take());
            if text.is_empty() {
                continue;
            }
            let before = choice.text.len();
            choice.text.push_str(&text);
            if let Some(end) = until.and_then(|until| until.shortest_match(&choice.text)) {
                choice.cut(until, end.max(before));
            }
            let text = choice.text[before..].to_string();
            sink(Delta { index: wire.index, text, logprobs: Vec::new() });
        }
        if let Some(usage) = response.usage {
            let cached =
                usage.prompt_tokens_details.and_then(|d| d.cached_tokens).unwrap_or(0).min(usage.prompt_tokens);
            let prefill = usage.prompt_tokens - cached;
            self.usage = Some(Usage { prefill, cached, decode: usage.completion_tokens });
        }
        Ok(())
    }

    /// Whether it holds something and each choice came to an end: a stream that stops before is cut.
    pub(crate) fn is_whole(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|choice| choice.seen && choice.finish.is_some())
    }

    /// Whether each of `n` choices came to an end and one was cut: the server may write on for nobody.
    pub(crate) fn is_enough(&self, n: usize) -> bool {
        self.choices.len() == n
            && self.choices.iter().all(|choice| choice.finish.is_some())
            && self.choices.iter().any(|choice| choice.finish.as_deref() == Some(BOUNDARY))
    }

    /// What it cost; where the server does not say, the tokens of a text that was cut here are
    /// counted, else a quarter of the bytes is taken for them.
    pub(crate) fn usage(&self, prompt_bytes: usize) -> Usage {
        self.usage.unwrap_or_else(|| Usage {
            prefill: prompt_bytes.div_ceil(4) as u64,
            cached: 0,
            decode: self
                .choices
                .iter()
                .map(|choice| match choice.finish.as_deref() {
                    Some(BOUNDARY) if !choice.tokens.is_empty() => choice.tokens.len() as u64,
                    _ => choice.text.len().div_ceil(4) as u64,
                })
                .sum(),
        })
    }
}

impl Choice {
    /// Ends the text at the token that reaches over the byte before `end`, or there where no token
    /// is known. Tokens after it go, too.
    fn cut(&mut self, until: Option<&Regex>, end: usize) {
        let mut text = String::new();
        let reached = self.tokens.iter().position(|token| {
            text.push_str(&token.text);
            text.len() >= end && until.is_none_or(|until| until.is_match(&text))
        });
        self.tokens.truncate(reached.map_or(self.tokens.len(), |at| at + 1));
        match reached.is_some() && self.text.starts_with(&text) {
            true => self.text = text,
            false => self.text.truncate(end),
        }
        self.finish = Some(BOUNDARY.into());
    }

    /// As the contract has it, with `top` alternatives a token at most.
    pub(crate) fn completion(&self, top: usize) -> Result<Completion, String> {
        let finish = match self.finish.as_deref() {
            Some("length" | "max_tokens") => Finish::Length,
            Some("stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence") => Finish::Stop,
            Some(BOUNDARY) => Finish::Boundary,
            Some(other) => return Err(format!("the answer ended with {other:?}")),
            None => return Err("the answer says no reason why it ended".into()),
        };
        let logprobs = self.tokens.iter().filter_map(|token| token.scored(top)).collect();
        Ok(Completion { text: self.text.clone(), tokens: Vec::new(), logprobs, finish })
    }
}

fn tokens(wire: WireLogprobs) -> Result<Vec<Token>, String> {
    if let Some(content) = wire.content {
        let token = |t: WireToken| {
            let greedy = t.top_logprobs.first().map(|top| top.token == t.token);
            let top = t.top_logprobs.into_iter().map(|top| (top.token, top.logprob)).collect();
            Token { text: t.token, logprob: Some(t.logprob), greedy, offset: None, top }
        };
        return Ok(content.into_iter().map(token).collect());
    }
    let texts = wire.tokens.unwrap_or_default();
    let logprobs = wire.token_logprobs.unwrap_or_default();
    if texts.len() != logprobs.len() {
        return Err(format!("{} tokens with {} log-probabilities", texts.len(), logprobs.len()));
    }
    let (tops, offsets) = (wire.top_logprobs.unwrap_or_default(), wire.text_offset.unwrap_or_default());
    let token = |(i, (text, logprob)): (usize, (String, Option<f32>))| {
        let mut top: Vec<(String, f32)> = tops.get(i).cloned().flatten().into_iter().flatten().collect();
        top.sort_by(|a, b| b.1.total_cmp(&a.1));
        let greedy = top.first().map(|(best, _)| *best == text);
        Token { greedy, logprob, offset: offsets.get(i).copied(), text, top }
    };
    Ok(texts.into_iter().zip(logprobs).enumerate().map(token).collect())
}

/// The words of an error body, shortened: its `message` if it has one.
pub(crate) fn words(error: &serde_json::Value) -> String {
    let message = error.pointer("/error/message").or(error.get("message")).or(error.get("error"));
    let text = match message.unwrap_or(error) {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    shorten(&text)
}

/// At most 200 characters, on one line.
pub(crate) fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 200 { line } else { line.chars().take(200).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Reply, String> {
        let mut reply = Reply::default();
        reply.add(json.as_bytes(), None, &mut |_| {}).map(|()| reply)
    }

    #[test]
    fn both_forms_of_log_probabilities_are_read() {
        let chat = read(
            r#"{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop","logprobs":{"content":[
                {"token":"Hi","logprob":-0.5,"top_logprobs":[{"token":"Yo","logprob":-0.4}]}]}}],
                "usage":{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":4}}}"#,
        )
        .expect("chat");
        let completion = chat.choices[0].completion(0).expect("completion");
        assert_eq!((completion.logprobs[0].logprob, completion.logprobs[0].greedy), (-0.5, Some(false)));
        let top = &chat.choices[0].completion(3).expect("completion").logprobs[0].top;
        assert_eq!((top.len(), top[0].text.as_str(), top[0].logprob), (1, "Yo", -0.4));
        assert_eq!(chat.usage(0), Usage { prefill: 5, cached: 4, decode: 1 });
        let raw = read(
            r#"{"choices":[{"text":"ab","finish_reason":"length","logprobs":{"tokens":["a","b"],"text_offset":[0,1],
                "token_logprobs":[null,-1.5],"top_logprobs":[null,{"b":-1.5,"c":-3.0}]}}]}"#,
        )
        .expect("raw");
        let completion = raw.choices[0].completion(0).expect("completion");
        assert_eq!((completion.finish, completion.logprobs.len()), (Finish::Length, 1));
        assert_eq!((raw.choices[0].tokens[1].greedy, raw.choices[0].tokens[1].offset), (Some(true), Some(1)));
        assert_eq!(raw.usage(9), Usage { prefill: 3, cached: 0, decode: 1 });
    }

    #[test]
    fn what_is_no_answer_is_said() {
        assert!(read("{\"choices\":[{\"index\":0,").is_err());
        assert!(read(r#"{"error":{"message":"overloaded"}}"#).is_err_and(|e| e.contains("overloaded")));
        assert!(read(r#"{"choices":[{"index":99999999,"text":"x"}]}"#).is_err());
        assert!(!read(r#"{"choices":[]}"#).expect("empty").is_whole());
        assert!(!read(r#"{"choices":[{"index":1,"text":"x","finish_reason":"stop"}]}"#).expect("gap").is_whole());
        let filtered = read(r#"{"choices":[{"text":"x","finish_reason":"content_filter"}]}"#).expect("filtered");
        assert!(filtered.choices[0].completion(0).is_err_and(|e| e.contains("content_filter")));
        let torn = r#"{"choices":[{"text":"x","logprobs":{"tokens":["a"],"token_logprobs":[]}}]}"#;
        assert!(read(torn).is_err());
    }

    #[test]
    fn defaults_are_not_sent_and_bytes_are_stable() {
        let body = Body { model: "m".into(), prompt: Some(Text::Plain("p".into())), max_tokens: 4, ..Body::default() };
        let plain = serde_json::to_string(&body.clone().sampling(&Sampling::default(), 7)).expect("json");
        assert_eq!(plain, r#"{"model":"m","prompt":"p","max_tokens":4,"temperature":0.0}"#);
        let hot = body.sampling(&Sampling { temperature: 1.0, min_p: 0.1, ..Sampling::default() }, u64::MAX);
        let hot = serde_json::to_string(&hot.with_logprobs(0)).expect("json");
        assert!(hot.contains("\"min_p\":0.1") && hot.contains("\"seed\":2147483647") && hot.contains("\"logprobs\":1"));
    }
}
