//! The engine's promises, on small random models.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use lm::{Completion, Error, Finish, Generate, LanguageModel, Prompt, Sampling, Score};
use lm_local::{Config, Kernels, LocalModel, Precision};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use weights::{Adapter, Architecture, Checkpoint, Pair, Part, Projection};

fn checkpoint(architecture: Architecture) -> Checkpoint {
    Checkpoint::random(architecture, 7).expect("a random model")
}

fn load(architecture: Architecture, config: Config) -> LocalModel {
    LocalModel::load(&checkpoint(architecture), Config { memory_mb: 8, ..config }).expect("loads")
}

fn words(seed: u64, count: usize) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| [" the", " sea", " an", "chor", " in", "stone", " é", "42"][rng.random_range(0..8)]).collect()
}

fn ask(prompt: String, seed: u64, n: usize) -> Generate {
    Generate {
        n,
        seed,
        logprobs: true,
        sampling: Sampling { temperature: 1.0, ..Sampling::default() },
        ..Generate::greedy(Prompt::Raw(prompt), 20)
    }
}

/// Requests of all shapes: own prompts, a shared prefix, forks in the middle of a page, all samplers.
fn requests() -> Vec<Generate> {
    let shared = words(100, 40);
    (0..32)
        .map(|i| {
            let prompt = match i % 4 {
                0 => words(i, 5 + i as usize),
                1 => format!("{shared}{}", words(i, 3)),
                2 => shared.chars().take(60 + i as usize).collect(),
                _ => shared.clone(),
            };
            let mut request = ask(prompt, i, 1 + i as usize % 3);
            request.sampling = match i % 5 {
                0 => Sampling::default(),
                1 => Sampling { temperature: 0.8, top_k: 20, ..Sampling::default() },
                2 => Sampling { temperature: 1.2, top_p: 0.9, min_p: 0.01, ..Sampling::default() },
                3 => Sampling { temperature: 1.0, repetition_penalty: 1.3, ..Sampling::default() },
                _ => Sampling { temperature: 1.0, ..Sampling::default() },
            };
            request
        })
        .collect()
}

async fn alone(model: &LocalModel, requests: &[Generate]) -> Vec<Vec<Completion>> {
    let mut all = Vec::new();
    for request in requests {
        all.push(model.generate(request.clone()).await.expect("generates").completions);
    }
    all
}

async fn together(model: &LocalModel, requests: &[Generate]) -> Vec<Vec<Completion>> {
    let all = join_all(requests.iter().map(|request| model.generate(request.clone()))).await;
    all.into_iter().map(|generation| generation.expect("generates").completions).collect()
}

#[tokio::test]
async fn a_completion_depends_on_its_request_alone() {
    let qwen = Architecture { qkv_bias: true, qk_norm: true, tied_head: false, ..Architecture::tiny() };
    for (architecture, precision) in
        [(Architecture::tiny(), Precision::F32), (Architecture::tiny(), Precision::Int8), (qwen, Precision::Int8)]
    {
        let requests = requests();
        let config = Config { precision, threads: 1, ..Config::default() };
        let mut expected = Vec::new();
        for request in &requests {
            let fresh = load(architecture.clone(), config.clone());
            expected.extend(alone(&fresh, std::slice::from_ref(request)).await);
        }
        let one = load(architecture.clone(), config.clone());
        assert_eq!(alone(&one, &requests).await, expected, "after one another, over remembered prefixes");
        assert_eq!(together(&one, &requests).await, expected, "together, over remembered prefixes");
        let two = load(architecture.clone(), Config { threads: 2, ..config.clone() });
        assert_eq!(together(&two, &requests).await, expected, "together on two threads");
        let few = load(architecture.clone(), Config { threads: 2, batch_rows: 7, ..config.clone() });
        assert_eq!(together(&few, &requests).await, expected, "in steps of seven rows");
    }
}

