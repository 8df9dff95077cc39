//! Every method of practice, on a model whose probabilities are known.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "the tests of strategies use the rest of it")]
mod grammar;

use std::collections::BTreeMap;
use std::sync::Arc;

use decode::practice::{Genius, Lesson, Method, Question, practise};
use decode::{Error, Fate, Node, Request, Search, Stopped, Strategy, Tools, search};
use grammar::{END, Grammar};
use lm::{Capabilities, Delta, Generate, Generation, LanguageModel, Prompt, Score, Scored, SharedModel};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use record::seed::derive;
use record::{Answer, Message};

const METHODS: [&str; 10] = [
    "genius",
    "genius-released",
    "genius-no-foresight",
    "genius-greedy",
    "greedy",
    "vote-8",
    "vote",
    "self-rewarding-4",
    "self-rewarding",
    "star",
];

fn request(seed: u64) -> Request {
    Request { budget: Some(2000), ..Request::new(Prompt::Raw("Q".into()), 40, seed) }
}

async fn ask(model: &SharedModel, name: &str, request: &Request) -> decode::Result<Lesson> {
    let messages = [Message::user("Q")];
    let right = |text: &str| text.ends_with('3');
    let may_look = name.starts_with("star");
    let question = Question { id: "q", messages: &messages, right: may_look.then_some(&right) };
    practise(model, &Method::parse(name)?, &question, request, &Tools::default(), &mut |_| {}).await
}

async fn learn(model: Grammar, name: &str, request: &Request) -> Lesson {
    let model: SharedModel = Arc::new(model);
    ask(&model, name, request).await.unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn sides(lesson: &Lesson) -> Vec<&Answer> {
    lesson.preferences.iter().flat_map(|p| [&p.chosen, &p.rejected]).flatten().collect()
}

fn reasons(lesson: &Lesson) -> Vec<&str> {
    lesson.drops.iter().map(|drop| drop.reason.as_str()).collect()
}

/// What does not depend on wall time.
fn bare(mut lesson: Lesson) -> Lesson {
    lesson.cost.seconds = 0.0;
    if let Some(search) = &mut lesson.search {
        search.cost.seconds = 0.0;
    }
    lesson
}

#[tokio::test]
async fn every_method_leaves_clean_pairs_a_whole_record_and_a_reason_for_the_rest() {
    let mut pairs = BTreeMap::new();
    for name in METHODS {
        for seed in 0..30 {
            let model = Grammar::sums();
            let words = model.words.clone();
            let lesson = learn(model, name, &request(seed)).await;
            let found = lesson.search.as_ref().unwrap();
            found.recheck().unwrap_or_else(|e| panic!("{name}, seed {seed}: {e}"));
            assert_eq!(Search::from_json(&serde_json::to_string(found).unwrap()).unwrap(), *found);
            assert!(found.nodes.iter().all(|node| node.fate != Fate::Open), "{name}");
            assert_eq!((found.name.as_str(), found.cost), (name, lesson.cost));
            assert!(found.stopped == Stopped::Done && lesson.cost.calls > 0 && lesson.cost.prefill > 0, "{name}");
            assert!(lesson.preferences.len() + lesson.drops.len() > 0, "{name} says what became of it");
            let mut ids: Vec<&String> = lesson.preferences.iter().map(|p| &p.id).collect();
            ids.extend(lesson.drops.iter().map(|drop| &drop.record));
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), lesson.preferences.len() + lesson.drops.len(), "{name}: an id is used once");
            for answer in sides(&lesson) {
                let text: String = answer.tokens.iter().map(|id| words[*id as usize]).collect();
                assert_eq!(text, answer.text, "{name}: the tokens that were drawn");
                assert!(!answer.text.trim().is_empty());
                assert_eq!(answer.ended, answer.tokens.len() < 40, "{name}: only the limit leaves a turn open");
                assert!(answer.logprob.unwrap() < 0.0);
            }
            for p in &lesson.preferences {
                assert_eq!((p.question.as_str(), p.weight, p.messages.len()), ("q", 1.0, 1));
                assert!(
                    p.chosen.is_some() && p.chosen.as_ref().map(|a| &a.text) != p.rejected.as_ref().map(|a| &a.text)
                );
                assert_eq!(p.rejected.is_none(), name == "greedy" || name == "star", "{name}");
                assert_eq!(p.step.is_some(), name.starts_with("genius"));
            }
            *pairs.entry(name).or_insert(0) += lesson.preferences.len();
        }
    }
    assert!(pairs.values().all(|n| *n >= 15), "{pairs:?}");
}

