use futures::stream::{FuturesOrdered, StreamExt};
use lm::{Prompt, Score, Scored, SharedModel};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use record::seed;
use serde::{Deserialize, Serialize};

use super::min_k::{min_k, min_k_plus};
use super::sit::printed;
use super::{Beyond, Item, Kind};
use crate::{Error, Result};

/// What stands before each text: a model may need a token to begin with.
const BEFORE: &str = "Question:";
/// The most probable tokens that are asked for at a place; no model of ours tells more.
const TOLD: usize = 20;
/// Orders of a question's sentences that make its reference.
const REFERENCES: usize = 3;

/// How a model is asked what it knows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FamiliarConfig {
    /// Share of tokens that min-k % averages, in (0, 1].
    pub share: f64,
    /// Shuffled orders of options that the printed order is held against; the least p is 1 / (shuffles + 1).
    pub shuffles: usize,
    /// Texts that are scored at once.
    pub concurrency: usize,
    /// Seed of the orders.
    pub seed: u64,
}

impl Default for FamiliarConfig {
    fn default() -> Self {
        Self { share: 0.2, shuffles: 39, concurrency: 32, seed: 0 }
    }
}

/// How well a model knows a paper's texts.
///
/// Two questions are asked, and neither proves that the paper was learned. Min-k % is higher for any text
/// that is easy to foresee, so it stands beside the same question with its sentences in another order: the
/// difference says what order is worth to the model, which plain fluency explains as well. The test of the
/// options' order has an exact null where their order carries no sense: a model that never saw the paper then
/// has no reason to prefer the printed one. Options that stand in a natural order (numbers that rise) are
/// left out of it. A paper that was learned in another form, or only its answers, escapes both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Familiar {
    /// The share that min-k % averaged.
    pub share: f64,
    /// Item by item.
    pub items: Vec<FamiliarItem>,
    /// Items that could not be scored, with the reason; they stand in no figure.
    pub failed: Vec<(String, String)>,
    /// Min-k % of the questions as printed less that of their reference, in nats, with a t-interval over items
    /// that have two sentences or more.
    pub beyond: Option<Beyond>,
    /// Items whose options' order was tested.
    pub tested: usize,
    /// Shuffled orders each.
    pub shuffles: usize,
    /// Mean over those items of log p(printed order) less the mean over shuffled ones, in nats.
    pub preference: f64,
    /// One-sided p: the share of shuffles, the printed order among them, whose sum over items reaches the
    /// printed one's, (1 + #{S_r ≥ S_0}) / (R + 1). 1 where nothing was tested.
    pub p: f64,
}

/// How well a model knows one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FamiliarItem {
    /// Id of the item.
    pub item: String,
    /// Tokens of the question.
    pub tokens: usize,
    /// Mean log-probability of a token, in nats.
    pub mean: f64,
    /// Min-k %, in nats.
    pub min_k: f64,
    /// Min-k %++, in standard deviations, where the model tells alternatives.
    pub min_k_plus: Option<f64>,
    /// Mean probability at a place that the told alternatives leave, on which min-k %++ guesses.
    pub tail: Option<f64>,
    /// Min-k % of the question with its sentences in other orders (mean of three).
    pub reference: Option<f64>,
    /// Log-probability of the options in the printed order, given the question, in nats.
    pub printed: Option<f64>,
    /// The same in shuffled orders.
    pub shuffled: Vec<f64>,
}

