//! The page in a real browser: nothing logged, nothing requested, nothing wider than the screen.
//!
//! Skipped, with a line that says so, where no Chromium is installed.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::sample::report;

/// Widths at which the page is laid out: small phone, phone, tablet, desktop.
const WIDTHS: [u32; 4] = [360, 390, 768, 1280];

/// Lays the page out in frames of each width, opens every fold, and writes what it finds into its
/// own body: one line a width, then `done`.
const HARNESS: &str = r#"<!doctype html><meta charset="utf-8"><body><pre id="found"></pre><script>
const widths = WIDTHS, found = document.getElementById('found');
let left = widths.length;
for (const width of widths) {
  const frame = document.createElement('iframe');
  frame.style = `width:${width}px;height:900px;border:0`;
  frame.onload = () => {
    const page = frame.contentDocument, root = page.documentElement;
    page.querySelectorAll('details').forEach(fold => fold.open = true);
    const wide = [...page.querySelectorAll('body *')].filter(e => !e.closest('.scroll, svg') && e.getBoundingClientRect().right > width + 0.5);
    found.textContent += `width ${width} scroll ${root.scrollWidth} client ${root.clientWidth} scripts ${page.scripts.length} images ${page.images.length} title ${page.title} wide ${wide.map(e => e.tagName + '.' + e.getAttribute('class')).slice(0, 5).join(' ')}\n`;
    if (--left == 0) found.textContent += 'done\n';
  };
  frame.src = 'PAGE';
  document.body.append(frame);
}
</script>"#;

fn chromium() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"].into_iter().find(|name| {
        Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    })
}

/// Hosts that Chromium itself calls at a start, in spite of all flags against it. A page without a
/// single address in it (a test of the text holds that) cannot be behind a call to them.
const OWN: [&str; 3] = [".google.com", ".googleapis.com", ".gvt1.com"];

/// What a visit to a page left behind.
struct Visit {
    /// The document as it stands after all scripts.
    dom: String,
    /// Lines that pages wrote to the console.
    console: Vec<String>,
    /// First lines of requests that reached the proxy, the only way out.
    requests: Vec<String>,
}

fn visit(browser: &str, page: &Path, profile: &Path) -> Visit {
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = proxy.local_addr().expect("address");
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = requests.clone();
    std::thread::spawn(move || {
        for stream in proxy.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            let mut head = [0u8; 2048];
            let length = stream.read(&mut head).unwrap_or(0);
            let line = String::from_utf8_lossy(&head[..length]).lines().next().unwrap_or_default().to_string();
            seen.lock().expect("lock").push(line);
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
        ])
        .args(["--disable-default-apps", "--disable-domain-reliability", "--disable-client-side-phishing-detection"])
        .args(["--allow-file-access-from-files", "--enable-logging=stderr", "--virtual-time-budget=8000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--proxy-server=http://{address}"))
        .arg("--proxy-bypass-list=<-loopback>")
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser runs");
    let log = String::from_utf8_lossy(&output.stderr);
    let console = log.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_string).collect();
    let own = |line: &String| {
        let host = line.split(' ').nth(1).unwrap_or_default().trim_start_matches("http://");
        let host = host.split(['/', ':']).next().unwrap_or_default();
        OWN.iter().any(|suffix| host.ends_with(suffix))
    };
    let requests = requests.lock().expect("lock").iter().filter(|line| !own(line)).cloned().collect();
    Visit { dom: String::from_utf8_lossy(&output.stdout).into_owned(), console, requests }
}

/// Writes the page and a harness around it, and visits the harness.
fn measure(browser: &str, html: &str) -> Visit {
    let folder = tempfile::tempdir().expect("tempdir");
    let page = folder.path().join("report.html");
    let harness = folder.path().join("harness.html");
    fs::write(&page, html).expect("write");
    let widths = format!("{WIDTHS:?}");
    fs::write(&harness, HARNESS.replace("WIDTHS", &widths).replace("PAGE", "report.html")).expect("write");
    visit(browser, &harness, &folder.path().join("profile"))
}

fn found(visit: &Visit) -> Vec<String> {
    let text = visit.dom.split("<pre id=\"found\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let lines: Vec<String> = text.unwrap_or_default().lines().map(str::to_string).collect();
    assert_eq!(lines.last().map(String::as_str), Some("done"), "the harness did not finish: {}", visit.dom);
    lines[..lines.len() - 1].to_vec()
}

#[test]
fn the_page_is_quiet_stays_home_and_fits_every_screen() {
    let Some(browser) = chromium() else {
        println!("skipped: no Chromium is installed (on Debian: apt-get install chromium)");
        return;
    };
    check(browser, "report", "Station handbook — report", &report::render(&report()));
}

#[test]
fn a_sheet_is_quiet_and_fits_every_screen() {
    let Some(browser) = chromium() else {
        println!("skipped: no Chromium is installed (on Debian: apt-get install chromium)");
        return;
    };
    check(browser, "sheet", "Hall exam", &report::sheet_page(&crate::sheet::sheet()));
}

fn check(browser: &str, name: &str, title: &str, page: &str) {
    // Kept for a look with one's own eyes: target/tmp/report.html.
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.html")), page).expect("write");
    let visit = measure(browser, page);
    assert_eq!(visit.console, Vec::<String>::new());
    assert_eq!(visit.requests, Vec::<String>::new());
    let lines = found(&visit);
    assert_eq!(lines.len(), WIDTHS.len());
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[3], words[1], "wider than the screen: {line}");
        assert!(line.contains(&format!("scripts 0 images 0 title {title} wide")), "{line}");
        assert!(line.trim_end().ends_with("wide"), "sticks out: {line}");
    }
}

/// The measurement itself must be able to fail.
#[test]
fn a_page_that_misbehaves_is_caught() {
    let Some(browser) = chromium() else {
        println!("skipped: no Chromium is installed (on Debian: apt-get install chromium)");
        return;
    };
    let page = "<!doctype html><title>x</title><p style='width:900px'>wide</p><img src='http://leak.example/pixel'>\
                <script>console.error('shouted')</script>";
    let visit = measure(browser, page);
    assert!(visit.console.iter().any(|line| line.contains("shouted")), "{:?}", visit.console);
    assert!(visit.requests.iter().any(|line| line.contains("leak.example")), "{:?}", visit.requests);
    let lines = found(&visit);
    assert!(lines.iter().any(|line| line.starts_with("width 390 scroll 9")), "{lines:?}");
}
