//! Short forms: few items that keep ability, or the score on the whole test, within a stated error.
//!
//! [`choose`] takes a calibrated bank. [`Maker`] makes a [`Form`] from responses by any [`Method`], and
//! [`HeldOut`] measures forms on persons whom their choice did not see.

mod anchor;
mod form;
mod held_out;
mod whole;

pub use form::{Form, Maker, Method};
pub use held_out::{Errors, HeldOut};
pub use whole::{Bank, BankRecord, Whole};

use crate::{Error, Estimator, Fit, Quadrature, Responses, Result};

/// A short form.
#[derive(Debug, Clone, PartialEq)]
pub struct ShortForm {
    /// Items, in the order in which they were chosen.
    pub items: Vec<usize>,
    /// Root of the mean posterior variance of ability after each of them, over the population.
    pub errors: Vec<f64>,
}

/// What a short form costs, measured on persons whom its choice did not see.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Persons.
    pub n: usize,
    /// Mean absolute difference of the share of points on the whole test: seen less foretold.
    pub score_error: f64,
    /// Root mean square difference of ability by the short form and by the whole test.
    pub ability_error: f64,
    /// Correlation of both abilities.
    pub correlation: f64,
}

/// Chooses items one after the other, each the one that leaves the least posterior variance over the
/// population, until the error is at most `error` or `most` items are chosen.
pub fn choose(bank: &Fit, error: f64, most: usize) -> Result<ShortForm> {
    if error <= 0.0 || error.is_nan() || most == 0 {
        return Err(Error::Setting {
            setting: "error",
            problem: "must be above 0, and at least one item allowed".into(),
        });
    }
    let (mean, deviation) = bank.population;
    let quadrature = Quadrature::normal(61).moved(mean, deviation);
    let along: Vec<Vec<f64>> = (0..bank.items.len())
        .map(|item| quadrature.nodes.iter().map(|theta| bank.information(item, *theta)).collect())
        .collect();
    let mut information = vec![deviation.powi(-2); quadrature.nodes.len()];
    let mut left: Vec<usize> = (0..bank.items.len()).collect();
    let mut form = ShortForm { items: Vec::new(), errors: Vec::new() };
    while form.items.len() < most && !left.is_empty() && form.errors.last().is_none_or(|last| *last > error) {
        let variance = |item: usize| -> f64 {
            let terms = quadrature.weights.iter().zip(information.iter().zip(&along[item]));
            terms.map(|(weight, (before, more))| weight / (before + more)).sum()
        };
        let best =
            left.iter().map(|&item| (variance(item), item)).min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let Some((variance, item)) = best else { break };
        information.iter_mut().zip(&along[item]).for_each(|(to, more)| *to += more);
        left.retain(|other| *other != item);
        form.items.push(item);
        form.errors.push(variance.sqrt());
    }
    Ok(form)
}

