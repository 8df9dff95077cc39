/// What can keep the server from starting or running. What a request does wrong is answered to its
/// sender and is no error of the server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is out of its range.
    #[error("setting {field} {problem}")]
    Config {
        /// The setting.
        field: &'static str,
        /// What is wrong with it and which values are allowed.
        problem: String,
    },
    /// Other machines could reach the server and nothing would keep them out.
    #[error("{address} can be reached by other machines; set a token or listen on 127.0.0.1")]
    Open {
        /// Where it would listen.
        address: std::net::SocketAddr,
    },
    /// No model, or two of one name.
    #[error("models: {0}")]
    Models(String),
    /// The operating system refused.
    #[error("cannot {operation}: {source}")]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The system's words.
        source: std::io::Error,
    },
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;
