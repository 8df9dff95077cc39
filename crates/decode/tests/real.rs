//! A search on real weights.

mod real {
    use std::path::PathBuf;
    use std::sync::Arc;

    use decode::practice::{Method, Question, practise};
    use decode::{Boundary, Fate, Request, Strategy, Tools, search};
    use lm::{Prompt, SharedModel};
    use lm_local::{Config, LocalModel};
    use weights::Checkpoint;

    fn load() -> SharedModel {
        let cache = std::env::var_os("LYCEUM_CACHE").map(PathBuf::from);
        let cache = cache.or_else(|| dirs::cache_dir().map(|folder| folder.join("lyceum"))).expect("a cache folder");
        let file = cache.join("models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf");
        assert!(file.exists(), "{} is missing: run ./test, which fetches it", file.display());
        let checkpoint = Checkpoint::open(&file).expect("opens");
        Arc::new(LocalModel::load(&checkpoint, Config { memory_mb: 256, ..Config::default() }).expect("loads"))
    }

    #[tokio::test]
    async fn phi_looks_ahead_and_ends_with_an_answer() {
        let model = load();
        let strategy = Strategy::parse(r#"{"kind":"phi","beams":2,"rollouts":2,"t_max":3}"#).expect("a strategy");
        let question = Prompt::ask("Tom has 3 apples and buys 4 more. How many apples has he now?");
        let request = Request { boundary: Boundary::Sentence, budget: Some(600), ..Request::new(question, 60, 1) };
        let found = search(&model, &strategy, &request, &Tools::default(), &mut |_| {}).await.expect("searches");
        found.recheck().expect("its numbers follow");
        assert!(found.cost.decode <= 600 && !found.answer.trim().is_empty());
        assert!(found.nodes.iter().any(|node| node.foresight.is_some()));
        assert_eq!(found.nodes[found.chosen].fate, Fate::Chosen);
        let again = search(&model, &strategy, &request, &Tools::default(), &mut |_| {}).await.expect("searches");
        assert!(again.same_tree(&found));
        assert!(again.cost.cached > again.cost.prefill, "steps continue what is computed already");
    }

    #[tokio::test]
    async fn genius_prefers_one_whole_answer_to_another() {
        let model = load();
        let method = Method::parse(r#"{"kind":"genius","steps":2,"rollouts":3}"#).expect("a method");
        let messages = [lm::Message::user("Tom has 3 apples and buys 4 more. How many apples has he now?")];
        let prompt = Prompt::Messages(messages.to_vec());
        let request = Request { boundary: Boundary::Sentence, ..Request::new(prompt, 60, 1) };
        let question = Question { id: "tom", messages: &messages, right: None };
        let lesson = practise(&model, &method, &question, &request, &Tools::default(), &mut |_| {}).await;
        let lesson = lesson.expect("practises");
        lesson.search.as_ref().expect("a search").recheck().expect("its numbers follow");
        assert_eq!(lesson.preferences.len() + lesson.drops.len(), 2);
        assert!(!lesson.preferences.is_empty());
        for pair in &lesson.preferences {
            let (better, worse) = (pair.chosen.as_ref().expect("a side"), pair.rejected.as_ref().expect("a side"));
            assert!(better.logprob >= worse.logprob && better.text != worse.text);
            for side in [better, worse] {
                assert_eq!(model.detokenize(&side.tokens).expect("text"), side.text, "tokens as drawn");
                assert!(side.ended || side.tokens.len() == 60);
            }
        }
    }
}
