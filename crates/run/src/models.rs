//! From what the user calls a model to something that answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lm::{Embedder, LanguageModel, SharedModel};
use lm_http::HttpModel;
use lm_local::LocalModel;
use record::Input;
use weights::{Adapter, Checkpoint};

use crate::{Error, Recipe, Result, pull};

/// Where a run folder keeps what it learned from samples.
pub(crate) const ADAPTER: &str = "learn/adapter";
/// Where it keeps what practice made of that, or of the model.
pub(crate) const PRACTISED: &str = "adapter-practised";
/// The same, where practice changed all weights.
pub(crate) const PRACTISED_WHOLE: &str = "model-practised";

/// Name of a run's adapter in the engine.
pub(crate) const LOADED: &str = "learned";

/// US dollars spent so far; nothing for a local model.
pub(crate) type Meter = Arc<dyn Fn() -> f64 + Send + Sync>;

/// A model that answers, and what it was made of.
#[derive(Clone)]
pub struct Model {
    /// Answers.
    pub shared: SharedModel,
    /// Name of the adapter that answers go through, or none.
    pub adapter: Option<String>,
    /// That adapter, to learn on from.
    pub(crate) start: Option<Arc<Adapter>>,
    /// The local engine and its weights; a remote model has neither.
    pub local: Option<(LocalModel, Arc<Checkpoint>)>,
    pub(crate) meter: Meter,
    /// Name and content, for plans and manifests.
    pub identity: Vec<Input>,
}

/// Weights on this machine, with the adapter that a run learned.
struct Files {
    weights: PathBuf,
    adapter: Option<PathBuf>,
}

impl Model {
    /// Weights with an engine, and with the adapter that a run learned.
    pub(crate) fn of(Weights { base, start, identity }: Weights, engine: lm_local::Config) -> Result<Self> {
        let local = LocalModel::load(&base, engine)?;
        let mut adapter = None;
        if let Some(start) = &start {
            local.add_adapter(LOADED, start)?;
            adapter = Some(LOADED.to_string());
        }
        let shared = Arc::new(local.clone());
        Ok(Self { shared, adapter, start, local: Some((local, base)), meter: Arc::new(|| 0.0), identity })
    }
}

/// Loads what `name` stands for: a server's address, a run folder, a GGUF file, a Hugging Face
/// folder, or a named asset that is fetched if need be.
///
/// Several addresses of one model are written with commas between them.
pub fn load(name: &str, recipe: &Recipe, sources: &pull::Sources) -> Result<Model> {
    if is_address(name) {
        return remote(name, &recipe.remote, &sources.options.cache);
    }
    Model::of(weights(name, sources)?, recipe.engine.clone())
}

/// What can be trained: weights without an engine, which would take as much memory again.
pub(crate) struct Weights {
    pub base: Arc<Checkpoint>,
    /// The adapter that a run learned, to learn on from.
    pub start: Option<Arc<Adapter>>,
    pub identity: Vec<Input>,
}

impl Weights {
    /// Weights as they are, without an adapter.
    pub fn bare(base: Arc<Checkpoint>) -> Self {
        let identity = vec![Input { path: base.name.clone(), sha256: base.sha256.clone() }];
        Self { base, start: None, identity }
    }
}

/// Weights that lie on this machine, or are fetched.
pub(crate) fn weights(name: &str, sources: &pull::Sources) -> Result<Weights> {
    if is_address(name) {
        return Err(far(name));
    }
    let files = find(name, sources)?;
    let mut weights = Weights::bare(Arc::new(Checkpoint::open(&files.weights)?));
    if let Some(folder) = files.adapter {
        weights.start = Some(Arc::new(Adapter::load(&folder, &weights.base.architecture)?));
        weights.identity.push(input(&folder.join("adapter_model.safetensors"))?);
    }
    Ok(weights)
}

/// A model whose weights are not here.
pub(crate) fn far(name: &str) -> Error {
    Error::Model {
        problem: format!("{name} answers over the network; its weights cannot be trained from here"),
        hint: "give weights (a GGUF file, a Hugging Face folder, an asset's name) to learn".into(),
    }
}

/// A model whose adapter a second one is not learned on top of.
pub(crate) fn adapted(name: &str) -> Error {
    Error::Model {
        problem: format!("{name} already answers through an adapter; a second one is not learned on top of it"),
        hint: format!("merge it first: `lyceum export {name} --to hf --out merged`, then --model merged"),
    }
}

fn is_address(name: &str) -> bool {
    name.starts_with("http://") || name.starts_with("https://")
}

/// The default encoder (all-MiniLM-L6-v2), fetched if need be.
pub fn encoder(sources: &pull::Sources) -> Result<Arc<dyn Embedder>> {
    Ok(Arc::new(encode::Encoder::open(&sources.pull("minilm")?)?))
}

/// Path of the weights, and the adapter's folder where `name` is a run or an adapter.
pub fn locate(name: &str, sources: &pull::Sources) -> Result<(PathBuf, Option<PathBuf>)> {
    find(name, sources).map(|files| (files.weights, files.adapter))
}

fn find(name: &str, sources: &pull::Sources) -> Result<Files> {
    let path = Path::new(name);
    if path.join("recipe.toml").is_file() {
        let recipe = Recipe::load(Some(&path.join("recipe.toml")), &[])?;
        if path.join(PRACTISED_WHOLE).join("config.json").is_file() {
            return Ok(Files { weights: path.join(PRACTISED_WHOLE), adapter: None });
        }
        let base = recipe.practise.learner.as_deref().unwrap_or(&recipe.model);
        let learned = [PRACTISED, ADAPTER].map(|folder| path.join(folder));
        let Some(adapter) = learned.into_iter().find(|folder| folder.join("adapter_model.safetensors").is_file())
        else {
            if path.join("practise/learn/manifest.json").is_file() {
                // Its guard kept the model as it was.
                return find(base, sources);
            }
            return Err(Error::Model {
                problem: format!("run {name} has not learned anything yet"),
                hint: "let it end first: run the same command again with the same --out".into(),
            });
        };
        // A run that started from another run's adapter has learned on from it: its own is the whole change.
        return Ok(Files { adapter: Some(adapter), ..find(base, sources)? });
    }
    if path.exists() {
        return Ok(Files { weights: path.into(), adapter: None });
    }
    if path.extension().is_some() && !name.starts_with("hf:") || name.starts_with(['.', '/']) {
        return Err(Error::Model {
            problem: format!("no such file or folder: {name}"),
            hint: "give a GGUF file, a Hugging Face folder, a run folder, a server's address or an asset's name".into(),
        });
    }
    Ok(Files { weights: sources.pull(name)?, adapter: None })
}

fn remote(addresses: &str, config: &lm_http::Config, cache: &Path) -> Result<Model> {
    let addresses = addresses.split(',').map(|address| address.trim().to_string()).collect();
    // A remote answer is reproduced from its cache: the server promises nothing.
    let cache = config.cache.clone().or_else(|| Some(cache.join("requests")));
    let model = Arc::new(HttpModel::new(lm_http::Config { addresses, cache, ..config.clone() })?);
    let identity = vec![Input { path: model.name().into(), sha256: String::new() }];
    let meter = {
        let model = model.clone();
        Arc::new(move || model.spent().usd)
    };
    Ok(Model { shared: model, adapter: None, start: None, local: None, meter, identity })
}

/// A file as an input of a plan.
pub(crate) fn input(path: &Path) -> Result<Input> {
    Ok(Input { path: path.display().to_string(), sha256: record::shard::sha256_file(path)? })
}
