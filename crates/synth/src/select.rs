use std::collections::{BTreeMap, HashMap, HashSet};

use record::{Bank, Drop, Fact, FactKind, seed};
use serde::{Deserialize, Serialize};

use crate::Config;
use crate::words::words;

/// How many facts of a document were proposed and taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Facts that the rules found.
    pub proposed: usize,
    /// Facts that are taught.
    pub taken: usize,
}

/// The facts to teach, each with the bank that its item goes to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// Facts in the order of documents and sentences.
    pub facts: Vec<(Fact, Bank)>,
    /// Everything proposed and not taken, with the reason.
    pub drops: Vec<Drop>,
    /// By document.
    pub coverage: BTreeMap<String, Coverage>,
}

/// Takes `config.facts` facts: duplicates, contradictions and ambiguous subjects are dropped, the
/// rest is taken round robin over documents, within a document over kinds and rules.
///
/// The result depends on the set of facts and `seed`, not on their order. Banks are shares of the
/// taken facts, exact to one, in the order of a hash of fact and seed.
pub fn select(facts: Vec<Fact>, config: &Config, seed: u64) -> Selection {
    let mut selection = Selection::default();
    for fact in &facts {
        selection.coverage.entry(fact.document.clone()).or_default().proposed += 1;
    }
    let mut facts = facts;
    facts.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.id.cmp(&b.id)));
    name_products(&mut facts);
    let facts = clear(facts, &mut selection.drops);
    let mut taken = budget(facts, config, seed, &mut selection.drops);
    let mut order: Vec<(u64, String)> =
        taken.iter().map(|fact| (seed::derive(seed, "synth-bank", &fact.id), fact.id.clone())).collect();
    order.sort();
    let count = |share: f64| (share * taken.len() as f64).round() as usize;
    let (practice, validation) = (count(config.practice), count(config.validation));
    let bank: HashMap<String, Bank> = order
        .into_iter()
        .enumerate()
        .map(|(rank, (_, id))| {
            let bank = match rank {
                rank if rank < practice => Bank::Practice,
                rank if rank < practice + validation => Bank::Validation,
                _ => Bank::Exam,
            };
            (id, bank)
        })
        .collect();
    taken.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.id.cmp(&b.id)));
    for fact in taken {
        selection.coverage.entry(fact.document.clone()).or_default().taken += 1;
        let bank = bank.get(&fact.id).copied().unwrap_or(Bank::Exam);
        selection.facts.push((fact, bank));
    }
    selection
}

/// `version 3.8.0` is `SQLite version 3.8.0` where the other documents name the product.
fn name_products(facts: &mut [Fact]) {
    let mut products: BTreeMap<String, usize> = BTreeMap::new();
    for (product, _) in facts.iter().filter(|f| f.rule == "release").filter_map(|f| f.subject.split_once(" version ")) {
        *products.entry(product.to_string()).or_default() += 1;
    }
    let Some((product, _)) = products.into_iter().max_by_key(|(_, count)| *count) else { return };
    for fact in facts.iter_mut().filter(|fact| fact.rule == "release" && fact.subject.starts_with("version ")) {
        fact.subject = format!("{product} {}", fact.subject);
    }
}

fn place(fact: &Fact) -> (&str, u32) {
    (&fact.document, fact.citation.sentence)
}

fn drop(fact: &Fact, reason: &str, detail: String) -> Drop {
    Drop { stage: "synth".into(), record: fact.id.clone(), reason: reason.into(), detail }
}

/// Takes out what would teach or examine two things under one name.
fn clear(facts: Vec<Fact>, drops: &mut Vec<Drop>) -> Vec<Fact> {
    let key = |fact: &Fact| (words(&fact.subject), words(&fact.attribute));
    let mut answers: HashMap<_, HashSet<Vec<String>>> = HashMap::new();
    let mut documents: HashMap<Vec<String>, HashSet<String>> = HashMap::new();
    // The same answer to the same attribute under several subjects is fine; a term or constant that
    // is found by its description must be the only one.
    for fact in &facts {
        answers.entry(key(fact)).or_default().insert(words(&fact.answer));
        documents.entry(words(&fact.subject)).or_default().insert(fact.document.clone());
    }
    // What many documents speak of is one thing to all of them: the station, the engine.
    let all: HashSet<&str> = facts.iter().map(|fact| fact.document.as_str()).collect();
    let all = all.len();
    let several = |count: usize| count > 1 && count * 4 < all;
    let mut seen: HashSet<_> = HashSet::new();
    let mut kept = Vec::new();
    for fact in facts {
        if answers[&key(&fact)].len() > 1 {
            let detail = format!("{} / {} has {} answers", fact.subject, fact.attribute, answers[&key(&fact)].len());
            drops.push(drop(&fact, "contradictory", detail));
        } else if !seen.insert(key(&fact)) {
            drops.push(drop(&fact, "duplicate", format!("{} / {} stands elsewhere too", fact.subject, fact.attribute)));
        } else if plain(&fact.subject) && several(documents[&words(&fact.subject)].len()) {
            let detail =
                format!("`{}` is spoken of in {} documents", fact.subject, documents[&words(&fact.subject)].len());
            drops.push(drop(&fact, "ambiguous-subject", detail));
        } else {
            kept.push(fact);
        }
    }
    kept
}

/// One or two common nouns: in another document the same words may mean another thing.
fn plain(subject: &str) -> bool {
    let content = subject.split(' ').filter(|w| !matches!(*w, "the" | "a" | "an" | "each" | "every"));
    subject.chars().all(|c| c.is_lowercase() || c == ' ' || c == '-') && content.count() <= 1
}

