//! The question of GAOKAO-Eval, asked with a psychometrician's tools: is a score ability?

use ::irt::Estimator;
use exam::scored::Scored;
use marks::Marks;

use super::fitted::Fitted;
use super::record::Analysis;

/// Simulated sets that the first contrast is held against.
const SETS: usize = 20;

/// Paragraphs of plain words, each with its numbers.
pub(super) fn answer(marks: &Marks, scored: &Scored, fitted: &Fitted, analysis: &Analysis, seed: u64) -> Vec<String> {
    let mut text = Vec::new();
    let known: Vec<f64> = analysis.persons.iter().filter_map(|p| p.l_z).collect();
    if !known.is_empty() {
        let odd = known.iter().filter(|z| **z < -1.645).count();
        let (low, high) = exam::wilson(odd as f64 / known.len() as f64, known.len());
        let sure = analysis.persons.iter().filter(|p| p.p.is_some_and(|p| p < 0.05)).count();
        text.push(format!(
            "Do a person's answers belong together? Who gets hard items right and easy ones wrong more often than the curve \
             allows has a low l_z*. {odd} of {} persons lie below −1.645 ({:.0} %, 95 % interval {:.0} to {:.0} %), where the \
             model expects 5 %; {sure} of them remain at 5 % after the number of persons is allowed for.",
            known.len(),
            100.0 * odd as f64 / known.len() as f64,
            100.0 * low,
            100.0 * high
        ));
    }
    if let Some(first) = analysis.contrasts.first()
        && let Some((low, high)) = simulated(scored, fitted, seed)
    {
        let says = if first.eigenvalue > high {
            "more than one ability is at work: one number does not say all about these persons"
        } else {
            "nothing speaks for a second ability"
        };
        text.push(format!(
            "Is it one ability? What the model leaves over has a first contrast of {:.2} items; {SETS} sets that were \
             simulated from the fitted model, of the same persons and items, give {low:.2} to {high:.2}: {says}.",
            first.eigenvalue
        ));
    }
    if let Some(r) = analysis.reliability.last() {
        text.push(format!(
            "Can persons be told apart? Of the variance of abilities ({}, n = {}) {:.0} % is not error (reliability {:.2}, \
             separation {:.1}).",
            r.estimator,
            r.n,
            100.0 * r.reliability,
            r.reliability,
            r.separation
        ));
    }
    let pairs: Vec<(f64, f64)> = analysis.items.iter().filter_map(|i| Some((i.stated?, i.difficulty()))).collect();
    if let Some((r, low, high)) = correlation(&pairs) {
        text.push(format!(
            "Do people and the persons of these logs find the same items hard? Stated and calibrated difficulty correlate at \
             {r:.2} (n = {} items, 95 % interval {low:.2} to {high:.2}): {:.0} % of the variance of difficulty is what people \
             stated.",
            pairs.len(),
            100.0 * r * r
        ));
    }
    let mut bases: std::collections::BTreeMap<&str, usize> = Default::default();
    let named = scored.persons.iter().filter_map(|at| marks.persons()[*at as usize].base.as_deref());
    named.for_each(|base| *bases.entry(base).or_default() += 1);
    if bases.values().any(|n| *n > 1) {
        let several: Vec<String> =
            bases.iter().filter(|(_, n)| **n > 1).map(|(base, n)| format!("{base} ({n})")).collect();
        text.push(format!(
            "Variants of one base are not independent persons: {}. Errors of items and tests of fit count them as if they \
             were.",
            several.join(", ")
        ));
    }
    if scored.persons.len() < 30 {
        text.push(format!(
            "{} persons are fewer than 30: tests of the model have little power here, and that nothing was found proves \
             little.",
            scored.persons.len()
        ));
    }
    text
}

/// Smallest and largest first contrast of simulated sets with the same gaps; none where it takes too long.
fn simulated(scored: &Scored, fitted: &Fitted, seed: u64) -> Option<(f64, f64)> {
    let responses = &scored.responses;
    if responses.items() > 150 || responses.persons() * responses.items() > 400_000 {
        return None;
    }
    let abilities: Vec<f64> = fitted.posterior.iter().map(|a| a.map_or(fitted.fit.population.0, |a| a.theta)).collect();
    let mut found: Vec<f64> = Vec::new();
    for set in 0..SETS as u64 {
        let full = fitted.fit.simulate(&abilities, seed.wrapping_add(1 + set)).ok()?;
        let met = |person: usize| responses.of(person).map(|(item, _)| item).collect::<Vec<_>>();
        let cells: Vec<(u32, u32, u8)> = (0..responses.persons())
            .flat_map(|person| {
                let met = met(person);
                full.of(person)
                    .filter(move |(item, _)| met.binary_search(item).is_ok())
                    .map(move |(item, score)| (person as u32, item as u32, score as u8))
                    .collect::<Vec<_>>()
            })
            .collect();
        let drawn = ::irt::Responses::sparse(responses.persons(), responses.items(), &cells).ok()?;
        let found_abilities = fitted.fit.abilities(&drawn, Estimator::Wle);
        found.push(fitted.fit.contrasts(&drawn, &found_abilities, 1).first()?.0);
    }
    found.sort_by(f64::total_cmp);
    Some((*found.first()?, *found.last()?))
}

fn correlation(pairs: &[(f64, f64)]) -> Option<(f64, f64, f64)> {
    let n = pairs.len() as f64;
    let (x, y) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let sum = |f: fn(f64, f64) -> f64| pairs.iter().map(|(a, b)| f(a - x, b - y)).sum::<f64>();
    let (xx, yy, xy) = (sum(|a, _| a * a), sum(|_, b| b * b), sum(|a, b| a * b));
    if pairs.len() < 8 || xx <= 0.0 || yy <= 0.0 {
        return None;
    }
    let r = xy / (xx * yy).sqrt();
    let (z, reach) = (r.clamp(-0.999_999, 0.999_999).atanh(), 1.959_964 / (n - 3.0).sqrt());
    Some((r, (z - reach).tanh(), (z + reach).tanh()))
}
