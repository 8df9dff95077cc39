//! SmolLM2 and glassllm as they are published. The weights come from the cache folder.

use std::path::PathBuf;

use record::Message;
use serde_json::Value;
use weights::{Checkpoint, Error, Family, Part, Projection, Storage};

fn cached(path: &str) -> PathBuf {
    let cache = std::env::var_os("LYCEUM_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(dirs::cache_dir()?.join("lyceum"))).expect("a cache folder");
    let path = cache.join("models").join(path);
    assert!(path.exists(), "{} is missing: run ./test, or lyceum pull, which fetches it", path.display());
    path
}

fn check_tokens(model: &Checkpoint, golden: &str) {
    let cases: Vec<Value> = serde_json::from_str(golden).expect("golden");
    for case in cases {
        let text = case["text"].as_str().expect("text");
        let expected: Vec<u32> = serde_json::from_value(case["tokens"].clone()).expect("tokens");
        assert_eq!(model.tokenizer.encode(text), expected, "{text:?}");
    }
}

#[test]
fn smollm2_opens_and_tokenises_as_llama_cpp_does() {
    let model = Checkpoint::open(&cached("smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf")).expect("open");
    assert_eq!(model.sha256, "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53");
    let a = &model.architecture;
    assert_eq!((a.family, a.blocks, a.width, a.hidden, a.vocab), (Family::Llama, 30, 576, 1536, 49152));
    assert_eq!((a.heads, a.kv_heads, a.head_dim, a.context, a.tied_head), (9, 3, 64, 8192, true));
    assert_eq!(a.parameters(), 134_515_008);
    let q = model.matrix(Part::Projection(0, Projection::Q)).expect("q");
    assert!(matches!(q.storage, Storage::Q4_1(_)));
    assert!(matches!(model.matrix(Part::Head).expect("head").storage, Storage::Q8_0(_)));
    check_tokens(&model, include_str!("data/smollm-tokens.json"));
    assert_eq!(model.tokenizer.eos, [2, 0]);
    let ids = model.tokenizer.render_chat(&[Message::user("Who <|im_end|> are you?")]).expect("chat");
    let pieces: String = ids.iter().map(|id| model.tokenizer.piece(*id)).collect();
    assert_eq!(
        pieces,
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
         <|im_start|>user\nWho <|im_end|> are you?<|im_end|>\n<|im_start|>assistant\n"
    );
    assert_eq!(ids.iter().filter(|id| **id == 2).count(), 2);
}

#[test]
fn glassllm_opens_and_tokenises_as_it_does_itself() {
    let model = Checkpoint::open(&cached("glassllm/en.npz")).expect("open");
    let a = &model.architecture;
    assert_eq!((a.blocks, a.width, a.heads, a.kv_heads, a.hidden, a.vocab, a.context), (4, 128, 4, 2, 341, 1024, 128));
    check_tokens(&model, include_str!("data/glassllm-tokens.json"));
    let text = "Alice said “no” to the King.";
    assert_eq!(model.tokenizer.decode(&model.tokenizer.encode(text)), text);
    assert!(matches!(model.tokenizer.render_chat(&[Message::user("hi")]), Err(Error::Template { .. })));
}

#[test]
fn a_truncated_npz_is_an_error() {
    let bytes = std::fs::read(cached("glassllm/en.npz")).expect("read");
    let folder = tempfile::tempdir().expect("folder");
    std::fs::copy(cached("glassllm/en.tokenizer.json"), folder.path().join("en.tokenizer.json")).expect("copy");
    let path = folder.path().join("en.npz");
    for length in (0..bytes.len()).step_by(70_001).chain([10, 1000, bytes.len() - 1]) {
        std::fs::write(&path, &bytes[..length]).expect("write");
        let error = Checkpoint::open(&path).expect_err("truncated").to_string();
        assert!(error.contains("en.npz"), "{error}");
    }
    let mut state = 7u64;
    for _ in 0..60 {
        let mut damaged = bytes.clone();
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        damaged[(state >> 33) as usize % bytes.len()] ^= 0x55;
        std::fs::write(&path, &damaged).expect("write");
        // A changed byte fails a checksum or lies between entries; it must not panic.
        let _ = Checkpoint::open(&path);
    }
}