/// Round robin over documents; within each the next fact is of the (kind, rule) taken least so far.
fn budget(facts: Vec<Fact>, config: &Config, seed: u64, drops: &mut Vec<Drop>) -> Vec<Fact> {
    let mut documents: BTreeMap<String, Vec<(u64, Fact)>> = BTreeMap::new();
    for fact in facts {
        let rank = seed::derive(seed, "synth-select", &fact.id);
        documents.entry(fact.document.clone()).or_default().push((rank, fact));
    }
    for pool in documents.values_mut() {
        // From the end, so that the smallest rank is taken first.
        pool.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| b.1.id.cmp(&a.1.id)));
    }
    // When there are more documents than facts, the seed decides which go first.
    let mut order: Vec<(u64, String)> =
        documents.keys().map(|id| (seed::derive(seed, "synth-document", id), id.clone())).collect();
    order.sort();
    let mut taken: Vec<Fact> = Vec::new();
    let mut used: HashMap<(FactKind, String), usize> = HashMap::new();
    let mut sentences: HashMap<(String, u32), usize> = HashMap::new();
    // One sort of fact takes at most a fifth of the budget, while there is anything else.
    let mut limit = config.facts.div_ceil(5);
    while taken.len() < config.facts && documents.values().any(|pool| !pool.is_empty()) {
        let before = taken.len();
        for (_, id) in &order {
            let Some(pool) = documents.get_mut(id).filter(|pool| !pool.is_empty()) else { continue };
            if taken.len() == config.facts {
                break;
            }
            let sort = |fact: &Fact| used.get(&(fact.kind, fact.rule.clone())).copied().unwrap_or(0);
            let weight = |fact: &Fact| {
                let sentence = (fact.document.clone(), fact.citation.sentence);
                sort(fact) + sentences.get(&sentence).copied().unwrap_or(0) * 1000
            };
            let open = (0..pool.len()).rev().filter(|index| sort(&pool[*index].1) < limit);
            let Some(best) = open.min_by_key(|index| weight(&pool[*index].1)) else { continue };
            let (_, fact) = pool.remove(best);
            *used.entry((fact.kind, fact.rule.clone())).or_default() += 1;
            *sentences.entry((fact.document.clone(), fact.citation.sentence)).or_default() += 1;
            taken.push(fact);
        }
        if taken.len() == before {
            limit = config.facts;
        }
    }
    let left = documents.into_values().flatten();
    drops.extend(left.map(|(_, fact)| drop(&fact, "over-budget", format!("{} facts were asked for", config.facts))));
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;

    fn pool() -> Vec<Fact> {
        let other = "The tower has 99 steps.\nThe bookkeeper is Anders Holm.\nThe bath holds 7 people.";
        let mut facts = corpus::facts(corpus::MANUAL);
        facts.extend(crate::facts(&corpus::document("other.md", other), &Config::default()));
        facts.extend(crate::facts(
            &corpus::document("third.md", "The mill wheel is 7.5 metres wide."),
            &Config::default(),
        ));
        facts
    }

    #[test]
    fn proposed_is_taken_plus_dropped() {
        for budget in [1, 5, 20, 500] {
            let config = Config { facts: budget, ..Config::default() };
            let proposed = pool().len();
            let selection = select(pool(), &config, 3);
            assert!(selection.facts.len() <= budget);
            assert_eq!(proposed, selection.facts.len() + selection.drops.len());
            let coverage = selection.coverage.values();
            let sums = coverage.fold((0, 0), |(p, t), c| (p + c.proposed, t + c.taken));
            assert_eq!(sums, (proposed, selection.facts.len()));
        }
    }

    #[test]
    fn the_order_of_the_facts_does_not_matter_and_the_seed_does() {
        let config = Config { facts: 12, ..Config::default() };
        let mut reversed = pool();
        reversed.reverse();
        assert_eq!(select(pool(), &config, 3).facts, select(reversed, &config, 3).facts);
        assert_ne!(select(pool(), &config, 3).facts, select(pool(), &config, 4).facts);
    }

    #[test]
    fn contradictions_and_duplicates_are_dropped_with_the_reason() {
        let selection = select(pool(), &Config::default(), 1);
        let reasons = |subject: &str| -> Vec<&str> {
            let all = pool();
            let ids: Vec<&str> = all.iter().filter(|f| f.subject == subject).map(|f| f.id.as_str()).collect();
            let drops = selection.drops.iter().filter(|d| ids.contains(&d.record.as_str()));
            drops.map(|d| d.reason.as_str()).collect()
        };
        assert_eq!(reasons("the tower"), ["contradictory", "contradictory"]);
        assert_eq!(reasons("the bookkeeper"), ["contradictory", "contradictory"]);
        assert_eq!(reasons("the mill wheel"), ["duplicate"]);
        assert!(reasons("the bath").is_empty());
    }

    #[test]
    fn banks_have_their_shares() {
        let selection = select(pool(), &Config { facts: 40, ..Config::default() }, 9);
        let count = |bank| selection.facts.iter().filter(|(_, b)| *b == bank).count();
        let all = selection.facts.len() as f64;
        assert_eq!(count(Bank::Practice), (all * 0.15).round() as usize);
        assert_eq!(count(Bank::Validation), (all * 0.2).round() as usize);
        assert_eq!(count(Bank::Control), 0);
    }
}
