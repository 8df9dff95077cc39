use futures::StreamExt;
use lm::SharedModel;
use record::{Bank, Drop, Fact, Item, Message, Sample, Usage, seed};
use serde::{Deserialize, Serialize};

use crate::question::{Family, family, slots};
use crate::separate::apart;
use crate::words::{holds, words};
use crate::{Config, Result, frames, model};

/// Facts that are worded at once; the model's own batching makes use of it.
const AT_ONCE: usize = 32;

/// How many were asked for and how many came; the rest are drops.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Asked for.
    pub asked: usize,
    /// Delivered.
    pub delivered: usize,
}

/// What was made of some facts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Synthesis {
    /// Training samples, fact by fact.
    pub samples: Vec<Sample>,
    /// One item a fact, in the bank of the fact.
    pub items: Vec<Item>,
    /// Facts (stage `synth-fact`) and wordings (stage `synth-wording`) that were not delivered.
    pub drops: Vec<Drop>,
    /// Facts: asked = delivered + drops of stage `synth-fact`.
    pub facts: Count,
    /// Wordings of the delivered facts: asked = delivered + drops of stage `synth-wording`.
    pub wordings: Count,
    /// What the model's part cost.
    pub usage: Usage,
}

impl Synthesis {
    /// Adds the result for other facts.
    pub fn append(&mut self, other: Self) {
        self.samples.extend(other.samples);
        self.items.extend(other.items);
        self.drops.extend(other.drops);
        self.facts.asked += other.facts.asked;
        self.facts.delivered += other.facts.delivered;
        self.wordings.asked += other.wordings.asked;
        self.wordings.delivered += other.wordings.delivered;
        self.usage += other.usage;
    }
}

/// Words each fact: training samples by frames and by the model, and one item by a frame of its own.
///
/// Facts of the practice and validation banks are verified with the model first; facts of the exam
/// bank never are. A request that fails costs a wording or, while verifying, the fact; it is a drop
/// with the reason `model-failed`, never an error.
///
/// # Errors
/// A setting out of its range.
pub async fn word(facts: &[(Fact, Bank)], model: &SharedModel, config: &Config, seed: u64) -> Result<Synthesis> {
    config.validate()?;
    // Collected first: a closure that borrows its argument cannot be polled on another thread.
    let work: Vec<_> = facts.iter().map(|(fact, bank)| one(fact, *bank, model, config, seed)).collect();
    let mut results = futures::stream::iter(work).buffered(AT_ONCE);
    let mut synthesis = Synthesis::default();
    while let Some(result) = results.next().await {
        synthesis.append(result);
    }
    Ok(synthesis)
}

/// A question and the name of the frame that worded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wording {
    pub question: String,
    pub frame: String,
}

async fn one(fact: &Fact, bank: Bank, model: &SharedModel, config: &Config, seed: u64) -> Synthesis {
    let mut result = Synthesis { facts: Count { asked: 1, delivered: 0 }, ..Synthesis::default() };
    let dropped = |stage: &str, record: String, reason: &str, detail: String| Drop {
        stage: stage.into(),
        record,
        reason: reason.into(),
        detail,
    };
    let Some((item, training)) = wordings(fact, config, seed) else {
        let detail = format!("too few wordings that stand apart for `{}` / `{}`", fact.subject, fact.attribute);
        result.drops.push(dropped("synth-fact", fact.id.clone(), "no-wording", detail));
        return result;
    };
    if config.verify && matches!(bank, Bank::Practice | Bank::Validation) {
        let verdict = model::verify(fact, &training[0].question, model, config, &mut result.usage).await;
        if let Err((reason, detail)) = verdict {
            result.drops.push(dropped("synth-fact", fact.id.clone(), reason, detail));
            return result;
        }
    }
    let mut training = training;
    let made = model::reword(fact, &item, &training, model, config, seed, &mut result.usage).await;
    result.wordings.asked = config.wordings + config.model_wordings;
    for place in training.len()..config.wordings {
        let record = format!("{}-{place}", fact.id);
        result.drops.push(dropped("synth-wording", record, "no-wording", "no frame is left that fits".into()));
    }
    for (place, (reason, detail)) in made.drops.into_iter().enumerate() {
        result.drops.push(dropped("synth-wording", format!("{}-model-{place}", fact.id), reason, detail));
    }
    training.extend(made.wordings);
    result.facts.delivered = 1;
    result.wordings.delivered = training.len();
    result.samples.extend(training.into_iter().enumerate().map(|(place, wording)| Sample {
        id: format!("{}-{place}", fact.id),
        fact: fact.id.clone(),
        document: fact.document.clone(),
        messages: vec![Message::user(wording.question), Message::assistant(&fact.answer)],
        wording: wording.frame,
        citations: vec![fact.citation.clone()],
    }));
    let mut answers = vec![fact.answer.clone()];
    answers.extend(fact.aliases.iter().filter(|alias| **alias != fact.answer).cloned());
    result.items.push(Item {
        id: fact.id.clone(),
        fact: fact.id.clone(),
        document: fact.document.clone(),
        kind: fact.kind,
        bank,
        question: item.question,
        answers,
        choices: Vec::new(),
        sentence: fact.citation.text.clone(),
        citation: Some(fact.citation.clone()),
        wording: item.frame,
    });
    result
}

