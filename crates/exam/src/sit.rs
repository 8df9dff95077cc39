use futures::stream::{FuturesUnordered, StreamExt};
use lm::{Generate, Prompt, Score, SharedModel, Usage};
use rag::Retriever;
use record::{Item, Mode, Response};

use crate::{Config, Error, Result, abstains, exact_match, token_f1};

/// Asks every item of one model and marks the answers; responses come in the order of the items.
///
/// Items without choices are answered greedily and marked by [`exact_match`] (score) and
/// [`token_f1`] (secondary). Items with choices are marked by likelihood: score is 1 if the right
/// choice has the highest log-probability, secondary is 1 if it has the highest log-probability per
/// byte of the choice's text. `label` names the model in the responses (`before`, `after`),
/// `adapter` is asked of the model by name. `retriever` is needed for [`Mode::Open`] alone.
/// `progress` gets the number of items done.
///
/// A failed request gives a response with [`Response::failed`] and score 0: it is never dropped.
#[allow(clippy::too_many_arguments)]
pub async fn sit(
    items: &[Item],
    label: &str,
    model: &SharedModel,
    adapter: Option<&str>,
    mode: Mode,
    retriever: Option<&Retriever>,
    config: &Config,
    progress: &mut (dyn FnMut(usize) + Send),
) -> Result<Vec<Response>> {
    config.validate()?;
    let book = match (mode, retriever) {
        (Mode::Closed, _) => None,
        (Mode::Open, Some(book)) => Some(book),
        (Mode::Open, None) => return Err(Error::NoBook),
    };
    let sitting = Sitting { label, model, adapter, mode, book, config };
    let mut waiting = items.iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut responses: Vec<Option<Response>> = items.iter().map(|_| None).collect();
    let mut done = 0;
    loop {
        while running.len() < config.concurrency
            && let Some((index, item)) = waiting.next()
        {
            let sitting = &sitting;
            running.push(async move { (index, sitting.answer(item).await) });
        }
        let Some((index, response)) = running.next().await else { break };
        responses[index] = Some(response);
        done += 1;
        progress(done);
    }
    Ok(responses.into_iter().flatten().collect())
}

/// The text that stands before the model for an item: the user's turn of a generated answer, or the
/// raw text before a choice.
pub fn shown(item: &Item, book: Option<&Retriever>) -> String {
    let passages = book.map_or_else(Vec::new, |book| book.passages(&item.question));
    let passages: String = passages.iter().map(|passage| format!("{}\n\n", passage.text)).collect();
    let context = if passages.is_empty() { passages } else { format!("Use this text.\n\n{passages}") };
    if item.choices.is_empty() {
        format!("{context}{}", item.question)
    } else {
        format!("{context}Question: {}\nAnswer:", item.question)
    }
}

struct Sitting<'a> {
    label: &'a str,
    model: &'a SharedModel,
    adapter: Option<&'a str>,
    mode: Mode,
    book: Option<&'a Retriever>,
    config: &'a Config,
}

