use exam::Estimate;
use report::{Finding, LearningClaim, LearningRow, Standing};

use super::contestant::{ASSERTIONS, BASE};
use super::pupil::{Course, Lessons};
use crate::lab::judge::{by_seed, side};

/// Marks of one model's exam, in order of the problems.
pub(super) type Marks = Vec<bool>;

/// What a contestant led to, on one model.
pub(super) struct Outcome {
    pub lessons: Lessons,
    pub course: Course,
    pub kept: Marks,
    pub last: Marks,
}

/// A contestant's outcomes, one a model.
pub(super) struct Line {
    pub name: String,
    pub rate: f64,
    pub outcomes: Vec<Outcome>,
}

fn number(right: bool) -> f64 {
    f64::from(u8::from(right))
}

/// Share of right answers.
pub(super) fn share(marks: &[bool]) -> f64 {
    marks.iter().map(|right| number(*right)).sum::<f64>() / marks.len().max(1) as f64
}

/// Accuracy with its interval; none without two clusters.
pub(super) fn accuracy(marks: &[&Marks]) -> Option<Estimate> {
    let values: Vec<Vec<f64>> = marks.iter().map(|marks| marks.iter().map(|right| number(*right)).collect()).collect();
    let estimate = by_seed(&values)?;
    // A share lies in [0, 1], which the estimate of a difference does not know.
    Some(Estimate { low: estimate.low.max(0.0), ..estimate })
}

/// Accuracy of the first less that of the second, problem by problem of each model.
pub(super) fn difference(first: &[&Marks], second: &[&Marks]) -> Option<Estimate> {
    let change = |(a, b): (&bool, &bool)| number(*a) - number(*b);
    let values: Vec<Vec<f64>> =
        first.iter().zip(second).map(|(first, second)| first.iter().zip(second.iter()).map(change).collect()).collect();
    by_seed(&values)
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

impl Line {
    fn marks(&self, kept: bool) -> Vec<&Marks> {
        self.outcomes.iter().map(|outcome| if kept { &outcome.kept } else { &outcome.last }).collect()
    }

    fn standing(&self, before: &[&Marks], kept: bool) -> Option<Standing> {
        let marks = self.marks(kept);
        let step = |course: &Course| if kept { course.kept } else { course.last() };
        let divergence = |course: &Course| course.at(step(course)).map_or(0.0, |guard| guard.kl);
        Some(Standing {
            accuracy: accuracy(&marks)?,
            gain: difference(&marks, before)?,
            by_seed: marks.iter().zip(before).map(|(after, before)| share(after) - share(before)).collect(),
            step: self.outcomes.iter().map(|outcome| step(&outcome.course)).collect(),
            kl: mean(self.outcomes.iter().map(|outcome| divergence(&outcome.course))),
        })
    }

    /// The line of the table, of models that practised on so many questions each; none without at
    /// least two clusters.
    pub fn row(&self, before: &[&Marks], questions: usize) -> Option<LearningRow> {
        let of = |value: fn(&Outcome) -> f64| mean(self.outcomes.iter().map(value));
        let mut dropped = std::collections::BTreeMap::new();
        for (reason, count) in self.outcomes.iter().flat_map(|outcome| &outcome.lessons.dropped) {
            *dropped.entry(reason.clone()).or_insert(0) += count;
        }
        Some(LearningRow {
            name: self.name.clone(),
            learning_rate: self.rate,
            kept: self.standing(before, true)?,
            last: self.standing(before, false)?,
            decode: of(|outcome| outcome.lessons.decode as f64) / questions.max(1) as f64,
            prompt: of(|outcome| outcome.lessons.prompt as f64) / questions.max(1) as f64,
            training: of(|outcome| outcome.course.tokens() as f64),
            pairs: of(|outcome| outcome.lessons.pairs.len() as f64),
            steps: self.outcomes.iter().map(|outcome| outcome.course.last()).collect(),
            dropped,
        })
    }
}

/// Holds every claim whose two contestants took part against the marks.
pub(super) fn claims(before: &[&Marks], lines: &[Line]) -> Vec<LearningClaim> {
    let marks = |name: &str, kept: bool| match name {
        BASE => Some(before.to_vec()),
        _ => lines.iter().find(|line| line.name == name).map(|line| line.marks(kept)),
    };
    let finding = |better: &str, than: &str, kept: bool| {
        let difference = difference(&marks(better, kept)?, &marks(than, kept)?)?;
        Some(Finding { difference, ruling: side(&difference) })
    };
    let claim = |(says, better, than): &(&str, &str, &str)| {
        Some(LearningClaim {
            says: (*says).into(),
            pair: ((*better).into(), (*than).into()),
            kept: finding(better, than, true)?,
            last: finding(better, than, false)?,
        })
    };
    ASSERTIONS.iter().filter_map(claim).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::sync::Arc;

    use report::Ruling;

    use super::*;

    fn point(step: u64, kl: f64) -> record::Guard {
        let point = serde_json::json!({
            "step": step, "questions": 1, "reward": 0.0, "kl": kl, "entropy": 0.0, "length": 1.0, "repetition": 0.0,
        });
        serde_json::from_value(point).expect("a point")
    }

    fn first(right: usize) -> Marks {
        (0..100).map(|i| i < right).collect()
    }

    /// A contestant whose kept and last points have so many of a hundred right, one pair a model.
    fn line(name: &str, rights: &[(usize, usize)]) -> Line {
        let outcome = |(kept, last): &(usize, usize)| Outcome {
            lessons: Lessons {
                pairs: Arc::default(),
                spent: HashMap::new(),
                decode: 5000,
                prompt: 900,
                dropped: BTreeMap::from([("all-ended".to_string(), 2)]),
                outputs: Vec::new(),
            },
            course: Course::new(Vec::new(), vec![point(0, 0.0), point(10, 0.1), point(20, 0.9)], 10, String::new()),
            kept: first(*kept),
            last: first(*last),
        };
        Line { name: name.into(), rate: 1e-3, outcomes: rights.iter().map(outcome).collect() }
    }

    #[test]
    fn a_line_is_paired_with_the_model_before_and_a_claim_is_ruled_at_both_points() {
        let before: Vec<Marks> = [30, 32, 34].map(first).into();
        let before: Vec<&Marks> = before.iter().collect();
        let lines =
            [line("genius+aco", &[(40, 20), (43, 23), (44, 21)]), line("genius+dpo", &[(35, 30), (38, 31), (40, 33)])];
        let row = lines[0].row(&before, 50).expect("three clusters");
        let gains: Vec<i64> = row.kept.by_seed.iter().map(|gain| (100.0 * gain).round() as i64).collect();
        assert_eq!((gains, row.kept.step, row.last.step), (vec![10, 11, 10], vec![10; 3], vec![20; 3]));
        assert!((row.kept.gain.mean - 31.0 / 300.0).abs() < 1e-12 && row.kept.gain.clusters == 3);
        assert!((row.kept.kl - 0.1).abs() < 1e-12 && (row.last.kl - 0.9).abs() < 1e-12);
        assert_eq!((row.decode, row.dropped["all-ended"]), (100.0, 6));
        let claims = claims(&before, &lines);
        let rulings: Vec<_> =
            claims.iter().map(|claim| (claim.pair.1.as_str(), claim.kept.ruling, claim.last.ruling)).collect();
        assert_eq!(
            rulings,
            [("base", Ruling::Confirmed, Ruling::Refuted), ("genius+dpo", Ruling::Confirmed, Ruling::Refuted)]
        );
    }
}