/// The item's wording and the training wordings of a fact, or nothing if the frames do not give
/// enough that stand apart. The first training wording is a plain question.
pub(crate) fn wordings(fact: &Fact, config: &Config, seed: u64) -> Option<(Wording, Vec<Wording>)> {
    let family = family(fact);
    let slots = slots(fact);
    let name = |kind: &str, index: usize| format!("{}-{kind}-{index}", label(family));
    let fill = |kind: &str, frames: &[&str]| -> Vec<Wording> {
        let mut filled: Vec<(u64, Wording)> = frames
            .iter()
            .enumerate()
            .filter_map(|(index, frame)| {
                let question = frames::fill(frame, &slots)?;
                let frame = name(kind, index);
                let rank = seed::derive(seed, "synth-frame", &format!("{}-{frame}", fact.id));
                fits(&question, fact).then_some((rank, Wording { question, frame }))
            })
            .collect();
        filled.sort_by_key(|(rank, _)| *rank);
        filled.into_iter().map(|(_, wording)| wording).collect()
    };
    let mut training = fill("training", frames::training(family));
    // Plain questions come first among equals: a fact should not be taught by blanks alone.
    if let Some(plain) = training.iter().position(|w| w.frame == name("training", 0)) {
        let first = training.remove(plain);
        training.insert(0, first);
    }
    let mut best: Option<(Wording, Vec<Wording>)> = None;
    for item in fill("item", frames::items(family)) {
        let stands = |w: &&Wording| apart(&item.question, &w.question, &fact.subject, &fact.answer);
        let allowed: Vec<Wording> = training.iter().filter(stands).take(config.wordings).cloned().collect();
        if allowed.len() > best.as_ref().map_or(0, |(_, found)| found.len()) {
            let enough = allowed.len() == config.wordings;
            best = Some((item, allowed));
            if enough {
                break;
            }
        }
    }
    best.filter(|(_, training)| training.len() >= 4)
}

/// What every question must keep: it names the subject, keeps the answer to itself, and is short.
pub(crate) fn fits(question: &str, fact: &Fact) -> bool {
    let answers = std::iter::once(&fact.answer).chain(&fact.aliases);
    words(question).len() <= 40
        && answers.into_iter().all(|answer| !holds(question, answer))
        && names(question, &fact.subject)
}

/// Whether every telling word of the subject stands in the question.
fn names(question: &str, subject: &str) -> bool {
    let question = words(question);
    words(subject)
        .iter()
        .filter(|w| !crate::words::listed("the a an of in on at to for each every and", w))
        .all(|w| question.contains(w))
}

