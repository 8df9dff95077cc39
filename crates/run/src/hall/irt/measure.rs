use ::irt::significance::benjamini_hochberg;
use ::irt::{Ability, Estimator, Fit, Model, Test, andersen, by_raw_score, separation};
use exam::scored::Scored;
use marks::Marks;

use super::choice::{Plan, name};
use super::fitted::Fitted;
use super::record::{Analysis, Contrast, ItemLine, PersonLine, Q3, Reliability, Whole};

/// Items above which M2 takes minutes: its covariance has as many rows as there are pairs.
const M2: usize = 40;
/// The same of Andersen's test, of residual correlations and of their components.
const ANDERSEN: usize = 300;
const PAIRS: usize = 1500;
const COMPONENTS: usize = 500;
/// Persons without gaps below which S-X² and M2 say nothing.
const COMPLETE: usize = 50;

/// Everything that a fit says of persons, items and itself.
pub(super) fn measure(marks: &Marks, scored: &Scored, plan: &Plan, fitted: &Fitted) -> Analysis {
    let responses = &scored.responses;
    let mut notes = fitted.notes.clone();
    let persons = persons(marks, scored, fitted);
    let (tests, s_x2) = tests(marks, scored, fitted, &mut notes);
    let items = items(marks, scored, fitted, s_x2);
    let of = |abilities: &[Option<Ability>], estimator, name: &str| {
        let reliability = Fit::reliability(abilities, estimator)?;
        let n = abilities.iter().flatten().count();
        Some(Reliability { estimator: name.into(), reliability, separation: separation(reliability), n })
    };
    let reliability =
        [of(&fitted.wle, Estimator::Wle, "WLE"), of(&fitted.posterior, Estimator::Eap, fitted.posterior_name)];
    let (mean, deviation) = fitted.fit.population;
    let information = (0..=80).map(|at| {
        let theta = mean + deviation * (-4.0 + 0.1 * f64::from(at));
        let sum: f64 = (0..responses.items()).map(|item| fitted.fit.information(item, theta)).sum();
        [theta, sum, sum.powf(-0.5)]
    });
    let nowhere = fitted.wle.iter().filter(|ability| ability.is_none()).count();
    if nowhere > 0 {
        notes.push(format!(
            "{nowhere} persons have no ability by weighted likelihood within 12 units of the scale: curves are too flat to \
             place them; see the posterior"
        ));
    }
    let met = responses.len() as f64 / responses.persons() as f64;
    if met < 20.0 {
        notes.push(format!(
            "mean squares and their t lie below 1 and 0 where persons answer few items ({met:.1} here), because abilities were \
             fitted to the same answers: compare items with each other, not with 1"
        ));
    }
    let (q3, contrasts) = residuals(marks, scored, fitted, &mut notes);
    let likelihood = Some(fitted.fit.log_likelihood).filter(|l| l.is_finite());
    let n = responses.persons();
    Analysis {
        schema_version: 1,
        model: name(plan.model).into(),
        method: plan.method.name().into(),
        why: plan.why.clone(),
        scale: fitted.scale.clone(),
        errors_how: fitted.errors_how.clone(),
        reading: Vec::new(),
        notes,
        aside: scored.aside.clone(),
        parts: scored.parts.clone(),
        responses: responses.len(),
        population: fitted.fit.population,
        log_likelihood: likelihood,
        parameters: fitted.fit.parameters,
        aic: likelihood.map(|_| fitted.fit.aic()),
        bic: likelihood.map(|_| fitted.fit.bic(n)),
        reliability: reliability.into_iter().flatten().collect(),
        tests,
        q3,
        contrasts,
        information: information.collect(),
        dif: None,
        graders: None,
        planes: None,
        proper: Vec::new(),
        paper: None,
        posterior_name: fitted.posterior_name.into(),
        persons,
        items,
    }
}

fn persons(marks: &Marks, scored: &Scored, fitted: &Fitted) -> Vec<PersonLine> {
    let responses = &scored.responses;
    let mut rates = vec![(0.0, 0_usize); marks.persons().len()];
    for cell in marks.cells() {
        if scored.items.binary_search_by_key(&cell.item, |scale| scale.item).is_ok() {
            let (sum, n) = &mut rates[cell.person as usize];
            (*sum, *n) = (*sum + cell.score / marks.items()[cell.item as usize].max, *n + 1);
        }
    }
    let fit = fitted.fit.person_fit(responses, &fitted.wle);
    let l_z = fitted.fit.l_z(responses, &fitted.wle);
    let extreme = scored.extreme();
    // A person whose every response is the lowest or highest fits any curve.
    let l_z: Vec<Option<f64>> = l_z
        .into_iter()
        .enumerate()
        .map(|(person, z)| z.filter(|_| !extreme.iter().any(|(other, _)| *other == person)))
        .collect();
    let adjusted = adjusted(l_z.iter().map(|z| z.map(lower_tail)));
    (0..responses.persons())
        .map(|at| {
            let person = &marks.persons()[scored.persons[at] as usize];
            let (sum, n) = rates[scored.persons[at] as usize];
            PersonLine {
                name: person.name.clone(),
                base: person.base.clone(),
                group: person.group.clone(),
                n: responses.of(at).len(),
                raw: responses.raw(at),
                most: responses.of(at).map(|(item, _)| scored.items[item].cuts.len()).sum(),
                rate: sum / n.max(1) as f64,
                theta: fitted.wle[at].map(|a| a.theta),
                error: fitted.wle[at].map(|a| a.error),
                posterior: fitted.posterior[at].map(|a| a.theta),
                deviation: fitted.posterior[at].map(|a| a.error),
                fit: fit[at],
                l_z: l_z[at],
                p: adjusted[at],
                extreme: extreme
                    .iter()
                    .find(|(p, _)| *p == at)
                    .map(|(_, top)| if *top { "all right" } else { "all wrong" }),
            }
        })
        .collect()
}

