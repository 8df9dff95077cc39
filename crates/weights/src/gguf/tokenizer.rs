use serde_json::{Map, Value as Json, json};

use super::{Settings, flag, list, number, real, text};
use crate::Result;
use crate::tokenizer::Spec;

/// Token types as GGUF numbers them.
const UNKNOWN: usize = 2;
const CONTROL: usize = 3;
const USER_DEFINED: usize = 4;
const BYTE: usize = 6;

/// Builds what a tokenizer.json would say from a GGUF file's metadata.
pub(super) fn read(settings: &Settings) -> Result<Spec> {
    let tokens = settings.required("tokenizer.ggml.tokens", |v| list(v, text))?;
    let types = settings.optional("tokenizer.ggml.token_type", |v| list(v, number))?;
    let types = types.unwrap_or_else(|| vec![1; tokens.len()]);
    if types.len() != tokens.len() {
        let problem = format!("lists {} types for {} tokens", types.len(), tokens.len());
        return Err(settings.error("tokenizer.ggml.token_type", problem));
    }
    let id = |key: &str| settings.optional(&format!("tokenizer.ggml.{key}_token_id"), number);
    let (bos, eos, eot) = (id("bos")?, id("eos")?, id("eot")?);
    let adds = settings.optional("tokenizer.ggml.add_bos_token", flag)?;
    let (parts, adds_by_default) = match settings.required("tokenizer.ggml.model", text)? {
        "gpt2" => byte_level(settings)?,
        "llama" => (sentence_piece(settings, &tokens, &types)?, true),
        other => {
            let hint = "byte-level BPE (`gpt2`) and SentencePiece (`llama`) are";
            return Err(settings.unsupported(format!("tokenizer model `{other}`"), hint));
        }
    };
    let add_bos = adds.unwrap_or(adds_by_default);
    let vocab: Map<String, Json> =
        tokens.iter().enumerate().map(|(id, token)| (token.to_string(), id.into())).collect();
    let added: Vec<Json> = tokens
        .iter()
        .zip(&types)
        .enumerate()
        .filter(|(_, (token, kind))| matches!(**kind, UNKNOWN | CONTROL | USER_DEFINED) && !token.is_empty())
        .map(|(id, (token, kind))| {
            json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": *kind != USER_DEFINED })
        })
        .collect();
    let unknown = types.iter().position(|kind| *kind == UNKNOWN).and_then(|id| tokens.get(id));
    let first = bos.filter(|_| add_bos).and_then(|id| Some((id, *tokens.get(id)?)));
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": parts.normalizer, "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": first.map(|(id, name)| starts_with(id, name)), "decoder": parts.decoder,
        "model": { "type": "BPE", "dropout": null, "unk_token": unknown.filter(|_| parts.byte_fallback),
                   "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": parts.byte_fallback,
                   "byte_fallback": parts.byte_fallback, "ignore_merges": parts.ignore_merges,
                   "vocab": vocab, "merges": parts.merges },
    });
    let narrow = |id: usize| u32::try_from(id).ok();
    Ok(Spec {
        json,
        bos: bos.and_then(narrow),
        eos: [eos, eot].into_iter().flatten().filter_map(narrow).collect(),
        add_bos: Some(add_bos),
        template: settings.optional("tokenizer.chat_template", text)?.map(String::from),
    })
}

struct Parts {
    normalizer: Json,
    pre_tokenizer: Json,
    decoder: Json,
    merges: Vec<(String, String)>,
    byte_fallback: bool,
    ignore_merges: bool,
}

/// A post-processor that puts one token before each text.
fn starts_with(id: usize, name: &str) -> Json {
    let special = json!({ "SpecialToken": { "id": name, "type_id": 0 } });
    let sequence = |id: &str, kind: usize| json!({ "Sequence": { "id": id, "type_id": kind } });
    let mut tokens = Map::new();
    tokens.insert(name.into(), json!({ "id": name, "ids": [id], "tokens": [name] }));
    json!({ "type": "TemplateProcessing", "single": [special, sequence("A", 0)],
            "pair": [special, sequence("A", 0), sequence("B", 1)], "special_tokens": tokens })
}

