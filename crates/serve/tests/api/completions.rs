use lm::{Generate, LanguageModel, Prompt, Score, Span};
use serde_json::{Value, json};

use crate::house::{House, texts, tiny};

const PLAIN: &str = "/v1/completions";

#[tokio::test]
async fn a_prompt_is_text_texts_tokens_or_lists_of_tokens() {
    let model = tiny();
    let house = House::of(model.clone()).await;
    let tokens = |text: &str| model.tokenize(&Prompt::Raw(text.into())).expect("tokens");
    let mut own = Vec::new();
    for text in ["the sea", "in stone"] {
        own.push(
            model.generate(Generate::greedy(Prompt::Raw(text.into()), 9)).await.expect("generates").completions[0]
                .text
                .clone(),
        );
    }
    for (prompt, expected) in [
        (json!("the sea"), &own[..1]),
        (json!(["the sea", "in stone"]), &own[..]),
        (json!(tokens("the sea")), &own[..1]),
        (json!([tokens("the sea"), tokens("in stone")]), &own[..]),
        (json!(["the sea", tokens("in stone")]), &own[..]),
    ] {
        let body = json!({ "prompt": prompt, "max_tokens": 9, "temperature": 0, "n": 2 });
        let answer = house.ask(PLAIN, body.clone()).await;
        let choices = answer["choices"].as_array().expect("choices");
        assert_eq!(choices.len(), expected.len() * 2);
        for (index, choice) in choices.iter().enumerate() {
            assert_eq!(choice["text"], expected[index / 2]);
            assert_eq!(choice["index"], index);
            assert_eq!(choice["logprobs"], Value::Null);
        }
        let chunks = house.stream(PLAIN, body).await;
        let expected: Vec<_> = expected.iter().flat_map(|text| [text.clone(), text.clone()]).collect();
        assert_eq!(texts(&chunks, expected.len()), expected);
    }
    let answer = house.ask(PLAIN, json!({ "prompt": "the sea", "temperature": 0 })).await;
    assert!(answer["usage"]["completion_tokens"].as_u64().expect("usage") <= 16, "OpenAI's default is 16 tokens");
}

/// What a harness asks for: the log-probability of a given continuation of a context.
#[tokio::test]
async fn echo_gives_the_prompt_s_log_probabilities() {
    let model = tiny();
    let house = House::of(model.clone()).await;
    let context = model.tokenize(&Prompt::Raw("the sea is né".into())).expect("tokens");
    let continuation = model.tokenize(&Prompt::Raw(" in stone".into())).expect("tokens");
    let whole = [context.clone(), continuation.clone()].concat();
    let own = model
        .score(Score {
            prompt: Prompt::Tokens(context.clone()),
            continuation: Span { text: String::new(), tokens: continuation },
            adapter: None,
            top_logprobs: 1,
        })
        .await
        .expect("scores");
    let text = model.detokenize(&whole).expect("text");
    for (max_tokens, prompt) in [(0, json!(whole)), (1, json!(whole)), (1, json!([whole])), (0, json!(text))] {
        let body = json!({
            "prompt": prompt, "max_tokens": max_tokens, "echo": true, "logprobs": 1, "temperature": 0, "seed": 1,
        });
        let answer = house.ask(PLAIN, body.clone()).await;
        let choice = &answer["choices"][0];
        let list = |name: &str| choice["logprobs"][name].as_array().expect(name).clone();
        let count = whole.len() + max_tokens;
        for name in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
            assert_eq!(list(name).len(), count, "{name} with {max_tokens} more");
        }
        assert_eq!(list("token_logprobs")[0], Value::Null);
        assert_eq!(list("top_logprobs")[0], Value::Null);
        for (at, token) in own.tokens.iter().enumerate() {
            let place = context.len() + at;
            assert_eq!(list("token_logprobs")[place].as_f64().map(|x| x as f32), Some(token.logprob));
            let top = list("top_logprobs")[place].clone();
            let best = top.as_object().expect("a dict").values().filter_map(Value::as_f64).fold(f64::MIN, f64::max);
            assert_eq!(best as f32 == token.logprob, token.greedy == Some(true), "a harness finds greedy tokens so");
        }
        assert!(choice["text"].as_str().expect("text").starts_with(&text));
        assert_eq!(list("text_offset")[context.len()], "the sea is né".chars().count());
        assert_eq!(answer["usage"]["prompt_tokens"], whole.len());
        let chunks = house.stream(PLAIN, body).await;
        assert_eq!(texts(&chunks, 1)[0], choice["text"]);
        assert_eq!(chunks.last().expect("an end")["choices"][0]["logprobs"], choice["logprobs"]);
    }
    let plain = house.ask(PLAIN, json!({ "prompt": "the sea", "echo": true, "max_tokens": 0 })).await;
    assert_eq!(plain["choices"][0]["text"], "the sea");
}

