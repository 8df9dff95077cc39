//! Long texts are read in windows: each scores the next tokens with as many before them as there is
//! room for.

use lm::{Prompt, Span};
use weights::Tokenizer;

use super::spans::{self, Piece};
use super::text::Text;

/// How a text is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    /// Tokens of a window, at least 2.
    pub context: usize,
    /// Tokens that a window after the first one scores; at most `context` − 1.
    pub stride: usize,
}

/// What is read before the first token of a text without a prompt, where the model has no
/// beginning-of-text token: else nothing would stand before it, and it could not be scored.
pub(crate) const BEGINNING: &str = "\n";

/// A part of a text, and what is read before it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Window {
    /// Place of the text.
    pub text: usize,
    pub prompt: Prompt,
    pub span: Span,
    /// Where the tokens of the span end in the text, where they are known; else found by what a server
    /// answers.
    pub ends: Vec<usize>,
    /// The byte at which the span begins.
    pub from: usize,
}

/// Windows of a text over a model's own tokens, or the byte from which on they do not spell it.
pub(crate) fn by_tokens(place: usize, text: &Text, tokenizer: &Tokenizer, cut: Cut) -> Result<Vec<Window>, usize> {
    let mut all = tokenizer.raw(&text.prompt);
    let begins = text.prompt.is_empty() && !all.is_empty();
    if all.is_empty() {
        all = tokenizer.encode(BEGINNING);
    }
    let head = all.len();
    all.extend(if begins { tokenizer.encode(&text.text) } else { tokenizer.encode_continued(&text.text) });
    let pieces: Vec<Piece> = all[head..].iter().map(|id| Piece::Bytes(tokenizer.token_bytes(*id))).collect();
    let ends = spans::ends(text.text.as_bytes(), &pieces)?;
    let mut windows = Vec::new();
    // A prompt that fills the window leaves room for its last token alone.
    let mut scored = head;
    while scored < all.len() {
        let end = if windows.is_empty() { (scored + 1).max(cut.context) } else { scored + cut.stride }.min(all.len());
        let begin = end.saturating_sub(cut.context).min(scored - 1);
        windows.push(Window {
            text: place,
            prompt: Prompt::Tokens(all[begin..scored].to_vec()),
            span: Span { text: String::new(), tokens: all[scored..end].to_vec() },
            ends: ends[scored - head..end - head].to_vec(),
            from: if scored == head { 0 } else { ends[scored - head - 1] },
        });
        scored = end;
    }
    Ok(windows)
}

/// Bytes that stand for a token where nobody tells tokens: fewer than most have, so that a window
/// fits the model's context.
const BYTES: usize = 3;

/// Windows of a text for a server, that tokenises by itself: cut before white space, where tokens end.
pub(crate) fn by_bytes(place: usize, text: &Text, cut: Cut) -> Vec<Window> {
    let said = &text.text;
    let before = if text.prompt.is_empty() { BEGINNING } else { &text.prompt };
    // The last place before which a window may end, or the first one behind it.
    let end_near = |from: usize, wanted: usize| {
        if wanted >= said.len() {
            return said.len();
        }
        let cuts = || said.char_indices().filter(|(at, c)| *at > from && c.is_whitespace()).map(|(at, _)| at);
        cuts().take_while(|at| *at <= wanted).last().or_else(|| cuts().next()).unwrap_or(said.len())
    };
    let mut windows = Vec::new();
    let mut scored = 0;
    while scored < said.len() {
        let room = if windows.is_empty() { cut.context.saturating_sub(before.len() / BYTES) } else { cut.stride };
        let end = end_near(scored, scored + BYTES * room.max(1));
        let begin = (end + 1).saturating_sub(BYTES * cut.context);
        let prompt = match begin {
            0 => format!("{before}{}", &said[..scored]),
            _ => said[end_near(begin.min(scored) - 1, begin).min(scored)..scored].to_string(),
        };
        // Where no white space stands near, the text goes on from its own beginning.
        let prompt = if prompt.is_empty() { format!("{before}{}", &said[..scored]) } else { prompt };
        windows.push(Window {
            text: place,
            prompt: Prompt::Raw(prompt),
            span: said[scored..end].into(),
            ends: Vec::new(),
            from: scored,
        });
        scored = end;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(prompt: &str, text: &str) -> Text {
        Text { id: "t".into(), domain: String::new(), prompt: prompt.into(), text: text.into() }
    }

    #[test]
    fn every_token_is_scored_once_behind_as_many_as_fit() {
        let tokenizer = Tokenizer::learned(std::iter::empty(), 0).expect("works");
        let said = text("", "abcdefghij");
        for (context, stride) in [(4, 2), (4, 3), (5, 1), (100, 50), (2, 1)] {
            let windows = by_tokens(0, &said, &tokenizer, Cut { context, stride }).expect("spelled");
            let tokens: Vec<u32> = windows.iter().flat_map(|w| w.span.tokens.clone()).collect();
            assert_eq!(tokenizer.decode(&tokens), said.text, "{context} {stride}");
            let ends: Vec<usize> = windows.iter().flat_map(|w| w.ends.clone()).collect();
            assert_eq!(ends, (1..=10).collect::<Vec<_>>());
            for (place, window) in windows.iter().enumerate() {
                let Prompt::Tokens(before) = &window.prompt else { panic!("tokens") };
                assert!(!before.is_empty() && before.len() + window.span.tokens.len() <= context);
                assert!(place == 0 || window.span.tokens.len() <= stride);
                assert!(place == 0 || place + 1 == windows.len() || before.len() == context - stride);
            }
        }
        let asked =
            by_tokens(0, &text("Q: x\nA:\n", "yes"), &tokenizer, Cut { context: 64, stride: 32 }).expect("spelled");
        assert_eq!((asked.len(), &asked[0].prompt), (1, &Prompt::Tokens(tokenizer.encode("Q: x\nA:\n"))));
        // A prompt that is longer than the window.
        let long =
            by_tokens(0, &text("a long prompt", "yes"), &tokenizer, Cut { context: 4, stride: 2 }).expect("spelled");
        assert_eq!(long.iter().map(|w| w.span.tokens.len()).sum::<usize>(), 3);
    }

    #[test]
    fn a_server_gets_pieces_that_begin_with_white_space() {
        let said = text("", "one two three four five six seven eight nine ten");
        let windows = by_bytes(0, &said, Cut { context: 6, stride: 3 });
        assert!(windows.len() > 3);
        let spans: String = windows.iter().map(|w| w.span.text.as_str()).collect();
        assert_eq!(spans, said.text);
        for window in &windows[1..] {
            let Prompt::Raw(prompt) = &window.prompt else { panic!("text") };
            assert!(window.span.text.starts_with(' ') && !prompt.is_empty(), "{window:?}");
            assert!(prompt.len() + window.span.text.len() <= 3 * 6 + 8, "{window:?}");
            assert!(said.text[window.from..].starts_with(&window.span.text));
        }
        let whole = by_bytes(0, &text("p", "no_white_space_at_all"), Cut { context: 3, stride: 1 });
        assert_eq!((whole.len(), &whole[0].prompt), (1, &Prompt::Raw("p".into())));
        assert_eq!(by_bytes(0, &text("", "短い文 です"), Cut { context: 2, stride: 1 }).len(), 2);
    }
}
