//! Every strategy, on a model whose probabilities are known.

#![allow(clippy::unwrap_used)]

mod grammar;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use decode::{
    BestOf, Boundary, By, Clustering, Error, Event, Fate, Node, Phi, Predictive, Request, Scorer, Search,
    SelfConsistency, Stopped, Strategy, Tools, search,
};
use grammar::Grammar;
use lm::{Prompt, SharedModel};

fn request(seed: u64) -> Request {
    Request::new(Prompt::Raw("Q".into()), 40, seed)
}

fn strategies() -> Vec<Strategy> {
    let names = Strategy::list();
    let names = names.iter().map(|(name, _)| name.as_str());
    names.filter(|name| !name.contains("scorer")).map(|name| Strategy::parse(name).unwrap()).collect()
}

/// Texts with equal beginnings are alike.
struct Letters;

#[async_trait::async_trait]
impl lm::Embedder for Letters {
    fn name(&self) -> &str {
        "letters"
    }
    fn dimension(&self) -> usize {
        3
    }
    async fn embed(&self, texts: &[String]) -> lm::Result<Vec<Vec<f32>>> {
        let vector = |text: &String| match text.trim_start().chars().next() {
            Some('a') => vec![1.0, 0.0, 0.0],
            Some('s') => vec![0.0, 1.0, 0.0],
            _ => vec![0.0, 0.0, 1.0],
        };
        Ok(texts.iter().map(vector).collect())
    }
}

struct Longest;

#[async_trait::async_trait]
impl Scorer for Longest {
    async fn score(&self, _: &Prompt, texts: &[String]) -> lm::Result<Vec<f64>> {
        Ok(texts.iter().map(|text| text.len() as f64).collect())
    }
}

const TOOLS: Tools<'static> = Tools { embedder: Some(&Letters), scorer: Some(&Longest), answer: &decode::answer::last };

async fn run(model: Grammar, strategy: &Strategy, request: &Request) -> (Search, Vec<Event>) {
    let model: SharedModel = Arc::new(model);
    let mut events = Vec::new();
    let found = search(&model, strategy, request, &TOOLS, &mut |event| events.push(event)).await;
    (found.unwrap_or_else(|e| panic!("{}: {e}", strategy.name())), events)
}

async fn find(model: Grammar, name: &str, request: &Request) -> Search {
    run(model, &Strategy::parse(name).unwrap(), request).await.0
}

fn whole_text(events: &[Event]) -> String {
    events.iter().filter_map(|e| if let Event::Text(text) = e { Some(text.as_str()) } else { None }).collect()
}

/// The nodes as the events leave them.
fn drawn(events: &[Event]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for event in events {
        if let Event::Node(node) = event {
            match node.id == nodes.len() {
                true => nodes.push(node.clone()),
                false => nodes[node.id] = node.clone(),
            }
        }
    }
    nodes
}

