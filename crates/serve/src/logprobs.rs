//! Log-probabilities and reasons to end, as OpenAI's two routes write them.

use lm::{Finish, TokenLogprob};
use serde_json::{Map, Value, json};

use crate::answer::Choice;

/// Why a completion ended. A step's end is an end like any other to a client.
pub(crate) fn finish(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Boundary => "stop",
        Finish::Length => "length",
    }
}

/// A token's bytes, where its text tells them: U+FFFD may stand for any.
fn bytes(text: &str) -> Option<&[u8]> {
    (!text.contains('\u{fffd}')).then_some(text.as_bytes())
}

/// As chat has them: an object a token.
pub(crate) fn chat(tokens: &[TokenLogprob]) -> Value {
    let one = |text: &str, logprob: f32| json!({ "token": text, "logprob": logprob, "bytes": bytes(text) });
    let content = tokens.iter().map(|token| {
        let mut object = one(&token.text, token.logprob);
        object["top_logprobs"] = token.top.iter().map(|other| one(&other.text, other.logprob)).collect();
        object
    });
    json!({ "content": content.collect::<Vec<_>>(), "refusal": null })
}

/// As plain completions have them: a list a property, over the echoed prompt and the completion.
pub(crate) fn plain(choice: &Choice) -> Value {
    let (echoed, before) = choice.echo.as_ref().map_or(("", &[][..]), |echo| (&echo.text, &echo.tokens));
    let before = before.iter().map(|(text, token)| (text.as_str(), token.as_ref()));
    let drawn = choice.completion.logprobs.iter().map(|token| (token.text.as_str(), Some(token)));
    lists(&format!("{echoed}{}", choice.completion.text), 0, before.chain(drawn))
}

/// The same for a piece of text that begins at a character.
pub(crate) fn part(text: &str, from: usize, tokens: &[TokenLogprob]) -> Value {
    lists(text, from, tokens.iter().map(|token| (token.text.as_str(), Some(token))))
}

fn lists<'a>(text: &str, from: usize, all: impl Iterator<Item = (&'a str, Option<&'a TokenLogprob>)>) -> Value {
    let (mut tokens, mut logprobs, mut tops) = (Vec::new(), Vec::new(), Vec::new());
    for (text, token) in all {
        tokens.push(text.to_owned());
        logprobs.push(token.map_or(Value::Null, |token| json!(token.logprob)));
        tops.push(token.map_or(Value::Null, top));
    }
    let offsets: Vec<_> = offsets(text, &tokens).into_iter().map(|offset| offset + from).collect();
    json!({ "tokens": tokens, "token_logprobs": logprobs, "top_logprobs": tops, "text_offset": offsets })
}

/// The alternatives and the token itself, by text. Different tokens may show the same text; the most
/// probable one of them stands for it.
fn top(token: &TokenLogprob) -> Value {
    let mut top = Map::new();
    for other in &token.top {
        top.entry(other.text.as_str()).or_insert_with(|| json!(other.logprob));
    }
    top.entry(token.text.as_str()).or_insert_with(|| json!(token.logprob));
    Value::Object(top)
}

/// The character of the text at which each token begins. A token whose text is not in it (part of a
/// character, a control token) begins where the next one that is can begin at the earliest.
fn offsets(text: &str, tokens: &[String]) -> Vec<usize> {
    let (mut rest, mut at, mut odd) = (text, 0, 0);
    let mut offsets = Vec::with_capacity(tokens.len());
    for token in tokens {
        let skipped = |skip: usize| Some(&rest[rest.char_indices().map(|(at, _)| at).nth(skip)?..]);
        let found = (0..=odd).find_map(|skip| Some((skip, skipped(skip)?.strip_prefix(token.as_str())?)));
        match found {
            Some((skip, after)) => {
                offsets.push(at + skip);
                at += skip + token.chars().count();
                (rest, odd) = (after, 0);
            }
            None => {
                offsets.push(at);
                odd += 1;
            }
        }
    }
    offsets
}

#[cfg(test)]
mod tests {
    use lm::{Alternative, Completion, LogprobScale};

    use super::*;
    use crate::answer::Echo;

    fn token(text: &str, logprob: f32, top: &[(&str, f32)]) -> TokenLogprob {
        let top = top.iter().map(|(text, logprob)| Alternative { id: None, text: text.to_string(), logprob: *logprob });
        TokenLogprob {
            id: None,
            text: text.into(),
            logprob,
            greedy: None,
            scale: LogprobScale::Raw,
            top: top.collect(),
        }
    }

    #[test]
    fn offsets_count_characters_and_survive_broken_ones() {
        let of =
            |text: &str, tokens: &[&str]| offsets(text, &tokens.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of("né ja", &["né", " ja"]), [0, 2]);
        assert_eq!(of("a漢b", &["a", "\u{fffd}", "\u{fffd}", "\u{fffd}", "b"]), [0, 1, 1, 1, 2]);
        assert_eq!(of("ab", &["<s>", "a", "b", "<end>"]), [0, 0, 1, 2]);
        assert_eq!(of("", &["<end>"]), [0]);
    }

    #[test]
    fn the_token_itself_is_among_its_alternatives() {
        let echo = Echo { text: "x".into(), tokens: vec![("x".into(), None)] };
        let tokens = vec![
            token("y", -2.0, &[("z", -0.5), ("\u{fffd}", -1.0), ("\u{fffd}", -1.5)]),
            token("z", -0.5, &[("z", -0.5)]),
        ];
        let completion = Completion { text: "yz".into(), tokens: vec![], logprobs: tokens, finish: Finish::Length };
        let object = plain(&Choice { echo: Some(echo), completion });
        assert_eq!(object["tokens"], json!(["x", "y", "z"]));
        assert_eq!(object["token_logprobs"], json!([null, -2.0, -0.5]));
        assert_eq!(object["top_logprobs"], json!([null, { "z": -0.5, "\u{fffd}": -1.0, "y": -2.0 }, { "z": -0.5 }]));
        assert_eq!(object["text_offset"], json!([0, 1, 2]));
    }
}
