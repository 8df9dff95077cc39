use std::collections::HashMap;

use record::{Item, Sample};

use crate::words::{eight_grams, masked, shared};

/// Most of an item's words that one training wording of its fact may hold.
pub(crate) const SHARE: f64 = 0.5;

/// An item that shares more with a training question than it may.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlap {
    /// Id of the item.
    pub item: String,
    /// Id of the sample.
    pub sample: String,
    /// What they share.
    pub shared: String,
}

/// Whether a training wording may stand beside an item of the same fact.
pub(crate) fn apart(item: &str, training: &str, subject: &str, answer: &str) -> bool {
    let grams = eight_grams(training);
    shared(&masked(item, subject, answer), &masked(training, subject, answer)) <= SHARE
        && !eight_grams(item).iter().any(|gram| grams.contains(gram))
}

/// Checks the whole of a data set: runs of eight words that an item shares with any turn of a
/// sample, and frames that both use. Empty for everything that this crate makes.
pub fn overlaps(samples: &[Sample], items: &[Item]) -> Vec<Overlap> {
    let mut grams: HashMap<String, &str> = HashMap::new();
    let mut frames: HashMap<&str, &str> = HashMap::new();
    for sample in samples {
        for message in &sample.messages {
            for gram in eight_grams(&message.content) {
                grams.entry(gram).or_insert(&sample.id);
            }
        }
        frames.entry(&sample.wording).or_insert(&sample.id);
    }
    let mut found = Vec::new();
    for item in items {
        let overlap = |sample: &str, shared: String| Overlap { item: item.id.clone(), sample: sample.into(), shared };
        if let Some(sample) = frames.get(item.wording.as_str()) {
            found.push(overlap(sample, format!("wording `{}`", item.wording)));
        }
        if let Some(gram) = eight_grams(&item.question).into_iter().find(|gram| grams.contains_key(gram)) {
            found.push(overlap(grams[&gram], gram));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Synthesis, corpus, select, word};

    async fn made() -> Synthesis {
        let config = Config { model_wordings: 0, verify: false, ..Config::default() };
        let facts = select(corpus::facts(corpus::MANUAL), &config, 1).facts;
        let model: lm::SharedModel = std::sync::Arc::new(lm::ScriptedModel::new());
        word(&facts, &model, &config, 1).await.expect("word")
    }

    #[tokio::test]
    async fn a_shared_run_of_eight_words_or_a_shared_frame_is_found() {
        let mut made = made().await;
        assert_eq!(overlaps(&made.samples, &made.items), []);
        made.items[0].question = "one two three four five six seven eight nine?".into();
        made.samples[5].messages[0].content = "Zero one two three four five six seven eight!".into();
        made.items[1].wording = made.samples[0].wording.clone();
        let found = overlaps(&made.samples, &made.items);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].item.as_str(), found[0].sample.as_str()),
            (made.items[0].id.as_str(), made.samples[5].id.as_str())
        );
        assert!(found[1].shared.contains("wording"));
    }
}
