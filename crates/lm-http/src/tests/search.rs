//! What search asks of a server: turns that go on, cuts, alternatives, formats, tokens.

use super::*;

fn body(request: &str) -> serde_json::Value {
    serde_json::from_str(request.split_once("\r\n\r\n").map_or("", |(_, body)| body)).expect("a body")
}

#[tokio::test]
async fn a_turn_that_has_begun_goes_along() {
    let server = Server::new(|_, request| match request.contains("chat/completions") {
        true => json(&chat("on")),
        false => json(r#"{"choices":[{"index":0,"text":"on","finish_reason":"stop"}]}"#),
    });
    let model = server.model();
    let begun = lm::Span { text: "So ".into(), tokens: vec![7] };
    model.generate(Generate { begun: begun.clone(), ..ask() }).await.expect("chat");
    model.generate(Generate { begun: begun.clone(), prompt: Prompt::Raw("Who? ".into()), ..ask() }).await.expect("raw");
    model.generate(Generate { begun, prompt: Prompt::Tokens(vec![5, 6]), ..ask() }).await.expect("tokens");
    let bodies: Vec<_> = server.requests().iter().map(|request| body(request)).collect();
    assert_eq!(bodies[0]["messages"][1], serde_json::json!({ "role": "assistant", "content": "So " }));
    assert_eq!(
        (&bodies[0]["continue_final_message"], &bodies[0]["add_generation_prompt"]),
        (&true.into(), &false.into())
    );
    assert_eq!(bodies[1]["prompt"], "Who? So ");
    assert_eq!(bodies[2]["prompt"], serde_json::json!([5, 6, 7]));
    let unknown = Generate { begun: "So ".into(), prompt: Prompt::Tokens(vec![5]), ..ask() };
    assert!(matches!(model.generate(unknown).await, Err(Error::Unsupported { .. })));
    let unknown = Generate { begun: lm::Span { text: String::new(), tokens: vec![5] }, ..ask() };
    assert!(matches!(model.generate(unknown).await, Err(Error::Unsupported { .. })));
    assert!(body(&server.requests()[0]).get("response_format").is_none());
}

/// A piece of a stream whose text is one token.
fn token(index: usize, text: &str) -> Vec<u8> {
    let text = serde_json::to_string(text).expect("json");
    format!(
        "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":{text}}},\"logprobs\":{{\"content\":[{{\"token\":{text},\"logprob\":-0.5,\"top_logprobs\":[{{\"token\":{text},\"logprob\":-0.5}},{{\"token\":\"z\",\"logprob\":-2.0}}]}}]}}}}]}}\n\n"
    )
    .into_bytes()
}

#[tokio::test]
async fn a_text_is_cut_after_the_token_that_matches_and_the_server_left_alone() {
    // Two choices take turns and never end by themselves.
    let server = Server::new(|_, request| match request.contains("\"stream\":true") {
        false => {
            let choice = |i: usize| {
                format!(
                    r#"{{"index":{i},"message":{{"content":"x"}},"finish_reason":"stop","logprobs":{{"content":[{{"token":"x","logprob":-1.0}}]}}}}"#
                )
            };
            let n = if request.contains("\"n\":2") { 2 } else { 1 };
            json(&format!("{{\"choices\":[{}]}}", (0..n).map(choice).collect::<Vec<_>>().join(",")))
        }
        true => {
            let own = |index, pieces: [&str; 5]| pieces.map(|piece| token(index, piece));
            let (a, b) = (own(0, ["\n", "one", " \n\n", "two", "\n"]), own(1, ["a", "b", "c", "d\n", "e"]));
            let turns: Vec<Vec<u8>> = a.into_iter().zip(b).flat_map(|(a, b)| [a, b]).collect();
            events(turns.into_iter().chain((0..2000).map(|_| token(0, "more"))).collect())
        }
    });
    let model = server.model();
    let request = Generate { n: 2, logprobs: true, top_logprobs: 2, until: Some(r"\S[^\n]*\n".into()), ..ask() };
    let begin = Instant::now();
    let mut heard = vec![String::new(); 2];
    let streamed = model.stream(request.clone(), &mut |delta| heard[delta.index].push_str(&delta.text)).await;
    let streamed = streamed.expect("cut").completions;
    assert!(begin.elapsed() < Duration::from_secs(8), "it did not read 2,000 pieces");
    assert_eq!((streamed[0].text.as_str(), streamed[1].text.as_str()), ("\none \n\n", "abcd\n"));
    assert_eq!(heard, ["\none \n\n", "abcd\n"]);
    assert_eq!((streamed[0].finish, streamed[0].logprobs.len(), streamed[1].logprobs.len()), (Finish::Boundary, 3, 4));
    assert_eq!((streamed[0].logprobs[1].text.as_str(), streamed[0].logprobs[1].top[1].text.as_str()), ("one", "z"));
    assert_eq!(model.generate(request.clone()).await.expect("cut").completions, streamed);
    let bad = Generate { until: Some("(".into()), ..request };
    assert!(matches!(model.generate(bad).await, Err(Error::Request { field: "until", .. })));
    let many = Generate { logprobs: true, top_logprobs: 21, ..ask() };
    assert!(matches!(model.generate(many).await, Err(Error::Request { field: "top_logprobs", .. })));
}