impl Sitting<'_> {
    async fn answer(&self, item: &Item) -> Response {
        let mut response = Response {
            item: item.id.clone(),
            fact: item.fact.clone(),
            document: item.document.clone(),
            kind: item.kind,
            model: self.label.into(),
            mode: self.mode,
            question: item.question.clone(),
            expected: item.answers.first().cloned().unwrap_or_default(),
            text: String::new(),
            score: 0.0,
            secondary: 0.0,
            choice_logprobs: Vec::new(),
            abstained: false,
            failed: None,
            usage: Usage::default(),
        };
        let marked = if item.choices.is_empty() {
            self.generate(item, &mut response).await
        } else {
            self.choose(item, &mut response).await
        };
        response.failed = marked.err();
        response
    }

    async fn generate(&self, item: &Item, response: &mut Response) -> std::result::Result<(), String> {
        let mut request = Generate::greedy(Prompt::ask(shown(item, self.book)), self.config.max_tokens);
        request.stop = vec!["\n".into()];
        request.adapter = self.adapter.map(str::to_string);
        let answer = self.model.generate(request).await.map_err(|e| e.to_string())?;
        response.usage = answer.usage;
        let completion = answer.completions.into_iter().next().ok_or("the model returned no completion")?;
        response.text = completion.text.trim().to_string();
        let right = exact_match(&response.text, &item.answers);
        response.score = f64::from(u8::from(right));
        response.secondary = if right { 1.0 } else { token_f1(&response.text, &item.answers) };
        response.abstained = !right && abstains(&response.text);
        Ok(())
    }

    async fn choose(&self, item: &Item, response: &mut Response) -> std::result::Result<(), String> {
        let prompt = Prompt::Raw(shown(item, self.book));
        let mut logprobs = Vec::with_capacity(item.choices.len());
        for choice in &item.choices {
            let request = Score {
                prompt: prompt.clone(),
                continuation: format!(" {choice}").into(),
                top_logprobs: 0,
                adapter: self.adapter.map(str::to_string),
            };
            let scored = self.model.score(request).await.map_err(|e| e.to_string())?;
            response.usage += scored.usage;
            if scored.tokens.is_empty() || !scored.sum().is_finite() {
                return Err(format!("choice {choice:?} has no finite log-probability"));
            }
            logprobs.push(scored.sum());
        }
        let per_byte =
            logprobs.iter().zip(&item.choices).map(|(sum, choice)| sum / choice.len() as f64).collect::<Vec<_>>();
        let chosen = |values: &[f64]| item.choices.get(first_best(values)).cloned().unwrap_or_default();
        response.text = chosen(&logprobs);
        response.score = f64::from(u8::from(response.text == response.expected));
        response.secondary = f64::from(u8::from(chosen(&per_byte) == response.expected));
        response.choice_logprobs = logprobs;
        Ok(())
    }
}

