use std::time::{Duration, Instant};

use serde_json::json;
use serve::{Config, Models};

use crate::house::{House, Ticking, entry, texts};

fn slow(grace_seconds: f64) -> (Models, Config) {
    let model = Ticking { tick: Duration::from_millis(100), words: 10, failure: None };
    let models = Models { entries: vec![entry("slow", model)], embedder: None };
    (models, Config { grace_seconds, ..Config::default() })
}

#[tokio::test]
async fn running_requests_finish_and_new_ones_are_told() {
    let (models, config) = slow(10.0);
    let mut house = House::open(models, config).await;
    let body = json!({ "prompt": "a" });
    let open = house.get("/healthz").await;
    assert_eq!(open.0.as_u16(), 200);
    let (sender, url, client) = (house.client.clone(), house.url("/v1/completions"), house.client.clone());
    let mut streamed = body.clone();
    streamed["stream"] = true.into();
    let asked = streamed.clone();
    let running =
        tokio::spawn(
            async move { sender.post(url).json(&asked).send().await.expect("begins").text().await.expect("ends") },
        );
    tokio::time::sleep(Duration::from_millis(250)).await;
    let begun = Instant::now();
    house.stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let refused = client.post(house.url("/v1/completions")).json(&body).send().await.expect("an answer");
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (503, true));
    assert_eq!(client.get(house.url("/healthz")).send().await.expect("an answer").status().as_u16(), 503);
    let text = running.await.expect("ends");
    assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
    let chunks: Vec<_> =
        text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    assert_eq!(texts(&chunks, 1), ["tick ".repeat(10)]);
    assert!((&mut house.task).await.expect("no panic").is_ok());
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(client.get(house.url("/healthz")).send().await.is_err(), "the port is closed");
}

#[tokio::test]
async fn the_grace_time_ends() {
    let (models, config) = slow(0.2);
    let mut house = House::open(models, config).await;
    let running = house.client.post(house.url("/v1/completions")).json(&json!({ "prompt": "a" })).send();
    let running = tokio::spawn(running);
    tokio::time::sleep(Duration::from_millis(200)).await;
    house.stop();
    let begun = Instant::now();
    assert!((&mut house.task).await.expect("no panic").is_ok());
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    drop(running.await);
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let (models, config) = slow(60.0);
    let mut house = House::open(models, config).await;
    house.lives().await;
    house.stop();
    let begun = Instant::now();
    assert!((&mut house.task).await.expect("no panic").is_ok());
    assert!(begun.elapsed() < Duration::from_secs(1), "an open idle connection holds nothing up");
}
