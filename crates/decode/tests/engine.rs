//! The same tree from the engine, however it batches.

use std::sync::Arc;

use decode::practice::{Lesson, Method, Question, practise};
use decode::{Boundary, Request, Search, Strategy, Tools, search};
use lm::{Prompt, SharedModel};
use lm_local::{Config, LocalModel};
use weights::{Architecture, Checkpoint};

fn load(threads: usize, batch_rows: usize) -> SharedModel {
    let checkpoint = Checkpoint::random(Architecture::tiny(), 7).expect("a random model");
    let config = Config { threads, batch_rows, memory_mb: 8, ..Config::default() };
    Arc::new(LocalModel::load(&checkpoint, config).expect("loads"))
}

async fn find(model: &SharedModel, strategy: &Strategy) -> Search {
    let request = Request {
        boundary: Boundary::Tokens(3),
        budget: Some(600),
        ..Request::new(Prompt::Raw("the sea an".into()), 14, 5)
    };
    search(model, strategy, &request, &Tools::default(), &mut |_| {}).await.expect("searches")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tree_for_any_threads_and_batch() {
    let plain = load(1, 256);
    let others = [load(2, 256), load(2, 7), load(1, 1)];
    for name in ["greedy", "self-consistency-8", "best-of", "beam-4", "tree-of-thoughts", "predictive", "mcts", "phi"] {
        let strategy = Strategy::parse(name).expect("a strategy");
        let expected = find(&plain, &strategy).await;
        expected.recheck().expect("its numbers follow");
        assert!(expected.cost.decode <= 600);
        assert!(find(&plain, &strategy).await.same_tree(&expected), "{name}: again, over remembered prefixes");
        for other in &others {
            assert!(find(other, &strategy).await.same_tree(&expected), "{name}");
        }
    }
}

async fn learn(model: &SharedModel, method: &Method) -> Lesson {
    let request = Request {
        boundary: Boundary::Tokens(3),
        budget: Some(600),
        ..Request::new(Prompt::Raw("the sea an".into()), 14, 5)
    };
    let messages = [record::Message::user("the sea an")];
    let right = |text: &str| text.len().is_multiple_of(2);
    let question = Question { id: "1", messages: &messages, right: Some(&right) };
    practise(model, method, &question, &request, &Tools::default(), &mut |_| {}).await.expect("practises")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_lesson_for_any_threads_and_batch() {
    let plain = load(1, 256);
    let others = [load(2, 256), load(2, 7), load(1, 1)];
    for name in ["genius", "genius-no-foresight", "greedy", "vote", "self-rewarding", "star"] {
        let method = Method::parse(name).expect("a method");
        let expected = learn(&plain, &method).await;
        assert!(expected.cost.decode <= 600);
        for answer in expected.preferences.iter().flat_map(|p| [&p.chosen, &p.rejected]).flatten() {
            assert_eq!(plain.detokenize(&answer.tokens).expect("text"), answer.text, "{name}");
        }
        let tree = expected.search.as_ref().expect("a search");
        tree.recheck().expect("its numbers follow");
        for other in &others {
            let lesson = learn(other, &method).await;
            assert!(lesson.search.as_ref().expect("a search").same_tree(tree), "{name}");
            assert_eq!((&lesson.preferences, &lesson.drops), (&expected.preferences, &expected.drops), "{name}");
        }
    }
}
