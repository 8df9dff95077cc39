use ::irt::{Ability, Bayes, Estimator, Fit, Item, Mirt, Mml, Model, Posteriors, cml, jml};
use exam::scored::Scored;
use marks::Marks;
use serde::Serialize;

use super::choice::{Method, Plan};
use super::{Calibration, posterior};
use crate::{Error, Event, Result, Watch};

/// A fitted test with what is known of its errors and persons.
pub(super) struct Fitted {
    pub fit: Fit,
    /// Errors of each item, shaped as items; none where they are not known.
    pub errors: Vec<Option<Item>>,
    /// Where those come from, in words.
    pub errors_how: String,
    /// Ability by Warm's weighted likelihood.
    pub wle: Vec<Option<Ability>>,
    /// Posterior mean, or its mode.
    pub posterior: Vec<Option<Ability>>,
    /// What the second is called.
    pub posterior_name: &'static str,
    /// Items that an anchor held.
    pub anchored: Vec<bool>,
    /// The scale, in words.
    pub scale: String,
    /// What a reader must know.
    pub notes: Vec<String>,
    /// Whether items were found from these very responses; tests of fit suppose it.
    pub own: bool,
}

/// Work above which errors of items suppose that abilities are known.
const WORK: f64 = 1.5e8;

/// Fits what was planned.
pub(super) fn fit(
    marks: &Marks,
    scored: &Scored,
    plan: &Plan,
    anchor: Option<&Calibration>,
    seed: u64,
    watch: &Watch,
) -> Result<Fitted> {
    let responses = &scored.responses;
    if let Some(anchor) = anchor {
        return anchored(marks, scored, plan, anchor);
    }
    let n = responses.persons();
    let mml = settings(plan.model, n);
    let normal = "θ has mean 0 and deviation 1 among these persons".to_string();
    let rasch = "logits: slope 1, difficulties with mean 0".to_string();
    let steps = |given: &[Vec<f64>]| {
        let item = |b: &Vec<f64>| Item { slope: 1.0, difficulties: b.clone(), lower: 0.0, upper: 1.0 };
        given.iter().map(item).map(Some).collect::<Vec<_>>()
    };
    // Items are known then; only the spread of persons is to be found.
    let population = |items: &[Option<Item>]| -> Result<Fit> {
        let mut fit = mml.anchored(responses, items)?;
        // Difficulties were free but for their mean.
        fit.parameters += items.iter().flatten().map(|item| item.difficulties.len()).sum::<usize>() - 1;
        Ok(fit)
    };
    match plan.method {
        Method::Mml => {
            let fit = mml.fit(responses).map_err(|error| named(error, marks, scored))?;
            let work = if plan.model.raw_score_suffices() {
                (n.min(4 * responses.items()) * responses.items()) as f64
            } else {
                responses.len() as f64
            };
            let errors = (fit.parameters as f64 * work <= WORK).then(|| mml.errors(&fit, responses));
            Ok(finish(scored, fit, errors, normal, "observed information (Oakes)", Vec::new()))
        }
        Method::Cml => {
            let found = cml(responses, 1e-7, 2000).map_err(|error| named(error, marks, scored))?;
            let count: usize = found.difficulties.iter().map(Vec::len).sum();
            let errors = (count <= 300).then(|| found.errors(responses)).flatten();
            let errors = errors.map(|errors| steps(&errors).into_iter().map(|item| item.map(no_slope)).collect());
            let notes = not_converged(found.converged, found.steps);
            Ok(finish(
                scored,
                population(&steps(&found.difficulties))?,
                errors,
                rasch,
                "conditional information",
                notes,
            ))
        }
        Method::Jml => {
            let found = jml(responses, 1e-6, 5000, true).map_err(|error| named(error, marks, scored))?;
            let notes = not_converged(found.converged, found.steps);
            Ok(finish(scored, population(&steps(&found.difficulties))?, None, rasch, "", notes))
        }
        Method::Bayes => {
            let chains = Bayes { slopes: plan.model == Model::TwoPl, seed, ..Bayes::default() };
            let found = chains.fit(responses, |done, total| {
                if done % 40 == 0 {
                    let (done, total) = (done as u64, total as u64);
                    watch.tell(Event::Progress { stage: "fit".into(), done, total, detail: String::new() });
                }
                watch.check().is_ok()
            });
            watch.check()?;
            let found = found?;
            let slope = |item: usize| found.slopes[item.min(found.slopes.len() - 1)];
            let item = |at: usize| Item {
                slope: slope(at).mean,
                difficulties: vec![found.difficulties[at].mean],
                lower: 0.0,
                upper: 1.0,
            };
            let error = |at: usize| Item {
                slope: slope(at).deviation,
                difficulties: vec![found.difficulties[at].deviation],
                lower: 0.0,
                upper: 0.0,
            };
            let fit = Fit::known(plan.model, (0..responses.items()).map(item).collect())?;
            let errors = (0..responses.items()).map(|at| Some(error(at))).collect();
            let mut notes = Vec::new();
            if found.worst_r_hat > 1.05 {
                notes.push(format!(
                    "the chains do not agree yet (worst R̂ {:.2}): take figures with care",
                    found.worst_r_hat
                ));
            }
            let scale = "θ ~ N(0, 1) is the prior of these persons".to_string();
            let mut fitted = finish(scored, fit, Some(errors), scale, "deviations of the posterior", notes);
            fitted.fit.log_likelihood = fitted.fit.marginal(responses);
            fitted.posterior = draws(&found);
            Ok(fitted)
        }
    }
}

