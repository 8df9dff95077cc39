use std::collections::BTreeMap;

use exam::{Estimate, clustered_mean};
use report::{Claim, LabRow, Ruling};

use super::contestant::{ASSERTIONS, Assertion, Contestant};
use super::trial::Trial;

/// A difference of accuracy below which two strategies count as equally good, as a share of 1.
const EQUAL: f64 = 0.03;

/// Trials of one seed, by contestant, each in order of the problems.
pub(crate) type Sitting = BTreeMap<String, Vec<Trial>>;

/// A value for each problem of each seed, named by its cluster.
///
/// With several seeds the seed is the cluster: a model trained from another seed may favour another
/// strategy, and problems answered by one model share it. With one, each problem is.
fn clustered(sittings: &[Sitting], value: impl Fn(&Sitting, usize) -> Option<f64>) -> Option<Estimate> {
    let values = sittings.iter().map(|sitting| {
        let problems = sitting.values().map(Vec::len).min().unwrap_or(0);
        (0..problems).map(|problem| value(sitting, problem)).collect::<Option<Vec<f64>>>()
    });
    by_seed(&values.collect::<Option<Vec<_>>>()?)
}

/// Mean of one value a problem of each seed, clustered as above; none without two clusters.
pub(crate) fn by_seed(values: &[Vec<f64>]) -> Option<Estimate> {
    let many = values.len() > 1;
    let named = values.iter().enumerate().flat_map(|(seed, values)| {
        let cluster = move |problem: usize| if many { seed.to_string() } else { problem.to_string() };
        values.iter().enumerate().map(move |(problem, value)| (cluster(problem), *value))
    });
    let named: Vec<(String, f64)> = named.collect();
    clustered_mean(named.iter().map(|(cluster, value)| (cluster.as_str(), *value)))
}

fn mean(sittings: &[Sitting], name: &str, value: impl Fn(&Trial) -> f64) -> f64 {
    let trials = sittings.iter().flat_map(|sitting| sitting.get(name).into_iter().flatten());
    let (sum, count) = trials.fold((0.0, 0usize), |(sum, count), trial| (sum + value(trial), count + 1));
    sum / count.max(1) as f64
}

fn share(right: bool) -> f64 {
    if right { 1.0 } else { 0.0 }
}

/// A line of the table; none without at least two clusters.
pub(crate) fn row(sittings: &[Sitting], contestant: &Contestant, parameters: Option<u64>) -> Option<LabRow> {
    let name = contestant.name();
    let accuracy = clustered(sittings, |sitting, i| sitting.get(&name).map(|trials| share(trials[i].right)))?;
    // A share lies in [0, 1], which the estimate of a difference does not know.
    let accuracy = Estimate { low: accuracy.low.max(0.0), ..accuracy };
    let (decode, prompt) = (mean(sittings, &name, |t| t.decode as f64), mean(sittings, &name, |t| t.prompt as f64));
    let parameters = parameters.map(|p| p as f64);
    Some(LabRow {
        accuracy,
        by_seed: sittings.iter().map(|s| mean(std::slice::from_ref(s), &name, |t| share(t.right))).collect(),
        decode,
        prompt,
        calls: mean(sittings, &name, |t| t.calls as f64),
        flops: parameters.map(|p| 2.0 * p * (prompt + decode)),
        flops_paper: parameters.map(|p| 6.0 * p * decode),
        failed: sittings.iter().flat_map(|s| s.get(&name).into_iter().flatten()).filter(|t| t.failed.is_some()).count(),
        name,
    })
}

/// Holds every claim whose two contestants took part against the trials.
pub(crate) fn claims(sittings: &[Sitting]) -> Vec<Claim> {
    ASSERTIONS.iter().filter_map(|assertion| claim(sittings, assertion)).collect()
}

fn claim(sittings: &[Sitting], assertion: &Assertion) -> Option<Claim> {
    let (a, b) = (assertion.better, assertion.than);
    let difference =
        clustered(sittings, |sitting, i| Some(share(sitting.get(a)?[i].right) - share(sitting.get(b)?[i].right)))?;
    let tokens = |name| mean(sittings, name, |t| t.decode as f64);
    // Brought into [−1, 1], where the estimate's limits lie.
    let most = sittings.iter().flat_map(|s| [a, b].into_iter().filter_map(|name| s.get(name))).flatten();
    let most = most.map(|t| t.decode).max()?.max(1) as f64;
    let larger = tokens(a).max(tokens(b)).max(1.0);
    let saving = clustered(sittings, |sitting, i| {
        Some((sitting.get(a)?[i].decode as f64 - sitting.get(b)?[i].decode as f64) / most)
    })?;
    let scale = most / larger;
    let saving = Estimate {
        mean: saving.mean * scale,
        standard_error: saving.standard_error * scale,
        low: saving.low * scale,
        high: saving.high * scale,
        detectable: saving.detectable * scale,
        ..saving
    };
    let ruling = rule(assertion, &difference, &saving);
    Some(Claim {
        says: assertion.says.into(),
        pair: (a.into(), b.into()),
        difference,
        tokens: tokens(a) / tokens(b).max(1.0),
        saving,
        ruling,
    })
}