#[tokio::test]
async fn the_same_question_and_seed_teach_the_same_in_whatever_order_answers_come() {
    for name in METHODS {
        let plain = bare(learn(Grammar::sums(), name, &request(3)).await);
        let jitter = bare(learn(Grammar { jitter: true, ..Grammar::sums() }, name, &request(3)).await);
        assert_eq!(plain, jitter, "{name}");
        let mut single = Grammar::sums();
        single.able.n = false;
        assert_eq!(learn(single, name, &request(3)).await.search.unwrap().stopped, Stopped::Done, "{name}");
        if name != "greedy" {
            let other = learn(Grammar::sums(), name, &request(4)).await;
            assert_ne!(plain.search.as_ref().unwrap().nodes, other.search.unwrap().nodes, "{name}: another seed");
            let model: SharedModel = Arc::new(Grammar::sums());
            let right = |_: &str| true;
            let asked = Question { id: "r", messages: &[Message::user("Q")], right: Some(&right) };
            let method = Method::parse(name).unwrap();
            let other = practise(&model, &method, &asked, &request(3), &Tools::default(), &mut |_| {}).await.unwrap();
            assert_ne!(plain.search.unwrap().nodes, other.search.unwrap().nodes, "{name}: another question");
        }
    }
}

#[tokio::test]
async fn the_budget_is_never_exceeded_and_its_end_leaves_what_is_known() {
    for name in METHODS {
        for score in [true, false] {
            for budget in [1, 3, 10, 40, 90, 150, 300, 700, 2000] {
                for seed in 0..3 {
                    let request = Request { budget: Some(budget), ..request(seed) };
                    let mut model = Grammar::sums();
                    model.able.score = score;
                    let lesson = learn(model, name, &request).await;
                    assert!(lesson.cost.decode <= budget, "{name} spent {} of {budget}", lesson.cost.decode);
                    let found = lesson.search.as_ref().unwrap();
                    found.recheck().unwrap_or_else(|e| panic!("{name}, budget {budget}, seed {seed}: {e}"));
                    assert!(found.nodes.iter().all(|node| node.fate != Fate::Open), "{name}, budget {budget}");
                    let drops = reasons(&lesson);
                    if name.starts_with("genius") {
                        assert_eq!(lesson.preferences.len() + drops.len(), 4, "{name}: steps = pairs + drops");
                        assert_eq!(drops.contains(&"budget"), found.stopped == Stopped::Budget, "{name} {budget}");
                    } else if budget < 3 {
                        assert_eq!(drops, ["budget"], "{name}");
                    }
                    if budget >= 300 && !name.starts_with("genius") {
                        assert!(!drops.contains(&"budget"), "{name}: {budget} pays for it, {drops:?}");
                    }
                    if budget == 2000 && ["vote", "star", "self-rewarding"].contains(&name) {
                        assert!(lesson.cost.decode > if score { 1600 } else { 900 }, "{name} spent {:?}", lesson.cost);
                    }
                }
            }
        }
    }
    // Earlier steps stay where the budget ends later.
    let mut partial = 0;
    for budget in (60..400).step_by(10) {
        let lesson = learn(Grammar::sums(), "genius", &Request { budget: Some(budget), ..request(1) }).await;
        partial += usize::from(!lesson.preferences.is_empty() && reasons(&lesson).contains(&"budget"));
    }
    assert!(partial > 3, "{partial}");
}