/// Index of the greatest value, the first of equal ones.
fn first_best(values: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use lm::{Fault, ScriptedModel};
    use record::{Bank, Chunk, FactKind, Sentence};
    use std::sync::Arc;

    fn item(id: &str, question: &str, answer: &str, choices: &[&str]) -> Item {
        Item {
            id: id.into(),
            fact: id.into(),
            document: "d".into(),
            kind: FactKind::Number,
            bank: Bank::Exam,
            question: question.into(),
            answers: vec![answer.into()],
            choices: choices.iter().map(|c| c.to_string()).collect(),
            sentence: String::new(),
            citation: None,
            wording: "hand".into(),
        }
    }

    async fn closed(items: &[Item], model: ScriptedModel) -> Vec<Response> {
        let model: SharedModel = Arc::new(model);
        sit(items, "before", &model, None, Mode::Closed, None, &Config::default(), &mut |_| {}).await.expect("sit")
    }

    #[tokio::test]
    async fn answers_are_marked_and_come_in_the_order_of_the_items() {
        let items = [
            item("a", "height of the mast?", "42 metres", &[]),
            item("b", "colour of the log?", "green", &[]),
            item("c", "name of the boat?", "Kittle", &[]),
            item("d", "anything else?", "no", &[]),
        ];
        let model = ScriptedModel::new()
            .fault(Fault::Delay(std::time::Duration::from_millis(20)))
            .reply("mast", "The 42 metres.")
            .reply("log", "dark green")
            .reply("boat", "I don't know.");
        let responses = closed(&items, model).await;
        let marks: Vec<_> = responses.iter().map(|r| (r.item.as_str(), r.score, r.abstained)).collect();
        assert_eq!(marks, [("a", 1.0, false), ("b", 0.0, false), ("c", 0.0, true), ("d", 0.0, true)]);
        assert!((responses[1].secondary - 2.0 / 3.0).abs() < 1e-12);
        assert!(responses[0].usage.decode > 0);
    }

    #[tokio::test]
    async fn a_failure_stays_in_the_denominator() {
        let items = [item("a", "x?", "1", &[]), item("b", "y?", "2", &["1", "2"]), item("c", "z?", "3", &[])];
        let model = ScriptedModel::new()
            .reply("?", "3")
            .fault(Fault::Fail(lm::Error::Engine("down".into())))
            .fault(Fault::Fail(lm::Error::Engine("gone".into())));
        let responses = closed(&items, model).await;
        assert_eq!(responses.len(), 3);
        assert_eq!(responses[0].failed.as_deref(), Some("engine: down"));
        assert_eq!(responses[1].failed.as_deref(), Some("engine: gone"));
        assert_eq!((responses[2].score, responses[2].failed.is_none()), (1.0, true));
    }

    #[tokio::test]
    async fn the_request_is_greedy_short_and_stops_at_the_line_break() {
        let model = Arc::new(ScriptedModel::new());
        let shared: SharedModel = model.clone();
        let items = [item("a", "How high?", "1", &[])];
        let config = Config::default();
        sit(&items, "after", &shared, Some("mine"), Mode::Closed, None, &config, &mut |_| {}).await.expect("sit");
        let requests = model.requests();
        assert_eq!(requests[0].prompt, Prompt::ask("How high?"));
        assert_eq!((requests[0].max_tokens, requests[0].sampling.temperature), (24, 0.0));
        assert_eq!(
            (requests[0].stop.as_slice(), requests[0].adapter.as_deref()),
            (&["\n".to_string()][..], Some("mine"))
        );
    }

    #[tokio::test]
    async fn choices_are_marked_by_raw_and_by_length_normalised_likelihood() {
        // One word a choice at -2 against three words at -1 each: raw prefers the first (-2 > -3),
        // per byte the second (-2/4 < -3/14).
        let choice = item("a", "Which?", "one two threes", &["four", "one two threes"]);
        let model = ScriptedModel::new().score_words("four", -2.0).score_words("one", -1.0);
        let responses = closed(&[choice], model).await;
        assert_eq!(responses[0].choice_logprobs, [-2.0, -3.0]);
        assert_eq!((responses[0].text.as_str(), responses[0].score, responses[0].secondary), ("four", 0.0, 1.0));
    }

    #[tokio::test]
    async fn an_open_book_stands_before_the_question() {
        let sentence = Sentence { number: 1, text: "The mast is 42 metres high.".into() };
        let chunk =
            Chunk { id: "d#0".into(), document: "d".into(), headings: vec!["Radio".into()], sentences: vec![sentence] };
        let book = Retriever::new(vec![chunk], rag::Config::default());
        let items = [item("a", "How high is the mast?", "42", &[])];
        let model = Arc::new(ScriptedModel::new().reply("42 metres", "42"));
        let shared: SharedModel = model.clone();
        let config = Config::default();
        let missing = sit(&items, "x", &shared, None, Mode::Open, None, &config, &mut |_| {}).await;
        assert!(matches!(missing, Err(Error::NoBook)));
        let responses =
            sit(&items, "x", &shared, None, Mode::Open, Some(&book), &config, &mut |_| {}).await.expect("sit");
        assert_eq!(responses[0].score, 1.0);
        let Prompt::Messages(messages) = &model.requests()[0].prompt else { panic!("a conversation is asked") };
        assert!(messages[0].content.contains("Radio: The mast is 42 metres high."));
        assert!(messages[0].content.ends_with("How high is the mast?"));
    }

    #[tokio::test]
    async fn shuffled_answers_score_nothing() {
        // A marker that gave credit for form alone would show here: right kind, right unit, wrong item.
        let n = 200;
        let items: Vec<Item> = (0..n)
            .map(|i| item(&format!("{i:03}"), &format!("item {i:03}?"), &format!("{} metres", 7 * i + 3), &[]))
            .collect();
        let straight =
            (0..n).fold(ScriptedModel::new(), |m, i| m.reply(format!("item {i:03}"), format!("{} metres", 7 * i + 3)));
        let shuffled = (0..n).fold(ScriptedModel::new(), |m, i| {
            m.reply(format!("item {i:03}"), format!("{} metres", 7 * ((i + 31) % n) + 3))
        });
        let mean = |responses: &[Response]| responses.iter().map(|r| r.score).sum::<f64>() / n as f64;
        assert_eq!(mean(&closed(&items, straight).await), 1.0);
        assert_eq!(mean(&closed(&items, shuffled).await), 0.0);
    }
}
