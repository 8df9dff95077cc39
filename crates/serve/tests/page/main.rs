//! The page in a real browser, with real keys, against a server that answers as ours does.
//!
//! Skipped, with a line that says so, where no Chromium is installed. Pictures are kept for a look
//! with one's own eyes: target/tmp/page-*.png.

mod browser;
mod fake;
mod ours;
mod tree;

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::fake::{Seen, start};
use crate::tree::{HOSTILE, grow};

const QUESTION: &str = "Anna has 3 boxes with 12 pens each and gives away 7 pens. How many are left?";
const QUICK: Duration = Duration::ZERO;

/// Elements that stick out of the window, those aside that scroll in a ground of their own.
const OUTSIDE: &str = "[...document.querySelectorAll('body *')].filter(e => !e.closest('.ground, .scroll, .hidden, option') \
    && e.getBoundingClientRect().right > innerWidth + .5).map(e => e.tagName + '.' + e.className).join(' ')";

/// Least contrast of a text against what it stands on, over the kinds of text of the tree.
const CONTRAST: &str = r#"(() => {
  const light = color => {
    const [r, g, b] = color.match(/[\d.]+/g).map(n => n / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\)$/.test(c)) return c; } return 'rgb(255,255,255)'; };
  let least = 99;
  for (const kind of ['.node.off .step', '.node.off .fate', '.node .step', '.node.best .step', '.figures', '.sill', '.head .quiet', '.node:not(.off) .mark', '.small', '.main', '.plain']) {
    const e = document.querySelector(kind);
    if (!e) throw new Error(kind);
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
    least = Math.min(least, (Math.max(a, b) + .05) / (Math.min(a, b) + .05));
  }
  return least;
})()"#;

/// Opens the page and waits for its lists of models and strategies.
fn arrive(browser: &mut Browser, address: &str) {
    browser.go(address);
    browser.wait("document.querySelectorAll('#first option').length > 3 && !document.getElementById('go').disabled");
}

/// Types a question and presses Enter.
fn ask(browser: &mut Browser, question: &str) {
    browser.eval("document.getElementById('question').focus(); document.getElementById('question').select()");
    browser.write(question);
    browser.key("Enter");
}

/// Waits until nothing runs any more.
fn done(browser: &mut Browser) {
    browser.wait("!document.getElementById('go').hidden");
}

fn choose(browser: &mut Browser, strategy: &str) {
    browser.eval(&format!(
        "(s => {{ s.value = '{strategy}'; s.dispatchEvent(new Event('change')); }})(document.getElementById('first'))"
    ));
}

fn nodes(browser: &mut Browser) -> u64 {
    browser.eval("document.querySelectorAll('[role=treeitem]').length").as_u64().expect("a number")
}

/// Waits for so many: a tree is drawn with the next frame, which may come after the last answer.
fn drawn(browser: &mut Browser, nodes: u64) {
    browser.wait(&format!("document.querySelectorAll('[role=treeitem]').length === {nodes}"));
}

fn text(browser: &mut Browser, selector: &str) -> String {
    let text = browser.eval(&format!("document.querySelector('{selector}').innerText"));
    text.as_str().expect("a text").to_string()
}

/// An attribute of what has the focus.
fn focused(browser: &mut Browser, attribute: &str) -> String {
    let value = browser.eval(&format!("document.activeElement.getAttribute('{attribute}') ?? ''"));
    value.as_str().expect("a text").to_string()
}

/// JSON with every number as the browser has it: it knows no whole ones.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(values) => values.into_iter().map(plain).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        other => other,
    }
}