/// P(Z ≤ z).
fn lower_tail(z: f64) -> f64 {
    let two = ::irt::significance::normal_two_sided(z);
    if z < 0.0 { 0.5 * two } else { 1.0 - 0.5 * two }
}

/// Benjamini and Hochberg's p of those that there are.
pub(super) fn adjusted(p: impl Iterator<Item = Option<f64>>) -> Vec<Option<f64>> {
    let p: Vec<Option<f64>> = p.collect();
    let known: Vec<f64> = p.iter().flatten().copied().collect();
    let mut found = benjamini_hochberg(&known).into_iter();
    p.iter().map(|p| p.and_then(|_| found.next())).collect()
}

fn items(marks: &Marks, scored: &Scored, fitted: &Fitted, s_x2: Vec<Option<Test>>) -> Vec<ItemLine> {
    let responses = &scored.responses;
    let mut means = vec![(0.0, 0_usize); marks.items().len()];
    for cell in marks.cells() {
        if scored.persons.binary_search(&cell.person).is_ok() {
            let (sum, n) = &mut means[cell.item as usize];
            (*sum, *n) = (*sum + cell.score / marks.items()[cell.item as usize].max, *n + 1);
        }
    }
    let fit = fitted.fit.item_fit(responses, &fitted.wle);
    let biserial = biserial(scored);
    let counts = responses.counts();
    let adjusted = adjusted(s_x2.iter().map(|test| test.map(|test| test.p)));
    (0..responses.items())
        .map(|at| {
            let scale = &scored.items[at];
            let item = &marks.items()[scale.item as usize];
            let curve = &fitted.fit.items[at];
            let errors = fitted.errors[at].as_ref();
            let (sum, n) = means[scale.item as usize];
            ItemLine {
                id: item.id.clone(),
                subject: item.subject.clone(),
                kind: item.kind.clone(),
                n,
                mean: sum / n.max(1) as f64,
                max: item.max,
                how: scale.how,
                cuts: scale.cuts.clone(),
                counts: counts[at].clone(),
                slope: curve.slope,
                slope_error: errors.map(|e| e.slope).filter(|e| *e > 0.0),
                difficulties: curve.difficulties.clone(),
                difficulty_errors: errors.map(|e| e.difficulties.clone()),
                lower: curve.lower,
                upper: curve.upper,
                point_biserial: biserial[at],
                fit: fit[at],
                s_x2: s_x2[at],
                s_x2_adjusted: adjusted[at],
                stated: item.difficulty,
                anchored: fitted.anchored[at],
            }
        })
        .collect()
}

/// Correlation of each item's category with the person's mean share on all other items.
fn biserial(scored: &Scored) -> Vec<Option<f64>> {
    let responses = &scored.responses;
    let mut sums = vec![[0.0_f64; 6]; responses.items()];
    for person in 0..responses.persons() {
        let share = |item: usize, score: usize| score as f64 / scored.items[item].cuts.len() as f64;
        let total: f64 = responses.of(person).map(|(item, score)| share(item, score)).sum();
        let n = responses.of(person).len() as f64;
        if n < 2.0 {
            continue;
        }
        for (item, score) in responses.of(person) {
            let (x, y) = (share(item, score), (total - share(item, score)) / (n - 1.0));
            sums[item].iter_mut().zip([1.0, x, y, x * x, y * y, x * y]).for_each(|(to, more)| *to += more);
        }
    }
    let one = |[n, x, y, xx, yy, xy]: &[f64; 6]| {
        let (vx, vy) = (xx - x * x / n, yy - y * y / n);
        (*n >= 3.0 && vx > 1e-12 && vy > 1e-12).then(|| (xy - x * y / n) / (vx * vy).sqrt())
    };
    sums.iter().map(one).collect()
}

