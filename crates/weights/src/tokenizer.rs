use std::path::Path;
use std::sync::Arc;

use record::Message;
use serde_json::Value;

use crate::chat::Chat;
use crate::{Error, Result};

/// Text to tokens and back, with the model's own vocabulary and chat template. Cheap to clone.
///
/// The pipeline is the `tokenizers` crate's, whatever file it came from. Text is never searched for
/// control tokens: a document or a user who writes `<|im_end|>` gets its characters, not its meaning.
#[derive(Clone)]
pub struct Tokenizer {
    /// Put before raw text where the model expects it; see [`Tokenizer::raw`].
    pub bos: Option<u32>,
    /// Tokens that end a generation. The first ends a turn: training appends it to each answer.
    pub eos: Vec<u32>,
    inner: Arc<Inner>,
}

struct Inner {
    pipeline: tokenizers::Tokenizer,
    /// For text that does not stand at the beginning, where that makes a difference.
    continued: Option<tokenizers::Tokenizer>,
    /// Bytes of each token; a control token has none.
    bytes: Vec<Box<[u8]>>,
    /// Control tokens, longest first.
    controls: Vec<(String, u32)>,
    names: Vec<String>,
    /// A first space that stands for the beginning of the text and is no part of it.
    strips_space: bool,
    add_bos: bool,
    template: Option<String>,
    json: String,
}

/// What a file says about its tokenizer.
pub(crate) struct Spec {
    /// In the form of tokenizer.json.
    pub json: Value,
    pub bos: Option<u32>,
    pub eos: Vec<u32>,
    /// Whether raw text begins with `bos`; none asks the pipeline's post-processor.
    pub add_bos: Option<bool>,
    pub template: Option<String>,
}

/// Names by which models of the known families end a turn or a text.
const ENDS: [&str; 8] =
    ["<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|endoftext|>", "</s>", "<eos>", "<|end|>"];

