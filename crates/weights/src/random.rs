use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::quantized::gguf_file::Value;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::checkpoint::Source;
use crate::gguf::Metadata;
use crate::tokenizer::{Spec, character_of};
use crate::{Architecture, Checkpoint, Matrix, Part, Result, Tokenizer};

/// Control tokens of a random model; the ids are 0, 1, 2.
const CONTROLS: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
/// Merges, so that a token is not always a byte.
const MERGES: [(&str, &str); 6] = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n"), ("a", "n"), ("Ġ", "a")];
/// The smallest vocabulary: control tokens, bytes and merges.
const SMALLEST: usize = CONTROLS.len() + 256 + MERGES.len();

const TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] \
    + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

impl Checkpoint {
    /// A random model in memory, for tests: the same seed gives the same weights on every machine.
    ///
    /// Matrices are uniform with variance 1/inputs, so activations keep their size; norms lie in
    /// [0.5, 1.5]. The tokenizer is byte-level BPE with six merges and a ChatML template; ids up to
    /// [`Architecture::vocab`] that it does not use decode to nothing. The vocabulary needs 265
    /// tokens or more.
    pub fn random(architecture: Architecture, seed: u64) -> Result<Self> {
        let path = std::path::PathBuf::from("random");
        if let Some((field, problem)) = architecture.contradiction() {
            return Err(crate::Error::Setting { path, key: field.into(), problem });
        }
        if architecture.vocab < SMALLEST {
            let problem = format!("is {}, but the byte-level tokenizer needs {SMALLEST}", architecture.vocab);
            return Err(crate::Error::Setting { path, key: "vocab".into(), problem });
        }
        let spec = spec();
        let tokenizer = Tokenizer::build(spec, architecture.vocab, &path)?;
        let parts = architecture.parts().into_iter().map(|part| (part, random(&architecture, part, seed)));
        let source = Source::Memory(Arc::new(parts.collect::<BTreeMap<_, _>>()));
        let sha256 = format!("{seed:064x}");
        let metadata = Some(Arc::new(metadata()));
        Ok(Self { name: format!("random-{seed}"), sha256, architecture, tokenizer, path, metadata, source })
    }
}

fn random(architecture: &Architecture, part: Part, seed: u64) -> Matrix {
    let (rows, cols) = architecture.shape(part);
    let mut random = ChaCha8Rng::seed_from_u64(record::seed::derive(seed, "random weights", &part.hf_name()));
    let mut uniform = || (random.next_u32() >> 8) as f32 / (1u32 << 23) as f32 - 1.0;
    // A uniform draw from [−1, 1) has variance 1/3.
    let (middle, reach) = match part {
        Part::Bias(..) => (0.0, 0.1),
        part if part.is_vector() => (1.0, 0.5),
        _ => (0.0, (3.0 / cols as f32).sqrt()),
    };
    Matrix::f32(rows, cols, (0..rows * cols).map(|_| middle + reach * uniform()).collect())
}

fn names() -> Vec<String> {
    let controls = CONTROLS.iter().map(|name| name.to_string());
    let bytes = (0..=255).map(|byte| character_of(byte).to_string());
    controls.chain(bytes).chain(MERGES.iter().map(|(a, b)| format!("{a}{b}"))).collect()
}

/// The same tokenizer as a GGUF file says it.
fn metadata() -> Metadata {
    let texts = |values: Vec<String>| Value::Array(values.into_iter().map(Value::String).collect());
    let types = (0..SMALLEST).map(|id| Value::I32(if id < CONTROLS.len() { 3 } else { 1 }));
    Metadata::from([
        ("general.name".into(), Value::String("random".into())),
        ("tokenizer.ggml.model".into(), Value::String("gpt2".into())),
        ("tokenizer.ggml.pre".into(), Value::String("gpt-2".into())),
        ("tokenizer.ggml.tokens".into(), texts(names())),
        ("tokenizer.ggml.token_type".into(), Value::Array(types.collect())),
        ("tokenizer.ggml.merges".into(), texts(MERGES.iter().map(|(a, b)| format!("{a} {b}")).collect())),
        ("tokenizer.ggml.bos_token_id".into(), Value::U32(1)),
        ("tokenizer.ggml.eos_token_id".into(), Value::U32(2)),
        ("tokenizer.ggml.add_bos_token".into(), Value::Bool(false)),
        ("tokenizer.chat_template".into(), Value::String(TEMPLATE.into())),
    ])
}

fn spec() -> Spec {
    let vocab: serde_json::Map<String, serde_json::Value> =
        names().into_iter().enumerate().map(|(id, name)| (name, id.into())).collect();
    let added: Vec<_> = CONTROLS
        .iter()
        .enumerate()
        .map(|(id, name)| {
            json!({ "id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true })
        })
        .collect();
    let level =
        |regex| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex });
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": level(true), "post_processor": null, "decoder": level(true),
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                   "vocab": vocab, "merges": MERGES.map(|(a, b)| [a, b]) },
    });
    Spec { json, bos: Some(1), eos: vec![2], add_bos: Some(false), template: Some(TEMPLATE.into()) }
}