/// Tests of the model as a whole, and S-X² of each item.
fn tests(marks: &Marks, scored: &Scored, fitted: &Fitted, notes: &mut Vec<String>) -> (Vec<Whole>, Vec<Option<Test>>) {
    let responses = &scored.responses;
    let items = responses.items();
    let complete = (0..responses.persons()).filter(|&person| responses.of(person).len() == items).count();
    let fit = &fitted.fit;
    let mut tests = Vec::new();
    let mut add = |name: &str, asks: &str, result: Result<(Test, String), String>| {
        let (test, detail) = match result {
            Ok((test, detail)) => (Some(test), detail),
            Err(why) => (None, format!("not done: {why}")),
        };
        tests.push(Whole { name: name.into(), asks: asks.into(), test, detail });
    };
    let few = format!("{complete} persons without gaps are fewer than {COMPLETE}");
    let m2 = if !fitted.own {
        Err("the items were calibrated on other responses".to_string())
    } else if !fit.model.dichotomous() {
        Err("it is for items with two categories; see S-X² of each item".into())
    } else if complete < COMPLETE {
        Err(few.clone())
    } else if items > M2 {
        Err(format!("{items} items are more than the {M2} that it takes; see Q3 and S-X²"))
    } else {
        fit.m2(responses).map(|(test, rmsea)| (test, format!("RMSEA₂ {rmsea:.3}"))).map_err(|error| error.to_string())
    };
    add("M2", "do shares and pairs of shares come out as the model says?", m2);
    let one_slope = matches!(fit.model, Model::Rasch | Model::PartialCredit);
    let groups = if !one_slope {
        Err("it is for rasch and pcm".to_string())
    } else if items > ANDERSEN {
        Err(format!("{items} items are more than the {ANDERSEN} that it takes"))
    } else {
        andersen(responses, &by_raw_score(responses))
            .map(|test| (test, "groups: raw score at most the median, and above it".to_string()))
            .map_err(|error| named(&error.to_string(), marks, scored))
    };
    add("Andersen", "are difficulties the same for low and high scorers?", groups);
    let s_x2 = if complete < COMPLETE || !fitted.own || items < 3 {
        notes.push(format!(
            "S-X² was not computed: {}",
            if fitted.own { few } else { "items were calibrated elsewhere".into() }
        ));
        vec![None; items]
    } else {
        fit.s_x2(responses)
    };
    (tests, s_x2)
}

/// A message with items by their ids.
fn named(message: &str, marks: &Marks, scored: &Scored) -> String {
    let Some((before, after)) = message.split_once("item ") else { return message.into() };
    let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let place = after[..digits].parse::<usize>().ok().and_then(|at| scored.items.get(at));
    match place {
        Some(scale) => format!("{before}item {:?}{}", marks.items()[scale.item as usize].id, &after[digits..]),
        None => message.into(),
    }
}

fn residuals(marks: &Marks, scored: &Scored, fitted: &Fitted, notes: &mut Vec<String>) -> (Option<Q3>, Vec<Contrast>) {
    let responses = &scored.responses;
    let id = |item: usize| marks.items()[scored.items[item].item as usize].id.clone();
    let items = responses.items();
    if items > PAIRS {
        notes.push(format!("residual correlations were not computed: {items} items are more than {PAIRS}"));
        return (None, Vec::new());
    }
    let pairs = fitted.fit.q3(responses, &fitted.wle);
    let known: Vec<(usize, usize, f64)> = pairs.iter().filter_map(|(a, b, q)| Some((*a, *b, (*q)?))).collect();
    let mean = known.iter().map(|(.., q)| q).sum::<f64>() / known.len() as f64;
    let mut high: Vec<&(usize, usize, f64)> = known.iter().filter(|(.., q)| *q > mean + 0.2).collect();
    high.sort_by(|a, b| b.2.total_cmp(&a.2));
    let q3 = (!known.is_empty()).then(|| Q3 {
        mean,
        pairs: known.len(),
        count: high.len(),
        high: high.iter().take(100).map(|(a, b, q)| (id(*a), id(*b), *q)).collect(),
    });
    if responses.persons() < 30 {
        notes.push(format!(
            "with {} persons residual correlations of items are mostly chance; the pairs are listed, not to be believed",
            responses.persons()
        ));
    }
    if !(3..=COMPONENTS).contains(&items) {
        return (q3, Vec::new());
    }
    let contrast = |(eigenvalue, loadings): (f64, Vec<f64>)| {
        let mut order: Vec<usize> = (0..items).collect();
        order.sort_by(|&a, &b| loadings[b].total_cmp(&loadings[a]));
        let ends = order.iter().take(3).chain(order.iter().rev().take(3.min(items.saturating_sub(3))).rev());
        Contrast { eigenvalue, ends: ends.map(|&item| (id(item), loadings[item])).collect() }
    };
    let contrasts = fitted.fit.contrasts(responses, &fitted.wle, 3.min(items)).into_iter().map(contrast);
    (q3, contrasts.collect())
}