/// lm-eval takes the last entry for the one token that it asked for and cuts it off.
#[tokio::test]
async fn an_end_token_has_its_entry_with_echo() {
    let model = tiny();
    let house = House::of(model.clone()).await;
    let mut found = None;
    for first in 0..320u32 {
        for second in 0..20u32 {
            let request = Generate::greedy(Prompt::Tokens(vec![first, second]), 1);
            if model.generate(request).await.expect("generates").completions[0].tokens.is_empty() {
                found = Some(vec![first, second]);
                break;
            }
        }
        if found.is_some() {
            break;
        }
    }
    let prompt = found.expect("a prompt after which the model ends");
    let body = json!({ "prompt": prompt, "max_tokens": 1, "echo": true, "logprobs": 1, "temperature": 0 });
    let choice = &house.ask(PLAIN, body).await["choices"][0];
    assert_eq!(choice["finish_reason"], "stop");
    let tokens = choice["logprobs"]["tokens"].as_array().expect("tokens");
    assert_eq!(tokens.len(), 3, "{choice}");
    let eos: Vec<_> = model.tokenizer().eos.iter().map(|id| model.tokenizer().piece(*id)).collect();
    assert!(eos.contains(&tokens[2].as_str().expect("text").to_owned()), "{tokens:?}");
    assert!(choice["logprobs"]["token_logprobs"][2].as_f64().expect("a number") < 0.0);
}

#[tokio::test]
async fn log_probabilities_without_echo_are_of_the_completion_alone() {
    let model = tiny();
    let house = House::of(model.clone()).await;
    let body = json!({ "prompt": "the sea", "max_tokens": 12, "logprobs": 0, "temperature": 0.9, "seed": 4, "n": 2 });
    let answer = house.ask(PLAIN, body.clone()).await;
    let chunks = house.stream(PLAIN, body).await;
    for (index, choice) in answer["choices"].as_array().expect("choices").iter().enumerate() {
        let pieces: Vec<_> = chunks
            .iter()
            .map(|chunk| &chunk["choices"][0])
            .filter(|piece| piece["index"] == index && !piece["logprobs"].is_null())
            .collect();
        assert!(pieces.len() > 1, "each piece comes with its tokens");
        for name in ["tokens", "token_logprobs", "top_logprobs"] {
            let all: Vec<_> = pieces.iter().flat_map(|piece| piece["logprobs"][name].as_array().expect(name)).collect();
            assert_eq!(json!(all), choice["logprobs"][name]);
        }
        let offset = |piece: &&Value| piece["logprobs"]["text_offset"][0].as_u64();
        assert!(offset(&pieces[0]) == Some(0) && pieces.windows(2).all(|pair| offset(&pair[0]) < offset(&pair[1])));
        let lists = &choice["logprobs"];
        let tokens = lists["tokens"].as_array().expect("tokens");
        assert!(!tokens.is_empty() && tokens.len() <= 12);
        assert_eq!(lists["text_offset"][0], 0);
        for (at, top) in lists["top_logprobs"].as_array().expect("top").iter().enumerate() {
            assert_eq!(top[tokens[at].as_str().expect("text")], lists["token_logprobs"][at]);
            assert_eq!(top.as_object().map(|top| top.len()), Some(1));
        }
    }
}
