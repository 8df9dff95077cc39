use std::path::PathBuf;

use clap::Args;

use crate::context::Context;

/// Shows what a run proved: a summary here, and the page to open in a browser.
#[derive(Args)]
#[command(after_help = "Example:  lyceum report runs/handbook")]
pub struct Arguments {
    /// Run folder
    run: PathBuf,
}

/// Draws the report again from the run's records and prints its summary.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let (report, page) = run::open_report(&arguments.run)?;
    context.print(&report, format!("{}\n\nreport: {}", report::text(&report), page.display()))
}
