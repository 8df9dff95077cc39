//! What is written reads back the same, whatever the form, and rows land where other programs expect them.

use std::io::Cursor;
use std::path::Path;

use candle_core::Device;
use candle_core::quantized::gguf_file::Content;
use record::Message;
use weights::{
    Adapter, Architecture, Checkpoint, Encoding, Error, Family, Matrix, Pair, Part, Projection, Rope, Scaling, Storage,
    export_gguf, export_hf,
};

fn variants() -> Vec<Architecture> {
    let tiny = Architecture::tiny();
    let llama3 = Scaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original_context: 8192 };
    vec![
        Architecture { rope: Rope { theta: 500_000.0, scaling: llama3 }, tied_head: false, ..tiny.clone() },
        Architecture { family: Family::Mistral, head_dim: 32, ..tiny.clone() },
        Architecture {
            family: Family::Qwen2,
            qkv_bias: true,
            rope: Rope { theta: 1e6, scaling: Scaling::Linear { factor: 4.0 } },
            ..tiny.clone()
        },
        Architecture { family: Family::Qwen3, qk_norm: true, kv_heads: 1, ..tiny },
    ]
}

fn parts(model: &Checkpoint) -> Vec<Matrix> {
    let parts = model.architecture.parts();
    parts.into_iter().chain([Part::Head]).map(|part| model.matrix(part).expect("part")).collect()
}

fn assert_same(before: &Checkpoint, after: &Checkpoint) {
    assert_eq!(parts(before), parts(after));
    let text = "The antenna hums — at 40 °C.\n\n  Why?";
    assert_eq!(before.tokenizer.encode(text), after.tokenizer.encode(text));
    assert_eq!(after.tokenizer.decode(&after.tokenizer.encode(text)), text);
    let talk = [Message::user("What hums?")];
    assert_eq!(before.tokenizer.render_chat(&talk).expect("chat"), after.tokenizer.render_chat(&talk).expect("chat"));
    assert_eq!((before.tokenizer.bos, &before.tokenizer.eos), (after.tokenizer.bos, &after.tokenizer.eos));
    assert_eq!(after.sha256.len(), 64);
}

#[test]
fn gguf_reads_back_the_same() {
    let folder = tempfile::tempdir().expect("folder");
    for (n, architecture) in variants().into_iter().enumerate() {
        let model = Checkpoint::random(architecture, n as u64).expect("random");
        let path = folder.path().join(format!("{n}.gguf"));
        export_gguf(&model, None, &path, Encoding::F32).expect("export");
        let read = Checkpoint::open(&path).expect("open");
        assert_same(&model, &read);
        // GGUF calls Mistral llama, and holds Llama 3's rule as ready-made divisors.
        let (before, after) = (&model.architecture, &read.architecture);
        let frequencies = before.rope.frequencies(before.head_dim);
        for (a, b) in frequencies.iter().zip(after.rope.frequencies(after.head_dim)) {
            assert!((a / b - 1.0).abs() < 1e-6, "{a} {b}");
        }
        let same = Architecture { family: before.family, rope: before.rope.clone(), ..after.clone() };
        assert_eq!(&same, before);
        // From GGUF on to a Hugging Face folder, which states the rule again.
        let onward = folder.path().join(format!("{n}-hf"));
        export_hf(&read, None, &onward).expect("export");
        let onward = Checkpoint::open(&onward).expect("open");
        assert_same(&model, &onward);
        assert_eq!(onward.architecture.rope, before.rope);
    }
}

#[test]
fn hugging_face_folder_reads_back_the_same() {
    let folder = tempfile::tempdir().expect("folder");
    for (n, architecture) in variants().into_iter().enumerate() {
        let model = Checkpoint::random(architecture, 10 + n as u64).expect("random");
        let path = folder.path().join(n.to_string());
        export_hf(&model, None, &path).expect("export");
        let read = Checkpoint::open(&path).expect("open");
        assert_same(&model, &read);
        assert_eq!(read.architecture, model.architecture);
    }
}