fn draws(found: &Posteriors) -> Vec<Option<Ability>> {
    found.abilities.iter().map(|p| Some(Ability { theta: p.mean, error: p.deviation })).collect()
}

/// Settings for so many persons: few ask for priors.
fn settings(model: Model, persons: usize) -> Mml {
    let slope_prior = (persons < 200 && !model.raw_score_suffices()).then_some((0.0, 0.5));
    Mml { model, slope_prior, ..Mml::default() }
}

fn no_slope(item: Item) -> Item {
    Item { slope: 0.0, lower: 0.0, upper: 0.0, ..item }
}

fn not_converged(converged: bool, steps: usize) -> Vec<String> {
    match converged {
        true => Vec::new(),
        false => vec![format!("the fit had not converged after {steps} steps")],
    }
}

/// A test of which some or all items are known.
fn anchored(marks: &Marks, scored: &Scored, plan: &Plan, anchor: &Calibration) -> Result<Fitted> {
    let responses = &scored.responses;
    let id = |at: usize| &marks.items()[scored.items[at].item as usize].id;
    let known: Vec<Option<&super::Calibrated>> = (0..responses.items()).map(|at| anchor.item(id(at))).collect();
    let common = known.iter().flatten().count();
    if common == 0 {
        return Err(Error::Nothing {
            problem: format!("none of the {} items of the logs stands in the anchor", responses.items()),
            hint: "items are known by their id: calibrate logs of the same items".into(),
        });
    }
    let scale = format!("that of the anchor ({}), held by {common} items", anchor.scale);
    let curves: Vec<Option<Item>> = known.iter().map(|item| item.map(|item| item.curve.clone())).collect();
    let mut notes = vec![format!(
        "{common} of {} items are held by the anchor, of {} that it has; errors of abilities suppose that they are exact",
        responses.items(),
        anchor.items.len()
    )];
    let fit = if common == responses.items() {
        let mut fit = Fit::known(plan.model, curves.into_iter().flatten().collect())?;
        fit.population = anchor.population;
        fit
    } else {
        let n = responses.persons();
        if n < 30 {
            notes.push(format!("{n} persons place the {} new items loosely", responses.items() - common));
        }
        settings(plan.model, n).anchored(responses, &curves).map_err(|error| named(error, marks, scored))?
    };
    let mut fitted = finish(scored, fit, None, scale, "", notes);
    for (error, item) in fitted.errors.iter_mut().zip(&known) {
        if let Some(item) = item {
            let shape = |errors: &Vec<f64>| Item { slope: 0.0, difficulties: errors.clone(), lower: 0.0, upper: 0.0 };
            *error = item.errors.as_ref().map(shape);
        }
    }
    fitted.errors_how = "those of the anchor; of new items, abilities being taken as known".into();
    fitted.anchored = known.iter().map(Option::is_some).collect();
    fitted.own = false;
    Ok(fitted)
}

