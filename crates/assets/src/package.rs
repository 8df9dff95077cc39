//! Fetches packages through their ordinary clients. Nothing is installed and no code of a package runs.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Error, Options, Progress, Result};

/// A fetch under way: what is fetched, how much it is, and who hears of it.
pub(crate) struct Fetch<'a> {
    /// How to fetch.
    pub(crate) options: &'a Options,
    /// Bytes to expect, about.
    pub(crate) total: u64,
    /// Told now and then.
    pub(crate) progress: &'a mut dyn FnMut(Progress),
}

impl Fetch<'_> {
    /// Tells how far it is.
    pub(crate) fn tell(&mut self, done: u64, detail: &str) {
        (self.progress)(Progress { done, total: self.total, detail: detail.into() });
    }
}

/// How a client ended.
enum End {
    Well,
    Missing,
    Badly(String),
}

/// Has pip download one wheel into `folder` and returns the archive.
pub(crate) fn wheel(package: &str, version: &str, folder: &Path, fetch: &mut Fetch) -> Result<PathBuf> {
    let exact = format!("{package}=={version}");
    let problem = |client: &str, problem| Error::Client { client: client.into(), package: exact.clone(), problem };
    for words in &fetch.options.clients.pip {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["download", "--no-deps", "--no-cache-dir", "--no-input", "--progress-bar=off"]);
        // A source package would run its own code to be built; and a package that is only opened needs
        // no Python of a certain version.
        command.args(["--only-binary=:all:", "--ignore-requires-python", "--disable-pip-version-check", "--dest"]);
        command.arg(folder).arg(&exact).env("TMPDIR", folder);
        match run(&mut command, folder, &format!("pip fetches {exact}"), fetch)? {
            End::Well => {
                return find(folder, "whl")?.ok_or_else(|| problem("pip", "it left no wheel behind".into()));
            }
            End::Missing => {}
            End::Badly(words) if words.contains("No module named pip") => {}
            End::Badly(words) => return Err(problem("pip", words)),
        }
    }
    Err(Error::MissingClient {
        program: "pip".into(),
        purpose: format!("fetches {exact}"),
        hint: "install Python with pip (Debian: apt install python3-pip)".into(),
    })
}

/// Has apt download one package into `folder` and returns the archive.
pub(crate) fn debian(package: &str, elsewhere: &str, folder: &Path, fetch: &mut Fetch) -> Result<PathBuf> {
    let apt = fetch.options.clients.apt.clone();
    let get = |words: &[&str]| {
        let mut command = Command::new(&apt[0]);
        // Root's apt would change to a user who cannot write into our folder.
        command.args(&apt[1..]).args(["-q", "-o", "APT::Sandbox::User=root"]).args(words).current_dir(folder);
        command
    };
    let detail = format!("apt fetches {package}");
    let mut end = run(&mut get(&["download", package]), folder, &detail, fetch)?;
    if let End::Badly(_) = end {
        // A fresh system knows no packages yet, and an old list names versions that are gone.
        run(&mut get(&["update"]), folder, "apt updates its list of packages", fetch)?;
        end = run(&mut get(&["download", package]), folder, &detail, fetch)?;
    }
    let problem = |problem| Error::Client { client: "apt-get".into(), package: package.into(), problem };
    match end {
        End::Well => find(folder, "deb")?.ok_or_else(|| problem("it left no package behind".into())),
        End::Badly(words) => Err(problem(format!("{words} (is the list of packages old? run apt-get update)"))),
        End::Missing => Err(Error::MissingClient {
            program: "apt-get".into(),
            purpose: format!("fetches {package}"),
            hint: elsewhere.into(),
        }),
    }
}

/// Unpacks a Debian package to `folder`, without installing it, and returns its version.
pub(crate) fn unpack_debian(archive: &Path, folder: &Path, fetch: &mut Fetch) -> Result<String> {
    let dpkg = fetch.options.clients.dpkg.clone();
    let failed = |problem: String| Error::Archive { path: archive.into(), problem };
    let output = |words: &[&str], last: Option<&Path>| {
        let mut command = Command::new(&dpkg[0]);
        command.args(&dpkg[1..]).arg(words[0]).arg(archive).args(&words[1..]).args(last).stdin(Stdio::null());
        let output = command.output().map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::MissingClient {
                program: "dpkg-deb".into(),
                purpose: "unpacks Debian packages".into(),
                hint: "unpack the package elsewhere and give the folder with --from".into(),
            },
            _ => Error::io("run", &dpkg[0], e),
        })?;
        if !output.status.success() {
            return Err(failed(last_words(&String::from_utf8_lossy(&output.stderr))));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    output(&["--extract"], Some(folder))?;
    output(&["--field", "Version"], None)
}

/// Runs a client without standard input, tells of the bytes that arrive in `folder`, and gives it up
/// when none do.
fn run(command: &mut Command, folder: &Path, detail: &str, fetch: &mut Fetch) -> Result<End> {
    let words = folder.join("client.txt");
    let log = File::create(&words).map_err(|e| Error::io("write", &words, e))?;
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
    let mut child = match spawned {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(End::Missing),
        other => other.map_err(|e| Error::io("run", command.get_program(), e))?,
    };
    let (mut seen, mut moved) = (0, Instant::now());
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|e| Error::io("wait for", command.get_program(), e))? {
            break status;
        }
        let arrived = largest(folder);
        if arrived != seen {
            (seen, moved) = (arrived, Instant::now());
        }
        fetch.tell(seen, detail);
        if moved.elapsed() > fetch.options.stall {
            // It may have ended by itself in this moment, so a failure to end it means nothing.
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::Stalled { package: detail.into(), seconds: fetch.options.stall.as_secs() });
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let text = fs::read_to_string(&words).unwrap_or_default();
    Ok(if status.success() { End::Well } else { End::Badly(last_words(&text)) })
}

/// Size of the largest file below a folder: the client writes the archive to a temporary folder of
/// its own first, and may then copy it.
fn largest(folder: &Path) -> u64 {
    let files = crate::archive::files_below(folder).unwrap_or_default();
    files.iter().filter_map(|path| path.metadata().ok()).map(|m| m.len()).max().unwrap_or(0)
}

fn find(folder: &Path, extension: &str) -> Result<Option<PathBuf>> {
    Ok(crate::archive::files_below(folder)?.into_iter().find(|path| path.extension().is_some_and(|e| e == extension)))
}

/// The last lines that say something, in one.
fn last_words(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.len() {
        0 => "it gave no reason".into(),
        n => lines[n.saturating_sub(3)..].join(" / "),
    }
}