#[test]
fn hugging_face_settings_are_found_where_they_may_stand() {
    let folder = tempfile::tempdir().expect("folder");
    let model = Checkpoint::random(Architecture::tiny(), 1).expect("random");
    export_hf(&model, None, folder.path()).expect("export");
    let write = |name: &str, value: serde_json::Value| {
        std::fs::write(folder.path().join(name), value.to_string()).expect("write");
    };
    let open = || Checkpoint::open(folder.path()).expect("open").tokenizer;
    let named = serde_json::json!([{ "name": "other", "template": "x" }, { "name": "default", "template": "y" }]);
    write(
        "tokenizer_config.json",
        serde_json::json!({ "eos_token": { "content": "<|endoftext|>" }, "bos_token": "<|im_start|>",
                            "add_bos_token": true, "chat_template": named }),
    );
    write("generation_config.json", serde_json::json!({ "eos_token_id": [2, 0] }));
    let tokenizer = open();
    assert_eq!((tokenizer.bos, &tokenizer.eos[..], tokenizer.adds_bos()), (Some(1), &[0, 2][..], true));
    assert_eq!(tokenizer.chat_template(), Some("y"));
    std::fs::write(folder.path().join("chat_template.jinja"), "{{ raise_exception('no system') }}").expect("write");
    let error = open().render_chat(&[Message::user("hi")]).expect_err("raised").to_string();
    assert!(error.contains("no system"), "{error}");
}

#[test]
fn several_safetensors_files_are_one_model() {
    let folder = tempfile::tempdir().expect("folder");
    let model = Checkpoint::random(Architecture::tiny(), 1).expect("random");
    export_hf(&model, None, folder.path()).expect("export");
    let whole = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&whole).expect("read");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("tensors");
    let mut map = serde_json::Map::new();
    for (n, file) in ["model-1.safetensors", "model-2.safetensors"].into_iter().enumerate() {
        let half: Vec<_> = tensors.iter().enumerate().filter(|(i, _)| i % 2 == n).map(|(_, tensor)| tensor).collect();
        map.extend(half.iter().map(|(name, _)| (name.to_string(), file.into())));
        safetensors::serialize_to_file(half, None, &folder.path().join(file)).expect("write");
    }
    std::fs::remove_file(&whole).expect("remove");
    let index = serde_json::json!({ "weight_map": map });
    std::fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).expect("write");
    assert_same(&model, &Checkpoint::open(folder.path()).expect("open"));
    std::fs::remove_file(folder.path().join("model-2.safetensors")).expect("remove");
    let error = Checkpoint::open(folder.path()).expect_err("a file is missing").to_string();
    assert!(error.contains("model-2.safetensors"), "{error}");
}

#[test]
fn llama_files_hold_q_and_k_interleaved_and_qwen_files_do_not() {
    let folder = tempfile::tempdir().expect("folder");
    for (architecture, permuted) in variants().into_iter().zip([true, true, false, false]) {
        let model = Checkpoint::random(architecture, 3).expect("random");
        let path = folder.path().join("model.gguf");
        export_gguf(&model, None, &path, Encoding::F32).expect("export");
        let bytes = std::fs::read(&path).expect("file");
        let mut reader = Cursor::new(&bytes);
        let content = Content::read(&mut reader).expect("content");
        let head_dim = model.architecture.head_dim;
        for (name, projection) in [("attn_q", Projection::Q), ("attn_k", Projection::K), ("attn_v", Projection::V)] {
            let tensor = content.tensor(&mut reader, &format!("blk.1.{name}.weight"), &Device::Cpu).expect("tensor");
            let rows: Vec<Vec<f32>> = tensor.dequantize(&Device::Cpu).expect("f32").to_vec2().expect("rows");
            let ours = model.matrix(Part::Projection(1, projection)).expect("matrix");
            for (row, numbers) in rows.iter().enumerate() {
                let (head, within) = (row / head_dim, row % head_dim);
                let hugging_face = match projection {
                    // The file keeps the two coordinates of a rotary pair side by side.
                    Projection::Q | Projection::K if permuted => {
                        head * head_dim + within / 2 + if within % 2 == 1 { head_dim / 2 } else { 0 }
                    }
                    _ => row,
                };
                let mut expected = vec![0.0; ours.cols];
                ours.row(hugging_face, &mut expected);
                assert_eq!(numbers, &expected, "{name} row {row}");
            }
        }
    }
}

