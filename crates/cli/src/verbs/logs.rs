use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Evaluation logs, and how they are read.
#[derive(Args)]
pub struct Logs {
    /// Logs of lm-evaluation-harness, Inspect, HELM, OpenCompass, CSV or Parquet, or folders of them
    #[arg(required = true, value_name = "LOGS")]
    pub paths: Vec<PathBuf>,
    /// Metric to take where a log has several
    #[arg(long, value_name = "M")]
    metric: Option<String>,
    /// Answer filter to take where lm-evaluation-harness logged several
    #[arg(long)]
    filter: Option<String>,
    /// The most that an item gives whose log does not say
    #[arg(long)]
    max: Option<f64>,
    /// A broken line or score is an error
    #[arg(long)]
    strict: bool,
    /// What counts when one answer has several scores
    #[arg(long, value_enum, default_value_t = Duplicates::Refuse)]
    duplicates: Duplicates,
}

/// `--duplicates`.
#[derive(Clone, Copy, ValueEnum)]
enum Duplicates {
    /// Contradicting scores are an error
    Refuse,
    /// The first one counts
    First,
    /// Their mean counts
    Mean,
}

impl Logs {
    /// As the room of marks takes them.
    pub fn options(&self) -> marks::Options {
        marks::Options {
            metric: self.metric.clone(),
            filter: self.filter.clone(),
            strict: self.strict,
            duplicates: match self.duplicates {
                Duplicates::Refuse => marks::Duplicates::Refuse,
                Duplicates::First => marks::Duplicates::First,
                Duplicates::Mean => marks::Duplicates::Mean,
            },
            max: self.max,
        }
    }
}
