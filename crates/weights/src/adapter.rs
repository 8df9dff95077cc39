use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::shards::{self, Shards};
use crate::{Architecture, Error, Part, Projection, Result, huggingface};

/// A low-rank change to a model: W' = W + scale·B·A for each pair, scale = alpha / rank.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// Rows of each A; at least 1.
    pub rank: usize,
    /// Strength; [`Adapter::scale`] is alpha / rank.
    pub alpha: f32,
    /// Whether the file counts the strength as rank-stabilised LoRA does: it says alpha / √rank and
    /// `use_rslora`, which is the same function. Other programs that go on training read it.
    pub stabilised: bool,
    /// Name of the model that it changes.
    pub base: String,
    /// Which block's which projection, and how.
    pub pairs: BTreeMap<(usize, Projection), Pair>,
}

/// The two factors of a change, in Hugging Face row order.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// rank × inputs, row-major.
    pub a: Vec<f32>,
    /// outputs × rank, row-major.
    pub b: Vec<f32>,
}

impl Adapter {
    /// alpha / rank.
    pub fn scale(&self) -> f32 {
        self.alpha / self.rank as f32
    }

    /// Writes a PEFT folder: adapter_config.json and adapter_model.safetensors, each to a temporary
    /// name first.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let mut modules: Vec<_> = self.pairs.keys().map(|(_, projection)| *projection).collect();
        modules.sort();
        modules.dedup();
        let modules: Vec<_> = modules.into_iter().map(Projection::module).collect();
        let mut layers: Vec<_> = self.pairs.keys().map(|(block, _)| *block).collect();
        layers.dedup();
        // PEFT puts an untrained pair, which changes nothing, where the file has none; it warns,
        // unless the layers are listed.
        let all = layers.iter().enumerate().all(|(place, block)| place == *block);
        let alpha = if self.stabilised { unstabilised(self.alpha, self.rank) } else { shortest(self.alpha) };
        let config = json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": self.base, "r": self.rank,
            "lora_alpha": alpha, "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": false,
            "inference_mode": true, "init_lora_weights": true, "use_rslora": self.stabilised, "use_dora": false,
            "modules_to_save": null, "rank_pattern": {}, "alpha_pattern": {}, "target_modules": modules,
            "layers_to_transform": if all { Value::Null } else { json!(layers) },
        });
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        huggingface::write_json(&folder.join(CONFIG), &config)?;
        let mut tensors = Vec::new();
        let mut numbers = Vec::new();
        for ((block, projection), pair) in &self.pairs {
            let (inputs, outputs) = (pair.a.len() / self.rank, pair.b.len() / self.rank);
            for (letter, shape, data) in
                [('A', vec![self.rank, inputs], &pair.a), ('B', vec![outputs, self.rank], &pair.b)]
            {
                tensors.push((tensor_name(*block, *projection, letter), shape));
                numbers.push(data);
            }
        }
        shards::write(&folder.join(WEIGHTS), &tensors, |index| Ok(numbers[index].clone()))
    }

    /// Reads a PEFT folder of a LoRA on a model of this architecture.
    pub fn load(folder: &Path, architecture: &Architecture) -> Result<Self> {
        let config_path = folder.join(CONFIG);
        let config = huggingface::json(&config_path)?;
        let fail = |problem: String| Error::Adapter { path: folder.to_path_buf(), problem };
        refuse_unknown(&config).map_err(fail)?;
        let rank = config["r"].as_u64().filter(|rank| (1..=1 << 16).contains(rank));
        let rank = rank.ok_or_else(|| fail("`r` is no rank from 1 to 65536".into()))? as usize;
        let alpha = config["lora_alpha"].as_f64().ok_or_else(|| fail("`lora_alpha` is no number".into()))?;
        let stabilised = config["use_rslora"] == true;
        let alpha = if stabilised { times_root(alpha, rank) } else { alpha as f32 };
        let weights = Shards::open(&[folder.join(WEIGHTS)])?;
        let mut pairs = BTreeMap::new();
        let mut read = 0;
        for block in 0..architecture.blocks {
            for projection in Projection::ALL {
                let [a, b] = ['A', 'B'].map(|letter| tensor_name(block, projection, letter));
                if weights.shape(&a).is_none() && weights.shape(&b).is_none() {
                    continue;
                }
                let (outputs, inputs) = architecture.shape(Part::Projection(block, projection));
                let matrix = |name: &str, expected: (usize, usize)| {
                    let matrix = weights.matrix(name)?;
                    let found = (matrix.rows, matrix.cols);
                    if found != expected {
                        return Err(fail(format!("`{name}` has shape {found:?}, this model asks for {expected:?}")));
                    }
                    Ok(matrix.into_f32())
                };
                let pair = Pair { a: matrix(&a, (rank, inputs))?, b: matrix(&b, (outputs, rank))? };
                pairs.insert((block, projection), pair);
                read += 2;
            }
        }
        if read != weights.names().count() {
            let expected: BTreeSet<_> =
                pairs.keys().flat_map(|(n, p)| ['A', 'B'].map(|l| tensor_name(*n, *p, l))).collect();
            let other = weights.names().find(|name| !expected.contains(*name)).unwrap_or_default();
            return Err(fail(format!("tensor `{other}` belongs to no projection of this model")));
        }
        if pairs.is_empty() {
            return Err(fail("it holds no tensors".into()));
        }
        let base = config["base_model_name_or_path"].as_str().unwrap_or_default().to_string();
        let adapter = Self { rank, alpha, stabilised, base, pairs };
        adapter.check(architecture, folder)?;
        Ok(adapter)
    }

    /// Refuses pairs whose shapes do not fit the architecture, and numbers that are not finite.
    pub(crate) fn check(&self, architecture: &Architecture, path: &Path) -> Result<()> {
        let fail = |problem| Err(Error::Adapter { path: path.to_path_buf(), problem });
        if self.rank == 0 || !self.alpha.is_finite() {
            return fail(format!("rank {} and alpha {} are no usable strength", self.rank, self.alpha));
        }
        for ((block, projection), pair) in &self.pairs {
            let place = format!("block {block}, {}", projection.module());
            if *block >= architecture.blocks {
                return fail(format!("{place}: the model has only {} blocks", architecture.blocks));
            }
            let (rows, cols) = architecture.shape(Part::Projection(*block, *projection));
            let (a, b) = (self.rank * cols, rows * self.rank);
            if pair.a.len() != a || pair.b.len() != b {
                let found = (pair.a.len(), pair.b.len());
                return fail(format!("{place}: A and B hold {found:?} numbers, the model asks for {:?}", (a, b)));
            }
            if pair.a.iter().chain(&pair.b).any(|x| !x.is_finite()) {
                return fail(format!("{place}: holds a number that is not finite"));
            }
        }
        Ok(())
    }
}

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

