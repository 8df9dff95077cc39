use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;
use record::{Answer, Drop, Preference, Role};
use weights::Checkpoint;

use crate::case::{Case, Completion};
use crate::data::reason;
use crate::example::Example;
use crate::losses::Sides;
use crate::{Error, Loss, PreferConfig, Result};

/// Why something is left out: one of a few stable words, and what exactly.
type Reason = (&'static str, String);

/// The preferences that can be learned from, and why the others cannot.
///
/// Of the answers only those stay that the loss looks at. Nothing is repaired: what is not as it
/// should be is left out and named.
pub(crate) fn sift(preferences: &[Preference], base: &Checkpoint, config: &PreferConfig) -> (Vec<Case>, Vec<Drop>) {
    // Within one set only: two files that number their lines are none the worse for it.
    let mut seen = HashSet::new();
    let fresh: Vec<bool> = preferences.iter().map(|preference| seen.insert(&preference.id)).collect();
    let mut questions = HashMap::new();
    let mut number = |preference: &Preference| {
        let question = if preference.question.is_empty() { &preference.id } else { &preference.question };
        let next = questions.len();
        *questions.entry(question.clone()).or_insert(next)
    };
    let numbers: Vec<usize> = preferences.iter().map(&mut number).collect();
    let one = |((preference, fresh), question): ((&Preference, bool), usize)| {
        if !fresh {
            return Err(("duplicate", "its id is taken by an earlier one".to_string()));
        }
        let sides = sides(preference, base, config)?;
        Ok(Case { id: preference.id.clone(), question, sides, weight: preference.weight })
    };
    let all: Vec<std::result::Result<Case, Reason>> = preferences.par_iter().zip(fresh).zip(numbers).map(one).collect();
    let (mut cases, mut drops) = (Vec::new(), Vec::new());
    for (result, preference) in all.into_iter().zip(preferences) {
        match result {
            Ok(case) => cases.push(case),
            Err((reason, detail)) => {
                let record = preference.id.clone();
                drops.push(Drop { stage: "learn".into(), record, reason: reason.into(), detail });
            }
        }
    }
    if matches!(config.loss, Loss::Kto(_)) {
        mismatch(&mut cases, config.row_tokens.min(base.architecture.context));
    }
    (cases, drops)
}

/// Refuses an empty rest, with the reasons.
pub(crate) fn something_left(cases: &[Case], given: usize, drops: &[Drop]) -> Result<()> {
    if given == 0 {
        return Err(Error::NoSamples);
    }
    if !cases.is_empty() {
        return Ok(());
    }
    let mut reasons = BTreeMap::new();
    drops.iter().for_each(|drop| *reasons.entry(drop.reason.clone()).or_insert(0) += 1);
    Err(Error::NothingLeft { given, reasons: reasons.into_iter().collect() })
}

fn sides(
    preference: &Preference,
    base: &Checkpoint,
    config: &PreferConfig,
) -> std::result::Result<[Option<Completion>; 2], Reason> {
    if !preference.weight.is_finite() || preference.weight < 0.0 {
        return Err(("bad-weight", format!("its weight is {}", preference.weight)));
    }
    if preference.messages.last().is_none_or(|last| last.role == Role::Assistant) {
        return Err(("no-prompt", "its messages must end with a turn that is not the model's".into()));
    }
    let wanted = config.loss.sides();
    let given = [&preference.chosen, &preference.rejected];
    let names = ["chosen", "rejected"];
    let needed = [matches!(wanted, Sides::Both | Sides::Chosen), matches!(wanted, Sides::Both | Sides::Rejected)];
    for ((needed, given), reason) in needed.into_iter().zip(given).zip(["no-chosen", "no-rejected"]) {
        if needed && given.is_none() {
            return Err((reason, format!("the loss {} needs this answer", config.loss.name())));
        }
    }
    let looked_at = if wanted == Sides::Either { given.map(Option::is_some) } else { needed };
    if looked_at == [false; 2] {
        return Err(("no-answer", "it has neither a chosen nor a rejected answer".into()));
    }
    if let [Some(chosen), Some(rejected)] = given
        && !chosen.text.is_empty()
        && (&chosen.text, chosen.ended) == (&rejected.text, rejected.ended)
    {
        return Err(("same-answers", "chosen and rejected say the same".into()));
    }
    let mut sides = [None, None];
    for side in [0, 1] {
        if let Some(answer) = given[side].as_ref().filter(|_| looked_at[side]) {
            sides[side] = Some(completion(preference, answer, names[side], base, config)?);
        }
    }
    if let [Some(chosen), Some(rejected)] = &sides
        && chosen.example.tokens == rejected.example.tokens
    {
        return Err(("same-answers", "chosen and rejected have the same tokens".into()));
    }
    Ok(sides)
}

fn completion(
    preference: &Preference,
    answer: &Answer,
    name: &str,
    base: &Checkpoint,
    config: &PreferConfig,
) -> std::result::Result<Completion, Reason> {
    if answer.text.trim().is_empty() && answer.tokens.is_empty() {
        return Err(("empty-answer", format!("the {name} answer is empty")));
    }
    if let Some(token) = answer.tokens.iter().find(|&&token| token as usize >= base.architecture.vocab) {
        let problem = format!("token {token} of the {name} answer is none of this model's; who drew it?");
        return Err(("unknown-token", problem));
    }
    let advantage = match (&config.loss, answer.advantage) {
        (Loss::Aco(_), advantage) => advantage.filter(|advantage| advantage.is_finite()).ok_or_else(|| {
            ("no-advantage", format!("the {name} answer has no finite advantage, which aco needs; dpo does not"))
        })?,
        _ => 0.0,
    };
    let most = config.row_tokens.min(base.architecture.context);
    let example = Example::answer(preference, answer, &base.tokenizer).and_then(|e| e.fit(most, config.truncate));
    match example {
        Ok(example) => Ok(Completion::new(example, advantage)),
        Err(error) => {
            let reason = match &error {
                Error::Sample { .. } => "empty-answer",
                other => reason(other).unwrap_or("not-learnable"),
            };
            Err((reason, error.to_string()))
        }
    }
}

/// Puts each answer behind the prompt of the next other question, around the end; one that is then too
/// long is cut. Which question that is depends on the data alone, so that what the reference says of
/// it is computed once. Without another question there is none.
fn mismatch(cases: &mut [Case], most: usize) {
    let prompt = |case: &Case| case.completions().next().map(|c| c.example.tokens[..c.example.learned_from].to_vec());
    let prompts: Vec<(usize, Vec<u32>)> =
        cases.iter().map(|case| (case.question, prompt(case).unwrap_or_default())).collect();
    for (at, case) in cases.iter_mut().enumerate() {
        let others = prompts[at..].iter().chain(&prompts[..at]);
        let Some((_, prompt)) = others.into_iter().find(|(question, _)| *question != case.question) else { return };
        for completion in case.sides.iter_mut().flatten() {
            let answer = &completion.example.tokens[completion.example.learned_from..];
            let mut tokens = [prompt, answer].concat();
            tokens.truncate(most);
            let example = Example { id: case.id.clone(), tokens, learned_from: prompt.len() };
            completion.mismatched = Some((example, 0.0));
        }
    }
}
