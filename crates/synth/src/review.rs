use record::{Bank, Item, Sample, seed};

/// Lines for auditing by hand: `count` items drawn by `seed`, each with its answer, its sentence and
/// the training questions of its fact.
pub fn review(items: &[Item], samples: &[Sample], count: usize, seed: u64) -> Vec<String> {
    let mut drawn: Vec<(u64, &Item)> =
        items.iter().map(|item| (seed::derive(seed, "synth-review", &item.id), item)).collect();
    drawn.sort_by_key(|(rank, item)| (*rank, &item.id));
    let mut lines = Vec::new();
    for (number, (_, item)) in drawn.into_iter().take(count).enumerate() {
        let bank = match item.bank {
            Bank::Practice => "practice",
            Bank::Validation => "validation",
            Bank::Exam => "exam",
            Bank::Control => "control",
        };
        lines.push(format!("{:3}. [{bank}, {}] {}", number + 1, item.wording, item.question));
        lines.push(format!("     answer:   {}", item.answers.join(" | ")));
        lines.push(format!("     sentence: {} ({})", item.sentence, item.document));
        for sample in samples.iter().filter(|sample| sample.fact == item.fact) {
            let question = sample.messages.first().map_or("", |message| message.content.as_str());
            lines.push(format!("     trained:  {question} [{}]", sample.wording));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, corpus, select, word};

    #[tokio::test]
    async fn draws_so_many_items_and_shows_all_that_a_judge_needs() {
        let config = Config { model_wordings: 0, verify: false, ..Config::default() };
        let facts = select(corpus::facts(corpus::MANUAL), &config, 1).facts;
        let model: lm::SharedModel = std::sync::Arc::new(lm::ScriptedModel::new());
        let made = word(&facts, &model, &config, 1).await.expect("word");
        let lines = review(&made.items, &made.samples, 5, 1);
        assert_eq!(lines.iter().filter(|line| line.contains("answer:   ")).count(), 5);
        assert_eq!(lines.iter().filter(|line| line.contains("trained:  ")).count(), 20);
        assert_ne!(lines, review(&made.items, &made.samples, 5, 2));
        assert!(review(&[], &[], 5, 1).is_empty());
    }
}
