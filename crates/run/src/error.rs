use std::path::PathBuf;

/// What can go wrong while a recipe is carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The recipe does not parse, or a field is out of range.
    #[error("{}: {problem}", source_name)]
    Recipe {
        /// The recipe's file, or `--set`.
        source_name: String,
        /// What is wrong and where.
        problem: String,
        /// The nearest known key, or what else to do.
        hint: Option<String>,
    },
    /// The run folder is in use by another process.
    #[error("{} is in use by another lyceum process", folder.display())]
    Locked {
        /// The run folder.
        folder: PathBuf,
    },
    /// The run folder cannot be used.
    #[error("cannot {operation} {}: {source}", path.display())]
    Folder {
        /// What was tried.
        operation: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// There is nothing to work on.
    #[error("{problem}")]
    Nothing {
        /// What is missing.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// The user or a budget stopped the run; everything finished is kept.
    #[error("stopped: {0}")]
    Stopped(String),
    /// The model cannot be used for this.
    #[error("{problem}")]
    Model {
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// Records could not be read or written.
    #[error(transparent)]
    Record(#[from] record::Error),
    /// A document could not be read.
    #[error(transparent)]
    Documents(#[from] documents::Error),
    /// Synthesis failed.
    #[error(transparent)]
    Synth(#[from] synth::Error),
    /// Training failed.
    #[error(transparent)]
    Learn(#[from] learn::Error),
    /// The lab's problems could not be made or read.
    #[error(transparent)]
    Tasks(#[from] tasks::Error),
    /// A strategy or a search is not what it should be.
    #[error(transparent)]
    Decode(#[from] decode::Error),
    /// The encoder is damaged.
    #[error(transparent)]
    Encode(#[from] encode::Error),
    /// A bank is damaged, or two exams cannot be compared.
    #[error(transparent)]
    Exam(#[from] exam::Error),
    /// A log cannot be read.
    #[error(transparent)]
    Marks(#[from] marks::Error),
    /// Responses cannot be fitted.
    #[error(transparent)]
    Irt(#[from] irt::Error),
    /// A picture cannot be drawn.
    #[error(transparent)]
    Plot(#[from] plot::Error),
    /// Losses or accuracies cannot be read or fitted.
    #[error(transparent)]
    Scaling(#[from] scaling::Error),
    /// Weights, tokenizer or adapter are damaged.
    #[error(transparent)]
    Weights(#[from] weights::Error),
    /// A named asset could not be had.
    #[error(transparent)]
    Assets(#[from] assets::Error),
    /// A model failed to answer.
    #[error(transparent)]
    Lm(#[from] lm::Error),
    /// The local engine could not start.
    #[error(transparent)]
    Local(#[from] lm_local::Error),
    /// The remote engine could not start.
    #[error(transparent)]
    Http(#[from] lm_http::Error),
}

impl Error {
    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Recipe { hint, .. } => hint.clone(),
            Self::Locked { .. } => Some("wait for it to end, or choose another folder with --out".into()),
            Self::Folder { .. } => Some("choose a folder that you may write to with --out".into()),
            Self::Nothing { hint, .. } | Self::Model { hint, .. } => Some(hint.clone()),
            Self::Exam(exam::Error::Cell { column: "code", .. }) => {
                Some("give the answers and the --seed that the sheet was written with".into())
            }
            Self::Decode(decode::Error::Model { source: lm::Error::Transport { .. }, .. }) => {
                Some("start the server, then run the same command again: finished work is kept".into())
            }
            Self::Stopped(_) => Some("run the same command again: finished work is kept and not repeated".into()),
            Self::Record(record::Error::Io { source, .. })
            | Self::Learn(learn::Error::Record(record::Error::Io { source, .. }))
                if source.kind() == std::io::ErrorKind::StorageFull =>
            {
                Some("free some space and run the same command again: finished work is kept".into())
            }
            Self::Record(record::Error::Io { source, .. })
                if matches!(
                    source.kind(),
                    std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                Some("choose a folder that you may write to with --out".into())
            }
            _ => None,
        }
    }

    /// Exit code of the process: 2 bad input, 3 a model or server, 4 the machine, 130 stopped.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Recipe { .. } | Self::Nothing { .. } | Self::Documents(_) | Self::Exam(_) => 2,
            Self::Marks(_) | Self::Irt(_) | Self::Plot(_) | Self::Scaling(_) => 2,
            Self::Record(record::Error::Line { .. }) | Self::Weights(_) | Self::Synth(_) | Self::Tasks(_) => 2,
            Self::Decode(decode::Error::Model { .. }) => 3,
            Self::Encode(_) | Self::Decode(_) => 2,
            Self::Learn(learn::Error::Data { .. } | learn::Error::Mixed { .. } | learn::Error::Unlearnable { .. }) => 2,
            Self::Model { .. } | Self::Lm(_) | Self::Local(_) | Self::Http(_) | Self::Learn(_) | Self::Assets(_) => 3,
            Self::Locked { .. } | Self::Folder { .. } | Self::Record(_) => 4,
            Self::Stopped(_) => 130,
        }
    }
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;
