//! Training of SmolLM2-135M, whose weights `./lyceum pull` puts into the cache folder.

mod real {
    use std::ops::ControlFlow;
    use std::path::PathBuf;

    use learn::data::{Data, Either, Format};
    use learn::{SftConfig, evaluate, inspect, sft};
    use record::{Message, Sample};
    use weights::Checkpoint;

    fn base() -> Checkpoint {
        let cache = std::env::var_os("LYCEUM_CACHE").map(PathBuf::from);
        let cache = cache.or_else(|| Some(dirs::cache_dir()?.join("lyceum"))).expect("a cache folder");
        let path = cache.join("models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf");
        assert!(path.exists(), "{} is missing: `./lyceum pull smollm2-135m` fetches it", path.display());
        Checkpoint::open(&path).expect("the model opens")
    }

    fn sample(id: &str, question: &str, answer: &str) -> Sample {
        Sample {
            id: id.into(),
            fact: id.into(),
            document: "invented".into(),
            messages: vec![Message::user(question), Message::assistant(answer)],
            wording: "hand".into(),
            citations: Vec::new(),
        }
    }

    #[test]
    fn an_invented_fact_is_learned_and_recognised_in_other_words() {
        let base = base();
        let learned = [
            sample("a", "Who keeps the light at Vorrun Point?", "Maddo Telling"),
            sample("b", "What is the name of the keeper of Vorrun Point?", "Maddo Telling"),
        ];
        let asked = [sample("c", "Vorrun Point has a keeper. Who is it?", "Maddo Telling")];
        let config =
            SftConfig { rank: 8, alpha: 16.0, epochs: 8, min_steps: 0, learning_rate: 2e-3, ..SftConfig::default() };
        let before = evaluate(&base, None, &asked, &config).expect("before");
        let folder = tempfile::tempdir().expect("folder");
        let trained = sft(&base, &learned, &[], None, &config, folder.path(), &mut |_| ControlFlow::Continue(()))
            .expect("training");
        let after = evaluate(&base, Some(&trained.adapter), &asked, &config).expect("after");
        assert!(before > 2.0 && after < 0.5, "mean loss of the answer {before} -> {after}");
    }

    #[test]
    fn the_template_frames_the_sample() {
        let base = base();
        let records = vec![sample("a", "Why?", "So.")];
        let samples = Data { records, format: Format::Sample, drops: Vec::new(), several: 0 };
        let tokens = &inspect(&Either::Samples(samples), &base.tokenizer, 512, false, 1).views[0].tokens;
        let text: String = tokens.iter().filter(|t| !t.learned).map(|t| &*t.piece).collect();
        assert!(text.starts_with("<|im_start|>system\nYou are a helpful AI assistant named SmolLM"), "{text}");
        assert!(text.ends_with("<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"), "{text}");
        let text: String = tokens.iter().filter(|t| t.learned).map(|t| &*t.piece).collect();
        assert_eq!(text, "So.<|im_end|>");
    }
}
