use std::collections::{BTreeMap, HashMap, HashSet};

use record::{Fact, Item, Sample};
use serde::{Deserialize, Serialize};

/// Length of the word sequences that exam and training must not share.
const LENGTH: usize = 8;

/// What exam questions and training samples have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// Items looked at.
    pub items: usize,
    /// Samples looked at.
    pub samples: usize,
    /// Items whose question shares a run of eight words with a turn of any sample; 0 is required.
    pub sharing: usize,
    /// Words of the longest shared run.
    pub longest: usize,
    /// Items that were worded by the same template as a sample of the same fact; 0 is required.
    pub templates: usize,
    /// Items of which more than half the words stand in one question of the same fact, entity and
    /// answer masked; 0 is required.
    pub over_half: usize,
    /// Mean over the items of the greatest such share, in [0, 1]; items whose fact has no sample
    /// are left out.
    pub masked_mean: f64,
    /// The greatest such share, in [0, 1].
    pub masked_greatest: f64,
    /// Up to five items that break a requirement: (item, sample, why).
    pub offenders: Vec<(String, String, String)>,
}

impl Overlap {
    /// Whether all three requirements hold.
    pub fn is_clean(&self) -> bool {
        self.sharing == 0 && self.templates == 0 && self.over_half == 0
    }
}

/// Measures how far exam questions stood in the training samples.
///
/// Words are runs of letters and digits, lower-case. Runs of eight are compared with every turn of
/// every sample. The masked share compares an item with the user turns of its own fact's samples:
/// the words of the fact's subject, its answer and aliases (of the item's answers, where the fact is
/// not given) are taken out of both, and the share is the number of the question's remaining words,
/// with repetitions, that the sample's question has too, divided by their number.
pub fn overlap(items: &[Item], samples: &[Sample], facts: &[Fact]) -> Overlap {
    let questions: Vec<Vec<String>> = items.iter().map(|item| words(&item.question)).collect();
    let turns: Vec<(usize, Vec<String>)> = samples
        .iter()
        .enumerate()
        .flat_map(|(index, sample)| sample.messages.iter().map(move |turn| (index, words(&turn.content))))
        .collect();
    let mut by_fact: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    samples.iter().for_each(|sample| by_fact.entry(&sample.fact).or_default().push(sample));
    let facts: HashMap<&str, &Fact> = facts.iter().map(|fact| (fact.id.as_str(), fact)).collect();

    let mut result = Overlap {
        items: items.len(),
        samples: samples.len(),
        sharing: 0,
        longest: 0,
        templates: 0,
        over_half: 0,
        masked_mean: 0.0,
        masked_greatest: 0.0,
        offenders: Vec::new(),
    };
    let mut seen: HashMap<&[String], usize> = HashMap::new();
    for (sample, turn) in &turns {
        turn.windows(LENGTH).for_each(|run| {
            seen.entry(run).or_insert(*sample);
        });
    }
    let mut offend = |item: &Item, sample: &Sample, why: String| {
        if result.offenders.len() < 5 {
            result.offenders.push((item.id.clone(), sample.id.clone(), why));
        }
    };
    let mut shares = Vec::new();
    for (item, question) in items.iter().zip(&questions) {
        if let Some((run, sample)) = question.windows(LENGTH).find_map(|run| seen.get_key_value(run)) {
            result.sharing += 1;
            offend(item, &samples[*sample], format!("shares {:?}", run.join(" ")));
        }
        let Some(same_fact) = by_fact.get(item.fact.as_str()) else { continue };
        let made = !matches!(item.wording.as_str(), "model" | "hand");
        if let Some(sample) = same_fact.iter().find(|sample| made && sample.wording == item.wording) {
            result.templates += 1;
            offend(item, sample, format!("same template {:?}", item.wording));
        }
        let masked = mask(item, facts.get(item.fact.as_str()).copied());
        let mut greatest = (0.0, same_fact[0]);
        for sample in same_fact {
            let asked = sample.messages.iter().filter(|turn| turn.role == record::Role::User);
            for turn in asked {
                let share = shared(question, &words(&turn.content), &masked);
                if share > greatest.0 {
                    greatest = (share, sample);
                }
            }
        }
        if greatest.0 > 0.5 {
            result.over_half += 1;
            offend(item, greatest.1, format!("{:.0} % of its words, entity and answer masked", 100.0 * greatest.0));
        }
        shares.push(greatest.0);
    }
    result.longest = longest(&questions, &turns);
    result.masked_mean = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
    result.masked_greatest = shares.into_iter().fold(0.0, f64::max);
    result
}

fn words(text: &str) -> Vec<String> {
    let runs = text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
    runs.map(str::to_lowercase).collect()
}

