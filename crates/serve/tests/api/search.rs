//! Strategies over HTTP: the same search as in this process, and its tree on the way.

use std::sync::Arc;

use decode::{Boundary, Event, Request, Search, Strategy, Tools};
use lm::{LanguageModel, Prompt, SharedModel};
use serde_json::{Value, json};
use serve::{Config, Models};

use crate::house::{House, entry, texts, tiny, until};

const CHAT: &str = "/v1/chat/completions";

fn ask(extra: Value) -> Value {
    let mut body = json!({
        "messages": [{ "role": "user", "content": "the sea" }], "max_tokens": 24, "seed": 3, "boundary": "tokens:4",
    });
    for (key, value) in extra.as_object().expect("an object") {
        body[key] = value.clone();
    }
    body
}

async fn own(model: &impl LanguageModelClone, strategy: &str) -> Search {
    let shared: SharedModel = model.shared();
    let request = Request { boundary: Boundary::Tokens(4), ..Request::new(Prompt::ask("the sea"), 24, 3) };
    let strategy = Strategy::parse(strategy).expect("a strategy");
    decode::search(&shared, &strategy, &request, &Tools::default(), &mut |_: Event| {}).await.expect("searches")
}

trait LanguageModelClone {
    fn shared(&self) -> SharedModel;
}

impl<T: LanguageModel + Clone + 'static> LanguageModelClone for T {
    fn shared(&self) -> SharedModel {
        Arc::new(self.clone())
    }
}

fn record(value: &Value) -> Search {
    Search::from_json(&value.to_string()).expect("a record that holds together")
}

#[tokio::test]
async fn a_strategy_is_chosen_by_name_or_field() {
    let model = tiny();
    let house = House::of(model.clone()).await;
    for name in ["greedy", "self-consistency-4", "best-of-3", "beam-2", "predictive", "phi", "phi-no-foresight"] {
        let own = own(&model, name).await;
        let settings = serde_json::to_value(&own.strategy).expect("settings");
        for extra in [
            json!({ "model": format!("tiny:{name}") }),
            json!({ "model": "tiny", "strategy": name }),
            json!({ "strategy": settings }),
        ] {
            let mut body = ask(extra.clone());
            body["search"] = true.into();
            let answer = house.ask(CHAT, body).await;
            assert!(record(&answer["search"]).same_tree(&Search { model: own.model.clone(), ..own.clone() }), "{name}");
            assert_eq!(answer["choices"][0]["message"]["content"], own.answer);
            assert_eq!(answer["usage"]["completion_tokens"], own.cost.decode);
            let plain = house.ask(CHAT, ask(extra.clone())).await;
            assert_eq!(plain["choices"][0]["message"]["content"], own.answer);
            assert!(plain.get("search").is_none());
            assert_eq!(plain["model"], extra.get("model").cloned().unwrap_or(json!("tiny")));
        }
    }
}

#[tokio::test]
async fn a_stream_shows_the_tree_while_it_grows() {
    let model = tiny();
    let house = House::of(model.clone()).await;
    for name in ["sampling", "phi", "mcts"] {
        let own = own(&model, name).await;
        let body = ask(json!({ "strategy": name, "search": true, "stream_options": { "include_usage": true } }));
        let chunks = house.stream(CHAT, body).await;
        assert_eq!(texts(&chunks, 1).concat(), own.answer, "{name}");
        let mut nodes: Vec<Value> = Vec::new();
        let (mut rounds, mut costs) = (0, 0);
        for event in chunks.iter().filter_map(|chunk| chunk.get("search_event")) {
            let data = event["data"].clone();
            match event["event"].as_str().expect("a kind") {
                "node" => {
                    let id = data["id"].as_u64().expect("an id") as usize;
                    nodes.resize(nodes.len().max(id + 1), Value::Null);
                    nodes[id] = data;
                }
                "round" => rounds += 1,
                "cost" => costs += 1,
                other => panic!("{other} is text or unknown"),
            }
        }
        let last = chunks.last().expect("the last chunk");
        let search = record(&last["search"]);
        assert!(search.same_tree(&own), "{name}");
        assert_eq!(json!(nodes), last["search"]["nodes"], "what came on the way is the tree");
        assert_eq!(rounds, search.rounds.len());
        assert!(costs > 0 && last["usage"]["completion_tokens"] == search.cost.decode);
        let quiet = house.stream(CHAT, ask(json!({ "strategy": name }))).await;
        assert!(quiet.iter().all(|chunk| chunk.get("search_event").is_none() && chunk.get("search").is_none()));
        assert_eq!(texts(&quiet, 1), [own.answer]);
    }
}

#[tokio::test]
async fn plain_completions_search_as_well() {
    let house = House::of(tiny()).await;
    let body = json!({
        "prompt": "the sea", "strategy": "phi", "boundary": "tokens:4", "max_tokens": 20, "seed": 1, "budget": 150,
        "search": true, "echo": true,
    });
    let answer = house.ask("/v1/completions", body.clone()).await;
    let search = record(&answer["search"]);
    assert_eq!(answer["choices"][0]["text"], format!("the sea{}", search.answer));
    assert!(search.cost.decode <= 150);
    assert_eq!(texts(&house.stream("/v1/completions", body).await, 1), [format!("the sea{}", search.answer)]);
}

