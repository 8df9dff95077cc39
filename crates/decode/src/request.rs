use std::fmt;
use std::str::FromStr;

use lm::{Prompt, Span};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, answer};

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What the model reads.
    pub prompt: Prompt,
    /// What the model's turn says already; the answer continues it and does not repeat it.
    #[serde(default, skip_serializing_if = "Span::is_empty")]
    pub begun: Span,
    /// Name of a loaded adapter, or none for the base model.
    #[serde(default)]
    pub adapter: Option<String>,
    /// Tokens of one path at most, 1 or more.
    pub max_tokens: usize,
    /// A path ends before the first of these.
    #[serde(default)]
    pub stop: Vec<String>,
    /// Where a step ends.
    #[serde(default)]
    pub boundary: Boundary,
    /// Tokens that the whole search may decode; none for no limit. It is never exceeded, and at its
    /// end the best so far is the answer.
    #[serde(default)]
    pub budget: Option<u64>,
    /// Seed of all draws.
    #[serde(default)]
    pub seed: u64,
}

impl Request {
    /// A request with steps of a line, no stop strings and no budget.
    pub fn new(prompt: Prompt, max_tokens: usize, seed: u64) -> Self {
        Self {
            prompt,
            begun: Span::default(),
            adapter: None,
            max_tokens,
            stop: Vec::new(),
            boundary: Boundary::Newline,
            budget: None,
            seed,
        }
    }

    /// Checks every field's range.
    pub fn validate(&self) -> Result<()> {
        let bad = |field, problem: &str| Err(Error::Request { field, problem: problem.into() });
        if self.max_tokens == 0 {
            return bad("max_tokens", "must be 1 or more");
        }
        if self.budget == Some(0) {
            return bad("budget", "must be 1 or more, or absent for no limit");
        }
        if self.stop.iter().any(String::is_empty) {
            return bad("stop", "must not hold an empty string");
        }
        self.boundary.validate()
    }
}

/// Where a step ends. As text: `newline`, `sentence`, `tokens:16`, `regex:…`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Boundary {
    /// After a line that shows something.
    #[default]
    Newline,
    /// After a full stop, exclamation or question mark that ends a word, or after a line. After a
    /// number, white space must follow the mark, which a decimal point lacks.
    Sentence,
    /// After so many tokens.
    Tokens(usize),
    /// After the token with which the step's text first matches this regular expression.
    Pattern(String),
}

impl Boundary {
    /// The regular expression that ends a step, unless tokens are counted.
    pub fn until(&self) -> Option<String> {
        match self {
            Self::Newline => Some(r"\S[^\n]*\n".into()),
            Self::Sentence => Some(r#"[^\d\s.!?][.!?]+["')\]]*$|\d[.!?]["')\]]*\s|\S[^\n]*\n"#.into()),
            Self::Tokens(_) => None,
            Self::Pattern(pattern) => Some(pattern.clone()),
        }
    }

    /// Checks the count and the pattern.
    pub fn validate(&self) -> Result<()> {
        let bad = |problem| Err(Error::Request { field: "boundary", problem });
        match self {
            Self::Tokens(0) => bad("must count 1 token or more".into()),
            Self::Pattern(pattern) => match regex::Regex::new(pattern) {
                Ok(regex) if regex.is_match("") => bad(format!("pattern {pattern:?} must not match an empty text")),
                Ok(_) => Ok(()),
                Err(error) => bad(format!("is no regular expression: {error}")),
            },
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newline => f.write_str("newline"),
            Self::Sentence => f.write_str("sentence"),
            Self::Tokens(n) => write!(f, "tokens:{n}"),
            Self::Pattern(pattern) => write!(f, "regex:{pattern}"),
        }
    }
}

impl From<Boundary> for String {
    fn from(boundary: Boundary) -> Self {
        boundary.to_string()
    }
}

impl TryFrom<String> for Boundary {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl FromStr for Boundary {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::Request {
            field: "boundary",
            problem: format!("is {text:?}; it must be newline, sentence, tokens:N or regex:PATTERN"),
        };
        let boundary = match text.split_once(':') {
            None if text == "newline" => Self::Newline,
            None if text == "sentence" => Self::Sentence,
            Some(("tokens", n)) => Self::Tokens(n.parse().map_err(|_| bad())?),
            Some(("regex", pattern)) => Self::Pattern(pattern.into()),
            _ => return Err(bad()),
        };
        boundary.validate().map(|()| boundary)
    }
}

/// Judges whole texts: the better, the higher. Any scale, but finite.
#[async_trait::async_trait]
pub trait Scorer: Send + Sync {
    /// One score for each text.
    async fn score(&self, prompt: &Prompt, texts: &[String]) -> lm::Result<Vec<f64>>;
}

/// What a search may use beside the model.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// Vectors of texts, for clustering by meaning.
    pub embedder: Option<&'a dyn lm::Embedder>,
    /// A judge of whole texts, for the best of many.
    pub scorer: Option<&'a dyn Scorer>,
    /// What a text answers, for votes; equal answers are equal texts. None: it answers nothing.
    pub answer: &'a (dyn Fn(&str) -> Option<String> + Send + Sync),
}

impl Default for Tools<'_> {
    /// No embedder, no scorer, answers by [`answer::last`].
    fn default() -> Self {
        Self { embedder: None, scorer: None, answer: &answer::last }
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn boundaries_read_what_they_write_and_refuse_the_rest() {
        for text in ["newline", "sentence", "tokens:16", r"regex:\d+;"] {
            assert_eq!(text.parse::<Boundary>().expect("boundary").to_string(), text);
            let json = serde_json::to_string(&text).expect("json");
            assert_eq!(serde_json::from_str::<Boundary>(&json).expect("read").to_string(), text);
        }
        for text in ["", "line", "tokens:0", "tokens:x", "regex:(", "regex:a*"] {
            assert!(text.parse::<Boundary>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_line_needs_something_visible_and_a_sentence_is_no_decimal() {
        let newline = Regex::new(&Boundary::Newline.until().expect("pattern")).expect("regex");
        assert!(!newline.is_match("\n\n ") && newline.is_match("\nx\n"));
        let sentence = Regex::new(&Boundary::Sentence.until().expect("pattern")).expect("regex");
        assert!(!sentence.is_match("pi is 3.") && !sentence.is_match("pi is 3.1"));
        assert!(sentence.is_match("He left.") && sentence.is_match("It is 3. ") && sentence.is_match("so \"it is!\""));
    }

    #[test]
    fn a_request_says_what_is_wrong() {
        let good = Request::new(Prompt::Raw("x".into()), 8, 1);
        assert!(good.validate().is_ok());
        let zero = Request { budget: Some(0), ..good.clone() };
        assert!(zero.validate().expect_err("zero").to_string().contains("budget"));
        assert!(Request { max_tokens: 0, ..good.clone() }.validate().is_err());
        assert!(Request { stop: vec![String::new()], ..good }.validate().is_err());
    }
}
