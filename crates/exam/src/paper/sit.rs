use futures::stream::{FuturesOrdered, StreamExt};
use lm::{Finish, Generate, Prompt, Sampling, SharedModel};
use record::{Usage, seed};
use serde::{Deserialize, Serialize};

use super::letters::named;
use super::{Answer, Date, Item, Kind};
use crate::{Error, Result};

/// How a paper is sat. Everything is answered greedily but essays, which are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sitting {
    /// Tokens of the answer to a choice or a blank at most.
    pub short_tokens: usize,
    /// Tokens of an open-ended answer or an essay at most.
    pub long_tokens: usize,
    /// Temperature of essays, above 0.
    pub temperature: f32,
    /// Items that are asked at once.
    pub concurrency: usize,
    /// Seed of the essays.
    pub seed: u64,
}

impl Default for Sitting {
    fn default() -> Self {
        Self { short_tokens: 64, long_tokens: 512, temperature: 0.7, concurrency: 64, seed: 0 }
    }
}

impl Sitting {
    /// Checks every field's range.
    pub fn validate(&self) -> Result<()> {
        let check = |ok: bool, field, problem| if ok { Ok(()) } else { Err(Error::Config { field, problem }) };
        check(self.short_tokens > 0, "short_tokens", "must be 1 or more")?;
        check(self.long_tokens > 0, "long_tokens", "must be 1 or more")?;
        check(self.temperature > 0.0 && self.temperature.is_finite(), "temperature", "must be above 0")?;
        check(self.concurrency > 0, "concurrency", "must be 1 or more")
    }
}

/// The text that stands before the model: the question with its options and what is expected.
pub fn asked(item: &Item) -> String {
    let options = item.kind.options().iter().enumerate();
    let options: String = options.map(|(at, option)| format!("\n{}. {option}", named(&[at]))).collect();
    let points = if item.points == 1.0 { "1 point".into() } else { format!("{} points", item.points) };
    let how = match &item.kind {
        Kind::Single(_) => "Answer with the letter of the right option alone.".into(),
        Kind::Multiple(_) => {
            "One option or more are right. Answer with their letters alone; a wrong one costs all points.".into()
        }
        Kind::Blank(_) => "Fill in the blank. Answer with what stands in it alone, with its unit if it has one.".into(),
        Kind::Open(open) => format!("Show your steps; there are {} that give points.", open.steps.len()),
        Kind::Essay(essay) => {
            let criteria: Vec<String> = essay.criteria.iter().map(|c| format!("{} ({})", c.name, c.points)).collect();
            format!("You are marked for: {}.", criteria.join(", "))
        }
    };
    format!("{}{options}\n\n({points}) {how}", item.question)
}

/// Lets a model answer items of a paper; answers come in the order of the items. `person` names it,
/// `published` is the day on which its weights became public. A failed request gives an empty answer with
/// the reason: it is never dropped. `progress` gets the number of items done.
#[allow(clippy::too_many_arguments)]
pub async fn sit_paper(
    items: &[Item],
    person: &str,
    published: Option<Date>,
    model: &SharedModel,
    adapter: Option<&str>,
    sitting: &Sitting,
    progress: &mut (dyn FnMut(usize) + Send),
) -> Result<Vec<Answer>> {
    sitting.validate()?;
    let mut waiting = items.iter();
    let mut running = FuturesOrdered::new();
    let mut answers = Vec::with_capacity(items.len());
    loop {
        while running.len() < sitting.concurrency
            && let Some(item) = waiting.next()
        {
            running.push_back(answer(item, person, published, model, adapter, sitting));
        }
        let Some(answer) = running.next().await else { return Ok(answers) };
        answers.push(answer);
        progress(answers.len());
    }
}

async fn answer(
    item: &Item,
    person: &str,
    published: Option<Date>,
    model: &SharedModel,
    adapter: Option<&str>,
    sitting: &Sitting,
) -> Answer {
    let long = matches!(item.kind, Kind::Open(_) | Kind::Essay(_));
    let tokens = if long { sitting.long_tokens } else { sitting.short_tokens };
    let mut request = Generate::greedy(Prompt::ask(asked(item)), tokens);
    request.adapter = adapter.map(str::to_string);
    if matches!(item.kind, Kind::Essay(_)) {
        request.sampling = Sampling { temperature: sitting.temperature, ..Sampling::default() };
        request.seed = seed::derive(sitting.seed, "essay", &item.id);
    }
    let mut answer = Answer {
        item: item.id.clone(),
        person: person.into(),
        attempt: 0,
        text: String::new(),
        cut: false,
        failed: None,
        published,
        usage: Usage::default(),
    };
    match model.generate(request).await {
        Err(error) => answer.failed = Some(error.to_string()),
        Ok(generation) => {
            answer.usage = generation.usage;
            match generation.completions.into_iter().next() {
                None => answer.failed = Some("the model returned no completion".into()),
                Some(completion) => {
                    answer.cut = completion.finish == Finish::Length;
                    answer.text = completion.text.trim().to_string();
                }
            }
        }
    }
    answer
}

/// The paper as a judge of contamination reads it: question and options, without what is expected.
pub(crate) fn printed(item: &Item, order: &[usize]) -> (String, String) {
    let options = item.kind.options();
    let lines: Vec<String> =
        order.iter().enumerate().map(|(at, &from)| format!("{}. {}", named(&[at]), options[from])).collect();
    (item.question.trim().to_string(), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::{Essay, Single};
    use lm::{Fault, ScriptedModel};
    use std::sync::Arc;

    fn item(id: &str, kind: Kind) -> Item {
        Item {
            id: id.into(),
            question: format!("Question {id}?"),
            points: 2.0,
            group: None,
            cluster: None,
            subject: None,
            difficulty: None,
            kind,
        }
    }

    #[tokio::test]
    async fn choices_are_greedy_essays_are_drawn_and_failures_stay() {
        let choice = || Kind::Single(Single { options: vec!["p".into(), "q".into()], answer: "A".into() });
        let criterion = super::super::Criterion { name: "style".into(), points: 2.0, levels: vec![] };
        let items =
            [item("1", choice()), item("2", Kind::Essay(Essay { criteria: vec![criterion] })), item("3", choice())];
        let script = ScriptedModel::new()
            .fault(Fault::Fail(lm::Error::Engine("down".into())))
            .reply("Question 2", " An essay. ")
            .reply("Question 3", "B");
        let script = Arc::new(script);
        let model: SharedModel = script.clone();
        let published = "2024-01-01".parse().ok();
        let answers =
            sit_paper(&items, "m", published, &model, None, &Sitting::default(), &mut |_| {}).await.expect("sat");
        let told: Vec<_> = answers.iter().map(|a| (a.item.as_str(), a.text.as_str(), a.failed.is_some())).collect();
        assert_eq!(told, [("1", "", true), ("2", "An essay.", false), ("3", "B", false)]);
        let temperatures: Vec<f32> = script.requests().iter().map(|r| r.sampling.temperature).collect();
        assert_eq!(temperatures, [0.0, 0.7, 0.0]);
        assert!(asked(&items[0]).contains("\nA. p\nB. q") && asked(&items[1]).contains("style (2)"));
        assert_eq!(answers[0].published, published);
    }
}
