use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use run::{Recipe, Watch, pull::Sources};

use crate::args::Shared;
use crate::progress::Progress;

/// How long an interrupted run may take to end cleanly.
const GRACE: Duration = Duration::from_secs(10);

/// What every verb works with: the shared flags, resolved; progress; the way to stop.
pub struct Context {
    /// The flags as given.
    pub shared: Shared,
    /// How the run reports, and how it is stopped.
    pub watch: Watch,
    progress: Progress,
}

impl Context {
    /// Sets up progress for terminal, pipe or JSON.
    pub fn new(shared: Shared) -> Self {
        let progress = Progress::new(&shared);
        let deadline = shared.budget.map(|budget| Instant::now() + budget);
        let sink = progress.clone();
        let watch = Watch::new(move |event| sink.show(&event), deadline, shared.token_budget);
        Self { shared, watch, progress }
    }

    /// Where assets come from.
    pub fn sources(&self) -> Sources {
        let options = assets::Options { offline: self.shared.offline, ..assets::Options::default() };
        Sources { options, watch: self.watch.clone() }
    }

    /// The recipe: file, then `--set`, then the other flags.
    pub fn recipe(&self) -> run::Result<Recipe> {
        self.recipe_from(self.shared.recipe.as_deref())
    }

    /// As [`Context::recipe`], from a given file.
    pub fn recipe_from(&self, path: Option<&Path>) -> run::Result<Recipe> {
        let mut recipe = Recipe::load(path, &self.shared.sets)?;
        if let Some(model) = &self.shared.model {
            recipe.model = model.clone();
        }
        if let Some(seed) = self.shared.seed {
            recipe.seed = seed;
        }
        if let Some(threads) = self.shared.threads {
            recipe.engine.threads = threads;
            recipe.learn.threads = threads;
            recipe.practise.learn.threads = threads;
        }
        Ok(recipe)
    }

    /// `--out`, or a folder under `runs/`.
    pub fn out(&self, name: &str) -> PathBuf {
        self.shared.out.clone().unwrap_or_else(|| Path::new("runs").join(name))
    }

    /// Carries a run out. Ctrl-C asks it to end cleanly; what does not end soon (a server that says
    /// nothing) is cut off, and so is everything on a second Ctrl-C: finished work is kept anyway.
    pub fn block_on<T>(&self, work: impl Future<Output = run::Result<T>>) -> anyhow::Result<T> {
        self.ask(async {
            tokio::pin!(work);
            tokio::select! {
                result = &mut work => return result,
                _ = tokio::signal::ctrl_c() => self.watch.stop(),
            }
            eprintln!("\nstopping after the piece in hand; Ctrl-C again ends at once (finished work is kept)");
            tokio::select! {
                result = &mut work => result,
                _ = tokio::signal::ctrl_c() => Err(run::Error::Stopped("interrupted".into())),
                () = tokio::time::sleep(GRACE) => Err(run::Error::Stopped("interrupted".into())),
            }
        })
    }

    /// Waits for an answer; Ctrl-C ends the program as usual.
    pub fn ask<T>(&self, work: impl Future<Output = run::Result<T>>) -> anyhow::Result<T> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let result = runtime.block_on(work);
        // Waiting for a blocked thread (a dead server's name look-up) would hold the user up.
        runtime.shutdown_background();
        Ok(result?)
    }

    /// Prints a result: `json` with `--json`, else `text`.
    pub fn print(&self, json: &impl serde::Serialize, text: impl std::fmt::Display) -> anyhow::Result<()> {
        self.progress.clear();
        if self.shared.json {
            println!("{}", serde_json::to_string(json)?);
        } else {
            println!("{text}");
        }
        Ok(())
    }

    /// Takes progress bars off the terminal.
    pub fn end(&self) {
        self.progress.clear();
    }
}
