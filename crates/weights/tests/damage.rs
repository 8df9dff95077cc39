//! Damaged and foreign files are typed errors that name what is wrong; nothing panics.

use std::path::{Path, PathBuf};

use weights::{Architecture, Checkpoint, Encoding, Error, Part, Projection, export_gguf, export_hf};

fn gguf(folder: &Path) -> (PathBuf, Vec<u8>) {
    let model = Checkpoint::random(Architecture::tiny(), 2).expect("random");
    let path = folder.join("model.gguf");
    export_gguf(&model, None, &path, Encoding::Q8_0).expect("export");
    let bytes = std::fs::read(&path).expect("read");
    (path, bytes)
}

/// Reads everything, so that errors behind opening show too.
fn use_all(path: &Path) -> Result<(), Error> {
    let model = Checkpoint::open(path)?;
    model.architecture.parts().into_iter().try_for_each(|part| model.matrix(part).map(drop))
}

fn find(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).expect("text")
}

#[test]
fn a_truncated_gguf_is_an_error_at_every_length() {
    let folder = tempfile::tempdir().expect("folder");
    let (path, bytes) = gguf(folder.path());
    let header = find(&bytes, "output_norm.weight");
    let lengths = (0..200).chain((200..header).step_by(97)).chain((header..bytes.len()).step_by(1009));
    for length in lengths {
        std::fs::write(&path, &bytes[..length]).expect("write");
        let error = use_all(&path).expect_err("truncated");
        assert!(error.to_string().contains("model.gguf"), "{length}: {error}");
    }
    // The padding after the last tensor may be missing, its last byte not.
    let last = bytes.len() - 1;
    std::fs::write(&path, &bytes[..last]).expect("write");
    let error = use_all(&path).expect_err("one byte short");
    assert!(matches!(&error, Error::Tensor { .. }), "{error}");
}

#[test]
fn a_flipped_byte_never_panics() {
    let folder = tempfile::tempdir().expect("folder");
    let (path, bytes) = gguf(folder.path());
    let header = find(&bytes, "output_norm.weight") + 64;
    let mut state = 1u64;
    for round in 0..1500 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let mut damaged = bytes.clone();
        // Most flips go where structure is; the tokenizer's texts fill the middle of the header.
        let reach = if round % 3 == 0 { 900.min(header) } else { header };
        damaged[(state >> 33) as usize % reach] = (state >> 25) as u8;
        std::fs::write(&path, &damaged).expect("write");
        // Ok is possible: a changed letter in a name that nobody reads.
        let _ = use_all(&path);
    }
}

#[test]
fn an_alignment_of_zero_is_an_error() {
    let folder = tempfile::tempdir().expect("folder");
    let (path, bytes) = gguf(folder.path());
    // Renames a number of the header to the alignment and sets it to 0.
    let key = "general.file_type";
    let at = find(&bytes, key);
    let mut damaged = bytes[..at].to_vec();
    damaged.extend(b"general.alignment");
    damaged.extend(&bytes[at + key.len()..]);
    damaged[at + key.len() + 4..at + key.len() + 8].fill(0);
    std::fs::write(&path, &damaged).expect("write");
    let error = use_all(&path).expect_err("alignment");
    assert!(matches!(error, Error::Format { .. }), "{error}");
}

#[test]
fn foreign_files_are_named() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("page.gguf");
    std::fs::write(&path, "<html>not found</html>").expect("write");
    let error = Checkpoint::open(&path).expect_err("html").to_string();
    assert!(error.contains("page.gguf") && error.contains("does not begin with `GGUF`"), "{error}");
    std::fs::write(&path, "").expect("write");
    assert!(Checkpoint::open(&path).is_err());
    let error = Checkpoint::open(&folder.path().join("absent.gguf")).expect_err("absent").to_string();
    assert!(error.starts_with("cannot open") && error.contains("absent.gguf"), "{error}");
    let error = Checkpoint::open(folder.path()).expect_err("empty folder").to_string();
    assert!(error.contains("config.json"), "{error}");
}