#[test]
fn a_tree_of_4_by_4_by_8_is_readable_at_every_width_in_light_and_dark() {
    let Some(mut browser) = Browser::open("widths") else { return };
    let seen = Seen::default();
    let address = start(None, QUICK, &seen);
    for (width, height) in [(360, 780), (768, 1024), (1280, 900)] {
        for (dark, scheme) in [(false, "light"), (true, "dark")] {
            browser.size(width, height, dark);
            arrive(&mut browser, &address);
            ask(&mut browser, QUESTION);
            done(&mut browser);
            browser.wait("document.querySelectorAll('[role=treeitem].best').length === 9");
            drawn(&mut browser, 129);
            let said = text(&mut browser, ".answer");
            assert!(width < 500 || said.contains("document.title='hacked'") || said.contains("pens"), "{said}");
            assert_eq!(browser.eval("document.documentElement.scrollWidth <= innerWidth"), json!(true), "{width}");
            assert_eq!(browser.eval(OUTSIDE), json!(""), "sticks out at {width}");
            // Nothing in the tree lies over anything else, and each step is right of the one before.
            let overlap = "(() => { const boxes = [...document.querySelectorAll('.node')].map(e => [e, e.getBoundingClientRect()]); \
                for (const [a, p] of boxes) for (const [b, q] of boxes) if (a !== b && p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 1 && q.top < p.bottom - 1) return a.dataset.id + '/' + b.dataset.id; return ''; })()";
            assert_eq!(browser.eval(overlap), json!(""));
            assert_eq!(
                browser.eval("new Set([...document.querySelectorAll('.node')].map(e => e.style.left)).size"),
                json!(9)
            );
            assert_eq!(
                browser
                    .eval("document.querySelectorAll('.links path.off')[0].getAttribute('d').split('M').length > 60"),
                json!(true)
            );
            let contrast = browser.eval(CONTRAST).as_f64().expect("a number");
            assert!(contrast >= 4.5, "contrast {contrast} at {width} {scheme}");
            // A mark is a letter, not a colour alone, and what was dropped says why.
            assert_eq!(text(&mut browser, ".node:not(.off) .mark"), "A");
            let why = browser.eval("document.querySelector('.node.off').title");
            assert!(
                ["Its mean log-probability lies below the threshold.", "The draw went to others."]
                    .contains(&why.as_str().expect("why"))
            );
            browser.picture(&format!("page-{width}-{scheme}"));
            browser.eval(
                "document.querySelector('.ground').scrollIntoView(); document.querySelector('.ground').scrollLeft = 0",
            );
            browser.picture(&format!("page-{width}-{scheme}-tree"));
            assert_eq!(browser.console(), Vec::<String>::new());
        }
    }
    assert_eq!(browser.eval("document.title"), json!("Lyceum"), "hostile text ran");
    assert_eq!(browser.eval("document.scripts.length + document.images.length"), json!(1));
    // What was drawn is the hostile text itself.
    let hostile =
        format!("[...document.querySelectorAll('.node')].some(e => e.textContent.includes({}))", json!(HOSTILE));
    assert_eq!(browser.eval(&hostile), json!(true));
    let asked = seen.asked.lock().expect("lock")[0].clone();
    assert_eq!(asked["messages"], json!([{"role": "user", "content": QUESTION}]));
    assert_eq!((&asked["model"], &asked["strategy"], &asked["seed"]), (&json!("pico"), &json!("phi"), &json!(0)));
    assert_eq!((&asked["stream"], &asked["search"], &asked["budget"]), (&json!(true), &json!(true), &Value::Null));
}

