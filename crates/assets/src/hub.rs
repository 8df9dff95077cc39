//! Fetches models from the Hugging Face hub.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Repo, RepoType};

use crate::cache::{self, Held};
use crate::package::Fetch;
use crate::{Error, Options, Progress, Result};

/// What a name like `hf:owner/repo@revision/file` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) repository: String,
    pub(crate) revision: String,
    pub(crate) file: Option<String>,
}

impl Name {
    /// Reads a name; none if it does not begin with `hf:`.
    pub(crate) fn read(name: &str) -> Option<Result<Self>> {
        let rest = name.strip_prefix("hf:")?;
        let parts: Vec<_> = rest.split('/').collect();
        let plain = |part: &&str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let read = || {
            let (owner, repository) = (parts.first()?, parts.get(1)?);
            let (repository, revision) = repository.split_once('@').unwrap_or((repository, "main"));
            let file = parts.get(2..).filter(|file| !file.is_empty());
            let all = [*owner, repository, revision];
            let whole = all.iter().all(plain) && file.is_none_or(|file| file.iter().all(plain));
            whole.then(|| Self {
                repository: format!("{owner}/{repository}"),
                revision: revision.into(),
                file: file.map(|file| file.join("/")),
            })
        };
        Some(read().ok_or_else(|| Error::HubName { name: name.into() }))
    }

    /// Name of its record in the cache.
    pub(crate) fn record(&self) -> String {
        let file = self.file.as_ref().map(|file| format!("/{file}")).unwrap_or_default();
        format!("hub/{}@{}{file}", self.repository, self.revision).replace('/', "--")
    }
}

