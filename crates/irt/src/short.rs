//! Short forms: few items that keep ability within a stated error.

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
}