#[tokio::test]
async fn strategies_are_listed_and_each_listed_one_answers() {
    let house = House::of(tiny()).await;
    let (_, text) = house.get("/v1/strategies").await;
    let list: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let (_, text) = house.get("/v1/models").await;
    let models: Value = serde_json::from_str(&text).expect("JSON");
    for strategy in &list {
        let name = strategy["name"].as_str().expect("a name");
        assert!(strategy["settings"]["kind"].is_string() && strategy["what"].is_string());
        let id = format!("tiny:{name}");
        let model = models["data"].as_array().expect("data").iter().find(|model| model["id"] == *id).expect("listed");
        assert_eq!(model["root"], "tiny");
        let body = json!({ "model": id, "budget": 200, "max_tokens": 12 });
        house.ask(CHAT, ask(body)).await;
    }
    assert!(list.len() > 10 && list.iter().all(|strategy| strategy["name"] != "phi-encoder"), "there is no encoder");
    assert_eq!(house.get("/v1/models/tiny:self-consistency-5").await.0.as_u16(), 200);
    assert_eq!(house.get("/v1/models/tiny:nonsense").await.0.as_u16(), 404);
}

#[tokio::test]
async fn what_a_search_cannot_do_is_refused() {
    let house = House::of(tiny()).await;
    for (extra, status, param) in [
        (json!({ "strategy": "nonsense" }), 400, "strategy"),
        (json!({ "model": "tiny:nonsense" }), 404, "model"),
        (json!({ "strategy": 5 }), 400, "strategy"),
        (json!({ "strategy": { "kind": "phi", "beams": 0 } }), 400, "strategy"),
        (json!({ "strategy": { "kind": "phi", "beans": 2 } }), 400, "strategy"),
        (json!({ "strategy": "phi", "model": "tiny:phi" }), 400, "strategy"),
        (json!({ "strategy": "phi-encoder" }), 400, "strategy"),
        (json!({ "strategy": "phi", "n": 2 }), 400, "n"),
        (json!({ "strategy": "phi", "logprobs": true }), 400, "logprobs"),
        (json!({ "strategy": "phi", "regex": "a" }), 400, "response_format"),
        (json!({ "strategy": "phi", "boundary": "page" }), 400, "boundary"),
        (json!({ "strategy": "phi", "budget": 0 }), 400, "budget"),
        (json!({ "strategy": "self-consistency" }), 400, "budget"),
        (json!({ "boundary": null, "search": true }), 400, "search"),
        (json!({}), 400, "boundary"),
    ] {
        let (found, answer) = house.post(CHAT, ask(extra.clone())).await;
        assert_eq!((found.as_u16(), &answer["error"]["param"]), (status, &json!(param)), "{extra} -> {answer}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_search_frees_the_engine() {
    let model = tiny();
    let house = House::of(model.clone()).await;
    let body = ask(json!({ "strategy": "self-consistency-64", "max_tokens": 4000, "stream": true, "search": true }));
    let asking = house.client.post(house.url(CHAT)).json(&body).send();
    let asking = tokio::spawn(asking);
    until("the engine works", || model.statistics().requests > 0).await;
    asking.abort();
    until("the engine is idle", || model.statistics().requests == 0 && model.statistics().pages_held == 0).await;
    house.lives().await;
}

/// The proxy that adds search to a backend which knows nothing of it.
#[tokio::test]
async fn search_over_a_remote_server() {
    let behind = House::of(tiny()).await;
    let remote = lm_http::HttpModel::new(lm_http::Config::for_address(&behind.url("/v1"))).expect("an address");
    let front = House::open(Models { entries: vec![entry("far", remote)], embedder: None }, Config::default()).await;
    // Where a step ends by a pattern, the stream from behind is cut there.
    let body = json!({
        "model": "far:phi", "messages": [{ "role": "user", "content": "the sea" }], "boundary": "regex:[a-z]{2}",
        "max_tokens": 30, "search": true, "seed": 1,
    });
    let answer = front.ask(CHAT, body).await;
    assert!(record(&answer["search"]).nodes.len() > 4);
    let body = json!({
        "model": "far:phi", "prompt": "the sea", "boundary": "tokens:4", "max_tokens": 16, "search": true, "seed": 1,
    });
    let answer = front.ask("/v1/completions", body).await;
    let search = record(&answer["search"]);
    assert!(search.nodes.len() > 8 && search.cost.decode > 0);
    assert_eq!(answer["choices"][0]["text"], search.answer);
    let (_, metrics) = behind.get("/metrics").await;
    assert!(metrics.contains("lyceum_requests_total{route=\"/v1/completions\",status=\"200\"}"), "{metrics}");
}