#[test]
fn the_tree_is_walked_by_keys_alone() {
    let Some(mut browser) = Browser::open("keys") else { return };
    browser.size(1280, 900, false);
    arrive(&mut browser, &start(None, QUICK, &Seen::default()));
    ask(&mut browser, QUESTION);
    done(&mut browser);
    // One stop of the Tab key leads into the tree, wherever it comes from.
    let mut presses = 0;
    while focused(&mut browser, "role") != "treeitem" {
        browser.key("Tab");
        presses += 1;
        assert!(presses < 40, "the tree cannot be reached");
    }
    assert_eq!((focused(&mut browser, "aria-level").as_str(), focused(&mut browser, "data-id").as_str()), ("1", "0"));
    assert_eq!(browser.eval("getComputedStyle(document.activeElement).outlineStyle"), json!("solid"));
    for level in ["2", "3", "4"] {
        browser.key("ArrowRight");
        assert_eq!(focused(&mut browser, "aria-level"), level);
        assert!(focused(&mut browser, "class").contains("best"), "the way on is the chosen path");
    }
    let deep: u64 = focused(&mut browser, "data-id").parse().expect("an id");
    browser.key("ArrowDown");
    assert_eq!(focused(&mut browser, "data-id"), (deep + 1).to_string());
    browser.key("ArrowUp");
    browser.key("ArrowLeft");
    assert_eq!(focused(&mut browser, "aria-level"), "3");
    browser.key("End");
    assert_eq!(focused(&mut browser, "aria-level"), "9");
    assert!(focused(&mut browser, "aria-label").starts_with("Step 8, candidate "), "a reader is told where it is");
    let inside = "(() => { const a = document.activeElement.getBoundingClientRect(), b = document.querySelector('.ground').getBoundingClientRect(); \
        return a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom; })()";
    assert_eq!(browser.eval(inside), json!(true), "the focus stays in view");
    browser.key("Enter");
    assert_eq!(focused(&mut browser, "class").split(' ').next(), Some("panel"));
    let panel = text(&mut browser, ".panel");
    for part in ["Step 8, candidate", "chosen", "It looked ahead to", "advantage", "Of the same cluster"] {
        assert!(panel.contains(part), "{part}: {panel}");
    }
    browser.key("Escape");
    assert_eq!(focused(&mut browser, "aria-selected"), "true");
    browser.key("Escape");
    assert!(text(&mut browser, ".panel").contains("Rounds"));
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn two_strategies_stand_beside_each_other_and_settings_are_sent() {
    let Some(mut browser) = Browser::open("compare") else { return };
    let seen = Seen::default();
    browser.size(1280, 900, false);
    arrive(&mut browser, &start(None, QUICK, &seen));
    choose(&mut browser, "phi");
    browser.eval("document.getElementById('compare').click(); document.getElementById('more').click()");
    let set = |label: &str, value: &str| {
        format!(
            "(i => {{ i.value = '{value}'; i.dispatchEvent(new Event('input', {{bubbles: true}})); i.dispatchEvent(new Event('change', {{bubbles: true}})); }})\
            ([...document.querySelectorAll('#of-first label, #settings label')].find(l => l.textContent.startsWith('{label}')).querySelector('input, select'))"
        )
    };
    for (label, value) in [
        ("Clustering", "off"),
        ("Beams (M)", "2"),
        ("Seed", "5"),
        ("Budget", "900"),
        ("A step ends", "tokens"),
        ("Tokens a step", "16"),
    ] {
        browser.eval(&set(label, value));
    }
    assert_eq!(text(&mut browser, "#more"), "Settings (2 changed)");
    browser.eval("document.getElementById('more').click()");
    ask(&mut browser, QUESTION);
    done(&mut browser);
    browser.wait("document.querySelectorAll('.pane').length === 2");
    drawn(&mut browser, 129 + 9);
    let place =
        |n: u8, side: &str| format!("document.querySelectorAll('.pane .ground')[{n}].getBoundingClientRect().{side}");
    let apart = format!(
        "{} < {} && Math.abs({} - {}) < 90",
        place(0, "right"),
        place(1, "left"),
        place(0, "top"),
        place(1, "top")
    );
    assert_eq!(browser.eval(&apart), json!(true));
    assert_eq!(browser.eval(OUTSIDE), json!(""));
    browser.picture("page-compare");
    browser.size(360, 780, true);
    browser.wait("document.querySelector('#versus').getBoundingClientRect().width > 0");
    let table = text(&mut browser, "#versus").split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["phi", "self-consistency-8", "answer", "tokens drawn 5,120 640"] {
        assert!(table.contains(part), "{part}");
    }
    assert_eq!(browser.eval("document.documentElement.scrollWidth <= innerWidth"), json!(true));
    assert_eq!(browser.eval(OUTSIDE), json!(""));
    browser.eval("document.querySelector('#versus').scrollIntoView()");
    browser.picture("page-compare-phone");
    let asked = seen.asked.lock().expect("lock").clone();
    assert_eq!(asked.len(), 2);
    let changed = json!({"kind": "phi", "beams": 2, "rollouts": 4, "step_temperature": 0.6, "foresight": true, "clustering": "off"});
    assert_eq!((&asked[0]["strategy"], &asked[1]["strategy"]), (&changed, &json!("self-consistency-8")));
    for body in &asked {
        assert_eq!((&body["seed"], &body["budget"], &body["boundary"]), (&json!(5), &json!(900), &json!("tokens:16")));
    }
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn trees_are_kept_downloaded_opened_and_refused_when_damaged() {
    let Some(mut browser) = Browser::open("files") else { return };
    let address = start(None, QUICK, &Seen::default());
    browser.size(768, 900, false);
    arrive(&mut browser, &address);
    assert_eq!(browser.eval("document.getElementById('past').hidden"), json!(true));
    ask(&mut browser, QUESTION);
    done(&mut browser);
    browser.wait("!document.getElementById('past').hidden");
    // What is downloaded is the record, byte for byte as JSON goes.
    let file = browser.download("document.querySelector('.pane .acts button').click()");
    let saved: Value = serde_json::from_str(&fs::read_to_string(&file).expect("read")).expect("JSON");
    assert_eq!(plain(saved), plain(grow(QUESTION, 4, 4, 8).search));
    // A new visit finds it on the shelf.
    arrive(&mut browser, &address);
    assert_eq!(nodes(&mut browser), 0);
    browser.eval("document.getElementById('past').open = true; document.querySelector('#shelf button').click()");
    browser.wait("document.querySelectorAll('[role=treeitem]').length === 129");
    assert!(text(&mut browser, "#shelf").contains(QUESTION));
    // And a file is opened as well, one or two.
    arrive(&mut browser, &address);
    let other = browser.folder.join("other.json");
    fs::write(&other, grow("Another?", 1, 1, 2).search.to_string()).expect("write");
    browser.pick("#file", &[&file, &other]);
    browser.wait("document.querySelectorAll('[role=treeitem]').length === 129 + 3");
    assert_eq!(browser.eval("document.querySelectorAll('.pane').length"), json!(2));
    browser.eval(&format!(
        "(() => {{ const data = new DataTransfer(); data.items.add(new File([{}], 'dropped.json')); \
         dispatchEvent(new DragEvent('drop', {{dataTransfer: data, cancelable: true}})); }})()",
        json!(grow("Dropped?", 2, 2, 2).search.to_string())
    ));
    browser.wait("document.querySelectorAll('[role=treeitem]').length === 9");
    let whole = grow(QUESTION, 2, 2, 2).search;
    let damaged = |change: &dyn Fn(&mut Value)| {
        let mut search = whole.clone();
        change(&mut search);
        search.to_string()
    };
    let cut = whole.to_string();
    for (content, message) in [
        (cut[..cut.len() / 2].to_string(), "was cut off"),
        ("hello".into(), "is not JSON"),
        ("[1, 2]".into(), "there is no search tree in it"),
        (damaged(&|search| search["schema"] = json!(9)), "schema 9"),
        (damaged(&|search| search["nodes"][3]["parent"] = json!(7)), "hangs on node 7"),
        (damaged(&|search| search["nodes"][2]["id"] = json!(1)), "there twice"),
        (damaged(&|search| search["nodes"][2]["value"] = json!("much")), "a value that is no number"),
        (damaged(&|search| search["chosen"] = json!(99)), "the chosen node is not in the tree"),
    ] {
        let bad = browser.folder.join("bad.json");
        fs::write(&bad, content).expect("write");
        browser.pick("#file", &[&bad]);
        browser.wait(&format!("document.getElementById('notice').innerText.includes({})", json!(message)));
        assert!(text(&mut browser, "#notice").contains("bad.json"));
        assert_eq!(nodes(&mut browser), 9, "the tree that was open stays");
    }
    browser.eval("document.getElementById('clear').click()");
    assert_eq!(browser.eval("document.getElementById('past').hidden && localStorage.length <= 1"), json!(true));
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn what_goes_wrong_is_said_and_a_search_can_be_stopped() {
    let Some(mut browser) = Browser::open("wrong") else { return };
    let seen = Seen::default();
    browser.size(390, 800, false);
    let address = start(Some("secret"), Duration::from_millis(8), &seen);
    browser.go(&address);
    browser.wait("!document.getElementById('token').hidden");
    for (token, told) in [("guess", "does not know this token"), ("secret", "")] {
        browser.eval("document.getElementById('secret').focus()");
        browser.write(token);
        browser.key("Enter");
        browser.wait(&format!("document.getElementById('notice').innerText.includes('{told}') && document.getElementById('go').disabled === {}", !told.is_empty()));
    }
    // The refused tokens are the browser's own lines, and the only ones so far.
    assert!(browser.console().iter().all(|line| line.contains("401")));
    choose(&mut browser, "mcts");
    ask(&mut browser, QUESTION);
    browser.wait("document.getElementById('notice').innerText.includes('budget: must be 1 or more')");
    choose(&mut browser, "beam-4");
    ask(&mut browser, QUESTION);
    browser.wait("document.getElementById('notice').innerText.includes('the engine has stopped')");
    browser.wait("document.querySelectorAll('[role=treeitem]').length > 10");
    choose(&mut browser, "greedy");
    ask(&mut browser, QUESTION);
    browser.wait("document.querySelector('.answer')?.innerText === '29 pens are left.'");
    done(&mut browser);
    drawn(&mut browser, 2);
    choose(&mut browser, "phi");
    ask(&mut browser, QUESTION);
    browser.wait("document.querySelectorAll('[role=treeitem]').length > 20");
    // The focus is on Stop by itself.
    browser.key("Enter");
    browser.wait("document.querySelector('.progress').innerText.startsWith('stopped by you')");
    assert!(nodes(&mut browser) > 20 && nodes(&mut browser) < 129);
    let begun = std::time::Instant::now();
    while *seen.left.lock().expect("lock") == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the server still talks to nobody");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(browser.console().iter().all(|line| line.contains("400")));
    // The console is heard at all.
    browser.eval("console.error('shouted'); document.head.append(Object.assign(document.createElement('style'), {textContent: 'p {}'}))");
    let lines = browser.console();
    assert!(
        lines.iter().any(|line| line.contains("shouted"))
            && lines.iter().any(|line| line.contains("Content Security Policy")),
        "{lines:?}"
    );
}
