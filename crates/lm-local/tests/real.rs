//! The engine on real weights, which `./test` fetches into the cache folder first.

mod real {
    use std::path::PathBuf;

    use futures::future::join_all;
    use lm::{Finish, Format, Generate, LanguageModel, Prompt, Sampling};
    use lm_local::{Config, LocalModel, Precision};
    use weights::Checkpoint;

    fn cached(path: &str) -> PathBuf {
        let folder = std::env::var_os("LYCEUM_CACHE").map(PathBuf::from);
        let folder = folder.or_else(|| dirs::cache_dir().map(|dir| dir.join("lyceum"))).expect("a cache folder");
        let path = folder.join(path);
        assert!(path.exists(), "{} is missing; `./test` fetches it, or `lyceum pull`", path.display());
        path
    }

    fn smollm() -> Checkpoint {
        Checkpoint::open(&cached("models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf")).expect("a model")
    }

    fn load(checkpoint: &Checkpoint, config: Config) -> LocalModel {
        LocalModel::load(checkpoint, Config { memory_mb: 400, ..config }).expect("loads")
    }

    const TEXT: &str = "The lighthouse keeper walked down to the harbour before dawn, because the pump in the old \
        boat house had stopped again. He carried a lamp, a coil of copper wire and the manual that his sister had \
        sent from Bergen. According to the manual, the valve must be opened a quarter turn before the motor is \
        started; otherwise pressure builds up behind the membrane and the safety switch disconnects the supply. He \
        had read that sentence many times. What it did not say was what to do when the switch itself was broken. In \
        1923 the company had replaced brass contacts with steel ones, which rust within three winters on this coast. \
        So he filed the contacts until they were bright, bent the spring back with a pair of pliers, and waited. At \
        half past six the motor coughed, turned twice and ran.";

    fn logprobs(logits: &[f32]) -> Vec<f64> {
        let most = logits.iter().fold(f32::MIN, |a, b| a.max(*b));
        let sum: f64 = logits.iter().map(|x| f64::from(x - most).exp()).sum();
        logits.iter().map(|x| f64::from(x - most) - sum.ln()).collect()
    }

    #[test]
    fn glassllm_gives_the_logits_of_its_own_program() {
        #[derive(serde::Deserialize)]
        struct Golden {
            text: String,
            tokens: Vec<u32>,
            columns: Vec<usize>,
            logits: Vec<Vec<f32>>,
            next_logprobs: Vec<f64>,
        }
        let golden: Golden = serde_json::from_str(include_str!("data/glassllm-logits.json")).expect("golden vectors");
        let checkpoint = Checkpoint::open(&cached("models/glassllm/en.npz")).expect("a model");
        let model = load(&checkpoint, Config { precision: Precision::F32, ..Config::default() });
        assert_eq!(model.tokenizer().encode(&golden.text), golden.tokens);
        let logits = model.logits(&golden.tokens, None).expect("logits");
        let rows = logits.chunks_exact(model.architecture().vocab);
        assert_eq!(rows.len(), golden.logits.len());
        for (i, (row, expected)) in rows.zip(&golden.logits).enumerate() {
            for (column, expected) in golden.columns.iter().zip(expected) {
                let found = row[*column];
                assert!((found - expected).abs() < 1e-4, "position {i}, token {column}: {found}, not {expected}");
            }
            if let Some(expected) = golden.next_logprobs.get(i) {
                let found = logprobs(row)[golden.tokens[i + 1] as usize];
                assert!((found - expected).abs() < 1e-4, "position {i}: {found}, not {expected}");
            }
        }
    }

    #[tokio::test]
    async fn answers_a_question() {
        let model = load(&smollm(), Config { precision: Precision::F32, ..Config::default() });
        let answer = model.generate(Generate::greedy(Prompt::ask("What is the capital of France?"), 20)).await;
        let answer = answer.expect("answers").completions.remove(0);
        assert!(answer.text.contains("Paris"), "{answer:?}");
    }

