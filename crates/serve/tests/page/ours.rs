//! The page against the true server, in front of a small random model.

use std::fs;
use std::sync::Arc;

use decode::Search;
use lm_local::LocalModel;
use serde_json::json;
use serve::{Config, Entry, Models, Token};
use tokio::net::TcpListener;
use weights::{Architecture, Checkpoint};

use crate::browser::Browser;
use crate::{QUESTION, arrive, ask, choose, done, nodes, text};

/// Serves the model for as long as the test runs.
fn start(config: Config) -> String {
    let architecture = Architecture { context: 4096, ..Architecture::tiny() };
    let checkpoint = Checkpoint::random(architecture, 7).expect("a random model");
    let settings = lm_local::Config { memory_mb: 64, ..lm_local::Config::default() };
    let model = LocalModel::load(&checkpoint, settings).expect("loads");
    let entries = vec![Entry { id: "tiny".into(), model: Arc::new(model), adapter: None }];
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            send.send(listener.local_addr().expect("an address")).expect("someone waits");
            let models = Models { entries, embedder: None };
            serve::serve(listener, models, config, std::future::pending()).await.expect("serves");
        });
    });
    format!("http://{}/", receive.recv().expect("a server"))
}

fn set(browser: &mut Browser, id: &str, value: &str) {
    browser.eval(&format!(
        "(field => {{ field.value = '{value}'; field.dispatchEvent(new Event('change')); }})(document.getElementById('{id}'))"
    ));
}

#[test]
fn what_the_server_searches_is_what_the_page_shows_and_saves() {
    let Some(mut browser) = Browser::open("ours") else { return };
    browser.size(1280, 900, false);
    let address = start(Config::default());
    arrive(&mut browser, &address);
    assert_eq!(browser.eval("[...document.querySelectorAll('#model option')].map(o => o.value).join()"), json!("tiny"));
    let names = browser.eval("[...document.querySelectorAll('#first option')].map(o => o.value).join()");
    // Neither a scorer nor an encoder is given here, so the server leaves out what needs them.
    let needs = |name: &String| name.ends_with("-scorer") || name.ends_with("-encoder");
    let listed: Vec<String> =
        decode::Strategy::list().into_iter().map(|(name, _)| name).filter(|n| !needs(n)).collect();
    assert_eq!(names, json!(listed.join(",")));
    for (id, value) in [("max_tokens", "40"), ("boundary", "tokens"), ("step_tokens", "6"), ("seed", "3")] {
        set(&mut browser, id, value);
    }
    for strategy in ["phi", "beam-4", "self-consistency-8", "mcts", "greedy"] {
        choose(&mut browser, strategy);
        ask(&mut browser, QUESTION);
        done(&mut browser);
        assert_eq!(text(&mut browser, "#notice"), "", "{strategy}");
        let folder = browser.folder.join("downloads");
        let _ = fs::remove_dir_all(&folder);
        let file = browser.download("document.querySelector('.pane .acts button').click()");
        let search = Search::from_json(&fs::read_to_string(file).expect("read")).expect("a record");
        assert_eq!((search.name.as_str(), search.request.seed), (strategy, 3));
        let drawn = format!("document.querySelectorAll('[role=treeitem]').length === {}", search.nodes.len());
        browser.wait(&drawn);
        assert!(search.nodes.len() > 1 && search.cost.decode > 0);
        assert_eq!(
            browser.eval("document.querySelectorAll('.node.best').length"),
            json!(search.path(search.chosen).len())
        );
        if strategy == "phi" {
            assert!(nodes(&mut browser) > 30, "{}", search.nodes.len());
            browser.picture("page-ours");
        }
    }
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn the_page_needs_no_token_but_asks_for_it() {
    let Some(mut browser) = Browser::open("token") else { return };
    browser.size(360, 780, true);
    let token = Token("a-long-token-of-a-test".into());
    browser.go(&start(Config { token: Some(token), ..Config::default() }));
    browser.wait("!document.getElementById('token').hidden");
    browser.picture("page-token");
    browser.eval("document.getElementById('secret').focus()");
    browser.write("a-long-token-of-a-test");
    browser.key("Enter");
    browser.wait("document.querySelectorAll('#model option').length === 1");
    assert!(browser.console().iter().all(|line| line.contains("401")));
}
