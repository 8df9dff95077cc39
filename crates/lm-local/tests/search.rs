//! What search asks of the engine: turns that go on, ends of steps, alternatives, shared memory.

use futures::future::join_all;
use lm::{Completion, Error, Finish, Generate, LanguageModel, Message, Prompt, Sampling, Score, Span};
use lm_local::{Config, LocalModel};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use weights::{Architecture, Checkpoint};

fn load(architecture: Architecture, config: Config) -> LocalModel {
    let checkpoint = Checkpoint::random(architecture, 7).expect("a random model");
    LocalModel::load(&checkpoint, Config { memory_mb: 8, ..config }).expect("loads")
}

fn tiny() -> LocalModel {
    load(Architecture::tiny(), Config::default())
}

fn words(seed: u64, count: usize) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| [" the", " sea", " an", "chor", " in", "stone", " é", "42"][rng.random_range(0..8)]).collect()
}

fn ask(prompt: String, seed: u64, max_tokens: usize) -> Generate {
    let sampling = Sampling { temperature: 1.0, ..Sampling::default() };
    Generate { seed, logprobs: true, sampling, ..Generate::greedy(Prompt::Raw(prompt), max_tokens) }
}

async fn one(model: &LocalModel, request: Generate) -> (Completion, lm::Usage) {
    let mut generation = model.generate(request).await.expect("generates");
    (generation.completions.remove(0), generation.usage)
}

fn after(prompt: &Prompt, tokens: &[u32], text: &str, max_tokens: usize) -> Generate {
    let begun = Span { text: text.into(), tokens: tokens.to_vec() };
    Generate { begun, logprobs: true, ..Generate::greedy(prompt.clone(), max_tokens) }
}

#[tokio::test]
async fn a_turn_goes_on_as_if_it_had_never_stopped() {
    let model = tiny();
    let prompt = Prompt::Messages(vec![Message::user(words(1, 20))]);
    let (whole, _) = one(&model, Generate { logprobs: true, ..Generate::greedy(prompt.clone(), 40) }).await;
    assert!(whole.tokens.len() > 25, "{whole:?}");
    for cut in [1, 7, 16, 25] {
        let text = model.tokenizer().decode(&whole.tokens[..cut]);
        let request = after(&prompt, &whole.tokens[..cut], &text, 40 - cut);
        let (rest, usage) = one(&model, request.clone()).await;
        assert_eq!((&rest.tokens[..], &rest.logprobs[..]), (&whole.tokens[cut..], &whole.logprobs[cut..]));
        assert_eq!(rest.finish, whole.finish);
        assert_eq!(usage.prefill, 1, "keys and values of what was generated are there");
        // The same where nothing was ever generated, and where the fork is taken a second time.
        let fresh = tiny();
        let (alone, first) = one(&fresh, request.clone()).await;
        let (again, second) = one(&fresh, request).await;
        assert_eq!((&alone, &again), (&rest, &rest));
        assert_eq!((first.cached, second.prefill), (0, 1));
    }
}

#[tokio::test]
async fn forks_share_what_came_before_to_the_last_token() {
    let model = tiny();
    let prompt = Prompt::Raw(words(2, 30));
    let step = Generate { n: 4, max_tokens: 9, ..ask(String::new(), 3, 9) };
    let steps = model.generate(Generate { prompt: prompt.clone(), ..step }).await.expect("generates").completions;
    let forks = steps.iter().map(|step| {
        let request = after(&prompt, &step.tokens, &step.text, 9);
        let sampling = Sampling { temperature: 1.0, ..Sampling::default() };
        model.generate(Generate { n: 4, sampling, ..request })
    });
    for (fork, step) in join_all(forks).await.into_iter().zip(&steps) {
        let usage = fork.expect("generates").usage;
        let all = model.tokenizer().raw(&words(2, 30)).len() + step.tokens.len();
        // The last token of a step was drawn and never read.
        assert_eq!((usage.prefill, usage.cached), (1, all as u64 - 1));
    }
}