/// Better: the whole interval of the difference above 0 confirms, below 0 refutes. Saving at equal
/// accuracy: confirmed if tokens are fewer and the lower limit of accuracy is within 3 points;
/// refuted if tokens are not fewer, or the upper limit is below −3 points.
fn rule(assertion: &Assertion, difference: &Estimate, saving: &Estimate) -> Ruling {
    match assertion.saves {
        false => side(difference),
        true => ruled(saving.high < 0.0 && difference.low > -EQUAL, saving.low > 0.0 || difference.high < -EQUAL),
    }
}

/// Confirmed where the whole interval is above 0, refuted where it is below.
pub(crate) fn side(difference: &Estimate) -> Ruling {
    ruled(difference.low > 0.0, difference.high < 0.0)
}

/// The ruling of two tests that cannot both hold.
pub(crate) fn ruled(confirmed: bool, refuted: bool) -> Ruling {
    match (confirmed, refuted) {
        (true, _) => Ruling::Confirmed,
        (_, true) => Ruling::Refuted,
        _ => Ruling::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sitting(rights: &[(&str, &[bool], u64)]) -> Sitting {
        let trial = |name: &str, i: usize, right, decode| Trial {
            problem: i.to_string(),
            contestant: name.into(),
            right,
            text: String::new(),
            calls: 1,
            decode,
            prompt: 10,
            failed: None,
        };
        rights
            .iter()
            .map(|(name, rights, decode)| {
                let trials = rights.iter().enumerate().map(|(i, right)| trial(name, i, *right, *decode));
                (name.to_string(), trials.collect())
            })
            .collect()
    }

    #[test]
    fn a_claim_is_ruled_by_its_interval() {
        let (all, none): (&[bool], &[bool]) = (&[true; 20], &[false; 20]);
        let mixed: Vec<bool> = (0..20).map(|i| i % 2 == 0).collect();
        // Seeds must differ: where nothing varies the interval is as wide as so few seeds allow.
        let first = |rights: usize| (0..20).map(|i| i < rights).collect::<Vec<bool>>();
        let clear: Vec<Sitting> =
            (0..5).map(|k| sitting(&[("phi", all, 50), ("phi-no-foresight", &first(k), 10)])).collect();
        let found = claims(&clear);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].ruling, found[0].tokens), (Ruling::Confirmed, 5.0));
        let other: Vec<Sitting> =
            (0..5).map(|k| sitting(&[("phi", &first(k), 50), ("phi-no-foresight", all, 10)])).collect();
        assert_eq!(claims(&other)[0].ruling, Ruling::Refuted);
        let constant = vec![sitting(&[("phi", all, 50), ("phi-no-foresight", none, 10)]); 3];
        assert_eq!(claims(&constant)[0].ruling, Ruling::Undecided);
        let unclear = vec![
            sitting(&[("phi", all, 5), ("greedy", &mixed, 5)]),
            sitting(&[("phi", &mixed, 5), ("greedy", all, 5)]),
            sitting(&[("phi", all, 5), ("greedy", &mixed, 5)]),
        ];
        assert_eq!(claims(&unclear)[0].ruling, Ruling::Undecided);
    }

    #[test]
    fn pruning_must_save_and_cost_no_accuracy() {
        let mixed: Vec<bool> = (0..200).map(|i| i % 2 == 0).collect();
        let rule = |phi: (&[bool], u64), whole: (&[bool], u64)| {
            let sittings = vec![sitting(&[("phi", phi.0, phi.1), ("phi-no-pruning", whole.0, whole.1)])];
            claims(&sittings)[0].ruling
        };
        assert_eq!(rule((&mixed, 60), (&mixed, 100)), Ruling::Confirmed);
        assert_eq!(rule((&mixed, 100), (&mixed, 60)), Ruling::Refuted);
        assert_eq!(rule((&[false; 200], 60), (&[true; 200], 100)), Ruling::Refuted);
    }
}