fn label(family: Family) -> &'static str {
    match family {
        Family::Attribute => "attribute",
        Family::Colour => "colour",
        Family::Release => "release",
        Family::Verb => "verb",
        Family::Called => "called",
        Family::Role => "role",
        Family::Deed => "deed",
        Family::Existence => "existence",
        Family::Term => "term",
        Family::Constant => "constant",
        Family::Duration => "duration",
        Family::Action => "action",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use lm::{Error, Fault, ScriptedModel};

    use crate::words::{masked, shared};
    use crate::{corpus, overlaps, select};

    fn taken(seed: u64) -> Vec<(Fact, Bank)> {
        select(corpus::facts(corpus::MANUAL), &Config::default(), seed).facts
    }

    fn plain() -> Config {
        Config { model_wordings: 0, verify: false, ..Config::default() }
    }

    async fn run(facts: &[(Fact, Bank)], model: ScriptedModel, config: &Config, seed: u64) -> Synthesis {
        let model: SharedModel = Arc::new(model);
        word(facts, &model, config, seed).await.expect("word")
    }

    #[tokio::test]
    async fn items_stand_apart_from_training_under_every_seed() {
        for seed in 0..20 {
            let facts = taken(seed);
            let result = run(&facts, ScriptedModel::new(), &plain(), seed).await;
            assert_eq!(result.items.len(), facts.len(), "{:?}", result.drops);
            assert_eq!(overlaps(&result.samples, &result.items), []);
            for item in &result.items {
                let (fact, bank) = facts.iter().find(|(f, _)| f.id == item.fact).expect("fact");
                assert_eq!(item.bank, *bank);
                assert!(item.sentence.contains(&item.answers[0]));
                assert!(fits(&item.question, fact), "{}", item.question);
                let samples: Vec<_> = result.samples.iter().filter(|s| s.fact == item.fact).collect();
                assert_eq!(samples.len(), 4);
                for sample in samples {
                    let question = &sample.messages[0].content;
                    assert!(fits(question, fact), "{question}");
                    let mask = |text: &str| masked(text, &fact.subject, &fact.answer);
                    assert!(shared(&mask(&item.question), &mask(question)) <= 0.5, "{} / {question}", item.question);
                    assert_eq!(sample.messages[1].content, fact.answer);
                }
            }
        }
    }

    #[tokio::test]
    async fn slices_give_the_same_records() {
        let facts = taken(5);
        let whole = run(&facts, ScriptedModel::new(), &plain(), 5).await;
        let mut parts = Synthesis::default();
        for part in facts.chunks(7) {
            parts.append(run(part, ScriptedModel::new(), &plain(), 5).await);
        }
        assert_eq!(whole, parts);
    }

    #[tokio::test]
    async fn asked_is_delivered_plus_drops_whatever_the_model_does() {
        let facts = taken(2);
        let config = Config { model_wordings: 2, ..Config::default() };
        let models = [
            ScriptedModel::new(),
            ScriptedModel::new().reply("Dame Tansy weigh", "What is the weight of Dame Tansy?"),
            ScriptedModel::new().fault(Fault::Fail(Error::Engine("down".into()))).fault(Fault::Truncate(3)),
        ];
        for model in models {
            let result = run(&facts, model, &config, 2).await;
            let count = |stage: &str| result.drops.iter().filter(|d| d.stage == stage).count();
            assert_eq!(result.facts.asked, facts.len());
            assert_eq!(result.facts.asked, result.facts.delivered + count("synth-fact"));
            assert_eq!(result.wordings.asked, result.facts.delivered * 6);
            assert_eq!(result.wordings.asked, result.wordings.delivered + count("synth-wording"));
            assert_eq!(result.items.len(), result.facts.delivered);
        }
    }

    #[tokio::test]
    async fn exam_items_do_not_depend_on_the_model() {
        let facts = taken(7);
        let without = run(&facts, ScriptedModel::new(), &plain(), 7).await;
        // This model knows every answer and supports none: all verified facts fall.
        let mut knowing = ScriptedModel::new().score_words("", -1.0);
        for (fact, _) in &facts {
            knowing = knowing.reply(&fact.subject, &fact.answer);
        }
        let with = run(&facts, knowing, &Config::default(), 7).await;
        let exam = |s: &Synthesis| s.items.iter().filter(|i| i.bank == Bank::Exam).cloned().collect::<Vec<_>>();
        assert_eq!(exam(&without), exam(&with));
        assert!(with.items.iter().all(|item| item.bank == Bank::Exam));
    }

    #[tokio::test]
    async fn a_good_wording_of_the_model_is_taken_and_others_are_dropped_with_the_rule() {
        let facts: Vec<_> = taken(3).into_iter().filter(|(f, _)| f.answer == "85 kilograms").collect();
        let config = Config { verify: false, ..Config::default() };
        let reply = |text: &str| ScriptedModel::new().reply("Dame Tansy weigh?\nIn other words:", text);
        let good = run(&facts, reply(" In kilograms, how much does Dame Tansy weigh?"), &config, 3).await;
        assert_eq!(good.samples.last().map(|s| s.wording.as_str()), Some("model"), "{:?}", good.drops);
        for (bad, reason, rule) in [
            ("How much does it weigh?", "rejected", "misses the subject"),
            ("Does Dame Tansy weigh 85 kilograms?", "rejected", "begins oddly"),
            ("How much do I weigh, Dame Tansy?", "rejected", "speaks of asker"),
            ("What Dame Tansy weighs in kilograms", "rejected", "no single question"),
            ("How much does Dame Tansy weigh on Mars?", "rejected", "strays"),
            ("Where does Dame Tansy weigh anchor?", "rejected", "strays"),
            ("", "rejected", "no single question"),
        ] {
            let result = run(&facts, reply(bad), &config, 3).await;
            let drop = result.drops.first().expect("drop");
            assert_eq!(drop.reason, reason);
            assert!(drop.detail.contains(rule), "{bad}: {}", drop.detail);
            assert_eq!(result.samples.len(), 4);
        }
    }

    #[tokio::test]
    async fn verification_drops_what_is_unsupported_known_or_could_not_be_asked() {
        let facts: Vec<_> = taken(3)
            .into_iter()
            .filter(|(f, _)| f.answer == "85 kilograms")
            .map(|(f, _)| (f, Bank::Validation))
            .collect();
        let config = Config { model_wordings: 0, margin: -1.0, ..Config::default() };
        let reason = async |model: ScriptedModel, config: &Config| {
            let result = run(&facts, model, config, 3).await;
            result.drops.first().map(|drop| drop.reason.clone())
        };
        assert_eq!(reason(ScriptedModel::new(), &config).await, None);
        let known = ScriptedModel::new().reply("Dame Tansy", "85 kilograms.");
        assert_eq!(reason(known, &config).await.as_deref(), Some("known-already"));
        let strict = Config { margin: 0.5, ..config.clone() };
        assert_eq!(reason(ScriptedModel::new(), &strict).await.as_deref(), Some("unsupported"));
        let down = ScriptedModel::new().fault(Fault::Fail(Error::Engine("down".into())));
        assert_eq!(reason(down, &config).await.as_deref(), Some("model-failed"));
    }
}