/// Asks a model how probable it finds each question and the printed order of its options. `progress` gets the
/// number of texts that were scored, and of all.
pub async fn familiar(
    items: &[Item],
    model: &SharedModel,
    adapter: Option<&str>,
    config: &FamiliarConfig,
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<Familiar> {
    let check = |ok: bool, field, problem| if ok { Ok(()) } else { Err(Error::Config { field, problem }) };
    check(config.share > 0.0 && config.share <= 1.0, "share", "must lie in (0, 1]")?;
    check(config.shuffles >= 1, "shuffles", "must be 1 or more")?;
    check(config.concurrency > 0, "concurrency", "must be 1 or more")?;
    let mut jobs: Vec<(usize, Job)> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        jobs.extend(of(item, config).into_iter().map(|job| (at, job)));
    }
    let total = jobs.len();
    let mut waiting = jobs.iter();
    let mut running = FuturesOrdered::new();
    let mut scored: Vec<(usize, Role, std::result::Result<Scored, String>)> = Vec::with_capacity(total);
    loop {
        while running.len() < config.concurrency
            && let Some((at, job)) = waiting.next()
        {
            running.push_back(async move {
                let request = Score {
                    prompt: Prompt::Raw(job.before.clone()),
                    continuation: job.text.clone().into(),
                    adapter: adapter.map(str::to_string),
                    top_logprobs: if job.role == Role::Question { TOLD } else { 0 },
                };
                let result = match model.score(request.clone()).await {
                    // A server that tells no alternatives may still score.
                    Err(_) if request.top_logprobs > 0 => model.score(Score { top_logprobs: 0, ..request }).await,
                    result => result,
                };
                (*at, job.role, result.map_err(|e| e.to_string()))
            });
        }
        let Some(result) = running.next().await else { break };
        scored.push(result);
        progress(scored.len(), total);
    }
    Ok(summed(items, config, scored))
}

/// Which text of an item was scored.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Role {
    Question,
    Reference,
    Printed,
    Shuffled,
}

struct Job {
    role: Role,
    before: String,
    text: String,
}

/// The texts of an item that are scored.
fn of(item: &Item, config: &FamiliarConfig) -> Vec<Job> {
    let count = item.kind.options().len();
    let order: Vec<usize> = (0..count).collect();
    let (question, printed_options) = printed(item, &order);
    let mut random = ChaCha8Rng::seed_from_u64(seed::derive(config.seed, "familiar", &item.id));
    let job = |role, text: String| Job { role, before: BEFORE.into(), text: format!(" {text}") };
    let mut jobs = vec![job(Role::Question, question.clone())];
    let mut sentences = sentences(&question);
    if sentences.windows(2).any(|pair| pair[0] != pair[1]) {
        let as_printed = sentences.clone();
        for _ in 0..REFERENCES {
            while sentences == as_printed {
                sentences.shuffle(&mut random);
            }
            jobs.push(job(Role::Reference, sentences.join(" ")));
            sentences.clone_from(&as_printed);
            // Two sentences have one other order.
            if as_printed.len() == 2 {
                break;
            }
        }
    }
    if count > 1 && !in_natural_order(&item.kind) {
        let before = format!("{BEFORE} {question}");
        let options = |role, text: String| Job { role, before: before.clone(), text: format!("\n{text}") };
        jobs.push(options(Role::Printed, printed_options));
        for _ in 0..config.shuffles {
            let mut order = order.clone();
            order.shuffle(&mut random);
            jobs.push(options(Role::Shuffled, printed(item, &order).1));
        }
    }
    jobs
}

/// Whether options rise or fall by themselves: by the first number in each, or by the alphabet.
fn in_natural_order(kind: &Kind) -> bool {
    let number = |text: &String| -> Option<f64> {
        let from = text.find(|c: char| c.is_ascii_digit())?;
        let digits = text[from..].split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let value: f64 = digits.trim_end_matches('.').parse().ok()?;
        Some(if text[..from].ends_with(['-', '\u{2212}']) { -value } else { value })
    };
    let options = kind.options();
    let sorted = |less: &dyn Fn(&String, &String) -> bool| options.windows(2).all(|pair| less(&pair[0], &pair[1]));
    let by_number = |sign: f64| {
        let less = |a: &String, b: &String| number(a).zip(number(b)).is_some_and(|(a, b)| sign * a <= sign * b);
        sorted(&less)
    };
    by_number(1.0)
        || by_number(-1.0)
        || sorted(&|a, b| a.to_lowercase() <= b.to_lowercase())
        || sorted(&|a, b| a.len() < b.len())
}