#[tokio::test]
async fn little_memory_changes_no_answer() {
    let requests: Vec<Generate> = (0..40).map(|i| ask(words(i, 60), i, 2)).collect();
    let wide = load(Architecture::tiny(), Config::default());
    let expected = together(&wide, &requests).await;
    let narrow = LocalModel::load(&checkpoint(Architecture::tiny()), Config { memory_mb: 1, ..Config::default() });
    let narrow = narrow.expect("loads");
    assert_eq!(together(&narrow, &requests).await, expected);
    assert_eq!(alone(&narrow, &requests).await, expected);
    let statistics = narrow.statistics();
    assert!(statistics.pages_used <= statistics.pages && statistics.pages == 256, "{statistics:?}");
}

#[tokio::test]
async fn a_shared_prefix_is_computed_once() {
    let model = load(Architecture::tiny(), Config::default());
    let prefix = words(1, 50);
    let requests: Vec<Generate> = (0..32).map(|i| Generate::greedy(Prompt::Raw(format!("{prefix} {i}")), 1)).collect();
    together(&model, &requests).await;
    let once = model.tokenizer().raw(&prefix).len() as u64;
    let rows = model.statistics().rows;
    assert!(rows < once + 32 * 4, "{rows} rows for a prefix of {once} tokens and 32 ends");
    let again = model.generate(requests[3].clone()).await.expect("generates").usage;
    assert_eq!((again.prefill, again.decode), (1, 1), "only the last position is computed again");
}

#[tokio::test]
async fn completions_draw_from_streams_of_their_own() {
    let model = load(Architecture::tiny(), Config::default());
    let four = model.generate(ask("the sea".into(), 5, 4)).await.expect("generates").completions;
    let two = model.generate(ask("the sea".into(), 5, 2)).await.expect("generates").completions;
    assert_eq!(four[..2], two[..]);
    assert_ne!(four[0].tokens, four[1].tokens);
    let other = model.generate(ask("the sea".into(), 6, 1)).await.expect("generates").completions;
    assert_ne!(other[0].tokens, four[0].tokens);
}

fn logprobs(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().fold(f32::MIN, |a, b| a.max(*b));
    let sum: f64 = logits.iter().map(|x| f64::from(x - most).exp()).sum();
    logits.iter().map(|x| f64::from(x - most) - sum.ln()).collect()
}

#[tokio::test]
async fn scores_are_the_log_probabilities_of_the_logits() {
    let model = load(Architecture::tiny(), Config { batch_rows: 16, ..Config::default() });
    let (prompt, continuation) = (words(3, 30), words(4, 30));
    let ask = || Score {
        prompt: Prompt::Raw(prompt.clone()),
        continuation: continuation.clone().into(),
        adapter: None,
        top_logprobs: 0,
    };
    let first = model.score(ask()).await.expect("scores");
    let both = tokio::join!(model.score(ask()), model.score(ask()));
    assert_eq!(both.0.expect("scores").tokens, first.tokens, "again, over remembered positions");
    assert_eq!(both.1.expect("scores").tokens, first.tokens);
    let mut tokens = model.tokenizer().raw(&prompt);
    let begin = tokens.len();
    tokens.extend(model.tokenizer().encode(&continuation));
    assert_eq!(first.tokens.len(), tokens.len() - begin);
    let logits = model.logits(&tokens, None).expect("logits");
    let vocab = model.architecture().vocab;
    for (i, scored) in first.tokens.iter().enumerate() {
        let row = &logits[(begin + i - 1) * vocab..][..vocab];
        assert_eq!(scored.id, Some(tokens[begin + i]));
        let expected = logprobs(row)[tokens[begin + i] as usize];
        assert!((f64::from(scored.logprob) - expected).abs() < 1e-4, "{} against {expected}", scored.logprob);
        let best = row.iter().all(|x| *x <= row[tokens[begin + i] as usize]);
        assert_eq!(scored.greedy, Some(best));
    }
}

#[tokio::test]
async fn a_stop_string_ends_the_text_before_it() {
    let model = load(Architecture::tiny(), Config::default());
    let mut tried = 0;
    for seed in 0..20 {
        let request = Generate { max_tokens: 60, ..ask("the sea".into(), seed, 1) };
        let whole = model.generate(request.clone()).await.expect("generates").completions.remove(0);
        let characters: Vec<char> = whole.text.chars().collect();
        if characters.len() < 20 {
            continue;
        }
        tried += 1;
        let stop: String = characters[8..14].iter().collect();
        let request = Generate { stop: vec!["never comes".into(), stop.clone()], ..request };
        let mut pieces = String::new();
        let cut = model.stream(request, &mut |delta| pieces.push_str(&delta.text)).await.expect("generates");
        let cut = &cut.completions[0];
        assert_eq!(cut.text, whole.text[..whole.text.find(&stop).expect("it is in there")]);
        assert_eq!(pieces, cut.text, "nothing of a stop string is ever sent");
        assert_eq!(cut.finish, Finish::Stop);
        assert!(whole.tokens.starts_with(&cut.tokens));
    }
    assert!(tried > 3);
}