impl Tokenizer {
    pub(crate) fn build(spec: Spec, vocab: usize, path: &Path) -> Result<Self> {
        let fail = |problem: String| Error::Tokenizer { path: path.to_path_buf(), problem };
        let json = spec.json.to_string();
        let pipeline = load(&json).map_err(fail)?;
        let continued = continued(&spec.json).map(|json| load(&json.to_string())).transpose().map_err(fail)?;
        let decoder = spec.json["decoder"].to_string();
        let coding = if decoder.contains("\"ByteLevel\"") {
            Coding::Bytes
        } else if ["\"Metaspace\"", "\"ByteFallback\"", "▁"].iter().any(|mark| decoder.contains(mark)) {
            Coding::Spaced
        } else {
            return Err(fail("its decoder is neither byte-level nor of the SentencePiece kind".into()));
        };
        let never = decoder.contains("\"never\"");
        let strips_space =
            decoder.contains("\"Strip\"") || decoder.contains("\"Metaspace\"") && !never && coding == Coding::Spaced;
        let added = pipeline.get_added_tokens_decoder();
        let mut names = vec![String::new(); vocab];
        let mut bytes: Vec<Box<[u8]>> = vec![Box::default(); vocab];
        let mut controls = Vec::new();
        for (name, id) in pipeline.get_vocab(true) {
            let place = id as usize;
            if place >= vocab {
                return Err(fail(format!("token `{name}` has id {id}, but the embedding has {vocab} rows")));
            }
            match added.get(&id) {
                Some(token) if token.special => {
                    if !name.is_empty() {
                        controls.push((name.clone(), id))
                    }
                }
                Some(_) => bytes[place] = name.as_bytes().into(),
                None => bytes[place] = coding.bytes(&name).into(),
            }
            names[place] = name;
        }
        controls.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.cmp(b)));
        let mut eos = spec.eos;
        for end in ENDS {
            eos.extend(controls.iter().find(|(name, _)| name == end).map(|(_, id)| *id));
        }
        let mut seen = std::collections::HashSet::new();
        eos.retain(|id| (*id as usize) < vocab && seen.insert(*id));
        let bos = spec.bos.filter(|id| (*id as usize) < vocab);
        let begins =
            || pipeline.encode_fast("", true).is_ok_and(|e| bos.is_some() && e.get_ids().first() == bos.as_ref());
        let add_bos = spec.add_bos.unwrap_or_else(begins);
        let inner =
            Inner { pipeline, continued, bytes, controls, names, strips_space, add_bos, template: spec.template, json };
        Ok(Self { bos, eos, inner: Arc::new(inner) })
    }

    /// Tokens of a text, without beginning-of-text token. Control tokens in it are not interpreted.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        encode(&self.inner.pipeline, text)
    }

    /// Tokens of a text that stands after another one: its first word gets no space of its own.
    /// Control tokens in it are not interpreted.
    pub fn encode_continued(&self, text: &str) -> Vec<u32> {
        encode(self.inner.continued.as_ref().unwrap_or(&self.inner.pipeline), text)
    }

    /// Tokens of a text, after the beginning-of-text token where the model expects one.
    pub fn raw(&self, text: &str) -> Vec<u32> {
        let mut ids: Vec<u32> = self.bos.filter(|_| self.inner.add_bos).into_iter().collect();
        ids.extend(self.encode(text));
        ids
    }

    /// Tokens of a conversation in the model's chat template, the model's turn opened.
    ///
    /// Only control tokens that the template writes are interpreted; those in a message's content
    /// stay text. For content without them the tokens equal those of rendering everything as one text.
    pub fn render_chat(&self, messages: &[Message]) -> Result<Vec<u32>> {
        let chat = self.chat(messages)?;
        let text = chat.render(messages, true)?;
        Ok(self.encode_template(&text, chat.guard, true))
    }

    /// The template, for these messages and any part of them.
    pub(crate) fn chat(&self, messages: &[Message]) -> Result<Chat<'_>> {
        let Some(template) = &self.inner.template else {
            return Err(Error::Template {
                problem: "this model has none".into(),
                hint: "use a raw prompt, or a model that was tuned for chat",
            });
        };
        let name = |id: Option<u32>| id.map_or("", |id| &self.inner.names[id as usize]);
        let names = (name(self.bos), name(self.eos.first().copied()));
        Chat::new(template, messages, names, &self.inner.controls)
    }

    /// Control tokens are interpreted, except where `guard` breaks them; `guard` is dropped. `begins`
    /// says that nothing stands before the text.
    pub(crate) fn encode_template(&self, text: &str, guard: char, begins: bool) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let next = self.inner.controls.iter().filter_map(|(name, id)| Some((rest.find(name)?, name, *id)));
            // The list is sorted by length, so the first of the earliest ones is the longest.
            let next = next.min_by_key(|(at, ..)| *at);
            let plain = next.map_or(rest, |(at, ..)| &rest[..at]).replace(guard, "");
            if !plain.is_empty() {
                let more = if begins && ids.is_empty() { self.encode(&plain) } else { self.encode_continued(&plain) };
                ids.extend(more);
            }
            rest = match next {
                Some((at, name, id)) => {
                    ids.push(id);
                    &rest[at + name.len()..]
                }
                None => "",
            };
        }
        ids
    }

    /// The chat template's source, where the model has one.
    pub fn chat_template(&self) -> Option<&str> {
        self.inner.template.as_deref()
    }

    /// Text of tokens; control tokens have none, bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut bytes: Vec<u8> = ids.iter().flat_map(|id| self.token_bytes(*id)).copied().collect();
        if self.inner.strips_space && bytes.first() == Some(&b' ') {
            bytes.remove(0);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Bytes of one token: a part of a character, characters, or nothing for a control token.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.inner.bytes.get(id as usize).map_or(&[], |bytes| bytes)
    }

    /// A token's text for people: control tokens by name, odd bytes as U+FFFD.
    pub fn piece(&self, id: u32) -> String {
        if self.is_control(id) {
            return self.inner.names[id as usize].clone();
        }
        String::from_utf8_lossy(self.token_bytes(id)).into_owned()
    }

    /// Whether a token is a control token, such as an end of turn.
    pub fn is_control(&self, id: u32) -> bool {
        self.inner.controls.iter().any(|(_, control)| *control == id)
    }

    /// The id of a token by its name in the vocabulary, control tokens included.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.inner.pipeline.token_to_id(name)
    }

    /// Number of ids, unused ones included: the rows of the embedding.
    pub fn vocab(&self) -> usize {
        self.inner.names.len()
    }

    /// Whether [`Tokenizer::raw`] puts [`Tokenizer::bos`] before a text.
    pub fn adds_bos(&self) -> bool {
        self.inner.add_bos && self.bos.is_some()
    }

    /// A decoder that gives text while tokens come.
    pub fn stream(&self) -> Stream {
        Stream { tokenizer: self.clone(), pending: Vec::new(), first: self.inner.strips_space }
    }

    /// As [`Tokenizer::stream`], for tokens that stand after others: a first space is text.
    pub fn stream_continued(&self) -> Stream {
        Stream { first: false, ..self.stream() }
    }

    pub(crate) fn json(&self) -> &str {
        &self.inner.json
    }

    pub(crate) fn name(&self, id: u32) -> &str {
        &self.inner.names[id as usize]
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("tokens", &self.inner.names.len())
            .field("bos", &self.bos)
            .field("eos", &self.eos)
            .finish_non_exhaustive()
    }
}