/// Sentences of a text, each with its end.
fn sentences(text: &str) -> Vec<String> {
    let mut sentences = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if let Some(last) = sentences.last_mut() {
            last.push(c);
        }
        let wide = matches!(c, '。' | '？' | '！' | '．' | '\n');
        let narrow = matches!(c, '.' | '?' | '!') && characters.peek().is_some_and(|next| next.is_whitespace());
        if wide || narrow {
            sentences.push(String::new());
        }
    }
    sentences.iter().map(|s| s.trim().to_string()).filter(|s| !s.is_empty()).collect()
}

fn summed(
    items: &[Item],
    config: &FamiliarConfig,
    scored: Vec<(usize, Role, std::result::Result<Scored, String>)>,
) -> Familiar {
    let (mut known, mut failed) = (Vec::new(), Vec::new());
    for (at, item) in items.iter().enumerate() {
        let own = || scored.iter().filter(move |(of, ..)| *of == at);
        let bad = own().find_map(|(.., result)| match result {
            Err(error) => Some(error.clone()),
            Ok(scored) if scored.tokens.is_empty() || !scored.sum().is_finite() => {
                Some("no finite log-probability".into())
            }
            Ok(_) => None,
        });
        if let Some(reason) = bad {
            failed.push((item.id.clone(), reason));
            continue;
        }
        let of =
            |role: Role| own().filter(move |(_, of, _)| *of == role).filter_map(|(.., result)| result.as_ref().ok());
        let logs = |scored: &Scored| scored.tokens.iter().map(|t| f64::from(t.logprob)).collect::<Vec<f64>>();
        let Some(question) = of(Role::Question).next() else { continue };
        let Some(least) = min_k(&logs(question), config.share) else { continue };
        let references: Vec<f64> =
            of(Role::Reference).filter_map(|scored| min_k(&logs(scored), config.share)).collect();
        let plus = min_k_plus(&question.tokens, config.share);
        known.push(FamiliarItem {
            item: item.id.clone(),
            tokens: question.tokens.len(),
            mean: question.sum() / question.tokens.len() as f64,
            min_k: least,
            min_k_plus: plus.map(|(value, _)| value),
            tail: plus.map(|(_, tail)| tail),
            reference: (!references.is_empty()).then(|| references.iter().sum::<f64>() / references.len() as f64),
            printed: of(Role::Printed).next().map(Scored::sum),
            shuffled: of(Role::Shuffled).map(Scored::sum).collect(),
        });
    }
    let beyond = known.iter().filter_map(|item| Some(item.min_k - item.reference?));
    let beyond = Beyond::of(beyond);
    let (tested, preference, p) = order_test(&known, config.shuffles);
    Familiar { share: config.share, items: known, failed, beyond, tested, shuffles: config.shuffles, preference, p }
}