/// Mean log-probability of words that follow another, from the grammar's own rules.
fn mean_logprob(model: &Grammar, mut before: &str, text: &str) -> f64 {
    let (mut rest, mut sum, mut n) = (text, 0.0, 0.0);
    while !rest.is_empty() {
        let next = model.rules[before].iter().filter(|(word, _)| rest.starts_with(word)).max_by_key(|(w, _)| w.len());
        let (word, p) = *next.unwrap();
        sum += f64::from(p.ln() as f32);
        n += 1.0;
        rest = &rest[word.len()..];
        before = word;
    }
    sum / n
}

fn last_word<'a>(model: &'a Grammar, text: &str) -> &'a str {
    model.words.iter().filter(|word| text.ends_with(**word)).max_by_key(|w| w.len()).copied().unwrap_or("")
}

/// Draws places by the inverse of the cumulative distribution, each time among those that are left.
fn draw(chances: &[f64], count: usize, seed: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut left: Vec<usize> = (0..chances.len()).collect();
    let mut drawn = Vec::new();
    while drawn.len() < count && !left.is_empty() {
        let mut u = rng.random::<f64>() * left.iter().map(|i| chances[*i]).sum::<f64>();
        let at = left.iter().position(|i| {
            u -= chances[*i];
            u < 0.0
        });
        drawn.push(left.remove(at.unwrap()));
    }
    drawn
}

/// The whole algorithm once more, from the note, over the texts that were drawn.
#[tokio::test]
async fn genius_is_the_note_s_algorithm() {
    let model = Grammar::sums();
    let (mut pairs, mut finished_candidates, mut inherited) = (0, 0, 0);
    for seed in 0..60 {
        let asked = Request { budget: None, ..request(seed) };
        let lesson = learn(Grammar::sums(), "genius", &asked).await;
        let found = lesson.search.as_ref().unwrap();
        let own = derive(derive(seed, "practise", "q"), "decode", "");
        assert_ne!(own, seed);
        let rng_seed = |what: &str| derive(derive(seed, "practise", "q"), "decode", what);
        let path =
            |node: &Node| -> String { found.path(node.id).iter().map(|i| found.nodes[*i].text.as_str()).collect() };
        let mut q: BTreeMap<usize, f64> = BTreeMap::from([(0, 0.0)]);
        let mut beams = vec![0usize];
        let mut ended = 0;
        let mut expected = Vec::new();
        let mut next = 1;
        for k in 1..=4usize {
            if beams.is_empty() {
                break;
            }
            // M·N = 8 from the root, then N = 4 from each beam that goes on.
            let each = if k == 1 { 8 } else { 4 };
            let candidates: Vec<&Node> = found.nodes[next..next + each * beams.len()].iter().collect();
            next += candidates.len();
            let parents: Vec<usize> = beams.iter().flat_map(|beam| vec![*beam; each]).collect();
            assert!(candidates.iter().zip(&parents).all(|(node, parent)| node.parent == Some(*parent)));
            let f: Vec<f64> = candidates
                .iter()
                .map(|node| {
                    finished_candidates += usize::from(node.finished);
                    match (&node.foresight, node.finished, node.text.is_empty()) {
                        (Some(seen), false, _) => mean_logprob(&model, last_word(&model, &path(node)), &seen.text),
                        (None, true, false) => {
                            let before = path(&found.nodes[node.parent.unwrap()]);
                            mean_logprob(&model, last_word(&model, &before), &node.text)
                        }
                        // A step that only ends says what the step before it said.
                        (None, true, true) => {
                            inherited += 1;
                            found.nodes[node.parent.unwrap()].logprob.unwrap()
                        }
                        odd => panic!("{odd:?}"),
                    }
                })
                .collect();
            let total: f64 = f.iter().map(|f| (f / 0.1).exp()).sum();
            let chances: Vec<f64> = f.iter().map(|f| (f / 0.1).exp() / total).collect();
            let advantages: Vec<f64> = f.iter().zip(&parents).map(|(f, parent)| f - q[parent]).collect();
            for (i, node) in candidates.iter().enumerate() {
                assert!((node.value.unwrap() - chances[i]).abs() < 1e-9);
                assert!((node.advantage.unwrap() - advantages[i]).abs() < 1e-9);
                q.insert(node.id, f[i]);
            }
            let winner = (0..f.len()).fold(0, |best, i| if f[i] > f[best] { i } else { best });
            let others: Vec<usize> = (0..f.len()).filter(|i| *i != winner).collect();
            let without: Vec<f64> = others.iter().map(|i| chances[*i] / (1.0 - chances[winner])).collect();
            let loser = others[draw(&without, 1, rng_seed(&format!("0/loser{k}")))[0]];
            let response = |i: usize| {
                let seen = candidates[i].foresight.as_ref().map_or("", |seen| seen.text.as_str());
                path(candidates[i]) + seen
            };
            if response(winner) != response(loser) && !response(loser).is_empty() && !response(winner).is_empty() {
                expected.push((k, response(winner), f[winner], advantages[winner]));
                expected.push((k, response(loser), f[loser], advantages[loser]));
                pairs += 1;
            }
            let drawn = draw(&chances, 2 - ended, rng_seed(&format!("0/explore{k}")));
            let kept: Vec<usize> = drawn.iter().map(|i| candidates[*i].id).collect();
            assert_eq!(found.rounds[k - 1].kept, kept);
            assert_eq!(found.rounds[k - 1].pair, Some([candidates[winner].id, candidates[loser].id]));
            ended += kept.iter().filter(|id| found.nodes[**id].finished).count();
            beams = kept.into_iter().filter(|id| !found.nodes[*id].finished).collect();
        }
        let stated: Vec<(usize, String, f64, f64)> = lesson
            .preferences
            .iter()
            .flat_map(|p| [&p.chosen, &p.rejected].map(|side| (p.step.unwrap() as usize, side.clone().unwrap())))
            .map(|(k, side)| (k, side.text, side.logprob.unwrap(), side.advantage.unwrap()))
            .collect();
        assert_eq!(stated.len(), expected.len());
        for (stated, expected) in stated.iter().zip(&expected) {
            assert_eq!((stated.0, &stated.1), (expected.0, &expected.1));
            assert!((stated.2 - expected.2).abs() < 1e-9 && (stated.3 - expected.3).abs() < 1e-9);
        }
        // The answer is the last winner's response, adopted at no cost.
        assert_eq!(
            found.nodes.len() - next,
            usize::from(!found.nodes[found.rounds.last().unwrap().pair.unwrap()[0]].finished)
        );
        for p in lesson.preferences.iter().filter(|p| p.step == Some(1)) {
            let [chosen, rejected] = [&p.chosen, &p.rejected].map(|side| side.clone().unwrap());
            assert_eq!((chosen.advantage, rejected.advantage), (chosen.logprob, rejected.logprob), "Q₀ = 0");
        }
        for node in found.nodes.iter().filter(|node| node.finished) {
            assert!(!found.nodes.iter().any(|child| child.parent == Some(node.id)), "never rolled out again");
        }
    }
    assert!(pairs > 100 && finished_candidates > 100 && inherited > 3, "{pairs} {finished_candidates} {inherited}");
}