fn finish(
    scored: &Scored,
    fit: Fit,
    errors: Option<Vec<Option<Item>>>,
    scale: String,
    how: &str,
    mut notes: Vec<String>,
) -> Fitted {
    let responses = &scored.responses;
    if !fit.converged {
        notes.push(format!("the fit had not converged after {} steps", fit.steps));
    }
    let wle = fit.abilities(responses, Estimator::Wle);
    let mut fitted = Fitted {
        errors: Vec::new(),
        errors_how: how.into(),
        posterior: Vec::new(),
        posterior_name: "EAP",
        anchored: vec![false; responses.items()],
        scale,
        notes,
        own: true,
        wle,
        fit,
    };
    let estimator = posterior(&fitted, scored);
    if estimator == Estimator::Map {
        fitted.posterior_name = "MAP";
    }
    fitted.posterior = fitted.fit.abilities(responses, estimator);
    fitted.errors = errors.unwrap_or_else(|| {
        fitted.errors_how = "information of the item, abilities being taken as known".into();
        located(scored, &fitted)
    });
    fitted
}

/// Error of an item's place if abilities were known: 1 / √Σ I(θ), for a shift of the item moves its curve as
/// a shift of the person does.
fn located(scored: &Scored, fitted: &Fitted) -> Vec<Option<Item>> {
    let mut information = vec![0.0; scored.responses.items()];
    for (person, ability) in fitted.wle.iter().enumerate() {
        let Some(ability) = ability else { continue };
        scored
            .responses
            .of(person)
            .for_each(|(item, _)| information[item] += fitted.fit.information(item, ability.theta));
    }
    let one = |(information, item): (&f64, &Item)| {
        let error = information.powf(-0.5);
        let difficulties = vec![error; item.difficulties.len()];
        error.is_finite().then_some(Item { slope: 0.0, difficulties, lower: 0.0, upper: 0.0 })
    };
    information.iter().zip(&fitted.fit.items).map(one).collect()
}

/// The error with items by their ids.
fn named(error: ::irt::Error, marks: &Marks, scored: &Scored) -> Error {
    let ::irt::Error::Data { problem, hint } = &error else { return error.into() };
    let mut words: Vec<String> = problem.split(' ').map(Into::into).collect();
    for at in 1..words.len() {
        let place = words[at].trim_end_matches([',', ';']).parse::<usize>().ok();
        if words[at - 1] == "item"
            && let Some(scale) = place.and_then(|place| scored.items.get(place))
        {
            words[at] = format!("{:?}", marks.items()[scale.item as usize].id);
        }
    }
    Error::Nothing { problem: words.join(" "), hint: (*hint).into() }
}

/// Items and persons of a model with several abilities.
#[derive(Debug, Clone, Serialize)]
pub struct PlanesFit {
    /// Abilities.
    pub abilities: usize,
    /// Item by item: id, slopes, discrimination |a|, difficulty along it.
    pub items: Vec<PlaneLine>,
    /// Person by person: name and posterior means.
    pub persons: Vec<(String, Vec<f64>)>,
    /// Marginal log-likelihood.
    pub log_likelihood: f64,
    /// Free numbers.
    pub parameters: usize,
    /// BIC of it, and of the model with one ability.
    pub bic: (f64, f64),
    /// Whether the tolerance was reached.
    pub converged: bool,
}

/// An item of it.
#[derive(Debug, Clone, Serialize)]
pub struct PlaneLine {
    /// Its id.
    pub id: String,
    /// a, one an ability.
    pub slopes: Vec<f64>,
    /// |a|.
    pub discrimination: f64,
    /// −d / |a|.
    pub difficulty: f64,
}

pub(super) fn planes(marks: &Marks, scored: &Scored, fitted: &Fitted, abilities: usize) -> Result<PlanesFit> {
    let responses = &scored.responses;
    let found =
        Mirt::exploratory(responses.items(), abilities).fit(responses).map_err(|error| named(error, marks, scored))?;
    let n = responses.persons();
    let bic = -2.0 * found.log_likelihood + found.parameters as f64 * (n as f64).ln();
    let item = |(at, plane): (usize, &::irt::Plane)| PlaneLine {
        id: marks.items()[scored.items[at].item as usize].id.clone(),
        slopes: plane.slopes.clone(),
        discrimination: plane.discrimination(),
        difficulty: plane.difficulty(),
    };
    let person =
        |(at, theta): (usize, &Vec<f64>)| (marks.persons()[scored.persons[at] as usize].name.clone(), theta.clone());
    Ok(PlanesFit {
        abilities,
        items: found.items.iter().enumerate().map(item).collect(),
        persons: found.persons.iter().enumerate().map(person).collect(),
        log_likelihood: found.log_likelihood,
        parameters: found.parameters,
        bic: (bic, fitted.fit.bic(n)),
        converged: found.converged,
    })
}
