use std::path::Path;

use serde_json::{Value, json};

use crate::{Architecture, Error, Family, Result, Rope, Scaling};

/// Reads config.json.
pub(super) fn read(config: &Value, path: &Path) -> Result<Architecture> {
    let reader = Reader { config, path };
    let family = match config["model_type"].as_str() {
        Some("llama") => Family::Llama,
        Some("mistral") => Family::Mistral,
        Some("qwen2") => Family::Qwen2,
        Some("qwen3") => Family::Qwen3,
        other => {
            let feature = format!("model type `{}`", other.unwrap_or("none"));
            return Err(reader.unsupported(feature, "llama, mistral, qwen2 and qwen3 models are"));
        }
    };
    reader.refuse_unknown()?;
    let (width, heads) = (reader.number("hidden_size")?, reader.number("num_attention_heads")?);
    let context = reader.number("max_position_embeddings")?;
    // Qwen configurations give a window that they do not use.
    let window = match family {
        Family::Llama | Family::Mistral => config["sliding_window"].as_u64(),
        _ if config["use_sliding_window"] == true => config["sliding_window"].as_u64(),
        _ => None,
    };
    let default_head_dim = if family == Family::Qwen3 { 128 } else { width.checked_div(heads).unwrap_or(0) };
    let rope = if config["rope_parameters"].is_object() { &config["rope_parameters"] } else { config };
    Ok(Architecture {
        family,
        blocks: reader.number("num_hidden_layers")?,
        width,
        heads,
        kv_heads: reader.optional("num_key_value_heads")?.unwrap_or(heads),
        head_dim: reader.optional("head_dim")?.unwrap_or(default_head_dim),
        hidden: reader.number("intermediate_size")?,
        vocab: reader.number("vocab_size")?,
        context: window.map_or(context, |window| context.min(window as usize)),
        norm_eps: config["rms_norm_eps"].as_f64().unwrap_or(1e-6) as f32,
        rope: Rope { theta: rope["rope_theta"].as_f64().unwrap_or(10_000.0) as f32, scaling: reader.scaling()? },
        qkv_bias: family == Family::Qwen2,
        qk_norm: family == Family::Qwen3,
        tied_head: config["tie_word_embeddings"].as_bool().unwrap_or(false),
    })
}

struct Reader<'a> {
    config: &'a Value,
    path: &'a Path,
}

impl Reader<'_> {
    fn unsupported(&self, feature: String, hint: &'static str) -> Error {
        Error::Unsupported { path: self.path.to_path_buf(), feature, hint }
    }

    fn optional(&self, key: &str) -> Result<Option<usize>> {
        if self.config[key].is_null() {
            return Ok(None);
        }
        let number = self.config[key].as_u64().and_then(|n| usize::try_from(n).ok());
        let wrong = || Error::Setting {
            path: self.path.to_path_buf(),
            key: key.into(),
            problem: format!("is {}, not a whole number", self.config[key]),
        };
        number.map(Some).ok_or_else(wrong)
    }

    fn number(&self, key: &str) -> Result<usize> {
        let missing =
            || Error::Setting { path: self.path.to_path_buf(), key: key.into(), problem: "is missing".into() };
        self.optional(key)?.ok_or_else(missing)
    }

    /// Refuses settings that would change the computation.
    fn refuse_unknown(&self) -> Result<()> {
        let hint = "choose a model of the plain architecture";
        match self.config["hidden_act"].as_str() {
            None | Some("silu") => {}
            Some(other) => return Err(self.unsupported(format!("activation `{other}`"), hint)),
        }
        for key in ["attention_bias", "mlp_bias"] {
            if self.config[key] == true {
                return Err(self.unsupported(format!("`{key}`"), hint));
            }
        }
        if self.config["partial_rotary_factor"].as_f64().is_some_and(|factor| factor != 1.0) {
            return Err(self.unsupported("`partial_rotary_factor`".into(), hint));
        }
        if self.config["quantization_config"].is_object() {
            return Err(self.unsupported("a quantised folder".into(), "give the plain weights or a GGUF file"));
        }
        Ok(())
    }

    fn scaling(&self) -> Result<Scaling> {
        let newer = &self.config["rope_parameters"];
        let scaling = if newer.is_object() { newer } else { &self.config["rope_scaling"] };
        if scaling.is_null() {
            return Ok(Scaling::None);
        }
        let real = |key: &str| {
            scaling[key].as_f64().map(|value| value as f32).ok_or_else(|| Error::Setting {
                path: self.path.to_path_buf(),
                key: format!("rope_scaling.{key}"),
                problem: "is missing".into(),
            })
        };
        match scaling["rope_type"].as_str().or(scaling["type"].as_str()) {
            None | Some("default") => Ok(Scaling::None),
            Some("linear") => Ok(Scaling::Linear { factor: real("factor")? }),
            Some("llama3") => Ok(Scaling::Llama3 {
                factor: real("factor")?,
                low: real("low_freq_factor")?,
                high: real("high_freq_factor")?,
                original_context: real("original_max_position_embeddings")? as usize,
            }),
            Some(other) => Err(self.unsupported(format!("rope scaling `{other}`"), "linear and llama3 scaling are")),
        }
    }
}

