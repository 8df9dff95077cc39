//! From what the user calls a model to something that answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lm::{Embedder, LanguageModel, SharedModel};
use lm_http::HttpModel;
use lm_local::LocalModel;
use record::Input;
use weights::{Adapter, Checkpoint};

use crate::{Error, Recipe, Result, pull};

/// Where a run folder keeps what it learned.
pub(crate) const ADAPTER: &str = "learn/adapter";

/// US dollars spent so far; nothing for a local model.
pub(crate) type Meter = Arc<dyn Fn() -> f64 + Send + Sync>;

/// A model that answers, and what it was made of.
pub struct Model {
    /// Answers.
    pub shared: SharedModel,
    /// Name of the adapter that answers go through, or none.
    pub adapter: Option<String>,
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

/// Loads what `name` stands for: a server's address, a run folder, a GGUF file, a Hugging Face
/// folder, or a named asset that is fetched if need be.
///
/// Several addresses of one model are written with commas between them.
pub fn load(name: &str, recipe: &Recipe, sources: &pull::Sources) -> Result<Model> {
    if name.starts_with("http://") || name.starts_with("https://") {
        return remote(name, &recipe.remote, &sources.options.cache);
    }
    let files = find(name, sources)?;
    let checkpoint = Arc::new(Checkpoint::open(&files.weights)?);
    let local = LocalModel::load(&checkpoint, recipe.engine.clone())?;
    let mut identity = vec![Input { path: checkpoint.name.clone(), sha256: checkpoint.sha256.clone() }];
    let mut adapter = None;
    if let Some(folder) = files.adapter {
        local.add_adapter("learned", &Adapter::load(&folder, &checkpoint.architecture)?)?;
        identity.push(input(&folder.join("adapter_model.safetensors"))?);
        adapter = Some("learned".to_string());
    }
    let shared = Arc::new(local.clone());
    Ok(Model { shared, adapter, local: Some((local, checkpoint)), meter: Arc::new(|| 0.0), identity })
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
        let adapter = path.join(ADAPTER);
        if !adapter.join("adapter_model.safetensors").is_file() {
            return Err(Error::Model {
                problem: format!("run {name} has not learned anything yet"),
                hint: "let it end first: run `lyceum evolve` again with the same --out".into(),
            });
        }
        // A run starts from weights, never from another run's adapter (`verbs::base_of`).
        return Ok(Files { adapter: Some(adapter), ..find(&recipe.model, sources)? });
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
    Ok(Model { shared: model, adapter: None, local: None, meter, identity })
}

/// A file as an input of a plan.
pub(crate) fn input(path: &Path) -> Result<Input> {
    Ok(Input { path: path.display().to_string(), sha256: record::shard::sha256_file(path)? })
}