/// Words as Llama 3 and Qwen 2 cut them; they differ in how many digits stand together.
fn words(digits: &str) -> String {
    let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    let letters = r"[^\r\n\p{L}\p{N}]?\p{L}+";
    let others = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    format!("{contractions}|{letters}|{digits}|{others}")
}

fn byte_level(settings: &Settings) -> Result<(Parts, bool)> {
    let level = |regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex });
    let sequence = |first: Json, second: Json| json!({ "type": "Sequence", "pretokenizers": [first, second] });
    let split = |regex: String| {
        let cut = json!({ "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false });
        sequence(cut, level(false))
    };
    let pre = settings.required("tokenizer.ggml.pre", text)?;
    let (normalizer, pre_tokenizer, is_llama) = match pre {
        "smollm" => (Json::Null, sequence(json!({ "type": "Digits", "individual_digits": true }), level(true)), false),
        "gpt2" | "gpt-2" => (Json::Null, level(true), false),
        "llama-bpe" | "llama3" | "llama-v3" => (Json::Null, split(words(r"\p{N}{1,3}")), true),
        "qwen2" | "deepseek-r1-qwen" => (json!({ "type": "NFC" }), split(words(r"\p{N}")), false),
        other => {
            let hint = "smollm, gpt-2, llama-bpe and qwen2 are";
            return Err(settings.unsupported(format!("pre-tokenizer `{other}`"), hint));
        }
    };
    let merges = settings.required("tokenizer.ggml.merges", |v| list(v, text))?;
    let merges = merges.into_iter().map(|merge| {
        let pair = merge.split_once(' ').map(|(a, b)| (a.to_string(), b.to_string()));
        pair.ok_or_else(|| settings.error("tokenizer.ggml.merges", format!("holds `{merge}`, which is no pair")))
    });
    let parts = Parts {
        normalizer,
        pre_tokenizer,
        decoder: level(true),
        merges: merges.collect::<Result<_>>()?,
        byte_fallback: false,
        ignore_merges: is_llama,
    };
    Ok((parts, is_llama))
}

/// SentencePiece's BPE merges the neighbours whose joint token scores highest. As rules: every way
/// to cut a token into two tokens, in the order of the token's score.
fn sentence_piece(settings: &Settings, tokens: &[&str], types: &[usize]) -> Result<Parts> {
    let scores = settings.required("tokenizer.ggml.scores", |v| list(v, real))?;
    if scores.len() != tokens.len() {
        let problem = format!("lists {} scores for {} tokens", scores.len(), tokens.len());
        return Err(settings.error("tokenizer.ggml.scores", problem));
    }
    let plain = |id: usize| !matches!(types[id], UNKNOWN | CONTROL | USER_DEFINED | BYTE);
    let known: std::collections::HashSet<&str> =
        (0..tokens.len()).filter(|id| plain(*id)).map(|id| tokens[id]).collect();
    let mut merges = Vec::new();
    for id in (0..tokens.len()).filter(|id| plain(*id)) {
        for (at, _) in tokens[id].char_indices().skip(1) {
            let (left, right) = tokens[id].split_at(at);
            if known.contains(left) && known.contains(right) {
                merges.push((scores[id], left, right));
            }
        }
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.len().cmp(&a.1.len())));
    let prefix = settings.optional("tokenizer.ggml.add_space_prefix", flag)?.unwrap_or(true);
    let space = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    let mut normalizers = vec![space];
    if prefix {
        normalizers.insert(0, json!({ "type": "Prepend", "prepend": "▁" }));
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    Ok(Parts {
        normalizer: json!({ "type": "Sequence", "normalizers": normalizers }),
        pre_tokenizer: Json::Null,
        decoder: json!({ "type": "Sequence", "decoders": decoders }),
        merges: merges.into_iter().map(|(_, a, b)| (a.to_string(), b.to_string())).collect(),
        byte_fallback: true,
        ignore_merges: false,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use candle_core::quantized::gguf_file::Value;
    use serde_json::Value as Json;

    use super::*;
    use crate::Tokenizer;
    use crate::gguf::Metadata;

    /// Builds the tokenizer of a golden file, as a GGUF file would say it.
    fn build(golden: &Json, model: &str, pre: &str) -> Tokenizer {
        let list = |key: &str, read: &dyn Fn(&Json) -> Value| {
            Value::Array(golden[key].as_array().expect(key).iter().map(read).collect())
        };
        let text = |json: &Json| Value::String(json.as_str().expect("text").into());
        let mut metadata = Metadata::from([
            ("tokenizer.ggml.model".to_string(), Value::String(model.into())),
            ("tokenizer.ggml.pre".into(), Value::String(pre.into())),
            ("tokenizer.ggml.tokens".into(), list("tokens", &text)),
            (
                "tokenizer.ggml.token_type".into(),
                list("types", &|json| Value::I32(json.as_i64().expect("type") as i32)),
            ),
        ]);
        if golden["merges"].is_array() {
            metadata.insert("tokenizer.ggml.merges".into(), list("merges", &text));
        } else {
            let score = |json: &Json| Value::F32(json.as_f64().expect("score") as f32);
            metadata.insert("tokenizer.ggml.scores".into(), list("scores", &score));
        }
        let path = Path::new("golden");
        let spec = read(&Settings { path, metadata }).expect("spec");
        let vocab = golden["tokens"].as_array().expect("tokens").len();
        Tokenizer::build(spec, vocab, path).expect("tokenizer")
    }

    fn check(golden: &str, model: &str, pre: &str) {
        let golden: Json = serde_json::from_str(golden).expect("golden");
        let tokenizer = build(&golden, model, pre);
        for case in golden["cases"].as_array().expect("cases") {
            let text = case["text"].as_str().expect("text");
            let expected: Vec<u32> = serde_json::from_value(case["tokens"].clone()).expect("tokens");
            assert_eq!(tokenizer.encode(text), expected, "{pre}: {text:?}");
            assert_eq!(tokenizer.decode(&expected), text, "{pre}");
            let mut stream = tokenizer.stream();
            let pieces: String = expected.iter().map(|id| stream.push(*id)).collect();
            assert_eq!(pieces + &stream.finish(), text, "{pre}");
        }
    }

    #[test]
    fn tokens_equal_llama_cpps() {
        check(include_str!("../../tests/data/gpt-2-tokens.json"), "gpt2", "gpt-2");
        check(include_str!("../../tests/data/llama-bpe-tokens.json"), "gpt2", "llama-bpe");
        check(include_str!("../../tests/data/qwen2-tokens.json"), "gpt2", "qwen2");
        check(include_str!("../../tests/data/sentencepiece-tokens.json"), "llama", "default");
    }

    #[test]
    fn unknown_kinds_are_refused_by_name() {
        let golden: Json = serde_json::from_str(include_str!("../../tests/data/gpt-2-tokens.json")).expect("golden");
        for (model, pre) in [("bert", "gpt-2"), ("gpt2", "some-new-one")] {
            let tokens = golden["tokens"].as_array().expect("tokens").iter();
            let metadata = Metadata::from([
                ("tokenizer.ggml.model".to_string(), Value::String(model.into())),
                ("tokenizer.ggml.pre".into(), Value::String(pre.into())),
                (
                    "tokenizer.ggml.tokens".into(),
                    Value::Array(tokens.map(|t| Value::String(t.as_str().unwrap_or_default().into())).collect()),
                ),
            ]);
            let error = read(&Settings { path: Path::new("golden"), metadata }).err().expect("refused").to_string();
            assert!(error.contains(if model == "gpt2" { pre } else { model }), "{error}");
        }
    }
}
