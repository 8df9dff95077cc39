//! A folder that is damaged is refused with the name of what is wrong.

use std::collections::BTreeMap;
use std::path::Path;

use encode::{Encoder, Error};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

fn config() -> Value {
    json!({ "model_type": "bert", "hidden_act": "gelu", "hidden_size": 8, "intermediate_size": 16,
        "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 6,
        "type_vocab_size": 2, "vocab_size": 5, "layer_norm_eps": 1e-12 })
}

fn shapes() -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::new();
    let mut add = |name: &str, shape: &[usize]| shapes.insert(name.to_string(), shape.to_vec());
    add("embeddings.word_embeddings.weight", &[5, 8]);
    add("embeddings.position_embeddings.weight", &[6, 8]);
    add("embeddings.token_type_embeddings.weight", &[2, 8]);
    add("embeddings.LayerNorm.weight", &[8]);
    add("embeddings.LayerNorm.bias", &[8]);
    for (name, outputs, inputs) in [
        ("attention.self.query", 8, 8),
        ("attention.self.key", 8, 8),
        ("attention.self.value", 8, 8),
        ("attention.output.dense", 8, 8),
        ("intermediate.dense", 16, 8),
        ("output.dense", 8, 16),
    ] {
        add(&format!("encoder.layer.0.{name}.weight"), &[outputs, inputs]);
        add(&format!("encoder.layer.0.{name}.bias"), &[outputs]);
    }
    for name in ["attention.output", "output"] {
        add(&format!("encoder.layer.0.{name}.LayerNorm.weight"), &[8]);
        add(&format!("encoder.layer.0.{name}.LayerNorm.bias"), &[8]);
    }
    shapes
}

fn tokenizer() -> Value {
    let special = |id: u32, content: &str| {
        json!({ "id": id, "content": content, "special": true, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false })
    };
    json!({ "version": "1.0", "added_tokens": [special(0, "[CLS]"), special(1, "[SEP]")],
        "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 1], "cls": ["[CLS]", 0] },
        "model": { "type": "WordLevel", "unk_token": "?", "vocab": { "[CLS]": 0, "[SEP]": 1, "?": 2, "lamp": 3, "hall": 4 } } })
}

/// A whole folder, but for what `change` does to its parts.
fn folder(
    change: impl FnOnce(&mut Value, &mut BTreeMap<String, Vec<usize>>, &mut Value, &mut f32),
) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("works");
    let (mut config, mut shapes, mut tokenizer, mut number) = (config(), shapes(), tokenizer(), 0.1f32);
    change(&mut config, &mut shapes, &mut tokenizer, &mut number);
    // Numbers that differ, with `number` as the first of each tensor.
    let data: BTreeMap<_, Vec<u8>> = shapes
        .iter()
        .map(|(name, shape)| {
            let numbers = (0..shape.iter().product::<usize>()).map(|i| if i == 0 { number } else { (i as f32).sin() });
            (name.clone(), numbers.flat_map(f32::to_le_bytes).collect())
        })
        .collect();
    let views = shapes
        .iter()
        .map(|(name, shape)| (name.clone(), TensorView::new(Dtype::F32, shape.clone(), &data[name]).expect("works")));
    let bytes = safetensors::serialize(views, None).expect("works");
    std::fs::write(folder.path().join("model.safetensors"), bytes).expect("works");
    std::fs::write(folder.path().join("config.json"), config.to_string()).expect("works");
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).expect("works");
    folder
}

fn problem(folder: &Path) -> Error {
    Encoder::open(folder).err().expect("a damaged folder is refused")
}

#[test]
fn a_whole_folder_is_read() {
    let folder = folder(|_, _, _, _| {});
    let encoder = Encoder::open(folder.path()).expect("works");
    let texts = ["", "lamp", "lamp hall", "lamp hall lamp hall", "lamp hall lamp hall lamp"].map(String::from);
    let vectors = encoder.encode(&texts).expect("works");
    assert!(vectors.iter().all(|v| v.len() == 8 && (v.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5));
    // Six positions, two of them for the frame.
    assert_eq!(vectors[3], vectors[4]);
    assert!(vectors[1] != vectors[2] && vectors[0] != vectors[1]);
}

#[test]
fn a_missing_file_is_named() {
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        let folder = folder(|_, _, _, _| {});
        std::fs::remove_file(folder.path().join(file)).expect("works");
        assert!(matches!(problem(folder.path()), Error::Io { path, .. } if path.ends_with(file)), "{file}");
    }
}

#[test]
fn a_cut_or_foreign_file_is_named() {
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        let folder = folder(|_, _, _, _| {});
        let path = folder.path().join(file);
        let whole = std::fs::read(&path).expect("works");
        for length in [0, 5, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).expect("works");
            let error = problem(folder.path());
            assert!(matches!(&error, Error::Format { path, .. } if path.ends_with(file)), "{file} {length}: {error}");
        }
    }
}

#[test]
fn a_tensor_that_is_missing_or_misshapen_or_not_finite_is_named() {
    let name = "encoder.layer.0.output.dense.weight";
    let missing = folder(|_, shapes, _, _| drop(shapes.remove(name)));
    assert!(
        matches!(problem(missing.path()), Error::Tensor { tensor, problem, .. } if tensor == name && problem == "is missing")
    );
    let misshapen = folder(|_, shapes, _, _| drop(shapes.insert(name.into(), vec![16, 8])));
    assert!(matches!(problem(misshapen.path()), Error::Tensor { tensor, .. } if tensor == name));
    let infinite = folder(|_, _, _, number| *number = f32::INFINITY);
    assert!(matches!(problem(infinite.path()), Error::Tensor { problem, .. } if problem.contains("not finite")));
}

#[test]
fn another_architecture_is_refused() {
    for (key, value) in [
        ("model_type", json!("mpnet")),
        ("hidden_act", json!("relu")),
        ("position_embedding_type", json!("relative_key")),
        ("num_attention_heads", json!(3)),
        ("num_attention_heads", json!(0)),
        ("max_position_embeddings", json!(1)),
    ] {
        let folder = folder(|config, _, _, _| config[key] = value);
        assert!(matches!(problem(folder.path()), Error::Setting { key: found, .. } if found == key), "{key}");
    }
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let larger = folder(|_, _, tokenizer, _| tokenizer["model"]["vocab"]["tower"] = json!(5));
    assert!(problem(larger.path()).to_string().contains("it knows token 5"));
    let frameless =
        folder(|_, _, tokenizer, _| drop(tokenizer.as_object_mut().expect("works").remove("post_processor")));
    assert!(problem(frameless.path()).to_string().contains("adds no tokens"));
}