#[tokio::test]
async fn a_text_without_tokens_is_cut_at_the_character_and_an_end_stays_an_end() {
    let server = Server::new(|k, _| match k {
        0 => events(vec![piece("one", "null").into_bytes(), piece(" two. Three.", "null").into_bytes()]),
        1 => events(vec![piece("one", "\"stop\"").into_bytes()]),
        _ => json(&chat("one two. Three.")),
    });
    let model = server.model();
    let request = Generate { until: Some(r"\.".into()), ..ask() };
    for (text, finish) in [("one two.", Finish::Boundary), ("one", Finish::Stop), ("one two.", Finish::Boundary)] {
        let completion = model.generate(request.clone()).await.expect("answered").completions.remove(0);
        assert_eq!((completion.text.as_str(), completion.finish), (text, finish));
    }
}

#[tokio::test]
async fn a_format_is_asked_for_where_it_is_obeyed() {
    let schema = || lm::Format::JsonSchema(serde_json::json!({ "type": "object" }));
    let server = Server::new(|_, request| match request.contains("response_format") {
        true => json(&chat(r#"{\"a\": 1}"#)),
        false => json(&chat("x")),
    });
    let model = server.model();
    let formed = model.generate(Generate { format: Some(schema()), ..ask() }).await.expect("formed");
    assert_eq!(formed.completions[0].text, "{\"a\": 1}");
    let asked = body(server.requests().last().expect("asked"));
    assert_eq!(asked["response_format"]["type"], "json_schema");
    assert_eq!(asked["response_format"]["json_schema"]["schema"]["type"], "object");
    assert!(model.capabilities().formats);
    let pattern = Generate { format: Some(lm::Format::Regex("a+".into())), ..ask() };
    assert!(matches!(model.generate(pattern).await, Err(Error::Unsupported { .. })));

    let deaf = Server::new(|_, _| json(&chat("Hello")));
    let unable = deaf.model().generate(Generate { format: Some(schema()), ..ask() }).await;
    assert!(matches!(unable, Err(Error::Unsupported { .. })), "{unable:?}");
    // One that only seems to obey is found out by its answer.
    let sly = Server::new(|_, request| json(&chat(if request.contains("Who?") { "Hello" } else { "{" })));
    let error = sly.model().generate(Generate { format: Some(schema()), ..ask() }).await.expect_err("no JSON");
    assert!(matches!(&error, Error::Protocol { problem, .. } if problem.contains("JSON")), "{error}");
}

#[tokio::test]
async fn tokens_are_scored_by_their_place() {
    let server = Server::new(|_, request| match request.contains("\"prompt\":[") {
        false => echoing_text("Hello world"),
        true => json(
            r#"{"choices":[{"index":0,"text":"abc!","finish_reason":"length","logprobs":{"tokens":["a","b","c","!"],
            "token_logprobs":[null,-1.0,-2.0,-9.0],"top_logprobs":[null,{"b":-1.0},{"d":-0.5,"c":-2.0},{"!":-9.0}]}}]}"#,
        ),
    });
    let continuation = lm::Span { text: "bc".into(), tokens: vec![2, 3] };
    let score = Score { prompt: Prompt::Tokens(vec![1]), continuation, adapter: None, top_logprobs: 2 };
    let tokens = server.model().score(score.clone()).await.expect("scored").tokens;
    assert_eq!(
        tokens.iter().map(|t| (t.logprob, t.greedy)).collect::<Vec<_>>(),
        [(-1.0, Some(true)), (-2.0, Some(false))]
    );
    assert_eq!(tokens[1].top.iter().map(|t| t.text.as_str()).collect::<Vec<_>>(), ["d", "c"]);
    let longer = Score { continuation: lm::Span { text: "bcdefg".into(), tokens: vec![2; 6] }, ..score };
    assert!(matches!(server.model().score(longer).await, Err(Error::Protocol { .. })));
}