/// Holds a short form against the whole test, on persons who answered all of it and were not used to
/// calibrate the bank. The share of points on the whole test is foretold from the short form's answers,
/// seen, and the expectation of all other items at the ability that they show.
pub fn measure(bank: &Fit, items: &[usize], held_out: &Responses) -> Option<Cost> {
    let chosen: Vec<bool> = (0..bank.items.len()).map(|item| items.contains(&item)).collect();
    let total: f64 = bank.items.iter().map(|item| item.difficulties.len() as f64).sum();
    let mut pairs = Vec::new();
    let mut score_error = 0.0;
    for person in (0..held_out.persons()).filter(|&person| held_out.of(person).len() == bank.items.len()) {
        let all: Vec<(usize, usize)> = held_out.of(person).collect();
        let few: Vec<(usize, usize)> = all.iter().copied().filter(|(item, _)| chosen[*item]).collect();
        let whole = bank.ability(&all, Estimator::Map)?;
        let short = bank.ability(&few, Estimator::Map)?;
        let known: f64 = few.iter().map(|(_, score)| *score as f64).sum();
        let others = (0..bank.items.len()).filter(|item| !chosen[*item]).map(|item| bank.expected(item, short.theta));
        let seen: f64 = all.iter().map(|(_, score)| *score as f64).sum();
        score_error += (seen - known - others.sum::<f64>()).abs() / total;
        pairs.push((short.theta, whole.theta));
    }
    let n = pairs.len() as f64;
    if pairs.len() < 2 {
        return None;
    }
    let mean = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>() / n;
    let (a, b) = (mean(&|p| p.0), mean(&|p| p.1));
    let covariance = mean(&|p| (p.0 - a) * (p.1 - b));
    let correlation = covariance / (mean(&|p| (p.0 - a).powi(2)) * mean(&|p| (p.1 - b).powi(2))).sqrt();
    let ability_error = mean(&|p| (p.0 - p.1).powi(2)).sqrt();
    Some(Cost { n: pairs.len(), score_error: score_error / n, ability_error, correlation })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Item, Model};

    #[test]
    fn few_items_keep_ability_within_the_stated_error() {
        let items = (0..300).map(|i| Item {
            slope: 0.6 + 1.4 * (0.5 + f64::from(i) * 0.414_214).fract(),
            difficulties: vec![-2.5 + 5.0 * (0.5 + f64::from(i) * 0.618_034).fract()],
            lower: 0.0,
            upper: 1.0,
        });
        let bank = Fit::known(Model::TwoPl, items.collect()).expect("a bank");
        let form = choose(&bank, 0.3, 300).expect("a form");
        assert!(form.items.len() < 40, "{} items", form.items.len());
        assert!(form.errors.windows(2).all(|pair| pair[1] < pair[0]));
        // Persons at the quantiles of the population.
        let persons: Vec<f64> =
            (1..200).map(|i| 1.7 * ((f64::from(i) / 200.0) / (1.0 - f64::from(i) / 200.0)).ln() / 3.0).collect();
        let held_out = bank.simulate(&persons, 9).expect("responses");
        let cost = measure(&bank, &form.items, &held_out).expect("a cost");
        assert!(cost.ability_error < 0.35 && cost.correlation > 0.93 && cost.score_error < 0.06, "{cost:?}");
        let any: Vec<usize> = (0..form.items.len()).collect();
        assert!(measure(&bank, &any, &held_out).expect("a cost").ability_error > cost.ability_error);
        assert!(choose(&bank, 0.0, 3).is_err());
    }

    /// Persons of a population on a test of 80 items, some of which nobody misses.
    fn sat(persons: usize, seed: u64) -> (Fit, Whole) {
        let items = (0..80).map(|i| Item {
            slope: 0.5 + 1.5 * (0.5 + f64::from(i) * 0.414_214).fract(),
            difficulties: vec![if i % 40 == 0 { -9.0 } else { -2.5 + 4.5 * (0.5 + f64::from(i) * 0.618_034).fract() }],
            lower: 0.0,
            upper: 1.0,
        });
        let truth = Fit::known(Model::TwoPl, items.collect()).expect("a bank");
        let theta: Vec<f64> = (0..persons)
            .map(|i| {
                let u = (i as f64 + 0.5) / persons as f64;
                1.7 * (u / (1.0 - u)).ln() / 3.0
            })
            .collect();
        let given = truth.simulate(&theta, seed).expect("responses");
        let shares =
            (0..persons).flat_map(|p| given.of(p).map(|(_, score)| score as f64).collect::<Vec<_>>()).collect();
        (truth, Whole::new(shares, &[1.0; 80]).expect("a table"))
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[test]
    fn the_error_that_is_stated_is_the_error_of_new_persons() {
        let (_, whole) = sat(60, 1);
        let clusters: Vec<usize> = (0..60).collect();
        let held_out = HeldOut { folds: 5, draws: 10, seed: 1 };
        let stated = held_out.measure(&whole, &clusters, &Method::ALL, &[10, 25]).expect("errors");
        assert_eq!(stated, held_out.measure(&whole, &clusters, &Method::ALL, &[10, 25]).expect("errors"));
        let (_, fresh) = sat(500, 2);
        let maker = Maker::new(&whole, (0..60).collect(), &clusters, true).expect("a maker");
        for found in &stated {
            let draws = if found.method.drawn() { 10 } else { 1 };
            let real: Vec<f64> = (0..draws)
                .flat_map(|draw| {
                    let form = maker.form(found.method, found.items, draw).expect("a form");
                    assert!((form.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9 && form.items.len() == found.items);
                    let errors = (0..500).map(|p| (form.estimate_of(&fresh, p) - fresh.score(p)).abs());
                    errors.collect::<Vec<_>>()
                })
                .collect();
            let (stated, real) = (mean(&found.absolute), mean(&real));
            println!("{:14} {:3} items: stated {stated:.4}, real {real:.4}", found.method.name(), found.items);
            // 60 persons: a standard error of about a tenth of the error itself.
            assert!((stated / real - 1.0).abs() < 0.35, "{:?} {}: {stated} {real}", found.method, found.items);
        }
        let of = |method, items| {
            let found = stated.iter().find(|found| found.method == method && found.items == items).expect("measured");
            mean(&found.absolute)
        };
        for items in [10, 25] {
            assert!(of(Method::Mixed, items) < 0.85 * of(Method::Random, items));
            assert!(of(Method::Stratified, items) < of(Method::Random, items));
        }
        assert!(of(Method::Mixed, 25) < of(Method::Mixed, 10));
    }

    #[test]
    fn points_and_parts_of_points() {
        // Three points an item: partial credit.
        let shares: Vec<f64> = (0..40_usize)
            .flat_map(|person| {
                (0..20_usize).map(move |item| ((person * 7 + item * 3 + person * item) % 40).min(person) as f64)
            })
            .map(|x| (x / 13.0).floor().min(3.0) / 3.0)
            .collect();
        let clusters: Vec<usize> = (0..40).map(|person| person / 2).collect();
        let whole = Whole::new(shares.clone(), &[3.0; 20]).expect("a table");
        let held_out = HeldOut { folds: 4, draws: 5, seed: 1 };
        let found = held_out.measure(&whole, &clusters, &[Method::Mixed, Method::Random], &[8]).expect("errors");
        assert!(found.iter().all(|found| mean(&found.absolute) < 0.2), "{found:?}");
        // Parts of points have no curves, but anchors.
        let parts = Whole::new(shares.iter().map(|x| 0.9 * x).collect(), &[1.0; 20]).expect("a table");
        assert!(!parts.calibrates());
        let error = held_out.measure(&parts, &clusters, &[Method::Mixed], &[8]).expect_err("no curves");
        assert!(error.to_string().contains("no whole points"), "{error}");
        assert!(held_out.measure(&parts, &clusters, &[Method::Anchor], &[8]).is_ok());
        assert!(held_out.measure(&whole, &[0; 40], &[Method::Random], &[8]).is_err());
        assert!(held_out.measure(&whole, &clusters, &[Method::Random], &[20]).is_err());
        assert!(Whole::new(vec![f64::NAN, 0.0], &[1.0; 2]).is_err() && Whole::new(vec![0.0; 3], &[1.0; 2]).is_err());
    }
}