/// Path of a hub model in the cache, fetched if it is not there: a GGUF file, or the folder with
/// configuration, tokenizer and safetensors.
pub(crate) fn pull(name: &str, hub: &Name, options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf> {
    if let Some(path) = Held::read(&options.cache, &hub.record()).and_then(|held| held.opened(&options.cache)) {
        return Ok(path);
    }
    if options.offline {
        return Err(Error::Offline { name: name.into() });
    }
    let _lock = cache::lock(options, &hub.record(), progress)?;
    let mut fetch = Fetch { options, total: 0, progress };
    let files = match &hub.file {
        Some(file) => vec![file.clone()],
        None => choose(name, hub, &mut fetch)?,
    };
    let mut paths = Vec::new();
    for file in &files {
        paths.push(fetch_file(&hub.repository, &hub.revision, file, &mut fetch)?);
    }
    // One GGUF is opened itself, of a safetensors model the folder.
    let first = &paths[0];
    let depth = files[0].matches('/').count();
    let opens = if files.len() == 1 { Some(first.as_path()) } else { first.ancestors().nth(depth + 1) };
    let opens = opens.unwrap_or(first).to_path_buf();
    let version = first.ancestors().nth(depth + 1).and_then(Path::file_name).unwrap_or_default();
    let held = Held::new(name, &version.to_string_lossy(), &opens, &paths, &options.cache);
    held.write(&options.cache, &hub.record())?;
    Ok(opens)
}

/// The files of a repository that make up a model: safetensors with what belongs to them, or else
/// its only GGUF.
fn choose(name: &str, hub: &Name, fetch: &mut Fetch) -> Result<Vec<String>> {
    let (origin, file) = (format!("hf:{}", hub.repository), hub.repository.clone());
    let info = watch(&format!("the hub lists {file}"), fetch, {
        let repository = api(&hub.repository, &hub.revision, fetch.options, &origin)?;
        move |_, _| repository.info()
    })?
    .map_err(|e| failure(&origin, "repository", &e))?;
    let all: Vec<String> = info.siblings.into_iter().map(|s| s.rfilename).collect();
    let top: Vec<&String> = all.iter().filter(|file| !file.contains('/')).collect();
    const BESIDE: [&str; 7] = [
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "chat_template.jinja",
        "model.safetensors.index.json",
    ];
    if top.iter().any(|file| file.ends_with(".safetensors")) {
        let belongs = |file: &&&String| file.ends_with(".safetensors") || BESIDE.contains(&file.as_str());
        return Ok(top.iter().filter(belongs).map(ToString::to_string).collect());
    }
    let gguf: Vec<_> = all.iter().filter(|file| file.ends_with(".gguf")).cloned().collect();
    match gguf.len() {
        0 => Err(Error::MissingFile { origin, file: "model (.safetensors or .gguf)".into() }),
        1 => Ok(gguf),
        _ => Err(Error::HubChoice { name: name.into(), files: gguf.join(", ") }),
    }
}

/// Fetches one file into the hub's part of the cache and checks it where the hub states its SHA-256.
pub(crate) fn fetch_file(repository: &str, revision: &str, file: &str, fetch: &mut Fetch) -> Result<PathBuf> {
    let origin = format!("hf:{repository}");
    let handle = api(repository, revision, fetch.options, &origin)?;
    let wanted = file.to_string();
    let path = watch(&format!("the hub sends {file}"), fetch, move |done, total| {
        handle.download_with_progress(&wanted, Count { done, total })
    })?
    .map_err(|e| failure(&origin, file, &e))?;
    // Large files are stored under their SHA-256, small ones under git's own hash of 40 digits.
    let blob = fs::canonicalize(&path).map_err(|e| Error::io("find", &path, e))?;
    let expected = blob.file_name().unwrap_or_default().to_string_lossy().to_string();
    if expected.len() == 64 {
        let actual = record::shard::sha256_file(&blob)?;
        if actual != expected {
            fs::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
            fs::remove_file(&blob).map_err(|e| Error::io("remove", &blob, e))?;
            return Err(Error::WrongHash { file: file.into(), origin, expected, actual });
        }
    }
    Ok(path)
}

fn api(repository: &str, revision: &str, options: &Options, origin: &str) -> Result<ApiRepo> {
    let mut builder = ApiBuilder::from_env()
        .with_cache_dir(cache::hub_folder(&options.cache))
        .with_endpoint(options.hub.trim_end_matches('/').into())
        .with_progress(false)
        .with_retries(3);
    if let Ok(token) = std::env::var("HF_TOKEN") {
        builder = builder.with_token(Some(token));
    }
    let api = builder.build().map_err(|e| failure(origin, "client", &e))?;
    Ok(api.repo(Repo::with_revision(repository.into(), RepoType::Model, revision.into())))
}

fn failure(origin: &str, file: &str, error: &ApiError) -> Error {
    let words = error.to_string();
    if words.contains("404") {
        return Error::MissingFile { origin: origin.into(), file: file.into() };
    }
    let locked = words.contains("401") || words.contains("403");
    let hint = if locked { " (private or gated? put your token into HF_TOKEN)" } else { "" };
    Error::Client { client: "the hub".into(), package: format!("{origin}/{file}"), problem: format!("{words}{hint}") }
}

/// Counts what arrives.
struct Count {
    done: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
}

impl hf_hub::api::Progress for Count {
    fn init(&mut self, size: usize, _: &str) {
        self.total.store(size as u64, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
    }
    fn update(&mut self, size: usize) {
        self.done.fetch_add(size as u64, Ordering::Relaxed);
    }
    fn finish(&mut self) {}
}

/// Runs a blocking request on a thread of its own, tells how far it is, and gives it up when nothing
/// arrives: the hub's client knows no time-out. A thread given up ends with its connection.
fn watch<T: Send + 'static>(
    detail: &str,
    fetch: &mut Fetch,
    work: impl FnOnce(Arc<AtomicU64>, Arc<AtomicU64>) -> T + Send + 'static,
) -> Result<T> {
    let (done, total) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (send, receive) = mpsc::channel();
    let counters = (done.clone(), total.clone());
    std::thread::spawn(move || send.send(work(counters.0, counters.1)));
    let (mut seen, mut moved) = (0, Instant::now());
    loop {
        match receive.recv_timeout(Duration::from_millis(50)) {
            Ok(value) => return Ok(value),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let problem = "its client stopped".to_string();
                return Err(Error::Client { client: "the hub".into(), package: detail.into(), problem });
            }
        }
        let now = done.load(Ordering::Relaxed);
        if now != seen {
            (seen, moved) = (now, Instant::now());
        }
        fetch.total = total.load(Ordering::Relaxed);
        fetch.tell(seen, detail);
        if moved.elapsed() > fetch.options.stall {
            return Err(Error::Stalled { package: detail.into(), seconds: fetch.options.stall.as_secs() });
        }
    }
}