/// Writes config.json, or says what it cannot state.
pub(super) fn describe(
    architecture: &Architecture,
    bos: Option<u32>,
    eos: &[u32],
) -> std::result::Result<Value, &'static str> {
    if architecture.qkv_bias != (architecture.family == Family::Qwen2) {
        return Err("this family with or without biases on q, k and v");
    }
    if architecture.qk_norm != (architecture.family == Family::Qwen3) {
        return Err("this family with or without norms of q and k");
    }
    let (class, model_type) = match architecture.family {
        Family::Llama => ("LlamaForCausalLM", "llama"),
        Family::Mistral => ("MistralForCausalLM", "mistral"),
        Family::Qwen2 => ("Qwen2ForCausalLM", "qwen2"),
        Family::Qwen3 => ("Qwen3ForCausalLM", "qwen3"),
    };
    let scaling = match &architecture.rope.scaling {
        Scaling::None => Value::Null,
        Scaling::Linear { factor } => json!({ "rope_type": "linear", "factor": wide(*factor) }),
        Scaling::Llama3 { factor, low, high, original_context } => json!({
            "rope_type": "llama3", "factor": wide(*factor), "low_freq_factor": wide(*low),
            "high_freq_factor": wide(*high), "original_max_position_embeddings": original_context }),
        Scaling::Divisors { divisors } => {
            llama3_rule(architecture, divisors).ok_or("rotary divisors that follow no published rule")?
        }
    };
    let mut config = json!({
        "architectures": [class], "model_type": model_type, "hidden_act": "silu", "torch_dtype": "float32",
        "hidden_size": architecture.width, "intermediate_size": architecture.hidden,
        "num_hidden_layers": architecture.blocks, "num_attention_heads": architecture.heads,
        "num_key_value_heads": architecture.kv_heads, "head_dim": architecture.head_dim,
        "vocab_size": architecture.vocab, "max_position_embeddings": architecture.context,
        "rms_norm_eps": wide(architecture.norm_eps), "rope_theta": wide(architecture.rope.theta),
        "rope_scaling": scaling, "tie_word_embeddings": architecture.tied_head, "attention_bias": false,
        "bos_token_id": bos, "eos_token_id": eos.first(),
    });
    if architecture.family == Family::Mistral {
        config["sliding_window"] = Value::Null;
    }
    Ok(config)
}

/// The shortest decimal that reads back as the same f32, instead of its digits as an f64.
fn wide(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// The published rules of Llama 3.1 and 3.2 whose divisors are these.
fn llama3_rule(architecture: &Architecture, divisors: &[f32]) -> Option<Value> {
    let head_dim = architecture.head_dim;
    let plain = Rope { theta: architecture.rope.theta, scaling: Scaling::None }.frequencies(head_dim);
    [8.0, 32.0].into_iter().find_map(|factor| {
        let scaling = Scaling::Llama3 { factor, low: 1.0, high: 4.0, original_context: 8192 };
        let scaled = Rope { theta: architecture.rope.theta, scaling }.frequencies(head_dim);
        let equal = plain.iter().zip(&scaled).zip(divisors).all(|((p, s), d)| (p / s / d - 1.0).abs() < 1e-4);
        equal.then(|| {
            json!({ "rope_type": "llama3", "factor": wide(factor), "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 8192 })
        })
    })
}