#[tokio::test]
async fn what_a_turn_says_already_is_text_and_must_fit() {
    let model = tiny();
    let name = model.tokenizer().piece(model.tokenizer().eos[0]);
    let prompt = Prompt::Messages(vec![Message::user("the sea")]);
    let text = format!("so{name}");
    let plain = model.tokenizer().encode(&text);
    assert!(plain.iter().all(|token| !model.tokenizer().is_control(*token)));
    let (by_text, _) = one(&model, after(&prompt, &[], &text, 8)).await;
    let (by_tokens, _) = one(&model, after(&prompt, &plain, &text, 8)).await;
    assert_eq!(by_text, by_tokens);
    let whole = model.tokenize(&prompt).expect("tokens");
    let (same, _) = one(&model, after(&Prompt::Tokens([whole, plain].concat()), &[], "", 8)).await;
    assert_eq!((same.tokens, same.logprobs), (by_tokens.tokens, by_tokens.logprobs));

    let long = model.generate(after(&prompt, &[], &words(1, 400), 8)).await;
    assert!(matches!(long, Err(Error::Context { limit: 256, .. })), "{long:?}");
    let odd = model.generate(after(&prompt, &[9999], "?", 8)).await;
    assert!(matches!(odd, Err(Error::Request { field: "begun", .. })), "{odd:?}");
    let odd = model.generate(Generate::greedy(Prompt::Tokens(vec![9999]), 8)).await;
    assert!(matches!(odd, Err(Error::Request { field: "prompt", .. })), "{odd:?}");
    let none = model.generate(Generate::greedy(Prompt::Tokens(vec![]), 8)).await;
    assert!(matches!(none, Err(Error::Request { field: "prompt", .. })), "{none:?}");
    // With something begun, there is a token to read.
    one(&model, after(&Prompt::Tokens(vec![]), &[], "the sea", 8)).await;
}

#[tokio::test]
async fn a_step_ends_where_its_pattern_first_matches() {
    let model = tiny();
    let mut ended = 0;
    let pattern = regex::Regex::new("[aeiou].*[0-9]").expect("a pattern");
    for seed in 0..40 {
        let request = Generate { max_tokens: 60, ..ask("the sea".into(), seed, 60) };
        let (whole, _) = one(&model, request.clone()).await;
        let stepped = Generate { until: Some("[aeiou].*[0-9]".into()), ..request.clone() };
        let mut pieces = String::new();
        let step = model.stream(stepped, &mut |delta| pieces.push_str(&delta.text)).await.expect("generates");
        let step = &step.completions[0];
        let place = (1..=whole.tokens.len())
            .find(|len| pattern.is_match(model.tokenizer().decode(&whole.tokens[..*len]).trim_end_matches('\u{fffd}')));
        match place {
            Some(len) => {
                ended += 1;
                assert_eq!((step.finish, &step.tokens[..]), (Finish::Boundary, &whole.tokens[..len]));
                assert_eq!(step.text, model.tokenizer().decode(&whole.tokens[..len]));
                assert_eq!(step.logprobs[..], whole.logprobs[..len]);
            }
            None => assert_eq!(step, &whole),
        }
        assert_eq!(pieces, step.text);
    }
    assert!(ended > 5, "{ended}");
    for max_tokens in [0, 8] {
        let bad = Generate { until: Some("(".into()), ..ask("the sea".into(), 1, max_tokens) };
        assert!(matches!(model.generate(bad).await, Err(Error::Request { field: "until", .. })));
    }
}

