use std::net::IpAddr;
use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use serve::{Entry, Models, Token};

use crate::context::Context;

/// Environment variable with the token that clients must show.
const TOKEN: &str = "LYCEUM_TOKEN";

/// Serves models over HTTP: the API that OpenAI's clients speak, and a page at / that shows a search
/// while it grows. A strategy is part of the model's name: smollm2-135m:phi.
///
/// On 127.0.0.1 there is no token unless LYCEUM_TOKEN holds one; on any other address there always
/// is: that one, or one that is made up and printed once. Ctrl-C lets running requests finish.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum serve --port 8000\n           \
                        lyceum serve --model runs/handbook --also base=smollm2-135m\n           \
                        lyceum serve --model http://127.0.0.1:8080    adds search to another server\n\n\
                        Then:      curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' \\\n             \
                        -d '{\"model\": \"smollm2-135m:phi\", \"messages\": [{\"role\": \"user\", \"content\": \"What is 17 + 25?\"}]}'")]
pub struct Arguments {
    /// Port; 0 takes a free one
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Address to listen on; 0.0.0.0 is all of this machine's
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Name of the model that clients ask for; made from --model if absent
    #[arg(long)]
    name: Option<String>,
    /// One more model under a name of its own; repeatable
    #[arg(long, value_name = "NAME=MODEL", value_parser = named)]
    also: Vec<(String, String)>,
    /// Fetch the encoder (all-MiniLM-L6-v2) if it is not here: for /v1/embeddings, and for clusters by meaning
    #[arg(long)]
    encoder: bool,
    /// Requests that are worked on at once
    #[arg(long, default_value_t = serve::Config::default().concurrent)]
    concurrent: usize,
    /// Requests that may wait; more are refused with status 429
    #[arg(long, default_value_t = serve::Config::default().queue)]
    queue: usize,
    /// Seconds for one answer
    #[arg(long, default_value_t = serve::Config::default().request_seconds)]
    request_seconds: f64,
    /// Seconds that running requests get to finish at the end
    #[arg(long, default_value_t = serve::Config::default().grace_seconds)]
    grace_seconds: f64,
    /// Largest max_tokens of a request
    #[arg(long, default_value_t = serve::Config::default().max_tokens)]
    max_tokens: usize,
}

/// What is printed once the port is open.
#[derive(serde::Serialize)]
struct Started {
    address: String,
    models: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// Serves until Ctrl-C or a termination signal.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let recipe = context.recipe()?;
    let sources = context.sources();
    let name = arguments.name.clone().unwrap_or_else(|| name_of(&recipe.model));
    let mut models = Models::default();
    for (id, model) in [(name, recipe.model.clone())].iter().chain(&arguments.also) {
        let loaded = run::models::load(model, &recipe, &sources)?;
        models.entries.push(Entry { id: id.clone(), model: loaded.shared, adapter: loaded.adapter });
    }
    models.embedder = encoder(arguments, context)?;
    let given = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
    let made = (given.is_none() && !arguments.host.is_loopback()).then(fresh_token).transpose()?;
    let config = serve::Config {
        token: given.or_else(|| made.clone()).map(Token),
        concurrent: arguments.concurrent,
        queue: arguments.queue,
        request_seconds: arguments.request_seconds,
        grace_seconds: arguments.grace_seconds,
        max_tokens: arguments.max_tokens,
        seed: recipe.seed,
        ..serve::Config::default()
    };
    context.end();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let deadline = context.shared.budget;
    let served = runtime.block_on(async {
        let address = (arguments.host, arguments.port);
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {}:{}", arguments.host, arguments.port))?;
        let address = format!("http://{}", listener.local_addr()?);
        let models_served: Vec<_> = models.entries.iter().map(|entry| entry.id.clone()).collect();
        let token = made.as_ref().map(|token| format!("\ntoken, shown once: {token}")).unwrap_or_default();
        let text = format!("serving {} at {address}/ — Ctrl-C ends{token}", models_served.join(", "));
        context.print(&Started { address, models: models_served, token: made.clone() }, text)?;
        Ok::<_, anyhow::Error>(serve::serve(listener, models, config, stop(deadline)).await?)
    });
    // A search that was cut off may still hold a thread; the process ends all the same.
    runtime.shutdown_background();
    served
}

/// The encoder, if it is asked for or on this machine already.
fn encoder(arguments: &Arguments, context: &Context) -> run::Result<Option<std::sync::Arc<dyn lm::Embedder>>> {
    let mut sources = context.sources();
    if arguments.encoder {
        return run::models::encoder(&sources).map(Some);
    }
    sources.options.offline = true;
    Ok(run::models::encoder(&sources).ok())
}

/// Ready at Ctrl-C, a termination signal or the end of `--budget`. A further Ctrl-C ends the process at once.
async fn stop(budget: Option<std::time::Duration>) {
    match budget {
        Some(budget) => drop(tokio::time::timeout(budget, signal()).await),
        None => signal().await,
    }
    eprintln!("stopping: running requests may finish; Ctrl-C ends at once");
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
}

async fn signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
            let _ = interrupt.await;
            return;
        };
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = interrupt.await;
}

/// 32 bytes of the system's randomness, in hex: a secret, so nothing that a seed could give again.
fn fresh_token() -> anyhow::Result<String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).context("cannot get random bytes for a token; set LYCEUM_TOKEN")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Reads `NAME=MODEL`.
fn named(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, model)) if !name.is_empty() && !model.is_empty() => Ok((name.into(), model.into())),
        _ => Err("write NAME=MODEL, e.g. base=smollm2-135m".into()),
    }
}

/// What clients call a model: an asset by its name, files and folders by theirs, a server's model by
/// the address's fragment or else by the host.
fn name_of(model: &str) -> String {
    if let Some((_, address)) = model.split_once("://") {
        let first = address.split(',').next().unwrap_or(address);
        let host = first.split(['/', '#']).next().unwrap_or(first);
        let host = host.rsplit('@').next().unwrap_or(host);
        let fragment = first.split_once('#').map(|(_, name)| name);
        return fragment.unwrap_or(host).to_string();
    }
    let path = Path::new(model);
    let name = if path.is_file() { path.file_stem() } else { path.file_name() };
    name.and_then(|name| name.to_str()).unwrap_or(model).trim_start_matches("hf:").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_shows_neither_folder_nor_password() {
        for (model, name) in [
            ("smollm2-135m", "smollm2-135m"),
            ("runs/handbook", "handbook"),
            ("runs/handbook/", "handbook"),
            ("http://127.0.0.1:8080/v1", "127.0.0.1:8080"),
            ("https://me:hush@host/v1#qwen", "qwen"),
            ("https://me:hush@host/v1", "host"),
            ("hf:org/model", "model"),
        ] {
            assert_eq!(name_of(model), name, "{model}");
        }
        assert_eq!(named("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(named("a").is_err() && named("=b").is_err());
    }
}
