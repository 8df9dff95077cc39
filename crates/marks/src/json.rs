use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads JSON as Python writes it: `NaN` and `Infinity`, which JSON does not have, count as null.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(bytes).or_else(|error| match without_nan(bytes) {
        Cow::Owned(mended) => serde_json::from_slice(&mended),
        Cow::Borrowed(_) => Err(error),
    })
}

/// Puts null for each `NaN`, `Infinity` and `-Infinity` outside of strings.
pub(crate) fn without_nan(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut mended: Vec<u8> = Vec::new();
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = string_end(bytes, at),
            b'N' | b'I' | b'-' => {
                let words: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
                match words.into_iter().find(|word| bytes[at..].starts_with(word)) {
                    Some(word) => {
                        mended.extend_from_slice(&bytes[copied..at]);
                        mended.extend_from_slice(b"null");
                        at += word.len();
                        copied = at;
                    }
                    None => at += 1,
                }
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(bytes);
    }
    mended.extend_from_slice(&bytes[copied..]);
    Cow::Owned(mended)
}

/// The place behind the string that begins at `at`; the end where it is not closed.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() {
        match bytes[end] {
            b'\\' => end += 2,
            b'"' => return end + 1,
            _ => end += 1,
        }
    }
    bytes.len()
}

/// What a JSON text begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// An object with these keys, as far as the text goes.
    Object(Vec<String>),
    /// An array, whose first member is an object with these keys.
    Array(Vec<String>),
}

/// Looks at the beginning of a JSON text, which may be cut off anywhere; none if it is no object or
/// array of objects.
pub(crate) fn head(bytes: &[u8]) -> Option<Head> {
    let begin = bytes.iter().position(|b| !b.is_ascii_whitespace())?;
    match bytes[begin] {
        b'{' => Some(Head::Object(keys(&bytes[begin..]))),
        b'[' => {
            let first = begin + 1 + bytes[begin + 1..].iter().position(|b| !b.is_ascii_whitespace())?;
            (bytes[first] == b'{').then(|| Head::Array(keys(&bytes[first..])))
        }
        _ => None,
    }
}

/// The keys of the object that the bytes begin with, not those of objects inside it.
fn keys(bytes: &[u8]) -> Vec<String> {
    let mut keys = Vec::new();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let end = string_end(bytes, at);
                let colon = bytes[end..].iter().find(|b| !b.is_ascii_whitespace());
                if depth == 1
                    && colon == Some(&b':')
                    && let Ok(key) = serde_json::from_slice(&bytes[at..end])
                {
                    keys.push(key);
                }
                at = end;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    keys
}

/// A number, a truth value, or either as a text: what scorers give. None for everything else.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(right) => Some(f64::from(u8::from(*right))),
        Value::String(text) => crate::column::number(text),
        _ => None,
    }
}

/// An id as a text: numbers without quotation marks. None for null, empty texts, lists and objects.
pub(crate) fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_writes_for_nan_is_null() {
        let value: Value =
            parse(br#"{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN, \"NaN", "d": -1}"#).expect("lenient");
        assert_eq!(value, serde_json::json!({"a": null, "b": [null, null], "c": "NaN, \"NaN", "d": -1}));
        assert!(parse::<Value>(b"{\"a\": NaN, b}").is_err());
    }

    #[test]
    fn the_keys_of_a_cut_off_text_are_found() {
        let text = br#" {"a": {"x": "}"}, "b" : ["y", {"z": 1}], "c\"": "d", "e": "cut o"#;
        let keys = |keys: &[&str]| keys.iter().map(|key| key.to_string()).collect::<Vec<_>>();
        assert_eq!(head(text), Some(Head::Object(keys(&["a", "b", "c\"", "e"]))));
        assert_eq!(head(b"[ {\"a\":1},{\"b\":2}]"), Some(Head::Array(keys(&["a"]))));
        assert_eq!(head(b"{\"a\":1}{\"b\":2}"), Some(Head::Object(keys(&["a"]))));
        assert_eq!((head(b"[1]"), head(b""), head(b"a,b")), (None, None, None));
    }
}
