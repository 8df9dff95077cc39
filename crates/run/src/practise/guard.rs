//! When practice is stopped, and which of its points is kept.

use exam::clustered_mean;
use record::Guard;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How practice is watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardConfig {
    /// Steps between two measurements; 0 measures about ten times in a training.
    pub every: u64,
    /// Held-out questions that are answered each time, at most.
    pub questions: usize,
    /// Share of the questions that is held out from practice where there is no bank with answers, 0 to 0.5.
    pub held_out: f64,
    /// Accuracy may lie so many standard errors below its best point, pair by pair; above 0.
    pub errors: f64,
    /// Highest divergence from the model before practice, in nats a token; above 0.
    pub kl: f64,
    /// How far the share of repeated runs of four tokens may rise, 0 to 1.
    pub repetition: f64,
    /// By which factor the mean length of answers may grow or shrink; above 1.
    pub length: f64,
    /// Whether it stops training; if not, it only measures and keeps the best point.
    pub stops: bool,
    /// Which measured points' models stay on disk beside the best one, under `points/STEP`.
    pub keep: Keep,
}

/// Which measured points' models stay on disk beside the best one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// None.
    #[default]
    Best,
    /// The last one.
    Last,
    /// All but that of step 0, which is the model before practice.
    Every,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            every: 0,
            questions: 200,
            held_out: 0.1,
            errors: 1.0,
            kl: 0.5,
            repetition: 0.2,
            length: 3.0,
            stops: true,
            keep: Keep::Best,
        }
    }
}

impl GuardConfig {
    /// Checks every field's range.
    pub fn validate(&self) -> Result<()> {
        let checks = [
            ("questions", self.questions > 0, "must be 1 or more"),
            ("held_out", (0.0..=0.5).contains(&self.held_out), "must lie in 0 to 0.5"),
            ("errors", self.errors > 0.0, "must be above 0"),
            ("kl", self.kl > 0.0, "must be above 0"),
            ("repetition", (0.0..=1.0).contains(&self.repetition), "must lie in 0 to 1"),
            ("length", self.length > 1.0, "must be above 1"),
        ];
        match checks.iter().find(|(_, fine, _)| !fine) {
            None => Ok(()),
            Some((field, _, problem)) => Err(Error::Recipe {
                source_name: "recipe".into(),
                problem: format!("practise.guard.{field} {problem}"),
                hint: None,
            }),
        }
    }

    /// Steps between two measurements in a training of so many.
    pub fn every(&self, steps: u64) -> u64 {
        if self.every > 0 { self.every } else { steps.div_ceil(10).max(1) }
    }

    /// Sets a point beside those before it: how far accuracy fell, and whether training ends here.
    /// `facts` are what the held-out questions are about, in their order.
    pub(crate) fn judge<'a>(&self, before: &[Guard], facts: impl Iterator<Item = &'a str>, point: &mut Guard) {
        let Some(first) = before.first() else { return };
        let best = kept(before).and_then(|step| before.iter().find(|point| point.step == step)).unwrap_or(first);
        if best.marks.len() == point.marks.len() {
            let change = |(now, then): (&bool, &bool)| f64::from(u8::from(*now)) - f64::from(u8::from(*then));
            let changes = facts.zip(point.marks.iter().zip(&best.marks).map(change));
            point.fall = clustered_mean(changes).map(|fall| (fall.mean, fall.standard_error));
        }
        let reason = self.reason(first, best, point);
        point.stop = reason.filter(|_| self.stops);
    }

    fn reason(&self, first: &Guard, best: &Guard, point: &Guard) -> Option<String> {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let finite = [point.reward, point.kl, point.entropy].iter().all(|value| value.is_finite());
        if !finite {
            return Some("a measurement is not a finite number".into());
        }
        if let Some((fall, error)) = point.fall
            // One question lost and none won is one standard error, to the last bit or nearly so.
            && fall < -self.errors * error * (1.0 + 1e-9)
        {
            return Some(format!(
                "held-out accuracy lies {:.1} points below its best at step {}, and the standard error of that \
                 difference is {:.1}",
                -100.0 * fall,
                best.step,
                100.0 * error
            ));
        }
        if point.kl > self.kl {
            return Some(format!("divergence is {:.2} nats a token, above the limit of {}", point.kl, self.kl));
        }
        if point.repetition > first.repetition + self.repetition {
            let (now, then) = (percent(point.repetition), percent(first.repetition));
            return Some(format!("{now} of all runs of four tokens are repetitions, after {then} before practice"));
        }
        let (long, short) = (first.length * self.length, first.length / self.length);
        if first.length > 0.0 && !(short..=long).contains(&point.length) {
            return Some(format!(
                "answers have {:.1} tokens in the mean, after {:.1} before practice",
                point.length, first.length
            ));
        }
        None
    }
}

