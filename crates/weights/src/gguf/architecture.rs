use super::{File, Settings, number, real, text};
use crate::{Architecture, Family, Part, Projection, Result, Rope, Scaling};

const NAMES: &str = "files of the architectures llama (Mistral too), qwen2 and qwen3 are";

pub(super) fn read(settings: &Settings, file: &File) -> Result<Architecture> {
    let name = settings.required("general.architecture", text)?;
    let family = match name {
        "llama" => Family::Llama,
        "qwen2" => Family::Qwen2,
        "qwen3" => Family::Qwen3,
        other => return Err(settings.unsupported(format!("architecture `{other}`"), NAMES)),
    };
    let key = |rest: &str| format!("{name}.{rest}");
    if settings.optional(&key("expert_count"), number)?.unwrap_or(0) > 0 {
        return Err(settings.unsupported("a mixture of experts", "choose a dense model"));
    }
    let width = settings.required(&key("embedding_length"), number)?;
    let heads = settings.required(&key("attention.head_count"), number)?;
    let head_dim = match settings.optional(&key("attention.key_length"), number)? {
        Some(length) => length,
        None => width.checked_div(heads).unwrap_or(0),
    };
    for same in ["attention.value_length", "rope.dimension_count"] {
        if settings.optional(&key(same), number)?.is_some_and(|length| length != head_dim) {
            return Err(settings.unsupported(format!("`{same}` unlike the head's {head_dim} coordinates"), NAMES));
        }
    }
    let vocab = file.shape(&Part::Embedding.gguf_name()).map_or(0, |(rows, _)| rows);
    if vocab == 0 {
        return Err(file.error(&Part::Embedding.gguf_name(), "is missing or no matrix".into()));
    }
    let has = |part: Part| file.shape(&part.gguf_name()).is_some();
    let architecture = Architecture {
        family,
        blocks: settings.required(&key("block_count"), number)?,
        width,
        heads,
        kv_heads: settings.optional(&key("attention.head_count_kv"), number)?.unwrap_or(heads),
        head_dim,
        hidden: settings.required(&key("feed_forward_length"), number)?,
        vocab,
        context: settings.required(&key("context_length"), number)?,
        norm_eps: settings.required(&key("attention.layer_norm_rms_epsilon"), real)?,
        rope: Rope {
            theta: settings.optional(&key("rope.freq_base"), real)?.unwrap_or(10_000.0),
            scaling: scaling(settings, file, name)?,
        },
        qkv_bias: has(Part::Bias(0, Projection::Q)),
        qk_norm: has(Part::QueryNorm(0)),
        tied_head: !has(Part::Head),
    };
    Ok(architecture)
}

fn scaling(settings: &Settings, file: &File, name: &str) -> Result<Scaling> {
    const DIVISORS: &str = "rope_freqs.weight";
    if file.shape(DIVISORS).is_some() {
        return Ok(Scaling::Divisors { divisors: file.tensor(DIVISORS)?.into_f32() });
    }
    let factor_key = format!("{name}.rope.scaling.factor");
    let kind = settings.optional(&format!("{name}.rope.scaling.type"), text)?;
    // Files before mid-2023 give a linear factor without a type.
    let old = settings.optional(&format!("{name}.rope.scale_linear"), real)?;
    match (kind, old) {
        (None | Some("none"), None | Some(1.0)) => Ok(Scaling::None),
        (Some("linear"), _) => Ok(Scaling::Linear { factor: settings.required(&factor_key, real)? }),
        (None, Some(factor)) => Ok(Scaling::Linear { factor }),
        (kind, _) => {
            Err(settings
                .unsupported(format!("rope scaling `{}`", kind.unwrap_or("none")), "linear and llama3 scaling are"))
        }
    }
}