fn mask(item: &Item, fact: Option<&Fact>) -> HashSet<String> {
    match fact {
        Some(fact) => [&fact.subject, &fact.answer].into_iter().chain(&fact.aliases).flat_map(|t| words(t)).collect(),
        None => item.answers.iter().flat_map(|answer| words(answer)).collect(),
    }
}

/// Share of the question's unmasked words that the other question has too.
fn shared(question: &[String], other: &[String], masked: &HashSet<String>) -> f64 {
    let mut left: HashMap<&str, usize> = HashMap::new();
    other.iter().for_each(|word| *left.entry(word).or_default() += 1);
    let (mut all, mut found) = (0usize, 0usize);
    for word in question.iter().filter(|word| !masked.contains(*word)) {
        all += 1;
        if let Some(count) = left.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            found += 1;
        }
    }
    if all == 0 { 0.0 } else { found as f64 / all as f64 }
}

/// Length of the longest run of words that stands in a question and in a turn.
fn longest(questions: &[Vec<String>], turns: &[(usize, Vec<String>)]) -> usize {
    let mut length = 0;
    // A run of n + 1 words holds one of n, so that the first length that nobody shares ends it.
    loop {
        let seen: HashSet<&[String]> = turns.iter().flat_map(|(_, turn)| turn.windows(length + 1)).collect();
        if !questions.iter().any(|question| question.windows(length + 1).any(|run| seen.contains(run))) {
            return length;
        }
        length += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{Bank, Citation, FactKind, Message};

    fn item(question: &str, wording: &str) -> Item {
        Item {
            id: "i".into(),
            fact: "f".into(),
            document: "d".into(),
            kind: FactKind::Number,
            bank: Bank::Exam,
            question: question.into(),
            answers: vec!["42 metres".into()],
            choices: Vec::new(),
            sentence: String::new(),
            citation: None,
            wording: wording.into(),
        }
    }

    fn sample(question: &str, fact: &str, wording: &str) -> Sample {
        Sample {
            id: "s".into(),
            fact: fact.into(),
            document: "d".into(),
            messages: vec![Message::user(question), Message::assistant("42 metres")],
            wording: wording.into(),
            citations: Vec::new(),
        }
    }

    fn fact() -> Fact {
        Fact {
            id: "f".into(),
            document: "d".into(),
            kind: FactKind::Number,
            subject: "radio mast".into(),
            attribute: "height".into(),
            answer: "42 metres".into(),
            aliases: vec!["42 m".into()],
            citation: Citation { document: "d".into(), sentence: 1, text: "The radio mast is 42 metres high.".into() },
            rule: "r".into(),
        }
    }

    #[test]
    fn a_run_of_eight_words_is_found_and_seven_are_not() {
        let items = [item("one two three four five six seven eight nine", "t1")];
        let eight = overlap(&items, &[sample("Zero: two three four five six seven, EIGHT nine!", "g", "t2")], &[]);
        assert_eq!((eight.sharing, eight.longest, eight.is_clean()), (1, 8, false));
        assert!(eight.offenders[0].2.contains("two three"));
        let seven = overlap(&items, &[sample("two three four five six seven eight x nine", "g", "t2")], &[]);
        assert_eq!((seven.sharing, seven.longest, seven.is_clean()), (0, 7, true));
        assert_eq!(overlap(&items, &[], &[]).longest, 0);
    }

    #[test]
    fn entity_and_answer_do_not_count_as_shared_words() {
        // Without "radio mast": how tall is the? | what height has the? share "the" alone: 1 of 4.
        let items = [item("How tall is the radio mast?", "t1")];
        let measured = overlap(&items, &[sample("What height has the radio mast?", "f", "t2")], &[fact()]);
        assert!((measured.masked_greatest - 0.25).abs() < 1e-12, "{measured:?}");
        assert!(measured.is_clean());
        let near = overlap(&items, &[sample("How tall is this radio mast?", "f", "t2")], &[fact()]);
        assert_eq!((near.masked_greatest, near.over_half), (0.75, 1));
        // Another fact's samples may be worded alike.
        let other = overlap(&items, &[sample("How tall is this radio mast?", "g", "t2")], &[fact()]);
        assert_eq!((other.masked_greatest, other.is_clean()), (0.0, true));
    }

    #[test]
    fn a_template_that_taught_the_fact_may_not_examine_it() {
        let items = [item("How tall?", "t1")];
        assert_eq!(overlap(&items, &[sample("Height?", "f", "t1")], &[fact()]).templates, 1);
        assert_eq!(overlap(&items, &[sample("Height?", "g", "t1")], &[fact()]).templates, 0);
        let model = [item("How tall?", "model")];
        assert_eq!(overlap(&model, &[sample("Height?", "f", "model")], &[fact()]).templates, 0);
    }
}