/// Gives valid UTF-8 while tokens come: bytes wait until their character is whole.
///
/// All pieces together equal [`Tokenizer::decode`] of all tokens.
pub struct Stream {
    tokenizer: Tokenizer,
    pending: Vec<u8>,
    first: bool,
}

impl Stream {
    /// The text that this token completes; empty while a character is open.
    pub fn push(&mut self, id: u32) -> String {
        let mut bytes = self.tokenizer.token_bytes(id);
        if self.first && !bytes.is_empty() {
            self.first = false;
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.pending.extend_from_slice(bytes);
        let mut whole = self.pending.len();
        let mut chunks = self.pending.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            // Only an invalid end that more bytes could make valid is kept back.
            if chunks.peek().is_none() && std::str::from_utf8(chunk.invalid()).is_err_and(|e| e.error_len().is_none()) {
                whole -= chunk.invalid().len();
            }
        }
        let text = String::from_utf8_lossy(&self.pending[..whole]).into_owned();
        self.pending.drain(..whole);
        text
    }

    /// What is left at the end: U+FFFD for a character that never became whole, else nothing.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}

fn load(json: &str) -> std::result::Result<tokenizers::Tokenizer, String> {
    let mut pipeline = tokenizers::Tokenizer::from_bytes(json).map_err(|e| e.to_string())?;
    pipeline.set_encode_special_tokens(true);
    pipeline.with_truncation(None).map_err(|e| e.to_string())?;
    pipeline.with_padding(None);
    Ok(pipeline)
}

/// The same tokenizer for text that continues, where the first word gets a space only at the beginning.
fn continued(json: &Value) -> Option<Value> {
    let text = json.to_string();
    let first = "\"prepend_scheme\":\"first\"";
    text.contains(first).then(|| serde_json::from_str(&text.replace(first, "\"prepend_scheme\":\"never\"")).ok())?
}

/// A pre-tokenizer's regular expression can give up on a very long odd text; then the halves are
/// taken, which changes at most the tokens at the seam.
fn encode(pipeline: &tokenizers::Tokenizer, text: &str) -> Vec<u32> {
    match pipeline.encode_fast(text, false) {
        Ok(encoding) => encoding.get_ids().to_vec(),
        Err(_) if text.chars().nth(1).is_some() => {
            let middle = text.char_indices().nth(text.chars().count() / 2).map_or(text.len(), |(at, _)| at);
            let mut ids = encode(pipeline, &text[..middle]);
            ids.extend(encode(pipeline, &text[middle..]));
            ids
        }
        Err(_) => Vec::new(),
    }
}

/// How a vocabulary writes bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// Each byte is one printable character, as GPT-2 does it.
    Bytes,
    /// SentencePiece: `▁` is a space, `<0x0A>` a byte.
    Spaced,
}

