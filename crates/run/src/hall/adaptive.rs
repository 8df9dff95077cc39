//! `lyceum exam BANK --adaptive`: fewer questions to the same standard error.

use std::path::{Path, PathBuf};

use exam::{Adapted, Known};
use irt::adaptive::Adaptive;
use record::Item;
use serde::Serialize;

use super::irt::Calibration;
use crate::models;
use crate::pull::Sources;
use crate::verbs::Flow;
use crate::{Error, Event, Recipe, Result, Watch};

/// What an adaptive exam is asked to do.
#[derive(Debug, Clone)]
pub struct Adapting {
    /// `fit.json` of `lyceum irt`.
    pub calibration: PathBuf,
    /// The exam ends at this standard error.
    pub error: f64,
    /// Questions at most; 0 for the whole bank.
    pub most: usize,
    /// The next question is drawn from so many of the most informative ones.
    pub choose_from: usize,
}

/// An adaptive exam and its bank.
#[derive(Debug, Serialize)]
pub struct Adaption {
    /// The model that sat it.
    pub model: String,
    /// The exam.
    #[serde(flatten)]
    pub adapted: Adapted,
    /// Questions of the bank that the calibration does not know; they are not asked.
    pub unknown: usize,
    /// Where the record lies.
    pub file: PathBuf,
}

impl Adaption {
    /// The result in a few lines.
    pub fn text(&self) -> String {
        let Adapted { steps, ability, bank, whole, reached, .. } = &self.adapted;
        let right: f64 = steps.iter().map(|step| step.score).sum();
        let ends = match reached {
            true => format!("the error that was asked for took {} of {bank} questions", steps.len()),
            false => format!("the error that was asked for was not reached in {} of {bank} questions", steps.len()),
        };
        let mut text = format!(
            "{}: ability {:.2} ± {:.2} (95 % interval {:.2} to {:.2}); {ends}; all {bank} would give ± {whole:.2}. \
             {right} of {} right, questions being chosen to be about as often right as wrong",
            self.model,
            ability.theta,
            ability.error,
            ability.theta - 1.96 * ability.error,
            ability.theta + 1.96 * ability.error,
            steps.len()
        );
        if self.unknown > 0 {
            text += &format!("\n{} questions of the bank are not in the calibration and were not asked", self.unknown);
        }
        let failed = self.adapted.responses.iter().filter_map(|r| r.failed.as_deref());
        if let Some(first) = failed.clone().next() {
            text += &format!("\n{} requests failed and count as wrong; the first: {first}", failed.count());
        }
        text + &format!("\nrecord: {}", self.file.display())
    }
}

/// Sits a bank adaptively, closed-book, and writes `adaptive.json` into `out`.
pub async fn adapt(
    recipe: &Recipe,
    items: &[Item],
    asked: &Adapting,
    out: &Path,
    sources: &Sources,
    watch: &Watch,
) -> Result<Adaption> {
    let calibration = Calibration::read(&asked.calibration)?;
    let curve = |item: &Item| calibration.items.iter().position(|known| known.id == item.id);
    let (known, places): (Vec<Item>, Vec<usize>) =
        items.iter().filter_map(|item| Some((item.clone(), curve(item)?))).unzip();
    if known.is_empty() {
        return Err(Error::Nothing {
            problem: format!("none of the {} questions stands in {}", items.len(), asked.calibration.display()),
            hint: "calibrate answers to this bank: lyceum irt runs/*-exam/candidate/responses.jsonl".into(),
        });
    }
    if !(asked.error > 0.0 && asked.error.is_finite()) {
        return Err(Error::Nothing {
            problem: format!("--until-se {} is no standard error", asked.error),
            hint: "a number above 0, e.g. 0.3".into(),
        });
    }
    let flow = Flow::open(recipe, out, sources, watch)?;
    let model = models::load(&recipe.model, recipe, sources)?;
    let picked: Vec<_> = places.iter().map(|&at| calibration.items[at].clone()).collect();
    // A sitting marks from 0 to 1; the calibration's logs may have had other marks.
    let cuts: Vec<Vec<f64>> = picked.iter().map(|item| item.cuts.iter().map(|cut| cut / item.max).collect()).collect();
    let fit = Calibration { items: picked, ..calibration }.bank()?;
    let settings = Adaptive {
        error: asked.error,
        most: asked.most,
        choose_from: asked.choose_from,
        seed: recipe.seed,
        ..Adaptive::default()
    };
    let total = if asked.most == 0 { known.len() } else { asked.most.min(known.len()) };
    watch.tell(Event::Stage { stage: "adaptive".into(), shards: 1, done: 0 });
    let mut tell = |done: usize, ability: irt::Ability| {
        let detail = format!("θ = {:.2} ± {:.2}", ability.theta, ability.error);
        watch.tell(Event::Progress { stage: "adaptive".into(), done: done as u64, total: total as u64, detail });
    };
    let bank = Known { fit: &fit, items: &known, cuts: &cuts };
    let config = &recipe.exam.sit;
    let adapter = model.adapter.as_deref();
    let adapted =
        exam::adapt(&bank, "candidate", &model.shared, adapter, config, settings, recipe.seed, &mut tell).await?;
    let file = flow.run.root().join("adaptive.json");
    let adaption = Adaption { model: recipe.model.clone(), adapted, unknown: items.len() - known.len(), file };
    record::shard::write_json(&adaption.file, &adaption)?;
    Ok(adaption)
}
