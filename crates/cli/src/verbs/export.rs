use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::context::Context;

/// Writes what a run learned in the form that other tools read.
#[derive(Args)]
#[command(
    after_help = "Examples:  lyceum export runs/handbook --to gguf --out handbook.gguf   (llama.cpp)\n           \
                        lyceum export smollm2-135m --to gguf --encoding q8_0 --out eight.gguf\n           \
                        lyceum export runs/handbook --to hf --out handbook/         (transformers)\n           \
                        lyceum export runs/handbook --to peft --out adapter/        (peft)"
)]
pub struct Arguments {
    /// Run folder, or any model for gguf and hf
    run: String,
    /// Form
    #[arg(long, value_enum)]
    to: Form,
    /// How a GGUF file holds matrices
    #[arg(long, value_enum, default_value = "f16")]
    encoding: Encoding,
}

/// How matrices are written.
#[derive(Clone, Copy, ValueEnum)]
enum Encoding {
    /// 4 bytes a weight, exact
    F32,
    /// 2 bytes a weight
    F16,
    /// 34 bytes for 32 weights
    #[value(name = "q8_0")]
    Q8_0,
}

/// A form of weights.
#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// One file for llama.cpp, the adapter merged in
    Gguf,
    /// A folder for transformers, the adapter merged in
    Hf,
    /// The adapter alone
    Peft,
}

/// Exports.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let (weights, adapter) = run::models::locate(&arguments.run, &context.sources())?;
    let checkpoint = weights::Checkpoint::open(&weights).map_err(run::Error::from)?;
    let adapter = adapter.map(|folder| weights::Adapter::load(&folder, &checkpoint.architecture)).transpose()?;
    let default = match arguments.to {
        Form::Gguf => "model.gguf",
        Form::Hf => "model",
        Form::Peft => "adapter",
    };
    let out = context.shared.out.clone().unwrap_or_else(|| PathBuf::from(default));
    let encoding = match arguments.encoding {
        Encoding::F32 => weights::Encoding::F32,
        Encoding::F16 => weights::Encoding::F16,
        Encoding::Q8_0 => weights::Encoding::Q8_0,
    };
    match (arguments.to, &adapter) {
        (Form::Gguf, _) => weights::export_gguf(&checkpoint, adapter.as_ref(), &out, encoding)?,
        (Form::Hf, _) => weights::export_hf(&checkpoint, adapter.as_ref(), &out)?,
        (Form::Peft, Some(adapter)) => adapter.save(&out)?,
        (Form::Peft, None) => anyhow::bail!("{} has no adapter to export", arguments.run),
    }
    context.print(&serde_json::json!({ "out": out }), format!("wrote {}", out.display()))
}