#[tokio::test]
async fn every_strategy_leaves_a_whole_record() {
    for strategy in strategies() {
        for seed in 0..6 {
            let (found, events) = run(Grammar::sums(), &strategy, &request(seed)).await;
            let name = strategy.name();
            found.recheck().unwrap_or_else(|e| panic!("{name}, seed {seed}: {e}"));
            assert_eq!(whole_text(&events), found.answer, "{name}");
            assert_eq!(drawn(&events), found.nodes, "{name}: the events end in the record");
            let rounds = events.iter().filter(|e| matches!(e, Event::Round(_))).count();
            assert_eq!(rounds, found.rounds.len(), "{name}");
            assert_eq!(found.stopped, Stopped::Done, "{name}");
            assert_eq!(found.nodes[found.chosen].fate, Fate::Chosen, "{name}");
            assert!(found.nodes[found.chosen].finished && !found.answer.is_empty(), "{name}: {:?}", found.answer);
            assert!(found.nodes.iter().all(|node| node.fate != Fate::Open && !node.why.is_empty()), "{name}");
            assert_eq!(found.cost.flops_paper, Some(6000.0 * found.cost.decode as f64), "{name}");
            let all = (found.cost.prefill + found.cost.decode) as f64;
            assert_eq!(found.cost.flops, Some(2000.0 * all), "{name}");
            let json = serde_json::to_string(&found).unwrap();
            assert_eq!(Search::from_json(&json).unwrap(), found, "{name}");
            let replayed = found.replay();
            assert_eq!(whole_text(&replayed), found.answer);
            let mut nodes = replayed.iter().filter_map(|e| if let Event::Node(n) = e { Some(n) } else { None });
            assert!(nodes.clone().count() == found.nodes.len() && nodes.all(|n| found.nodes[n.id] == *n), "{name}");
        }
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_tree_in_whatever_order_answers_come() {
    for strategy in strategies() {
        let (plain, _) = run(Grammar::sums(), &strategy, &request(3)).await;
        let (jitter, _) = run(Grammar { jitter: true, ..Grammar::sums() }, &strategy, &request(3)).await;
        assert!(plain.same_tree(&jitter), "{}", strategy.name());
        let (other, _) = run(Grammar::sums(), &strategy, &request(4)).await;
        assert!(strategy == Strategy::Greedy || !plain.same_tree(&other), "{}", strategy.name());
    }
}

#[tokio::test]
async fn the_budget_is_never_exceeded_and_its_end_gives_the_best_so_far() {
    for strategy in strategies() {
        for budget in [1, 3, 10, 40, 90, 150, 300, 700, 2000] {
            for seed in 0..3 {
                let request = Request { budget: Some(budget), ..request(seed) };
                let (found, events) = run(Grammar::sums(), &strategy, &request).await;
                let name = strategy.name();
                assert!(found.cost.decode <= budget, "{name} spent {} of {budget}", found.cost.decode);
                found.recheck().unwrap_or_else(|e| panic!("{name}, budget {budget}, seed {seed}: {e}"));
                assert_eq!(whole_text(&events), found.answer, "{name}");
                assert!(found.nodes.iter().all(|node| node.fate != Fate::Open), "{name}, budget {budget}");
                if found.stopped == Stopped::Done {
                    assert!(found.nodes[found.chosen].finished, "{name}, budget {budget}");
                }
                if budget >= 160 {
                    assert!(found.nodes[found.chosen].finished, "{name}: {budget} pays for a whole path");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_model_of_one_completion_a_request_will_do() {
    for name in ["self-consistency-4", "phi", "mcts", "beam-2"] {
        let mut model = Grammar::sums();
        model.able.n = false;
        let found = find(model, name, &request(1)).await;
        found.recheck().unwrap();
        assert!(found.nodes[found.chosen].finished);
    }
}

#[tokio::test]
async fn without_log_probabilities_only_those_that_need_them_refuse() {
    for strategy in strategies() {
        let mut model = Grammar::sums();
        model.able.logprobs = false;
        let model: SharedModel = Arc::new(model);
        let found = search(&model, &strategy, &request(1), &TOOLS, &mut |_| {}).await;
        let able = ["greedy", "sampling", "self-consistency", "best-of-8-vote", "tree-of-thoughts", "mcts-self"];
        let name = strategy.name();
        match able.iter().any(|able| name.starts_with(able)) {
            true => assert!(found.unwrap().nodes.iter().all(|node| node.logprob.is_none())),
            false => assert!(matches!(found, Err(Error::Needs { .. })), "{name}"),
        }
    }
}

#[tokio::test]
async fn a_call_that_fails_names_its_node_and_ends_the_others() {
    let model = Arc::new(Grammar { fails: Some(3), jitter: true, ..Grammar::sums() });
    let shared: SharedModel = model.clone();
    let strategy = Strategy::parse("phi-no-width-pruning").unwrap();
    let failed = search(&shared, &strategy, &request(1), &TOOLS, &mut |_| {}).await;
    let Err(Error::Model { node, operation, source }) = failed else { panic!("{failed:?}") };
    assert!(node > 0 && operation == "look ahead" && matches!(source, lm::Error::Engine(_)));
    assert_eq!(model.begun.load(Ordering::SeqCst), model.ended.load(Ordering::SeqCst));
    assert_eq!(model.requests.lock().unwrap().len(), model.begun.load(Ordering::SeqCst), "nothing is tried again");
}

#[tokio::test]
async fn dropping_a_search_drops_its_requests() {
    for strategy in strategies() {
        let model = Arc::new(Grammar { hangs: true, ..Grammar::sums() });
        let shared: SharedModel = model.clone();
        let asked = request(1);
        let mut ignore = |_| {};
        let waiting = search(&shared, &strategy, &asked, &TOOLS, &mut ignore);
        let late = tokio::time::timeout(std::time::Duration::from_millis(5), waiting).await;
        assert!(late.is_err(), "it waits");
        let begun = model.begun.load(Ordering::SeqCst);
        assert!(begun > 0 && begun == model.ended.load(Ordering::SeqCst), "{}", strategy.name());
    }
}

#[tokio::test]
async fn phi_takes_each_step_as_the_note_says() {
    for seed in 0..20 {
        let found = find(Grammar::sums(), "phi", &request(seed)).await;
        let first = &found.rounds[0];
        // F of the root is 0 and log-probabilities are negative: no advantage is positive, yet all
        // four places are filled.
        assert_eq!(first.candidates.len(), 16);
        assert!(first.advantages.iter().all(|a| *a < 0.0));
        assert_eq!(first.kept.len(), 4);
        for round in found.rounds.iter().filter(|round| !round.last) {
            assert!((round.values.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let threshold = round.threshold.unwrap();
            for id in &round.candidates {
                let node = &found.nodes[*id];
                assert_eq!(node.fate == Fate::WidthPruned, !round.survivors.contains(id));
                assert!(round.survivors.contains(id) || node.logprob.unwrap() < threshold);
                assert!(node.fate != Fate::WidthPruned || node.foresight.is_none(), "pruned before looking ahead");
            }
            let places = round.kept.len();
            assert!(round.survivors.len() >= places);
            // With equal alignment the better advantage is never the less probable one.
            for i in 0..round.survivors.len() {
                for j in 0..round.survivors.len() {
                    if round.alignments[i] == round.alignments[j] && round.advantages[i] > round.advantages[j] {
                        assert!(round.values[i] > round.values[j]);
                    }
                }
            }
        }
        for node in &found.nodes {
            if node.finished && node.fate != Fate::Open {
                assert!(node.foresight.is_none(), "a path that has ended is not looked ahead from");
                assert!(!found.nodes.iter().any(|n| n.parent == Some(node.id)), "nor rolled out again");
                if let (Some(advantage), Some(parent)) = (node.advantage, node.parent) {
                    let before = if parent == 0 { 0.0 } else { found.nodes[parent].outlook().unwrap() };
                    assert!((advantage - (node.logprob.unwrap() - before)).abs() < 1e-12, "F is its own step's");
                }
            }
        }
    }
}

#[tokio::test]
async fn equal_steps_are_not_pruned_and_agreement_ends_looking_ahead_at_t_min() {
    for (name, last) in [("phi", 4), ("phi-released", 4), ("phi-no-depth-pruning", 8), ("phi-no-cluster", 8)] {
        let found = find(Grammar::sure(), name, &request(1)).await;
        let rounds: Vec<_> = found.rounds.iter().filter(|round| !round.last).collect();
        assert_eq!(rounds.len(), last, "{name}");
        for round in rounds {
            assert_eq!(round.survivors, round.candidates, "{name}: equal steps are all kept");
            assert_eq!(round.deviation, Some(0.0));
            if name != "phi-no-cluster" {
                assert_eq!(round.clusters, [round.candidates.len()], "{name}: equal texts are one cluster");
                assert!(round.alignments.iter().all(|c| *c == 1.0));
            }
            let even = 1.0 / round.candidates.len() as f64;
            assert!(round.values.iter().all(|p| (p - even).abs() < 1e-12));
        }
    }
    let early = Strategy::Phi(Phi { t_min: 2, ..Phi::paper() });
    let (found, _) = run(Grammar::sure(), &early, &request(1)).await;
    assert_eq!(found.rounds.len(), 3, "two rounds and the last");
}

#[tokio::test]
async fn many_clusters_are_singletons_of_different_texts() {
    let strategy = Strategy::Phi(Phi { clusters: 16, ..Phi::paper() });
    for seed in 0..10 {
        let (found, _) = run(Grammar::sums(), &strategy, &request(seed)).await;
        let round = &found.rounds[0];
        let mut texts: Vec<&str> = round.survivors.iter().map(|id| found.nodes[*id].prospect()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(round.clusters.len(), texts.len());
    }
}

#[tokio::test]
async fn ablations_leave_out_what_they_say() {
    for seed in 0..5 {
        let bare = find(Grammar::sums(), "phi-no-foresight", &request(seed)).await;
        assert!(bare.nodes.iter().all(|node| node.foresight.is_none()));
        let round = &bare.rounds[0];
        for (id, advantage) in round.survivors.iter().zip(&round.advantages) {
            assert_eq!(bare.nodes[*id].logprob, Some(*advantage), "F is the step's own");
        }
        let lone = find(Grammar::sums(), "phi-no-cluster", &request(seed)).await;
        assert!(lone.rounds.iter().all(|round| round.clusters.is_empty() && round.labels.is_empty()));
        let wide = find(Grammar::sums(), "phi-no-width-pruning", &request(seed)).await;
        assert!(wide.rounds.iter().all(|round| round.survivors == round.candidates && round.threshold.is_none()));
        let encoded = find(Grammar::sums(), "phi-encoder", &request(seed)).await;
        encoded.recheck().unwrap();
        let first = |id: &usize| encoded.nodes[*id].prospect().trim_start().chars().next();
        let round = &encoded.rounds[0];
        for (a, left) in round.survivors.iter().zip(&round.labels) {
            for (b, right) in round.survivors.iter().zip(&round.labels) {
                assert!(first(a) != first(b) || left == right, "alike by their vectors");
            }
        }
    }
    let strategy = Strategy::parse("phi-encoder").unwrap();
    let model: SharedModel = Arc::new(Grammar::sums());
    let none = search(&model, &strategy, &request(1), &Tools::default(), &mut |_| {}).await;
    assert!(matches!(none, Err(Error::Needs { .. })));
}

#[tokio::test]
async fn the_released_settings_pick_from_the_larger_cluster_by_advantage() {
    let Strategy::Phi(released) = Strategy::parse("phi-released").unwrap() else { panic!() };
    assert_eq!((released.advantage_temperature, released.alignment_temperature, released.stop_share), (0.1, 1.0, 0.69));
    assert_eq!((released.pick_clusters, released.pick_temperature), (2, 0.1));
    let mut different = 0;
    for seed in 0..40 {
        let found = find(Grammar::sums(), "phi-released", &request(seed)).await;
        let last = found.rounds.last().unwrap();
        assert!(last.last && last.clusters.len() <= 2);
        let chosen = last.survivors.iter().position(|id| *id == found.chosen).unwrap();
        assert_eq!(last.labels[chosen], 0, "from the larger cluster");
        let inside: Vec<usize> = (0..last.labels.len()).filter(|i| last.labels[*i] == 0).collect();
        let total: f64 = inside.iter().map(|i| (last.advantages[*i] / 0.1).exp()).sum();
        for i in &inside {
            assert!((last.values[*i] - (last.advantages[*i] / 0.1).exp() / total).abs() < 1e-9);
        }
        let best = inside.iter().copied().max_by(|a, b| last.advantages[*a].total_cmp(&last.advantages[*b])).unwrap();
        different += usize::from(last.advantages[best] > last.advantages[chosen]);
        let paper = find(Grammar::sums(), "phi", &request(seed)).await;
        let last = paper.rounds.last().unwrap();
        let chosen = last.survivors.iter().position(|id| *id == paper.chosen).unwrap();
        assert!(last.values.iter().all(|p| *p <= last.values[chosen]), "the paper takes the largest value");
    }
    assert!(different > 0, "it is a draw, not the largest");
}

#[tokio::test]
async fn extreme_probabilities_and_temperatures_stay_finite() {
    let model = || {
        Grammar::new(&[
            ("", &[("x", 1.0 - 1e-30), ("y", 1e-30)]),
            ("x", &[("\n", 1.0 - 1e-35), ("y", 1e-35)]),
            ("y", &[("\n", 1.0)]),
            ("\n", &[("x", 0.5), ("y", 0.5)]),
        ])
    };
    let phi = Phi {
        advantage_temperature: 1e-6,
        alignment_temperature: 1e-6,
        refill_temperature: 1e-6,
        step_temperature: 100.0,
        foresight_temperature: 100.0,
        ..Phi::released()
    };
    for seed in 0..10 {
        let (found, _) = run(model(), &Strategy::Phi(phi), &request(seed)).await;
        found.recheck().unwrap();
    }
}

#[tokio::test]
async fn foresight_leaves_the_garden_path() {
    let (mut with, mut without) = (0, 0);
    let n = 40;
    for seed in 0..n {
        // Width pruning drops the less probable half of two kinds of steps before it looks ahead.
        for name in ["predictive", "phi-no-width-pruning"] {
            let found = find(Grammar::garden_path(), name, &request(seed)).await;
            with += usize::from(found.answer.starts_with("good"));
        }
        without +=
            usize::from(find(Grammar::garden_path(), "sampling", &request(seed)).await.answer.starts_with("good"));
    }
    assert!(with > 2 * n as usize * 8 / 10, "{with} of {}", 2 * n);
    assert!(without < n as usize * 6 / 10, "{without} of {n}");
    assert!(find(Grammar::garden_path(), "greedy", &request(1)).await.answer.starts_with("bad"));
}

#[tokio::test]
async fn votes_and_probabilities_and_scorers_choose_as_they_say() {
    for seed in 0..10 {
        let found = find(Grammar::sums(), "self-consistency-16", &request(seed)).await;
        let leaves: Vec<&Node> = found.nodes.iter().filter(|node| node.step == 1).collect();
        assert_eq!(leaves.len(), 16);
        let count = |answer: &Option<String>| leaves.iter().filter(|n| n.answer == *answer).count();
        let most = leaves.iter().filter(|n| n.answer.is_some()).map(|n| count(&n.answer)).max().unwrap();
        assert_eq!(count(&found.nodes[found.chosen].answer), most);
        let best = find(Grammar::sums(), "best-of-16", &request(seed)).await;
        let top = best.nodes.iter().filter_map(|n| n.logprob).fold(f64::MIN, f64::max);
        assert_eq!(best.nodes[best.chosen].logprob, Some(top));
        let longest = find(Grammar::sums(), "best-of-16-scorer", &request(seed)).await;
        assert!(longest.nodes.iter().all(|n| n.text.len() <= longest.answer.len()));
    }
    let model: SharedModel = Arc::new(Grammar::sums());
    let by = Strategy::BestOf(BestOf { by: By::Scorer, ..BestOf::default() });
    let none = search(&model, &by, &request(1), &Tools::default(), &mut |_| {}).await;
    assert!(matches!(none, Err(Error::Needs { .. })));
}

#[tokio::test]
async fn no_number_of_paths_means_as_many_as_the_budget_pays() {
    for n in [0, 8] {
        let strategy = Strategy::SelfConsistency(SelfConsistency { n, ..SelfConsistency::default() });
        let request = Request { budget: Some(1000), ..request(2) };
        let (found, _) = run(Grammar::sums(), &strategy, &request).await;
        let paths = found.nodes.len() - 1;
        if n == 0 {
            assert!(paths > 20 && found.cost.decode > 940, "{paths} paths, {} tokens", found.cost.decode);
            assert_eq!(found.stopped, Stopped::Done);
        } else {
            assert_eq!(paths, 8);
        }
    }
    let model: SharedModel = Arc::new(Grammar::sums());
    let strategy = Strategy::parse("best-of").unwrap();
    let endless = search(&model, &strategy, &request(1), &TOOLS, &mut |_| {}).await;
    assert!(matches!(endless, Err(Error::Request { field: "budget", .. })), "without a budget it would never end");
}

#[tokio::test]
async fn trees_grow_where_the_model_or_reward_points() {
    for seed in 0..5 {
        let found = find(Grammar::sums(), "tree-of-thoughts", &request(seed)).await;
        let first = &found.rounds[0];
        assert!(found.nodes[first.kept[0]].text.starts_with("sub"), "the judge likes sub");
        let value = |id: &usize| found.nodes[*id].value.unwrap();
        let least = first.kept.iter().map(value).fold(1.0, f64::min);
        assert!(first.candidates.iter().all(|id| first.kept.contains(id) || value(id) <= least));
        for name in ["mcts", "mcts-self", "mcts-both"] {
            let found = find(Grammar::sums(), name, &request(seed)).await;
            assert_eq!(found.nodes[0].visits, Some(16), "{name}");
            for node in &found.nodes {
                let children: usize =
                    found.nodes.iter().filter(|n| n.parent == Some(node.id)).filter_map(|n| n.visits).sum();
                let own = node.visits.unwrap_or(0);
                assert!(children <= own, "{name}: visits go through the parent");
                assert!(node.value.is_none_or(|q| (0.0..=1.0).contains(&q)));
            }
        }
    }
}

#[tokio::test]
async fn beams_find_what_is_most_probable() {
    let request = Request { boundary: Boundary::Tokens(1), max_tokens: 3, ..request(1) };
    let strategy =
        Strategy::parse(r#"{"kind":"beam","width":8,"branch":16,"temperature":1.5,"length_power":0}"#).unwrap();
    let (found, _) = run(Grammar::garden_path(), &strategy, &request).await;
    assert_eq!(found.answer, "good\n then", "0.4 is more than 0.6 · 0.25");
}

#[tokio::test]
async fn a_stop_string_across_steps_ends_the_path() {
    let model = || {
        Grammar::new(&[
            ("", &[("a", 1.0)]),
            ("a", &[("\n", 1.0)]),
            ("\n", &[("b", 0.5), ("\n ", 0.5)]),
            ("b", &[("\n", 1.0)]),
            ("\n ", &[("b", 1.0)]),
        ])
    };
    for strategy in strategies() {
        for seed in 0..4 {
            let request = Request { stop: vec!["\n\n".into()], ..request(seed) };
            let (found, events) = run(model(), &strategy, &request).await;
            assert!(!found.answer.contains("\n\n") && !found.answer.ends_with("\n\n"), "{}", strategy.name());
            assert_eq!(whole_text(&events), found.answer, "{}", strategy.name());
        }
    }
}

#[tokio::test]
async fn a_turn_that_has_begun_goes_on() {
    for name in ["greedy", "phi", "mcts", "tree-of-thoughts"] {
        let request = Request { begun: "so".into(), ..request(1) };
        let found = find(Grammar::sums(), name, &request).await;
        assert!(found.answer.starts_with(" 3") || found.answer.starts_with(" 4"), "{name}: {:?}", found.answer);
    }
}

#[tokio::test]
async fn text_that_is_certain_comes_before_the_end() {
    let strategy = Strategy::Predictive(Predictive { beams: 1, ..Predictive::default() });
    let (_, events) = run(Grammar::sums(), &strategy, &request(5)).await;
    let pieces = events.iter().filter(|e| matches!(e, Event::Text(_))).count();
    assert!(pieces > 1, "a single beam is certain after each step");
}

#[tokio::test]
async fn a_damaged_record_is_refused() {
    let good = find(Grammar::sums(), "phi", &request(1)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tree.json");
    good.save(&file).unwrap();
    assert_eq!(Search::load(&file).unwrap(), good);
    assert!(matches!(Search::load(&folder.path().join("none.json")), Err(Error::File { .. })));
    type Damage = fn(&mut Search);
    let damages: [(&str, Damage); 7] = [
        ("schema", |s| s.schema = 2),
        ("parent", |s| s.nodes[1].parent = Some(1)),
        ("parent", |s| s.nodes[2].step = 3),
        ("finite", |s| s.nodes[1].value = Some(f64::NAN)),
        ("not there", |s| s.rounds[0].kept[0] = 9999),
        ("answer", |s| s.answer = "else".into()),
        ("chosen", |s| s.chosen = 9999),
    ];
    for (word, damage) in damages {
        let mut bad = good.clone();
        damage(&mut bad);
        let error = bad.validate().unwrap_err().to_string();
        assert!(error.contains(word), "{word}: {error}");
    }
    let lies: [Damage; 6] = [
        |s| s.rounds[0].values[0] += 0.01,
        |s| s.rounds[0].mean = s.rounds[0].mean.map(|m| m + 0.1),
        |s| s.rounds[0].advantages[1] -= 0.1,
        |s| s.rounds[0].clusters[0] += 1,
        |s| s.rounds[0].threshold = Some(0.5),
        |s| s.rounds[0].alignments[0] = 0.9,
    ];
    for lie in lies {
        let mut bad = good.clone();
        lie(&mut bad);
        assert!(bad.validate().is_ok() && bad.recheck().is_err());
    }
}

#[test]
fn a_search_may_move_between_threads() {
    fn moves<T: Send>(_: T) {}
    let model: SharedModel = Arc::new(Grammar::sums());
    let (strategy, request, mut ignore) = (Strategy::Greedy, request(1), |_: Event| {});
    moves(search(&model, &strategy, &request, &TOOLS, &mut ignore));
    assert_eq!(Clustering::TfIdf, Phi::default().clustering);
}