    #[test]
    fn eight_bits_are_near_f32() {
        let checkpoint = smollm();
        let tokens = checkpoint.tokenizer.encode(TEXT);
        let logits = |precision| {
            let model = load(&checkpoint, Config { precision, ..Config::default() });
            model.logits(&tokens, None).expect("logits")
        };
        let (exact, quick) = (logits(Precision::F32), logits(Precision::Int8));
        let vocab = checkpoint.architecture.vocab;
        let divergence: f64 = exact
            .chunks_exact(vocab)
            .zip(quick.chunks_exact(vocab))
            .map(|(p, q)| logprobs(p).iter().zip(logprobs(q)).map(|(p, q)| p.exp() * (p - q)).sum::<f64>())
            .sum();
        let mean = divergence / tokens.len() as f64;
        assert!(mean <= 0.005, "mean KL {mean} over {} positions", tokens.len());
    }

    #[tokio::test]
    async fn thirty_two_together_equal_each_alone() {
        let checkpoint = smollm();
        let requests: Vec<Generate> = (0..32u64)
            .map(|i| {
                let prompt =
                    if i % 2 == 0 { format!("{TEXT} ({i})") } else { TEXT.chars().skip(i as usize).take(80).collect() };
                Generate {
                    seed: i,
                    logprobs: true,
                    sampling: Sampling { temperature: if i % 3 == 0 { 0.0 } else { 1.0 }, ..Sampling::default() },
                    ..Generate::greedy(Prompt::Raw(prompt), 12)
                }
            })
            .collect();
        let one = load(&checkpoint, Config { threads: 1, ..Config::default() });
        let two = load(&checkpoint, Config { threads: 2, ..Config::default() });
        let all = join_all(requests.iter().map(|request| two.generate(request.clone()))).await;
        for (request, together) in requests.into_iter().zip(all) {
            let alone = one.generate(request).await.expect("generates");
            assert_eq!(together.expect("generates").completions, alone.completions);
        }
    }
    #[tokio::test]
    async fn answers_in_the_form_that_was_asked_for() {
        let model = load(&smollm(), Config::default());
        let schema = serde_json::json!({
            "type": "object",
            "properties": { "country": { "type": "string" }, "capital": { "type": "string" } },
            "required": ["country", "capital"], "additionalProperties": false,
        });
        let question = "What is the capital of France? Answer as JSON with the fields country and capital.";
        let ask = |format| Generate { format: Some(format), ..Generate::greedy(Prompt::ask(question), 60) };
        let answer = model.generate(ask(Format::JsonSchema(schema))).await.expect("answers").completions.remove(0);
        assert_eq!(answer.finish, Finish::Stop);
        let value: serde_json::Value = serde_json::from_str(&answer.text).expect(&answer.text);
        assert!(value["country"].is_string() && value["capital"] == "Paris", "{}", answer.text);
        let sampling = Sampling { temperature: 0.8, ..Sampling::default() };
        let many = Generate { n: 8, sampling, max_tokens: 100, ..ask(Format::JsonObject) };
        let many = model.generate(many).await.expect("answers");
        let whole: Vec<_> = many.completions.iter().filter(|c| c.finish == Finish::Stop).collect();
        assert!(whole.len() >= 6, "{many:?}");
        for completion in whole {
            let value: serde_json::Value = serde_json::from_str(&completion.text).expect(&completion.text);
            assert!(value.is_object(), "{}", completion.text);
        }
    }
    /// Memory that this process has touched and still holds, bytes.
    #[cfg(target_os = "linux")]
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn sixty_four_continuations_of_a_long_prefix_need_little_more_memory_than_one() {
        let model = load(&smollm(), Config::default());
        let tokens = model.tokenizer().raw(&TEXT.repeat(20))[..2000].to_vec();
        let sampling = Sampling { temperature: 1.0, ..Sampling::default() };
        let ask = |n| Generate { n, sampling, ..Generate::greedy(Prompt::Tokens(tokens.clone()), 16) };
        model.generate(ask(1)).await.expect("generates");
        let (one, pages) = (resident(), model.statistics().pages_used);
        model.generate(ask(64)).await.expect("generates");
        let (all, more) = (resident(), model.statistics().pages_used);
        assert!(all * 10 <= one * 13, "{all} bytes for 64 continuations, {one} for one");
        // Each continuation has a page of its own, and nobody a copy of the prefix.
        assert!(more <= pages + 64, "{more} pages for 64 continuations, {pages} for one");
    }
}
