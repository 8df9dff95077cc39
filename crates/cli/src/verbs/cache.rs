use clap::{Args, Subcommand};

use crate::context::Context;

/// Lists or cleans what was fetched.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum cache list\n           lyceum cache clean smollm2-135m")]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

/// What to do with the cache.
#[derive(Subcommand)]
enum Action {
    /// What is there, and how large
    List,
    /// Remove assets; all of them without a name
    Clean {
        /// Names of assets
        names: Vec<String>,
    },
}

/// Lists or cleans.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let options = context.sources().options;
    match &arguments.action {
        Action::List => {
            let entries = assets::cached(&options)?;
            let mut text: Vec<_> = entries
                .iter()
                .map(|entry| {
                    format!("{:<24} {:>7} MB  {}", entry.name, entry.bytes.div_ceil(1_000_000), entry.path.display())
                })
                .collect();
            if text.is_empty() {
                text.push(format!("nothing in {}", options.cache.display()));
            }
            context.print(&entries, text.join("\n"))
        }
        Action::Clean { names } => {
            let freed = assets::clean(&options, names)?;
            context
                .print(&serde_json::json!({ "freed_bytes": freed }), format!("freed {} MB", freed.div_ceil(1_000_000)))
        }
    }
}
