use irt::adaptive::{Adaptive, Session};
use irt::{Ability, Fit};
use lm::SharedModel;
use record::{Item, Mode, Response};
use serde::{Deserialize, Serialize};

use crate::scored::category;
use crate::{Config, Error, Result, sit};

/// Items of a bank whose curves are known.
pub struct Known<'a> {
    /// The curves.
    pub fit: &'a Fit,
    /// The question of each curve.
    pub items: &'a [Item],
    /// The scores (of 1 at most, as [`sit`] gives them) at which each curve's next category begins.
    pub cuts: &'a [Vec<f64>],
}

/// Where an adaptive exam stood after a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The question.
    pub item: String,
    /// Its score, in [0, 1].
    pub score: f64,
    /// Ability after it: mode of the posterior.
    pub theta: f64,
    /// The posterior's deviation.
    pub error: f64,
}

/// An adaptive exam that was sat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adapted {
    /// Question by question.
    pub steps: Vec<Step>,
    /// The answers, in the order of the steps.
    pub responses: Vec<Response>,
    /// Ability at the end.
    pub ability: Ability,
    /// Whether the wanted standard error was reached.
    pub reached: bool,
    /// Questions in the bank.
    pub bank: usize,
    /// Standard error that all of them would give at this ability.
    pub whole: f64,
}

/// Asks the question that says most at the ability estimated so far, one after the other, until the
/// standard error is small enough or there are no more. A failed request counts as the lowest score, as in
/// [`sit`]. `person` makes the exposure control's draws differ between persons.
#[allow(clippy::too_many_arguments)]
pub async fn adapt(
    known: &Known<'_>,
    label: &str,
    model: &SharedModel,
    adapter: Option<&str>,
    config: &Config,
    settings: Adaptive,
    person: u64,
    progress: &mut (dyn FnMut(usize, Ability) + Send),
) -> Result<Adapted> {
    if known.items.len() != known.fit.items.len() || known.cuts.len() != known.items.len() || known.items.is_empty() {
        return Err(Error::Difficulty { problem: "each question needs one calibrated curve".into() });
    }
    let mut session = Session::new(known.fit, settings, person);
    let (mut steps, mut responses) = (Vec::new(), Vec::new());
    while let Some(at) = session.ask() {
        let item = std::slice::from_ref(&known.items[at]);
        let response =
            sit(item, label, model, adapter, Mode::Closed, None, config, &mut |_| {}).await?.into_iter().next();
        let Some(response) = response else { break };
        session.answer(at, category(&known.cuts[at], response.score));
        let Ability { theta, error } = session.ability();
        steps.push(Step { item: response.item.clone(), score: response.score, theta, error });
        responses.push(response);
        progress(steps.len(), session.ability());
    }
    let ability = session.ability();
    let information: f64 = (0..known.items.len()).map(|item| known.fit.information(item, ability.theta)).sum();
    let prior = known.fit.population.1.powi(-2);
    Ok(Adapted {
        reached: ability.error <= settings.error,
        bank: known.items.len(),
        whole: (information + prior).powf(-0.5),
        steps,
        responses,
        ability,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lm::ScriptedModel;
    use std::sync::Arc;

    fn bank(n: usize) -> (Vec<Item>, Fit, Vec<Vec<f64>>) {
        let question = |i: usize| {
            let line = serde_json::json!({"id": format!("q{i:03}"), "fact": format!("f{i}"), "document": "d",
                "kind": "number", "question": format!("question {i:03}?"), "answers": ["42"]});
            serde_json::from_value(line).expect("an item")
        };
        let curve = |i: usize| irt::Item {
            slope: 1.5,
            difficulties: vec![-3.0 + 6.0 * i as f64 / n as f64],
            lower: 0.0,
            upper: 1.0,
        };
        let fit = Fit::known(irt::Model::TwoPl, (0..n).map(curve).collect()).expect("a test");
        ((0..n).map(question).collect(), fit, vec![vec![1.0]; n])
    }

    #[tokio::test]
    async fn the_exam_ends_when_the_error_is_small_enough_and_asks_near_the_ability() {
        let (items, fit, cuts) = bank(200);
        // The model knows the easier 150: its ability lies at b = 1.5.
        let scripted = (0..150).fold(ScriptedModel::new(), |m, i| m.reply(format!("question {i:03}"), "42"));
        let model: SharedModel = Arc::new(scripted);
        let known = Known { fit: &fit, items: &items, cuts: &cuts };
        let settings = Adaptive { error: 0.3, seed: 1, ..Adaptive::default() };
        let found =
            adapt(&known, "x", &model, None, &Config::default(), settings, 0, &mut |_, _| {}).await.expect("sat");
        assert!(found.reached && found.ability.error <= 0.3 && found.steps.len() < 60, "{:?}", found.steps.len());
        assert!((found.ability.theta - 1.5).abs() < 0.6, "{:?}", found.ability);
        assert!(found.whole < found.ability.error && found.bank == 200);
        let strict = Adaptive { error: 0.01, ..settings };
        let found = adapt(&known, "x", &model, None, &Config::default(), strict, 0, &mut |_, _| {}).await.expect("sat");
        assert!(!found.reached && found.steps.len() == 200);
    }
}