impl Coding {
    fn bytes(self, token: &str) -> Vec<u8> {
        match self {
            Self::Bytes => {
                token.chars().flat_map(|c| byte_of(c).map_or(c.to_string().into_bytes(), |b| vec![b])).collect()
            }
            Self::Spaced => {
                let byte = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
                match byte.filter(|hex| hex.len() == 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    Some(byte) => vec![byte],
                    None => token.replace('▁', " ").into_bytes(),
                }
            }
        }
    }
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

/// The character by which byte-level vocabularies write a byte: itself where it is printable, else
/// U+0100 and up in order.
pub(crate) fn character_of(byte: u8) -> char {
    if is_printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|b| !is_printable(*b)).count() as u32;
    char::from_u32(256 + before).unwrap_or('\u{fffd}')
}

fn byte_of(character: char) -> Option<u8> {
    static TABLE: std::sync::OnceLock<std::collections::HashMap<char, u8>> = std::sync::OnceLock::new();
    let table = TABLE.get_or_init(|| (0..=255).map(|byte| (character_of(byte), byte)).collect());
    table.get(&character).copied()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn build(json: Value, template: &str) -> Tokenizer {
        let spec = Spec { json, bos: Some(0), eos: vec![0], add_bos: None, template: Some(template.into()) };
        Tokenizer::build(spec, 8, Path::new("test")).expect("tokenizer")
    }

    fn spaced() -> Value {
        let metaspace = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false });
        let begin = json!({ "SpecialToken": { "id": "<s>", "type_id": 0 } });
        let text = json!({ "Sequence": { "id": "A", "type_id": 0 } });
        json!({
            "version": "1.0", "truncation": { "max_length": 2, "strategy": "LongestFirst", "stride": 0, "direction": "Right" },
            "padding": null, "normalizer": null, "pre_tokenizer": metaspace, "decoder": metaspace,
            "added_tokens": [
                { "id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true },
                { "id": 6, "content": "<think>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": false },
            ],
            "post_processor": { "type": "TemplateProcessing", "single": [begin, text], "pair": [begin, text, text],
                                "special_tokens": { "<s>": { "id": "<s>", "ids": [0], "tokens": ["<s>"] } } },
            "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                       "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": true, "ignore_merges": false,
                       "vocab": { "<s>": 0, "▁": 1, "a": 2, "b": 3, "▁a": 4, "<0x21>": 5 }, "merges": [["▁", "a"]] },
        })
    }

    #[test]
    fn only_the_first_word_of_a_conversation_gets_a_space() {
        let tokenizer = build(spaced(), "{{ messages[0]['content'] }}<s>ab");
        let ids = tokenizer.render_chat(&[Message::user("a<s>a")]).expect("chat");
        // `<`, `s` and `>` are not in this vocabulary; what counts is that no control token stands there.
        assert_eq!(ids, [4, 2, 0, 2, 3]);
    }

    #[test]
    fn raw_text_begins_as_the_post_processor_says_and_is_never_cut() {
        let tokenizer = build(spaced(), "");
        assert!(tokenizer.adds_bos());
        assert_eq!(tokenizer.raw("aaa"), [0, 4, 2, 2]);
        assert_eq!(tokenizer.decode(&[0, 4, 2, 5]), "aa!");
        let mut stream = tokenizer.stream();
        assert_eq!([4, 4, 5].map(|id| stream.push(id)), ["a", " a", "!"]);
        assert_eq!((tokenizer.encode("a"), tokenizer.encode_continued("a")), (vec![4], vec![2]));
        assert_eq!(tokenizer.stream_continued().push(4), " a");
        // A token of its own that is no control token counts in any text.
        assert_eq!(tokenizer.encode("b<think>"), [1, 3, 6]);
        assert_eq!(tokenizer.piece(6), "<think>");
    }
}