#[tokio::test]
async fn a_question_by_hand() {
    // "bad" is likelier than "good", but leads to noise; "good" leads to 7 with 0.98 or to 8.
    // The loser is drawn evenly, as F leaves noise hardly a chance.
    let method = r#"{"kind":"genius","steps":1,"beams":1,"rollouts":8,"released":true}"#;
    let mut both = 0;
    for seed in 0..20 {
        let lesson = learn(Grammar::garden_path(), method, &request(seed)).await;
        let Some(pair) = lesson.preferences.first() else { continue };
        let [chosen, rejected] = [&pair.chosen, &pair.rejected].map(|side| side.as_ref().unwrap());
        if chosen.text == "good\n then so 7" {
            // then and so are certain: (ln 1 + ln 1 + ln 0.98) / 3.
            assert!((chosen.logprob.unwrap() - -0.006_734_2).abs() < 1e-6);
            if let Some(noise) = rejected.text.strip_prefix("bad\n\t") {
                // The first letter has 0.25, each other one 0.2.
                let n = noise.len() as f64;
                let f = (0.25f64.ln() + (n - 1.0) * 0.2f64.ln()) / n;
                assert!((rejected.logprob.unwrap() - f).abs() < 1e-6, "{noise}");
                both += 1;
            }
        }
    }
    assert!(both > 5, "{both}");
}

