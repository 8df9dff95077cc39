//! A real Chromium, spoken to over a pair of pipes: keys, files and sizes as a person has them.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(90);

/// A page in a browser that nobody sees.
pub struct Browser {
    child: Child,
    to: File,
    from: Receiver<Value>,
    session: Option<String>,
    calls: u64,
    console: Vec<String>,
    /// A folder of its own: profile and downloads.
    pub folder: PathBuf,
}

fn chromium() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"].into_iter().find(|name| {
        let status = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    })
}

impl Browser {
    /// A browser with an empty page, or none, with a line that says so, where no Chromium is installed.
    pub fn open(name: &str) -> Option<Self> {
        let Some(program) = chromium() else {
            println!("skipped: no Chromium is installed (on Debian: apt-get install chromium)");
            return None;
        };
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        let (there, back) = (folder.join("there"), folder.join("back"));
        let pipes = Command::new("mkfifo").args([&there, &back]).status();
        assert!(pipes.is_ok_and(|status| status.success()), "mkfifo");
        // The shell puts the pipes where Chromium looks for them.
        let child = Command::new("sh")
            .args(["-c", r#"exec 3<"$1" 4>"$2"; shift 2; exec "$@""#, "sh"])
            .args([&there, &back])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update", "--lang=en-US"])
            .args(["--disable-sync", "--disable-extensions", "--disable-default-apps", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser starts");
        let to = OpenOptions::new().write(true).open(there).expect("a pipe there");
        let mut lines = BufReader::new(File::open(back).expect("a pipe back"));
        let (send, from) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while lines.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                message.pop();
                let value = serde_json::from_slice(&message).expect("the browser speaks JSON");
                message.clear();
                if send.send(value).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self { child, to, from, session: None, calls: 0, console: Vec::new(), folder };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let session = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = session["sessionId"].as_str().map(str::to_string);
        for domain in ["Page", "Runtime", "Log", "DOM"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).expect("the browser listens");
        loop {
            let answer = self.from.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{method}: no answer"));
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            match answer["method"].as_str() {
                Some("Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded") => {
                    self.console.push(answer["params"].to_string());
                }
                Some("Page.javascriptDialogOpening") => panic!("a dialog opened: {answer}"),
                _ => {}
            }
        }
    }

    /// What pages wrote to the console since the last look, refused policies and failed loads too.
    pub fn console(&mut self) -> Vec<String> {
        self.eval("1");
        std::mem::take(&mut self.console)
    }

    /// The value of an expression in the page.
    pub fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub fn wait(&mut self, expression: &str) {
        let begun = Instant::now();
        while self.eval(expression) != json!(true) {
            if begun.elapsed() > PATIENCE {
                let page = self.eval("document.body.innerText.slice(0, 1500)");
                panic!("never true: {expression}\n{page}\n{:?}", self.console);
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Opens an address and waits until the page has its lists.
    pub fn go(&mut self, address: &str) {
        self.call("Page.navigate", json!({"url": address}));
        self.wait(&format!("location.href === '{address}' && document.readyState === 'complete'"));
    }

    /// Width and height of the window, and whether the person likes it dark.
    pub fn size(&mut self, width: u32, height: u32, dark: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Presses a key.
    pub fn key(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => panic!("{key} is on no keyboard here"),
        };
        let text = if key == "Enter" { json!("\r") } else { Value::Null };
        let mut down = json!({"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code});
        if !text.is_null() {
            down["text"] = text;
        }
        self.call("Input.dispatchKeyEvent", down);
        self.call(
            "Input.dispatchKeyEvent",
            json!({"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code}),
        );
    }

    /// Types into whatever has the focus.
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Picks files in an input of files.
    pub fn pick(&mut self, selector: &str, files: &[&Path]) {
        let root = self.call("DOM.getDocument", json!({}))["root"]["nodeId"].clone();
        let node = self.call("DOM.querySelector", json!({"nodeId": root, "selector": selector}))["nodeId"].clone();
        self.call("DOM.setFileInputFiles", json!({"nodeId": node, "files": files}));
    }

    /// Clicks a download and returns the file, when it is whole.
    pub fn download(&mut self, click: &str) -> PathBuf {
        let folder = self.folder.join("downloads");
        fs::create_dir_all(&folder).expect("a folder");
        self.call("Page.setDownloadBehavior", json!({"behavior": "allow", "downloadPath": folder}));
        self.eval(click);
        let begun = Instant::now();
        loop {
            let files = fs::read_dir(&folder).expect("a folder").filter_map(|entry| entry.ok().map(|e| e.path()));
            if let Some(file) = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "json")) {
                return file;
            }
            assert!(begun.elapsed() < PATIENCE, "no download came");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Keeps a picture for a look with one's own eyes: target/tmp/NAME.png.
    pub fn picture(&mut self, name: &str) {
        let data = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let bytes = base64(data["data"].as_str().expect("a picture"));
        assert!(bytes.starts_with(b"\x89PNG"));
        fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png")), bytes).expect("write");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to close, it takes its helpers with it; killed, it might leave them.
        let close = json!({"id": 0, "method": "Browser.close"});
        let _ = self.to.write_all(format!("{close}\0").as_bytes());
        for _ in 0..100 {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}
