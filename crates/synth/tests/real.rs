//! The model's part with real weights: SmolLM2-135M, which `./test` fetches into the cache folder first.

mod real {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use lm::SharedModel;
    use record::Bank;
    use synth::Config;

    fn model() -> SharedModel {
        let cache = std::env::var_os("LYCEUM_CACHE").map(PathBuf::from);
        let cache = cache.or_else(|| dirs::cache_dir().map(|folder| folder.join("lyceum"))).expect("a cache folder");
        let path = cache.join("models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf");
        assert!(path.is_file(), "{} is missing; `./test` fetches it, or `lyceum pull`", path.display());
        let checkpoint = weights::Checkpoint::open(&path).expect("open the weights");
        Arc::new(lm_local::LocalModel::load(&checkpoint, lm_local::Config::default()).expect("load the weights"))
    }

    #[tokio::test]
    async fn a_small_model_words_and_verifies_facts_of_the_station() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/station/handbook");
        let config = Config { facts: 40, ..Config::default() };
        let ids = documents::list(&root).expect("list");
        let read = |id: &String| documents::read(&root, id, &documents::Config::default()).expect("read");
        let facts = ids.iter().map(read).flat_map(|document| synth::facts(&document, &config)).collect();
        let selection = synth::select(facts, &config, 1);
        let model = model();
        let made = synth::word(&selection.facts, &model, &config, 1).await.expect("word");
        // Nearly every fact of an invented place is new to the model, and its sentence supports it.
        assert!(made.facts.delivered * 10 >= made.facts.asked * 8, "{:?} {:#?}", made.facts, made.drops);
        // Measured: more than half of the facts get a wording of the model's own.
        let worded = made.samples.iter().filter(|sample| sample.wording == "model").count();
        assert!(worded * 3 >= made.facts.delivered, "{worded} of {}", made.facts.delivered);
        assert_eq!(synth::overlaps(&made.samples, &made.items), []);
        // The same facts in other company give the same records.
        let last = &selection.facts[selection.facts.len() - 5..];
        let again = synth::word(last, &model, &config, 1).await.expect("word");
        assert!(made.samples.ends_with(&again.samples) && made.items.ends_with(&again.items));
        assert!(made.items.iter().any(|item| item.bank == Bank::Exam));
    }
}