#[tokio::test]
async fn alternatives_are_the_most_probable_tokens_of_the_raw_logits() {
    let model = tiny();
    let request = Generate { top_logprobs: 5, n: 2, ..ask(words(5, 20), 4, 12) };
    let plain = Generate { top_logprobs: 0, ..request.clone() };
    let (with, without) = tokio::join!(model.generate(request.clone()), model.generate(plain));
    let (with, without) = (with.expect("generates").completions, without.expect("generates").completions);
    for (with, without) in with.iter().zip(&without) {
        assert_eq!(with.tokens, without.tokens);
        let prompt = [model.tokenizer().raw(&words(5, 20)), with.tokens.clone()].concat();
        let logits = model.logits(&prompt, None).expect("logits");
        let vocab = model.architecture().vocab;
        let begin = prompt.len() - with.tokens.len();
        for (i, token) in with.logprobs.iter().enumerate() {
            let row = &logits[(begin + i - 1) * vocab..][..vocab];
            let mut order: Vec<u32> = (0..vocab as u32).collect();
            order.sort_by(|a, b| row[*b as usize].total_cmp(&row[*a as usize]).then(a.cmp(b)));
            let ids: Vec<u32> = token.top.iter().filter_map(|top| top.id).collect();
            assert_eq!(ids, order[..5]);
            assert_eq!(token.greedy, Some(token.top[0].id == token.id));
            let same = token.top.iter().find(|top| top.id == token.id);
            assert!(same.is_none_or(|same| same.logprob == token.logprob));
            assert!(token.top.is_sorted_by(|a, b| a.logprob >= b.logprob));
        }
        // Scored again, each token has the same number and the same alternatives.
        let continuation = Span { text: with.text.clone(), tokens: with.tokens.clone() };
        let prompt = Prompt::Raw(words(5, 20));
        let score = Score { prompt, continuation, adapter: None, top_logprobs: 5 };
        assert_eq!(model.score(score).await.expect("scores").tokens, with.logprobs);
    }
    let many = Generate { top_logprobs: 21, ..request };
    assert!(matches!(model.generate(many).await, Err(Error::Request { field: "top_logprobs", .. })));
    let continuation = Span { text: "x".into(), tokens: vec![] };
    let score = Score { prompt: Prompt::Raw("x".into()), continuation, adapter: None, top_logprobs: 21 };
    assert!(matches!(model.score(score).await, Err(Error::Request { field: "top_logprobs", .. })));
}

#[tokio::test]
async fn a_long_prompt_keeps_nobody_waiting_and_many_streams_take_turns() {
    let model = load(Architecture { context: 4096, ..Architecture::tiny() }, Config { batch_rows: 32, ..small() });
    let order = std::sync::Mutex::new(Vec::new());
    let run = |name: &'static str, request: Generate| {
        let (model, order) = (&model, &order);
        async move {
            let mut first = true;
            let mut sink = |_| {
                if std::mem::take(&mut first) {
                    order.lock().expect("no panic").push(name);
                }
            };
            model.stream(request, &mut sink).await.expect("generates");
            order.lock().expect("no panic").push(name);
        }
    };
    // The stream needs 60 steps, the long prompt at least 2500 / 32 of its own.
    tokio::join!(
        run("stream", ask("the sea".into(), 11, 60)),
        run("long", ask(words(1, 900), 2, 4)),
        run("short", ask(words(2, 10), 3, 4)),
    );
    let order = order.into_inner().expect("no panic");
    let place = |name| order.iter().rposition(|other| *other == name).expect("it ran");
    assert!(place("short") < place("stream") && place("stream") < place("long"), "{order:?}");

    // Forty streams, and 32 rows a step of which 24 or 32 have logits: all go on at one pace.
    let begin = model.statistics().steps;
    let answers = join_all((0..40).map(|seed| model.generate(ask(format!("stone {seed}"), seed, 50)))).await;
    let drawn: u64 = answers.into_iter().map(|answer| answer.expect("generates").usage.decode).sum();
    let steps = model.statistics().steps - begin;
    assert!(steps < drawn / 20 + 60, "{steps} steps for {drawn} tokens");
    let score =
        Score { prompt: Prompt::Raw("the".into()), continuation: words(4, 40).into(), adapter: None, top_logprobs: 0 };
    let streams = join_all((50..90).map(|seed| model.generate(ask(format!("stone {seed}"), seed, 200))));
    let (scored, _) = tokio::join!(async { model.score(score).await.map(|_| model.statistics().requests) }, streams);
    assert!(scored.expect("scores") > 20, "a text is scored while streams take all they can");
}

fn small() -> Config {
    Config { memory_mb: 8, ..Config::default() }
}

#[tokio::test]
async fn continuations_hold_a_prefix_once() {
    let model = load(Architecture { context: 4096, ..Architecture::tiny() }, Config::default());
    let prompt = Prompt::Tokens(model.tokenizer().raw(&words(1, 2500))[..2000].to_vec());
    let request = Generate { max_tokens: 16, ..after(&prompt, &[], "", 16) };
    model.generate(request.clone()).await.expect("generates");
    let one = model.statistics().pages_used;
    assert_eq!(one, 2000usize.div_ceil(16) + 1);
    let sampling = Sampling { temperature: 1.0, ..Sampling::default() };
    model.generate(Generate { n: 64, sampling, ..request }).await.expect("generates");
    let all = model.statistics().pages_used;
    assert!(all <= one + 64, "{all} pages, {one} of them for one continuation");
}