#[test]
fn missing_and_misshapen_tensors_and_nan_are_named() {
    let folder = tempfile::tempdir().expect("folder");
    let (path, bytes) = gguf(folder.path());
    let check = |damaged: &[u8], name: &str, problem: &str| {
        std::fs::write(&path, damaged).expect("write");
        let error = use_all(&path).expect_err(name);
        let words = error.to_string();
        assert!(matches!(error, Error::Tensor { .. }), "{words}");
        assert!(words.contains(name) && words.contains(problem), "{words}");
    };
    let change = |name: &str, edit: &dyn Fn(&mut [u8])| {
        let mut damaged = bytes.clone();
        let at = find(&bytes, name) + name.len();
        edit(&mut damaged[at..]);
        damaged
    };
    let name = "blk.1.ffn_up.weight";
    // After the name: number of dimensions (4 bytes), dimensions (8 each), type (4), offset (8).
    check(&change(name, &|rest| rest[12..20].copy_from_slice(&80u64.to_le_bytes())), name, "has shape (80, 64)");
    check(&change(name, &|rest| rest[4..12].copy_from_slice(&u64::MAX.to_le_bytes())), name, "");
    check(&change(name, &|rest| rest[24..32].copy_from_slice(&(1u64 << 40).to_le_bytes())), name, "reaches beyond");
    let mut renamed = bytes.clone();
    let at = find(&bytes, name);
    renamed[at..at + 3].copy_from_slice(b"bla");
    check(&renamed, name, "is missing");
    // The last tensor is the final norm.
    let mut not_finite = bytes.clone();
    let end = bytes.len() - 4;
    not_finite[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    check(&not_finite, "output_norm.weight", "not finite");
}

#[test]
fn an_unknown_tensor_or_scaling_is_refused_rather_than_ignored() {
    let folder = tempfile::tempdir().expect("folder");
    let model = Checkpoint::random(Architecture::tiny(), 2).expect("random");
    export_hf(&model, None, folder.path()).expect("export");
    let config_path = folder.path().join("config.json");
    let config = std::fs::read_to_string(&config_path).expect("config");
    for (from, to, word) in [
        ("\"rope_scaling\": null", "\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4.0}", "yarn"),
        ("\"silu\"", "\"gelu\"", "gelu"),
        ("\"attention_bias\": false", "\"attention_bias\": true", "attention_bias"),
        ("\"model_type\": \"llama\"", "\"model_type\": \"mamba\"", "mamba"),
    ] {
        assert!(config.contains(from));
        std::fs::write(&config_path, config.replace(from, to)).expect("write");
        let error = Checkpoint::open(folder.path()).expect_err(word);
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains(word), "{error}");
    }
    let error = {
        std::fs::write(&config_path, config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1"))
            .expect("write");
        Checkpoint::open(folder.path()).expect_err("a block too many")
    };
    assert!(error.to_string().contains("model.layers.1."), "{error}");
}

#[test]
fn a_truncated_safetensors_file_is_an_error() {
    let folder = tempfile::tempdir().expect("folder");
    let model = Checkpoint::random(Architecture::tiny(), 2).expect("random");
    export_hf(&model, None, folder.path()).expect("export");
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).expect("read");
    for length in (0..64).chain((64..bytes.len()).step_by(4099)).chain([bytes.len() - 1]) {
        std::fs::write(&path, &bytes[..length]).expect("write");
        let error = use_all(folder.path()).expect_err("truncated");
        assert!(error.to_string().contains("model.safetensors"), "{length}: {error}");
    }
    std::fs::write(&path, &bytes).expect("write");
    let model = Checkpoint::open(folder.path()).expect("whole");
    assert!(model.has(Part::Head) && !model.has(Part::Bias(0, Projection::Q)));
    std::fs::write(folder.path().join("tokenizer.json"), "{\"version\":\"1.0\"}").expect("write");
    assert!(matches!(Checkpoint::open(folder.path()), Err(Error::Tokenizer { .. })));
}
