use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::Item;
use crate::wilson;

/// What a folder of texts has of a paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Texts that were looked through.
    pub texts: usize,
    /// Words in them.
    pub words: u64,
    /// Length of the word sequences.
    pub length: usize,
    /// Items that are long enough to have one.
    pub items: usize,
    /// Items of which a sequence was found.
    pub found: usize,
    /// Lower 95 % limit (Wilson) of the share of such items.
    pub low: f64,
    /// Upper limit.
    pub high: f64,
    /// Item by item, in the order of the paper; items too short are left out.
    pub by_item: Vec<FoundItem>,
}

/// What the texts have of one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundItem {
    /// Id of the item.
    pub item: String,
    /// Share of its sequences that were found, in [0, 1].
    pub share: f64,
    /// Its sequences.
    pub sequences: usize,
    /// The first one that was found, and the name of the text that has it.
    pub first: Option<(String, String)>,
}

/// Looks for the word sequences of `length` words of each question, with its options, in texts (name,
/// text). Words are runs of letters and digits in small letters; a Chinese, Japanese or Korean character is
/// a word. That nothing is found proves nothing about texts that were not looked through.
pub fn ngrams(items: &[Item], texts: impl IntoIterator<Item = (String, String)>, length: usize) -> Found {
    let length = length.max(1);
    let asked: Vec<Vec<String>> = items
        .iter()
        .map(|item| words(&[std::slice::from_ref(&item.question), item.kind.options()].concat().join("\n")))
        .collect();
    let mut wanted: HashSet<u64> = HashSet::new();
    asked.iter().for_each(|words| words.windows(length).for_each(|run| _ = wanted.insert(address(run))));
    let (mut texts_read, mut words_read) = (0, 0);
    let mut seen: HashMap<u64, usize> = HashMap::new();
    let mut names = Vec::new();
    for (name, text) in texts {
        let words = words(&text);
        texts_read += 1;
        words_read += words.len() as u64;
        for run in words.windows(length) {
            let address = address(run);
            if wanted.contains(&address) {
                seen.entry(address).or_insert(names.len());
            }
        }
        names.push(name);
    }
    let mut by_item = Vec::new();
    for (item, words) in items.iter().zip(&asked) {
        let runs: Vec<&[String]> = words.windows(length).collect();
        if runs.is_empty() {
            continue;
        }
        let hits: Vec<(&&[String], usize)> =
            runs.iter().filter_map(|run| Some((run, *seen.get(&address(run))?))).collect();
        by_item.push(FoundItem {
            item: item.id.clone(),
            share: hits.len() as f64 / runs.len() as f64,
            sequences: runs.len(),
            first: hits.first().map(|(run, text)| (run.join(" "), names[*text].clone())),
        });
    }
    let found = by_item.iter().filter(|item| item.share > 0.0).count();
    let (low, high) = wilson(found as f64 / by_item.len().max(1) as f64, by_item.len());
    Found { texts: texts_read, words: words_read, length, items: by_item.len(), found, low, high, by_item }
}

/// Sequences are compared by 64 bits: among 10⁹ words a false hit of a paper's 10⁴ sequences has a chance
/// below 10⁻⁶.
fn address(run: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    run.hash(&mut hasher);
    hasher.finish()
}

fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let end = |word: &mut String, words: &mut Vec<String>| {
        if !word.is_empty() {
            words.push(std::mem::take(word));
        }
    };
    for c in text.chars() {
        let alone = matches!(c as u32, 0x3040..=0x30ff | 0x3400..=0x9fff | 0xac00..=0xd7af | 0xf900..=0xfaff);
        if alone || !c.is_alphanumeric() {
            end(&mut word, &mut words);
        }
        if alone {
            words.push(c.into());
        } else if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    end(&mut word, &mut words);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::{Blank, Kind};

    #[test]
    fn sequences_are_found_in_any_spelling_and_counted() {
        let item = |id: &str, question: &str| Item {
            id: id.into(),
            question: question.into(),
            points: 1.0,
            group: None,
            cluster: None,
            subject: None,
            difficulty: None,
            kind: Kind::Blank(Blank { answers: vec!["x".into()], tolerance: None, relative: None, units: vec![] }),
        };
        let items = [
            item("1", "The red lamp on the mast burns all night."),
            item("2", "Nothing of this stands in any of the texts."),
            item("3", "Too short."),
            item("4", "短跑名将创造了新世界纪录"),
        ];
        let texts = [
            ("a.txt".to_string(), "He said: \"the RED lamp, on the mast\" was lit.".to_string()),
            ("b.txt".to_string(), "报道：名将创造了新的".to_string()),
        ];
        let found = ngrams(&items, texts, 5);
        assert_eq!((found.texts, found.items, found.found), (2, 3, 2));
        // Nine words have five runs of five, of which the text holds two.
        assert_eq!(found.by_item[0].share, 0.4);
        assert_eq!(found.by_item[0].first, Some(("the red lamp on the".into(), "a.txt".into())));
        assert_eq!((found.by_item[1].share, found.by_item[1].first.as_ref()), (0.0, None));
        assert_eq!(found.by_item[2].first, Some(("名 将 创 造 了".into(), "b.txt".into())));
        assert!(found.low > 0.15 && found.high < 1.0);
    }
}