#[tokio::test]
async fn equal_responses_are_no_pair_and_paths_that_have_ended_give_no_more_steps() {
    let lesson = learn(Grammar::sure(), "genius", &request(1)).await;
    assert_eq!((lesson.preferences.len(), reasons(&lesson)), (0, vec!["same-answers"; 4]));
    let short =
        || Grammar::new(&[("", &[("a", 0.5), ("b", 0.4), (END, 0.1)]), ("a", &[(END, 1.0)]), ("b", &[(END, 1.0)])]);
    let mut seen = BTreeMap::new();
    for seed in 0..20 {
        let lesson = learn(short(), "genius", &request(seed)).await;
        assert_eq!(reasons(&lesson)[lesson.drops.len() - 3..], ["all-ended"; 3]);
        assert_eq!(lesson.search.unwrap().rounds.len(), 1);
        match lesson.preferences.first() {
            None => *seen.entry(lesson.drops[0].reason.clone()).or_insert(0) += 1,
            Some(pair) => {
                assert_eq!(pair.chosen.as_ref().unwrap().text, "a");
                assert!((pair.chosen.as_ref().unwrap().logprob.unwrap() - 0.5f64.ln()).abs() < 1e-6);
                *seen.entry("pair".into()).or_insert(0) += 1;
            }
        }
    }
    assert!(seen["pair"] > 2 && seen["same-answers"] > 2, "{seen:?}");
}