/// Items, mean preference of the printed order, and p.
fn order_test(items: &[FamiliarItem], shuffles: usize) -> (usize, f64, f64) {
    let tested: Vec<(f64, &[f64])> = items.iter().filter_map(|i| Some((i.printed?, i.shuffled.as_slice()))).collect();
    if tested.is_empty() {
        return (0, 0.0, 1.0);
    }
    let seen: f64 = tested.iter().map(|(printed, _)| printed).sum();
    let sum = |r: usize| tested.iter().map(|(_, shuffled)| shuffled[r]).sum::<f64>();
    // Rounding must not tell an order from itself.
    let reach = (0..shuffles).filter(|&r| sum(r) >= seen - 1e-9 * seen.abs()).count();
    let mean = |shuffled: &[f64]| shuffled.iter().sum::<f64>() / shuffled.len() as f64;
    let preference =
        tested.iter().map(|(printed, shuffled)| printed - mean(shuffled)).sum::<f64>() / tested.len() as f64;
    (tested.len(), preference, (1 + reach) as f64 / (shuffles + 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::Single;
    use lm::{Fault, ScriptedModel};
    use rand::RngExt;
    use std::sync::Arc;

    fn item(id: &str, question: &str, options: &[&str]) -> Item {
        Item {
            id: id.into(),
            question: question.into(),
            points: 1.0,
            group: None,
            cluster: None,
            subject: None,
            difficulty: None,
            kind: Kind::Single(Single { options: options.iter().map(|o| o.to_string()).collect(), answer: "A".into() }),
        }
    }

    async fn ask(items: &[Item], script: ScriptedModel) -> Familiar {
        let model: SharedModel = Arc::new(script);
        let config = FamiliarConfig { shuffles: 19, ..FamiliarConfig::default() };
        familiar(items, &model, None, &config, &mut |_, _| {}).await.expect("asked")
    }

    #[tokio::test]
    async fn a_model_that_knows_the_printed_order_is_seen() {
        let options = ["quay", "lamp", "mast", "boat", "dune"];
        let items: Vec<Item> =
            (0..4).map(|i| item(&i.to_string(), &format!("Question {i} stands here. Is it so?"), &options)).collect();
        let printed = "A. quay\nB. lamp\nC. mast\nD. boat\nE. dune";
        let found =
            ask(&items, ScriptedModel::new().score_words(printed, -1.0).score_words("stands here. Is", -2.0)).await;
        // Ten words a list at −1 where it is as printed, else −10; a shuffle in 120 is the printed one.
        assert_eq!((found.tested, found.p), (4, 0.05));
        assert!((found.preference - 90.0).abs() < 10.0, "{}", found.preference);
        let first = &found.items[0];
        assert_eq!((first.tokens, first.min_k, first.reference), (7, -2.0, Some(-10.0)));
        let beyond = found.beyond.expect("four items");
        assert_eq!((beyond.n, beyond.mean), (4, 8.0));
    }

    #[tokio::test]
    async fn a_model_that_knows_nothing_prefers_nothing() {
        let items = [item("1", "Which one?", &["quay", "lamp", "boat"]), item("2", "How many?", &["1", "2", "3"])];
        let found = ask(&items, ScriptedModel::new()).await;
        // The numbers rise by themselves and are no test; a question of one sentence has no reference.
        assert_eq!((found.tested, found.p, found.preference), (1, 1.0, 0.0));
        assert!(found.beyond.is_none() && found.items[1].printed.is_none());
    }

    #[tokio::test]
    async fn an_item_that_cannot_be_scored_is_named() {
        let items = [item("1", "Which one?", &["quay", "lamp", "boat"])];
        let down = || Fault::Fail(lm::Error::Engine("down".into()));
        let found = ask(&items, ScriptedModel::new().fault(down()).fault(down())).await;
        assert_eq!((found.items.len(), found.failed.len(), found.tested), (0, 1, 0));
        assert!(found.failed[0].1.contains("down"));
    }

    /// Where the printed order is one like any other, p is at most 0.05 in one exam of twenty.
    #[test]
    fn the_order_test_keeps_its_level() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let rejected = (0..4000)
            .filter(|_| {
                let items: Vec<FamiliarItem> = (0..5)
                    .map(|_| FamiliarItem {
                        item: "x".into(),
                        tokens: 1,
                        mean: 0.0,
                        min_k: 0.0,
                        min_k_plus: None,
                        tail: None,
                        reference: None,
                        printed: Some(-random.random::<f64>()),
                        shuffled: (0..19).map(|_| -random.random::<f64>()).collect(),
                    })
                    .collect();
                order_test(&items, 19).2 <= 0.05
            })
            .count();
        let share = rejected as f64 / 4000.0;
        assert!((0.03..=0.07).contains(&share), "{share}");
    }
}
