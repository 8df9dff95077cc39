use clap::{Args, CommandFactory};

use crate::args::Cli;

/// Prints a completion script for your shell.
#[derive(Args)]
#[command(after_help = "Example:  lyceum completions bash > ~/.local/share/bash-completion/completions/lyceum")]
pub struct Arguments {
    /// bash, zsh, fish, elvish or powershell
    shell: clap_complete::Shell,
}

/// Prints the script.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    clap_complete::generate(arguments.shell, &mut Cli::command(), "lyceum", &mut std::io::stdout());
    Ok(())
}
