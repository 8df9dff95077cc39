//! Which tokens may come next so that a completion's text obeys a [`Format`].

use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use llguidance::{Matcher, ParserFactory};
use lm::Format;
use serde_json::{Value, json};
use weights::Tokenizer;

/// Longest token that the grammar engine takes; longer ones are never drawn under a format.
const LONGEST: usize = 512;

/// What JSON may have between its parts. A small model that may write any white space often writes
/// nothing else.
const SPACE: &str = r" |\n {0,40}";

/// Everything about a vocabulary that formats need; made once, at the first request with one.
pub(crate) struct Grammars {
    factory: ParserFactory,
    /// Tokens that end a completion.
    ends: Vec<u32>,
    /// A token that no model has, by which a grammar says that the text may end.
    end: u32,
}

impl Grammars {
    /// Sorts the first `vocab` tokens of a vocabulary by their bytes.
    pub fn new(tokenizer: &Tokenizer, vocab: usize) -> Result<Self, String> {
        let mut words: Vec<Vec<u8>> = (0..vocab as u32).map(|id| tokenizer.token_bytes(id).to_vec()).collect();
        for word in &mut words {
            // 0xff is in no text, and the engine would take what begins with it for a control token.
            if word.len() > LONGEST || word.first() == Some(&0xff) {
                word.clear();
            }
        }
        words.push(Vec::new());
        let end = vocab as u32;
        let trie = TokTrie::from(&TokRxInfo::new(end + 1, end), &words);
        let vocabulary: TokEnv = Arc::new(Vocabulary { trie, tokenizer: tokenizer.clone() });
        // The engine keeps the parts of the vocabulary that may stand in a JSON string as one mask each.
        let slices = llguidance::earley::SlicedBiasComputer::json_slices();
        let factory = ParserFactory::new(&vocabulary, InferenceCapabilities::default(), &slices);
        let mut factory = factory.map_err(|e| e.to_string())?;
        factory.quiet().limits_mut().verbose_errors = false;
        Ok(Self { factory, ends: tokenizer.eos.clone(), end })
    }

    /// The guide of a completion that begins; the error says what is wrong with the format.
    pub fn guide(&self, format: &Format) -> Result<Guide, String> {
        let schema = |mut schema: Value| {
            if let Value::Object(fields) = &mut schema {
                fields.entry("x-guidance").or_insert(json!({ "whitespace_pattern": SPACE }));
            }
            TopLevelGrammar::from_json_schema(schema)
        };
        let grammar = match format {
            Format::JsonObject => schema(json!({ "type": "object" })),
            Format::JsonSchema(value) => schema(value.clone()),
            Format::Regex(pattern) => TopLevelGrammar::from_regex(pattern),
        };
        let parser = self.factory.create_parser(grammar).map_err(|e| shorten(&e.to_string()))?;
        let mut guide =
            Guide { matcher: Matcher::new(Ok(parser)), allowed: None, ends: self.ends.clone(), end: self.end };
        guide.allowed()?;
        Ok(guide)
    }
}

/// The state of one completion's grammar.
pub(crate) struct Guide {
    matcher: Matcher,
    /// Tokens that may come next, once they are known.
    allowed: Option<SimpleVob>,
    ends: Vec<u32>,
    end: u32,
}

impl Guide {
    /// The same state, of its own: what one completion learns of a grammar changes no other.
    pub fn fork(&self) -> Self {
        let (allowed, ends) = (self.allowed.clone(), self.ends.clone());
        Self { matcher: self.matcher.deep_clone(), allowed, ends, end: self.end }
    }

    /// The tokens that may come next; end tokens only where the text may end.
    pub fn allowed(&mut self) -> Result<&SimpleVob, String> {
        let allowed = match self.allowed.take() {
            Some(allowed) => allowed,
            None => {
                let mut allowed = self.matcher.compute_mask().map_err(|e| shorten(&e.to_string()))?;
                let over = allowed.is_allowed(self.end);
                for end in &self.ends {
                    allowed.set(*end as usize, over);
                }
                allowed
            }
        };
        Ok(self.allowed.insert(allowed))
    }