#[tokio::test]
async fn ablations_change_what_they_say_and_nothing_else() {
    let mut better_kept = 0;
    for seed in 0..30 {
        let lesson = learn(Grammar::sums(), "genius-no-foresight", &request(seed)).await;
        let found = lesson.search.as_ref().unwrap();
        for round in &found.rounds {
            for (place, id) in round.candidates.iter().enumerate() {
                let node = &found.nodes[*id];
                let before = node.parent.filter(|p| *p != 0).map_or(0.0, |p| found.nodes[p].logprob.unwrap());
                assert!((round.advantages[place] - (node.logprob.unwrap() - before)).abs() < 1e-12);
                assert!(node.foresight.is_none() || round.pair.unwrap().contains(id), "only the pair is continued");
            }
        }
        assert!(sides(&lesson).iter().all(|side| side.ended || side.tokens.len() == 40), "and that to its end");
        let greedy = learn(Grammar::sums(), "genius-greedy", &request(seed)).await.search.unwrap();
        let plain = learn(Grammar::sums(), "genius", &request(seed)).await.search.unwrap();
        assert_eq!(greedy.rounds[0].values, plain.rounds[0].values, "the same candidates");
        assert_eq!(greedy.rounds[0].pair, plain.rounds[0].pair, "and the same pair");
        let round = &greedy.rounds[0];
        let value = |id: &usize| greedy.nodes[*id].value.unwrap();
        let least = round.kept.iter().map(value).fold(1.0, f64::min);
        assert!(round.candidates.iter().all(|id| round.kept.contains(id) || value(id) <= least), "the best are kept");
        better_kept += usize::from(greedy.rounds[0].kept != plain.rounds[0].kept);
        let short = learn(Grammar::sums(), r#"{"kind":"genius","foresight_tokens":2}"#, &request(seed)).await;
        assert!(short.search.unwrap().nodes.iter().all(|n| n.foresight.as_ref().is_none_or(|f| f.tokens <= 2)));
    }
    assert!(better_kept > 5, "sampling is no argmax");
}

#[tokio::test]
async fn greedy_practice_learns_the_greedy_answer() {
    let model: SharedModel = Arc::new(Grammar::sums());
    let lesson = ask(&model, "greedy", &request(1)).await.unwrap();
    let found = search(&model, &Strategy::Greedy, &request(1), &Tools::default(), &mut |_| {}).await.unwrap();
    assert_eq!(lesson.preferences[0].chosen.as_ref().unwrap().text, found.answer);
    assert_eq!(lesson.cost.decode, found.cost.decode);
}

#[tokio::test]
async fn votes_pair_what_most_say_with_what_others_say() {
    let mut seen = BTreeMap::new();
    for seed in 0..60 {
        let lesson = learn(Grammar::sums(), "vote-5", &request(seed)).await;
        let answer = |text: &str| decode::answer::last(text);
        let found = lesson.search.as_ref().unwrap();
        let answers: Vec<String> = found.nodes[1..].iter().map(|node| answer(&node.text).unwrap()).collect();
        assert_eq!(answers.len(), 5);
        let count = |a: &String| answers.iter().filter(|other| *other == a).count();
        let most = answers.iter().map(&count).max().unwrap();
        let tops: std::collections::BTreeSet<&String> = answers.iter().filter(|a| count(a) == most).collect();
        let reason = match (tops.len(), most) {
            (2.., _) => "no-majority",
            (_, 5) => "unanimous",
            _ => "pairs",
        };
        *seen.entry(reason).or_insert(0) += 1;
        if reason != "pairs" {
            assert_eq!((reasons(&lesson), lesson.preferences.len()), (vec![reason], 0));
            continue;
        }
        assert!((1..=4).contains(&lesson.preferences.len()) && lesson.drops.is_empty());
        for pair in &lesson.preferences {
            let [chosen, rejected] = [&pair.chosen, &pair.rejected].map(|s| answer(&s.as_ref().unwrap().text).unwrap());
            assert!(tops.contains(&chosen) && !tops.contains(&rejected));
        }
        let texts: std::collections::BTreeSet<_> = lesson
            .preferences
            .iter()
            .map(|p| (p.chosen.as_ref().unwrap().text.clone(), p.rejected.as_ref().unwrap().text.clone()))
            .collect();
        assert_eq!(texts.len(), lesson.preferences.len(), "no pair twice");
    }
    assert!(["no-majority", "unanimous", "pairs"].iter().all(|reason| seen[reason] > 2), "{seen:?}");
}

#[tokio::test]
async fn the_model_s_own_judgement_pairs_its_best_with_its_worst() {
    let likes = |text: &str| text.matches("sub").count() as i32 - text.matches("add").count() as i32;
    for seed in 0..20 {
        let lesson = learn(Grammar::sums(), "self-rewarding-6", &request(seed)).await;
        let found = lesson.search.as_ref().unwrap();
        let liked = found.nodes[1..].iter().map(|node| likes(&node.text));
        let (most, least) = (liked.clone().max().unwrap(), liked.min().unwrap());
        match lesson.preferences.first() {
            None => assert_eq!(reasons(&lesson), ["no-difference"]),
            Some(pair) => {
                assert_eq!(likes(&pair.chosen.as_ref().unwrap().text), most);
                assert_eq!(likes(&pair.rejected.as_ref().unwrap().text), least);
                assert!(most > least);
            }
        }
    }
}

#[tokio::test]
async fn only_star_sees_labels_and_it_keeps_what_is_right() {
    let model: SharedModel = Arc::new(Grammar::sums());
    let messages = [Message::user("Q")];
    let never = |_: &str| -> bool { panic!("the label is looked at") };
    let question = Question { id: "q", messages: &messages, right: Some(&never) };
    for name in METHODS.iter().filter(|name| **name != "star") {
        let method = Method::parse(name).unwrap();
        practise(&model, &method, &question, &request(1), &Tools::default(), &mut |_| {}).await.unwrap();
    }
    let star = Method::parse("star-8").unwrap();
    let blind = Question { right: None, ..question };
    let refused = practise(&model, &star, &blind, &request(1), &Tools::default(), &mut |_| {}).await;
    assert!(matches!(refused, Err(Error::Needs { .. })));
    let mut wrong = 0;
    for seed in 0..20 {
        let lesson = ask(&model, "star-2", &request(seed)).await.unwrap();
        assert!(sides(&lesson).iter().all(|side| side.text.ends_with('3')));
        let right = lesson.search.unwrap().nodes[1..].iter().filter(|node| node.text.ends_with('3')).count();
        assert_eq!(lesson.preferences.is_empty(), right == 0);
        wrong += usize::from(lesson.drops.iter().any(|drop| drop.reason == "none-right"));
    }
    assert!(wrong > 0 && wrong < 20);
}

/// The same model behind a server that shows no tokens.
struct Remote(Grammar);

#[async_trait::async_trait]
impl LanguageModel for Remote {
    fn name(&self) -> &str {
        "remote"
    }
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    async fn stream(&self, request: Generate, sink: &mut (dyn FnMut(Delta) + Send)) -> lm::Result<Generation> {
        assert!(request.begun.tokens.is_empty());
        let mut generation = self.0.stream(request, sink).await?;
        generation.completions.iter_mut().for_each(|completion| completion.tokens.clear());
        Ok(generation)
    }
    async fn score(&self, request: Score) -> lm::Result<Scored> {
        self.0.score(request).await
    }
}

#[tokio::test]
async fn a_remote_model_gives_the_same_texts_without_tokens() {
    for name in METHODS {
        let remote: SharedModel = Arc::new(Remote(Grammar::sums()));
        let lesson = ask(&remote, name, &request(2)).await.unwrap();
        let local = learn(Grammar::sums(), name, &request(2)).await;
        assert_eq!(lesson.preferences.len(), local.preferences.len(), "{name}");
        for (remote, local) in sides(&lesson).iter().zip(sides(&local)) {
            assert!(remote.tokens.is_empty() && !local.tokens.is_empty());
            assert_eq!((&remote.text, remote.ended, remote.logprob), (&local.text, local.ended, local.logprob));
        }
    }
    let mut blind = Grammar::sums();
    blind.able.logprobs = false;
    let blind: SharedModel = Arc::new(blind);
    assert!(matches!(ask(&blind, "genius", &request(1)).await, Err(Error::Needs { .. })));
    let lesson = ask(&blind, "vote-8", &request(1)).await.unwrap();
    assert!(!lesson.preferences.is_empty() && sides(&lesson).iter().all(|side| side.logprob.is_none()));
}

#[tokio::test]
async fn a_stop_string_leaves_the_tokens_that_show_the_text() {
    let mut cut = 0;
    for name in ["genius", "vote-8"] {
        for seed in 0..10 {
            let stop = Request { stop: vec!["\nso".into()], begun: "add".into(), ..request(seed) };
            let lesson = learn(Grammar::sums(), name, &stop).await;
            for side in sides(&lesson) {
                assert!(side.text.starts_with("add ") && !side.text.contains("\nso"), "{:?}", side.text);
                assert!(side.tokens.is_empty(), "the tokens of what had begun are not known");
            }
            let stop = Request { stop: vec!["\nso".into()], ..request(seed) };
            let words = Grammar::sums().words;
            let lesson = learn(Grammar::sums(), name, &stop).await;
            for side in sides(&lesson) {
                let text: String = side.tokens.iter().map(|id| words[*id as usize]).collect();
                assert_eq!(text, side.text, "{name}");
                cut += usize::from(side.ended);
            }
        }
    }
    assert!(cut > 20);
}

#[tokio::test]
async fn what_a_method_lacks_is_said_before_the_model_is_asked() {
    let model = Arc::new(Grammar::sums());
    let shared: SharedModel = model.clone();
    let endless = Request { budget: None, ..request(1) };
    for name in ["vote", "self-rewarding", "star"] {
        let refused = ask(&shared, name, &endless).await;
        assert!(matches!(refused, Err(Error::Request { field: "budget", .. })), "{name}");
    }
    let strategy = Strategy::Practice { method: Method::Genius(Genius::paper()) };
    let refused = search(&shared, &strategy, &request(1), &Tools::default(), &mut |_| {}).await;
    assert!(refused.unwrap_err().to_string().contains("practise"));
    assert!(model.requests.lock().unwrap().is_empty());
}

#[test]
fn practice_may_move_between_threads() {
    fn moves<T: Send>(_: T) {}
    let model: SharedModel = Arc::new(Grammar::sums());
    let (method, asked, mut ignore) = (Method::Greedy, request(1), |_| {});
    let question = Question { id: "q", messages: &[], right: None };
    moves(practise(&model, &method, &question, &asked, &Tools::default(), &mut ignore));
}