#[test]
fn smaller_encodings_keep_their_precision_and_their_blocks() {
    let folder = tempfile::tempdir().expect("folder");
    let model = Checkpoint::random(Architecture::tiny(), 1).expect("random");
    let distance = |encoding| {
        let path = folder.path().join("model.gguf");
        export_gguf(&model, None, &path, encoding).expect("export");
        let read = Checkpoint::open(&path).expect("open");
        let part = Part::Projection(0, Projection::Q);
        let (a, b) = (model.matrix(part).expect("a"), read.matrix(part).expect("b"));
        let worst = a.to_f32().iter().zip(b.to_f32()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        (worst, b.storage)
    };
    let (half, storage) = distance(Encoding::F16);
    assert!(half < 1e-4 && matches!(storage, Storage::F32(_)), "{half}");
    let (eight, storage) = distance(Encoding::Q8_0);
    assert!(eight < 1e-3 && matches!(storage, Storage::Q8_0(_)), "{eight}");
}

fn adapter(model: &Checkpoint, rank: usize, alpha: f32) -> Adapter {
    let mut pairs = std::collections::BTreeMap::new();
    for block in 0..model.architecture.blocks {
        for projection in [Projection::Q, Projection::Down] {
            let (outputs, inputs) = model.architecture.shape(Part::Projection(block, projection));
            let wave = |n: usize, speed: f32| (0..n).map(|i| (i as f32 * speed).sin() * 0.1).collect();
            pairs.insert((block, projection), Pair { a: wave(rank * inputs, 0.7), b: wave(outputs * rank, 1.3) });
        }
    }
    Adapter { rank, alpha, stabilised: false, base: model.name.clone(), pairs }
}

#[test]
fn adapter_reads_back_and_merges() {
    let folder = tempfile::tempdir().expect("folder");
    let model = Checkpoint::random(Architecture::tiny(), 5).expect("random");
    let adapter = adapter(&model, 4, 6.0);
    adapter.save(folder.path()).expect("save");
    assert_eq!(Adapter::load(folder.path(), &model.architecture).expect("load"), adapter);

    let part = Part::Projection(1, Projection::Down);
    let merged = model.merged(&adapter).expect("merged");
    let (before, after) = (model.matrix(part).expect("before").to_f32(), merged.matrix(part).expect("after").to_f32());
    let pair = &adapter.pairs[&(1, Projection::Down)];
    let (row, col, cols) = (7, 11, model.architecture.hidden);
    let change: f32 = (0..4).map(|r| pair.b[row * 4 + r] * pair.a[r * cols + col]).sum();
    assert!((after[row * cols + col] - before[row * cols + col] - 1.5 * change).abs() < 1e-6);
    let untouched = Part::Projection(1, Projection::V);
    assert_eq!(model.matrix(untouched).expect("v"), merged.matrix(untouched).expect("v"));

    let path = folder.path().join("merged.gguf");
    export_gguf(&model, Some(&adapter), &path, Encoding::F32).expect("export");
    assert_eq!(parts(&Checkpoint::open(&path).expect("open")), parts(&merged));
}

fn edit(folder: &Path, key: &str, value: serde_json::Value) {
    let path = folder.join("adapter_config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).expect("read")).expect("json");
    config[key] = value;
    std::fs::write(&path, config.to_string()).expect("write");
}

#[test]
fn adapter_settings_count_or_are_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let model = Checkpoint::random(Architecture::tiny(), 5).expect("random");
    let saved = adapter(&model, 4, 6.0);
    saved.save(folder.path()).expect("save");
    edit(folder.path(), "use_rslora", true.into());
    let stabilised = Adapter::load(folder.path(), &model.architecture).expect("load");
    assert!((stabilised.scale() - 6.0 / 2.0).abs() < 1e-6);
    // The same numbers come back for any rank, and the file says the plain alpha.
    for (rank, alpha) in [(3, 32.0), (7, 0.3), (64, 16.0)] {
        let effective = (alpha * (rank as f64).sqrt()) as f32;
        let given = Adapter { stabilised: true, ..adapter(&model, rank, effective) };
        given.save(folder.path()).expect("save");
        assert_eq!(Adapter::load(folder.path(), &model.architecture).expect("load"), given);
        let text = std::fs::read_to_string(folder.path().join("adapter_config.json")).expect("read");
        let config: serde_json::Value = serde_json::from_str(&text).expect("json");
        assert_eq!((config["lora_alpha"].as_f64(), &config["use_rslora"]), (Some(alpha), &true.into()));
    }
    for (key, value) in [
        ("use_dora", true.into()),
        ("bias", "all".into()),
        ("rank_pattern", serde_json::json!({ "q_proj": 2 })),
        ("peft_type", "IA3".into()),
        ("r", 3.into()),
    ] {
        saved.save(folder.path()).expect("save");
        edit(folder.path(), key, value);
        let error = Adapter::load(folder.path(), &model.architecture).expect_err(key);
        assert!(matches!(error, Error::Adapter { .. }), "{error}");
    }
    saved.save(folder.path()).expect("save");
    let shallow = Architecture { blocks: 1, ..Architecture::tiny() };
    let error = Adapter::load(folder.path(), &shallow).expect_err("too many blocks").to_string();
    assert!(error.contains("layers.1.") && error.contains("no projection"), "{error}");
}
