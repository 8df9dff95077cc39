use std::path::Path;

use serde_json::json;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, DecoderWrapper, PreTokenizerWrapper};

use crate::tokenizer::Spec;
use crate::{Error, Result, Tokenizer};

/// The only control token: it ends a text.
const END: &str = "<|endoftext|>";
/// The end and the 256 bytes.
const SMALLEST: usize = 257;
/// Vocabularies are rounded up to a multiple of this, which engines compute at one go.
const STEP: usize = 16;

/// A question becomes `Q: …`, then `A:` on a line of its own, after which the model speaks; a message
/// that already begins with `Q:` stays as it is, and so does anything that is no question.
const TEMPLATE: &str = "{% for message in messages %}{% if message['role'] == 'assistant' %}\
    {{ message['content'] + eos_token }}\
    {% elif message['role'] == 'user' and not message['content'].startswith('Q:') %}\
    {{ 'Q: ' + message['content'] + '\nA:\n' }}\
    {% else %}{{ message['content'] }}{% endif %}{% endfor %}";

impl Tokenizer {
    /// A byte-level tokenizer of up to `vocab` tokens for a model that is trained from nothing: the
    /// end of text, the 256 bytes, so that any text can be said, then the merges that shorten
    /// `texts` most (byte pair encoding). 257 or less gives characters alone. Digits always stand
    /// alone, so that numbers are read place by place.
    ///
    /// The size is a multiple of 16; see [`Tokenizer::vocab`]. The chat template is plain:
    /// `Q: question`, newline, `A:`, newline. The same texts give the same tokenizer.
    pub fn learned<'a>(texts: impl Iterator<Item = &'a str> + Send, vocab: usize) -> Result<Self> {
        let path = Path::new("learned");
        let fail = |problem: String| Error::Tokenizer { path: path.into(), problem };
        let words = |e: tokenizers::Error| fail(e.to_string());
        let level = ByteLevel::new(false, true, true);
        let cut =
            Sequence::new(vec![PreTokenizerWrapper::Digits(Digits::new(true)), PreTokenizerWrapper::ByteLevel(level)]);
        let mut pipeline = tokenizers::Tokenizer::new(ModelWrapper::BPE(BPE::default()));
        pipeline.with_pre_tokenizer(Some(PreTokenizerWrapper::Sequence(cut)));
        pipeline.with_decoder(Some(DecoderWrapper::ByteLevel(level)));
        let trainer = BpeTrainer::builder()
            .vocab_size(vocab.max(SMALLEST))
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .special_tokens(vec![AddedToken::from(END, true)])
            .build();
        pipeline.train(&mut TrainerWrapper::BpeTrainer(trainer), texts).map_err(words)?;
        let mut json: serde_json::Value =
            serde_json::from_str(&pipeline.to_string(false).map_err(words)?).map_err(|e| fail(e.to_string()))?;
        // The library writes what it was trained with; a file names what others read.
        json["post_processor"] = json!(null);
        let size = pipeline.get_vocab_size(true).next_multiple_of(STEP);
        let end = pipeline.token_to_id(END);
        let eos = vec![end.ok_or_else(|| fail("it has no end of text".into()))?];
        Self::build(Spec { json, bos: None, eos, add_bos: Some(false), template: Some(TEMPLATE.into()) }, size, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::Message;

    const TEXTS: [&str; 2] =
        ["Q: Anna has 12 apples and 12 pears.\nA:\nAnswer: 24\n", "Q: Ben has 3 apples.\nA:\nAnswer: 3\n"];

    #[test]
    fn characters_say_any_text() {
        let tokenizer = Tokenizer::learned(TEXTS.into_iter(), 0).expect("works");
        assert_eq!(tokenizer.vocab(), 272);
        let text = "a → ü 東\n\t12";
        let ids = tokenizer.encode(text);
        assert_eq!(ids.len(), text.len());
        assert_eq!(tokenizer.decode(&ids), text);
        assert!(tokenizer.encode("<|endoftext|>").len() > 1, "text is never a control token");
    }

    #[test]
    fn merges_shorten_words_but_never_numbers() {
        let tokenizer = Tokenizer::learned(TEXTS.into_iter(), 300).expect("works");
        let again = Tokenizer::learned(TEXTS.into_iter(), 300).expect("works");
        assert!(tokenizer.json() == again.json());
        assert!(tokenizer.id("Ġapples").is_some() && tokenizer.vocab() <= 304);
        assert!(tokenizer.encode(" apples").len() < 4);
        assert_eq!(tokenizer.encode("1212").len(), 4);
        assert_eq!(tokenizer.decode(&tokenizer.encode(TEXTS[0])), TEXTS[0]);
    }

    #[test]
    fn a_question_is_framed_once() {
        let tokenizer = Tokenizer::learned(TEXTS.into_iter(), 300).expect("works");
        let render = |messages: &[Message]| tokenizer.render_chat(messages).expect("works");
        let framed = tokenizer.raw("Q: 1 + 1?\nA:\n");
        assert_eq!(render(&[Message::user("1 + 1?")]), framed);
        assert_eq!(render(&[Message::user("Q: 1 + 1?\nA:\n")]), framed);
        let turns = [Message::user("1 + 1?"), Message::assistant("2\n"), Message::user("2?")];
        let ends = render(&turns).iter().filter(|id| **id == tokenizer.eos[0]).count();
        assert_eq!(ends, 1);
    }
}