/// The step whose model is kept: the highest held-out accuracy, else the highest share of held-out
/// preferences; of equal points the earlier. Where neither was measured, the last point at which
/// training did not have to stop. 0 is the model before practice; none without a point.
pub fn kept(points: &[Guard]) -> Option<u64> {
    let mut fine = points.iter().filter(|point| point.stop.is_none());
    let first = fine.next()?;
    let worth = |point: &Guard| point.accuracy.or(point.preferred);
    let best = fine.fold(first, |best, point| match (worth(best), worth(point)) {
        (Some(best_worth), Some(this)) if this <= best_worth => best,
        _ => point,
    });
    Some(best.step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(step: u64, marks: &[bool]) -> Guard {
        let right = marks.iter().filter(|right| **right).count();
        Guard {
            step,
            questions: 40,
            accuracy: (!marks.is_empty()).then(|| right as f64 / marks.len() as f64),
            accuracy_error: None,
            marks: marks.into(),
            reward: -0.5,
            kl: 0.0,
            entropy: 1.0,
            length: 10.0,
            repetition: 0.1,
            confident_wrong: None,
            preferred: None,
            fall: None,
            stop: None,
        }
    }

    fn first(right: usize) -> Vec<bool> {
        (0..40).map(|i| i < right).collect()
    }

    /// Judges points one after the other until one stops.
    fn course(points: Vec<Guard>) -> Vec<Guard> {
        let facts: Vec<String> = (0..40).map(|i| i.to_string()).collect();
        let mut seen: Vec<Guard> = Vec::new();
        for mut point in points {
            GuardConfig::default().judge(&seen, facts.iter().map(String::as_str), &mut point);
            let stop = point.stop.is_some();
            seen.push(point);
            if stop {
                break;
            }
        }
        seen
    }

    #[test]
    fn a_rise_and_fall_is_stopped_before_two_standard_errors_and_the_peak_is_kept() {
        let seen =
            course([10, 14, 20, 20, 17, 10].iter().enumerate().map(|(i, n)| point(i as u64, &first(*n))).collect());
        assert_eq!((seen.len(), kept(&seen)), (5, Some(2)));
        let (fall, error) = seen[4].fall.expect("measured");
        assert!(fall < -error && fall > -2.0 * error, "{fall} {error}");
        assert!(seen[4].stop.as_ref().expect("stopped").contains("7.5 points below its best at step 2"));
    }

    #[test]
    fn practice_that_never_helps_keeps_the_start() {
        let seen = course(vec![point(0, &first(20)), point(1, &first(20)), point(2, &first(19)), point(3, &first(20))]);
        assert_eq!((seen.len(), kept(&seen)), (4, Some(0)), "one of forty is one standard error");
        assert_eq!(kept(&[]), None);
    }

    #[test]
    fn without_marks_limits_stop_and_preferences_choose() {
        let with = |step, preferred, kl| Guard { preferred: Some(preferred), kl, ..point(step, &[]) };
        let seen =
            course(vec![with(0, 0.5, 0.0), with(1, 0.6, 0.1), with(2, 0.8, 0.2), with(3, 0.7, 0.3), with(4, 0.9, 0.6)]);
        assert_eq!((seen.len(), kept(&seen)), (5, Some(2)));
        assert!(seen[4].stop.as_ref().expect("stopped").contains("divergence"));
        let long = course(vec![point(0, &[]), point(1, &[]), Guard { length: 31.0, ..point(2, &[]) }]);
        assert_eq!((kept(&long), long[2].stop.is_some()), (Some(1), true));
        let loops = course(vec![point(0, &[]), Guard { repetition: 0.31, ..point(1, &[]) }]);
        assert_eq!((kept(&loops), loops[1].stop.is_some()), (Some(0), true));
    }
}