fn tensor_name(block: usize, projection: Projection, letter: char) -> String {
    format!("base_model.model.model.layers.{block}.{}.lora_{letter}.weight", projection.path())
}

/// The shortest decimal that reads back as the same f32.
fn shortest(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// Rank-stabilised LoRA has scale alpha/√rank; this is the alpha of the same scale alpha/rank.
fn times_root(alpha: f64, rank: usize) -> f32 {
    (alpha * (rank as f64).sqrt()) as f32
}

/// What [`times_root`] makes `alpha` of: the plain number that was asked for, where there is one.
fn unstabilised(alpha: f32, rank: usize) -> Value {
    let exact = f64::from(alpha) / (rank as f64).sqrt();
    let round = (exact * 1e3).round() / 1e3;
    Value::from(if times_root(round, rank) == alpha { round } else { exact })
}

/// Refuses settings that would change the computation.
fn refuse_unknown(config: &Value) -> std::result::Result<(), String> {
    if config["peft_type"] != "LORA" {
        return Err(format!("`peft_type` is {}, only LORA is supported", config["peft_type"]));
    }
    for key in ["use_dora", "fan_in_fan_out", "lora_bias"] {
        if config[key] == true {
            return Err(format!("`{key}` is not supported"));
        }
    }
    for key in ["rank_pattern", "alpha_pattern"] {
        if config[key].as_object().is_some_and(|pattern| !pattern.is_empty()) {
            return Err(format!("`{key}` is not supported: train all modules with one rank and alpha"));
        }
    }
    if config["bias"].as_str().is_some_and(|bias| bias != "none") {
        return Err("trained biases are not supported".into());
    }
    if config["modules_to_save"].as_array().is_some_and(|modules| !modules.is_empty()) {
        return Err("`modules_to_save` is not supported: only the seven projections can change".into());
    }
    Ok(())
}

impl Pair {
    /// weights += scale·B·A, where `weights` is outputs × `inputs`.
    pub fn add_to(&self, weights: &mut [f32], inputs: usize, rank: usize, scale: f32) {
        for (row, b) in weights.chunks_exact_mut(inputs).zip(self.b.chunks_exact(rank)) {
            for (a, b) in self.a.chunks_exact(inputs).zip(b) {
                let factor = scale * b;
                row.iter_mut().zip(a).for_each(|(w, a)| *w += factor * a);
            }
        }
    }
}