    /// Takes an allowed token; returns whether the text is complete and nothing may follow.
    pub fn push(&mut self, token: u32) -> Result<bool, String> {
        self.allowed = None;
        self.matcher.consume_token(token).map_err(|e| shorten(&e.to_string()))?;
        Ok(self.matcher.is_stopped())
    }
}

/// An error's first line; the others are the engine's own state.
fn shorten(error: &str) -> String {
    error.lines().next().unwrap_or("it cannot be followed").to_owned()
}

struct Vocabulary {
    trie: TokTrie,
    tokenizer: Tokenizer,
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    /// Where a grammar leaves no choice of bytes, the model gets them in the tokens that it knows.
    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        let mut tokens = Vec::new();
        for chunk in bytes.utf8_chunks() {
            tokens.extend(self.tokenizer.encode_continued(chunk.valid()));
            if !chunk.invalid().is_empty() {
                tokens.extend(self.trie.greedy_tokenize(chunk.invalid()));
            }
        }
        tokens
    }
}

#[cfg(test)]
mod tests {
    use weights::{Architecture, Checkpoint};

    use super::*;

    fn guide(format: Format) -> (Tokenizer, Result<Guide, String>) {
        let checkpoint = Checkpoint::random(Architecture::tiny(), 1).expect("a random model");
        let tokenizer = checkpoint.tokenizer;
        let grammars = Grammars::new(&tokenizer, checkpoint.architecture.vocab).expect("grammars");
        (tokenizer, grammars.guide(&format))
    }

    /// Whether each token of the text is allowed, and then whether the text may, and must, end.
    fn follow(format: Format, text: &str) -> Option<(bool, bool)> {
        let (tokenizer, guide) = guide(format);
        let mut guide = guide.expect("a guide");
        let mut over = false;
        for token in tokenizer.encode(text) {
            if over || !guide.allowed().expect("allowed").is_allowed(token) {
                return None;
            }
            assert!(!tokenizer.eos.contains(&token));
            over = guide.push(token).expect("goes on");
        }
        let may = over || tokenizer.eos.iter().all(|end| guide.allowed().expect("allowed").is_allowed(*end));
        Some((may, over))
    }

    #[test]
    fn a_text_may_end_where_its_format_is_complete() {
        let object = || Format::JsonObject;
        assert_eq!(follow(object(), "{\"a\": [1, true]}"), Some((true, true)));
        assert_eq!(follow(object(), "{\"é\""), Some((false, false)));
        assert_eq!(follow(object(), "[1]"), None);
        let schema = json!({ "type": "object", "properties": { "n": { "$ref": "#/$defs/n" } }, "required": ["n"],
            "additionalProperties": false, "$defs": { "n": { "type": "integer", "minimum": 3, "maximum": 11 } } });
        let schema = || Format::JsonSchema(schema.clone());
        assert_eq!(follow(schema(), "{\"n\": 10}"), Some((true, true)));
        assert_eq!(follow(schema(), "{\"n\": 12}"), None);
        assert_eq!(follow(schema(), "{}"), None);
        let regex = |pattern: &str| Format::Regex(pattern.into());
        assert_eq!(follow(regex("a(b|c)+"), "abc"), Some((true, false)));
        assert_eq!(follow(regex("yes|no"), "no"), Some((true, true)));
        assert_eq!(follow(regex("[0-9]/[0-9]\\n"), "1/2\n"), Some((true, true)));
        assert_eq!(follow(regex("yes|no"), "not"), None);
    }

    #[test]
    fn what_cannot_be_followed_is_said() {
        let bad = [
            Format::Regex("(".into()),
            Format::JsonSchema(json!({ "type": "wrong" })),
            Format::JsonSchema(json!({ "type": "string", "pattern": "(" })),
            Format::JsonSchema(json!({ "type": "integer", "minimum": 3, "maximum": 2 })),
            Format::JsonSchema(json!({ "$ref": "#/$defs/none" })),
            Format::JsonSchema(json!(3)),
        ];
        for format in bad {
            let problem = guide(format.clone()).1.err();
            assert!(problem.as_ref().is_some_and(|problem| !problem.is_empty()), "{format:?}: {problem:?}");
        }
    }
}