async fn until(what: &str, model: &LocalModel, condition: impl Fn(&LocalModel) -> bool) {
    let begin = Instant::now();
    while !condition(model) {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}: {:?}", model.statistics());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_dropped_future_frees_its_place() {
    let model = load(Architecture { context: 4096, ..Architecture::tiny() }, Config::default());
    let request = Generate { max_tokens: 3900, n: 2, ..ask("the sea".into(), 1, 2) };
    {
        let seen = Arc::new(Mutex::new(0));
        let (count, model) = (seen.clone(), model.clone());
        let running = tokio::spawn(async move {
            let mut sink = |_| *count.lock().expect("no panic") += 1;
            model.stream(request, &mut sink).await.map(|_| ())
        });
        while *seen.lock().expect("no panic") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        running.abort();
    }
    until("gives its pages back", &model, |model| {
        let statistics = model.statistics();
        statistics.pages_held == 0 && statistics.requests == 0
    })
    .await;
    let steps = model.statistics().steps;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(model.statistics().steps, steps, "nothing is computed for nobody");
}

#[tokio::test]
async fn what_can_never_be_answered_is_refused() {
    let model = load(Architecture { context: 1 << 20, ..Architecture::tiny() }, Config::default());
    let huge = Generate { max_tokens: 1 << 19, ..ask("the sea".into(), 1, 1) };
    assert!(matches!(model.generate(huge).await, Err(Error::Budget(_))));
    let model = load(Architecture::tiny(), Config::default());
    let long = Generate { max_tokens: 256, ..ask("the sea".into(), 1, 1) };
    assert!(matches!(model.generate(long).await, Err(Error::Context { limit: 256, .. })));
    assert!(matches!(model.generate(ask(String::new(), 1, 1)).await, Err(Error::Request { field: "prompt", .. })));
    let stranger = Generate { adapter: Some("nobody".into()), ..ask("the sea".into(), 1, 1) };
    assert!(matches!(model.generate(stranger).await, Err(Error::Adapter { .. })));
}

fn adapter(architecture: &Architecture, seed: u64, size: f32) -> Adapter {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rank = 5;
    let mut pairs = std::collections::BTreeMap::new();
    for block in 0..architecture.blocks {
        for projection in Projection::ALL {
            let (rows, cols) = architecture.shape(Part::Projection(block, projection));
            let mut random = |n: usize, size: f32| (0..n).map(|_| rng.random_range(-size..size)).collect();
            pairs.insert((block, projection), Pair { a: random(rank * cols, 0.3), b: random(rows * rank, size) });
        }
    }
    Adapter { rank, alpha: 10.0, stabilised: false, base: "random-7".into(), pairs }
}

