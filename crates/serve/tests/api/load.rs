//! Many clients at once: no error, no token lost, memory bounded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lm::{Generate, LanguageModel, Prompt, Sampling};
use serde_json::json;

use crate::house::{House, texts, tiny, until};

/// Resident memory of this process in MiB, client and server together.
fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|text| text.parse::<f64>().ok()).map_or(0.0, |kib| kib / 1024.0)
}

/// 64 clients stream answers of up to 64 tokens, one after another, until the time is over; each
/// answer is compared with what the model says when it is asked directly. Returns memory along the way.
async fn stream_for(time: Duration) -> Vec<f64> {
    const SEEDS: u64 = 24;
    let model = tiny();
    let mut own = Vec::new();
    for seed in 0..SEEDS {
        let request = Generate {
            seed,
            sampling: Sampling { temperature: 1.0, ..Sampling::default() },
            ..Generate::greedy(Prompt::Raw(format!("client {seed}")), 64)
        };
        let completion = model.generate(request).await.expect("generates").completions.remove(0);
        own.push((completion.text, completion.tokens.len() as u64));
    }
    let house = House::of(model.clone()).await;
    let end = Instant::now() + time;
    let (answers, tokens) = (AtomicU64::new(0), AtomicU64::new(0));
    let client = async |number: u64| {
        let mut seed = number;
        while Instant::now() < end {
            seed = (seed + 1) % SEEDS;
            let body = json!({
                "prompt": format!("client {seed}"), "max_tokens": 64, "temperature": 1.0, "seed": seed,
                "stream_options": { "include_usage": true },
            });
            let chunks = house.stream("/v1/completions", body).await;
            let (text, count) = &own[seed as usize];
            assert_eq!(texts(&chunks, 1)[0], *text);
            let usage = chunks.last().expect("usage")["usage"]["completion_tokens"].as_u64().expect("a count");
            // The end token is decoded, too.
            assert!(usage == *count || usage == count + 1, "{usage} tokens of {count}");
            answers.fetch_add(1, Ordering::Relaxed);
            tokens.fetch_add(usage, Ordering::Relaxed);
        }
    };
    let watching = async {
        let mut seen = Vec::new();
        while Instant::now() < end {
            tokio::time::sleep(time / 12).await;
            seen.push(memory());
        }
        seen
    };
    let (seen, _) = futures::join!(watching, futures::future::join_all((0..64).map(client)));
    let (answers, tokens) = (answers.into_inner(), tokens.into_inner());
    println!("{answers} answers, {tokens} tokens in {time:?}; memory in MiB: {seen:.1?}");
    assert!(answers >= 64 && tokens > answers);
    let (_, text) = house.get("/metrics").await;
    let line = format!("lyceum_requests_total{{route=\"/v1/completions\",status=\"200\"}} {answers}");
    assert!(text.contains(&line), "{line}\n{text}");
    until("the engine is idle", || model.statistics().requests == 0).await;
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_clients_lose_no_token() {
    stream_for(Duration::from_secs(4)).await;
}

/// Two minutes; run with `--run-ignored only --no-capture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "two minutes"]
async fn sixty_four_clients_for_two_minutes_in_bounded_memory() {
    let seen = stream_for(Duration::from_secs(120)).await;
    let (early, late) = (seen[1], seen[seen.len() - 1]);
    assert!(late < early * 1.1 + 8.0, "memory grows: {seen:?}");
}
