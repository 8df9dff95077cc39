use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use weights::{Architecture, Checkpoint, Encoding};

/// A folder with a random model and documents, on which `lyceum evolve` takes about a second.
pub struct Setting {
    pub folder: TempDir,
}

impl Setting {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("tempdir");
        let checkpoint = Checkpoint::random(Architecture::tiny(), 7).expect("random model");
        weights::export_gguf(&checkpoint, None, &folder.path().join("tiny.gguf"), Encoding::F32).expect("export");
        let setting = Self { folder };
        for (name, hall) in [("north.md", "North Hall"), ("south.md", "South Hall"), ("east.md", "East Hall")] {
            setting.write(&format!("docs/{name}"), handbook(hall));
        }
        setting
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        fs::write(&path, bytes).expect("write");
        path
    }

    /// The command, in this folder, without the network.
    pub fn lyceum(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lyceum"));
        command.current_dir(self.folder.path()).args(arguments).arg("--offline").stdin(std::process::Stdio::null());
        command
    }

    /// `lyceum evolve docs` into a folder, small enough for a test.
    pub fn evolve(&self, out: &str) -> Command {
        self.lyceum(&[
            "evolve",
            "docs",
            "--model",
            "tiny.gguf",
            "--out",
            out,
            "--set",
            "exam.control=0",
            "--set",
            "exam.shard_items=4",
            "--set",
            "learn.epochs=3",
            "--set",
            "learn.checkpoint_every=2",
            "--set",
            "learn.min_steps=0",
            "--threads",
            "1",
        ])
    }
}

/// Runs to the end.
pub fn run(mut command: Command) -> Output {
    command.output().expect("the binary starts")
}

/// What went to standard error.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The hashes of everything that the stages of a run merged.
pub fn hashes(run: &Path) -> Vec<(String, String)> {
    let mut hashes = Vec::new();
    for stage in ["documents", "facts", "select", "samples", "before", "learn", "after"] {
        let manifest: record::Manifest =
            record::shard::read_json(&run.join(stage).join("manifest.json")).expect("manifest");
        hashes.extend(manifest.outputs.into_iter().map(|output| (output.path, output.sha256)));
    }
    hashes
}

fn handbook(hall: &str) -> String {
    let year = 1900 + hall.len() * 7;
    format!(
        "# {hall}\n\n{hall} was built in {year}. The warden of {hall} is Ilse Brandt. The door code of {hall} is \
         K-{year}. The heating of {hall} is set to 19 °C. The call sign of {hall} is WREN {}.\n\n\
         | Room | Colour | Desks |\n|---|---|---|\n| {hall} Library | blue | 14 |\n| {hall} Kitchen | green | 6 |\n",
        hall.len()
    )
}