#[tokio::test]
async fn an_adapter_is_the_merged_model_and_rows_may_differ() {
    let architecture = Architecture::tiny();
    let base = checkpoint(architecture.clone());
    let exact = Config { precision: Precision::F32, ..Config::default() };
    let model = load(architecture.clone(), exact.clone());
    let (one, two) = (adapter(&architecture, 1, 0.1), adapter(&architecture, 2, 0.1));
    model.add_adapter("one", &one).expect("fits");
    model.add_adapter("two", &two).expect("fits");
    let tokens = model.tokenizer().raw(&words(9, 30));
    let plain = model.logits(&tokens, None).expect("logits");
    for (name, adapter) in [("one", &one), ("two", &two)] {
        let merged = base.merged(adapter).expect("merges");
        let merged = LocalModel::load(&merged, Config { memory_mb: 8, ..exact.clone() }).expect("loads");
        let expected = merged.logits(&tokens, None).expect("logits");
        let found = model.logits(&tokens, Some(name)).expect("logits");
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-3, "{name}: {a} against {b}");
        }
        assert!(found.iter().zip(&plain).any(|(a, b)| (a - b).abs() > 0.1), "it changes something");
    }
    for precision in [Precision::F32, Precision::Int8] {
        let model = load(architecture.clone(), Config { precision, ..Config::default() });
        model.add_adapter("one", &one).expect("fits");
        model.add_adapter("two", &two).expect("fits");
        let mut requests = requests();
        for (i, request) in requests.iter_mut().enumerate() {
            request.adapter = [None, Some("one".into()), Some("two".into())][i % 3].clone();
        }
        let expected = alone(&model, &requests).await;
        assert_eq!(together(&model, &requests).await, expected);
        // Replacing an adapter replaces everything that was remembered with it.
        model.add_adapter("one", &two).expect("fits");
        let mut request = requests[2].clone();
        assert_eq!(request.adapter.as_deref(), Some("two"));
        request.adapter = Some("one".into());
        assert_eq!(alone(&model, &[request]).await, expected[2..3]);
        assert!(model.remove_adapter("one").expect("runs"));
        assert!(!model.remove_adapter("one").expect("runs"));
    }
    let other = Architecture { width: 128, ..architecture };
    assert!(model.add_adapter("other", &adapter(&other, 1, 0.1)).is_err());
}

#[tokio::test]
async fn odd_numbers_fail_their_request_alone() {
    for precision in [Precision::F32, Precision::Int8] {
        let architecture = Architecture::tiny();
        let model = load(architecture.clone(), Config { precision, ..Config::default() });
        model.add_adapter("odd", &adapter(&architecture, 1, 1e38)).expect("fits");
        let good = ask("the sea".into(), 1, 1);
        let bad = Generate { adapter: Some("odd".into()), ..good.clone() };
        let expected = alone(&model, std::slice::from_ref(&good)).await;
        let (a, b) = tokio::join!(model.generate(good.clone()), model.generate(bad));
        assert_eq!(a.expect("generates").completions, expected[0]);
        assert!(matches!(b, Err(Error::NonFinite { .. })), "{b:?}");
        until("frees its place", &model, |model| model.statistics().pages_held == 0).await;
        // Nor do they from a page that is used again.
        assert!(model.remove_adapter("odd").expect("listens"));
        let fresh = Generate { prompt: Prompt::Raw("a stone in the wind".into()), ..good };
        let other = load(architecture, Config { precision, ..Config::default() });
        let expected = other.generate(fresh.clone()).await.expect("generates").completions;
        assert_eq!(model.generate(fresh).await.expect("generates").completions, expected);
    }
}

#[test]
fn all_instruction_sets_say_the_same() {
    let architectures = [
        Architecture::tiny(),
        Architecture { width: 80, heads: 5, kv_heads: 1, head_dim: 48, hidden: 72, vocab: 301, ..Architecture::tiny() },
    ];
    for architecture in architectures {
        for precision in [Precision::F32, Precision::Int8] {
            let mut found = Vec::new();
            for kernels in Kernels::ALL.into_iter().filter(|kernels| kernels.available()) {
                let model =
                    load(architecture.clone(), Config { precision, kernels: Some(kernels), ..Config::default() });
                let tokens = model.tokenizer().raw(&words(9, 40));
                found.push((kernels, model.logits(&tokens, None).expect("logits")));
            }
            for pair in found.windows(2) {
                let differences = pair[0].1.iter().zip(&pair[1].1).map(|(a, b)| (a - b).abs());
                let (worst, mean) = (differences.clone().fold(0f32, f32::max), differences.sum::<f32>());
                let mean = mean / pair[0].1.len() as f32;
                // Without a fused multiply-add the last digits differ, which in eight bits can tip a
                // code to its neighbour; the paths with one agree to the bit.
                let (most, most_mean) = match (pair[1].0, precision) {
                    (Kernels::Plain, Precision::F32) => (1e-4, 1e-5),
                    (Kernels::Plain, Precision::Int8) => (0.3, 0.03),
                    _ => (0.0, 0.0),
                };
                assert!(worst <= most && mean <= most_mean, "{precision:?} {:?}: {worst}, {mean}", pair[1].0);
            }
        }
    }
}
