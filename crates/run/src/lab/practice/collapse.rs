use std::path::Path;

use exam::Estimate;
use record::{Guard, seed};
use report::{Collapse, CollapseCourse, CollapsePoint, Ruling};
use tasks::Split;

use super::Settings;
use super::contestant::{Contestant, MEASURE};
use super::judge::{Marks, difference, share};
use super::pupil::{Course, Pupil};
use super::settings::{TOO_HIGH, TOO_MANY, training, watching};
use crate::lab::judge::ruled;
use crate::practise::{GuardConfig, Keep};
use crate::pull::Sources;
use crate::verbs::Flow;
use crate::{Error, Recipe, Result, Watch};

/// Steps between two looks of the guard.
const EVERY: u64 = 5;
/// How far the kept point may lie below the best one, as a share of 1.
const NEAR: f64 = 0.03;

/// Drives practice too far on purpose, in `out`: each model's training at a high rate and over many
/// passes is carried out twice, with a guard that stops and with one that only measures. Writes
/// `lab.json` and `lab.html`.
pub async fn collapse(
    recipe: &Recipe,
    settings: &Settings,
    out: &Path,
    sources: &Sources,
    watch: &Watch,
) -> Result<Collapse> {
    settings.validate()?;
    let way = match settings.contestants.as_slice() {
        [] => Contestant::named(MEASURE)?,
        [name] => Contestant::named(name)?,
        _ => {
            return Err(Error::Nothing {
                problem: "one way of learning is driven too far, not several".into(),
                hint: format!("give one name, as --contestants {MEASURE}"),
            });
        }
    };
    if way.method.endless() {
        return Err(Error::Nothing {
            problem: format!("{} draws as long as there are tokens, and nothing says how many", way.name()),
            hint: "give a number of paths, as vote-8+dpo".into(),
        });
    }
    let flow = Flow::open(recipe, out, sources, watch)?;
    let mut courses = Vec::new();
    for k in 1..=settings.seeds as u64 {
        let pupil = Pupil::new(&flow, k, settings.sizes(Split::Exam)).await?;
        courses.push(drive(&flow, &pupil, &way).await?);
    }
    let collapse = Collapse {
        schema_version: 1,
        way: way.name(),
        learning_rate: TOO_HIGH,
        epochs: TOO_MANY as u64,
        guard: settings.guard,
        unseen: settings.problems,
        courses,
    };
    record::shard::write_json(&out.join("lab.json"), &collapse)?;
    record::shard::write_atomic(&out.join("lab.html"), report::render_collapse(&collapse).as_bytes())?;
    Ok(collapse)
}

async fn drive(flow: &Flow<'_>, pupil: &Pupil, way: &Contestant) -> Result<CollapseCourse> {
    let lessons = pupil.sample(flow, &way.method, None).await?;
    let seed = seed::derive(pupil.seed, "lab/learn", "");
    let mut config = training(&way.loss, TOO_HIGH, None, seed, flow.recipe.learn.threads);
    config.epochs = TOO_MANY;
    let free = GuardConfig { every: EVERY, keep: Keep::Every, ..watching(pupil.guard.len()) };
    let guarded = GuardConfig { stops: true, keep: Keep::Best, ..free.clone() };
    let folder = |name: &str| format!("collapse/{}/{name}", pupil.folder);
    // The watched one first: it is short.
    let watched = pupil.learn(flow, folder("watched"), &lessons, config.clone(), guarded).await?;
    let unwatched = pupil.learn(flow, folder("unwatched"), &lessons, config, free).await?;

    let kept = pupil.sit_at(flow, &watched, watched.kept, &pupil.exam).await?;
    let mut marks = Vec::new();
    for guard in &unwatched.guards {
        marks.push(pupil.sit_at(flow, &unwatched, guard.step, &pupil.exam).await?);
    }
    let few = || Error::Nothing {
        problem: "an interval needs two problems".into(),
        hint: "give --problems 2 or more".into(),
    };
    told(&pupil.name, &watched, &unwatched.guards, &kept, &marks).ok_or_else(few)
}

/// What both trainings say; `marks` are those of the unseen bank at each point of the unwatched one.
fn told(model: &str, watched: &Course, points: &[Guard], kept: &Marks, marks: &[Marks]) -> Option<CollapseCourse> {
    let shares: Vec<f64> = marks.iter().map(|marks| share(marks)).collect();
    let best = (0..shares.len()).fold(0, |best, i| if shares[i] > shares[best] { i } else { best });
    let end = watched.guards.last().filter(|guard| guard.stop.is_some());
    let shortfall = difference(&[marks.get(best)?], &[kept])?;
    let collapse = difference(&[marks.last()?], &[&marks[best]])?;
    let collapsed = collapse.mean < -2.0 * collapse.standard_error;
    let fall = end.and_then(|guard| guard.fall);
    let place = |(guard, unseen): (&Guard, &f64)| CollapsePoint {
        step: guard.step,
        guard: guard.accuracy.unwrap_or(0.0),
        unseen: *unseen,
        reward: guard.reward,
        kl: guard.kl,
        entropy: guard.entropy,
        length: guard.length,
        repetition: guard.repetition,
    };
    Some(CollapseCourse {
        model: model.into(),
        points: points.iter().zip(&shares).map(place).collect(),
        stop: end.and_then(|guard| Some((guard.step, guard.stop.clone()?))),
        kept: watched.kept,
        fall,
        best: points.get(best)?.step,
        in_time: in_time(end.is_some(), fall, collapsed),
        near: near(&shortfall),
        shortfall,
        collapse,
        collapsed,
    })
}

/// In time: stopped, and at the stop not more than two standard errors below the best point. Where
/// nothing collapsed and nothing was stopped, nothing is shown.
fn in_time(stopped: bool, fall: Option<(f64, f64)>, collapsed: bool) -> Ruling {
    let deep = fall.is_some_and(|(fall, error)| fall < -2.0 * error);
    ruled(stopped && !deep, deep || collapsed)
}

/// Near: the upper limit of the shortfall is within the bar.
fn near(shortfall: &Estimate) -> Ruling {
    ruled(shortfall.high <= NEAR, shortfall.low > NEAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(step: u64, right: usize, stop: Option<&str>, fall: Option<(f64, f64)>) -> Guard {
        let point = serde_json::json!({
            "step": step, "questions": 100, "accuracy": right as f64 / 100.0, "reward": -0.1, "kl": 0.1,
            "entropy": 0.2, "length": 9.0, "repetition": 0.0, "stop": stop, "fall": fall,
        });
        serde_json::from_value(point).expect("a point")
    }

    fn first(right: usize) -> Marks {
        (0..1000).map(|i| i < right).collect()
    }

    #[test]
    fn a_course_that_fell_is_judged_by_the_bank_that_the_guard_never_saw() {
        let seen = vec![
            point(0, 40, None, None),
            point(10, 45, None, Some((0.05, 0.02))),
            point(20, 42, Some("fell"), Some((-0.03, 0.02))),
        ];
        let free: Vec<Guard> =
            [40, 45, 42, 5].iter().enumerate().map(|(i, n)| point(10 * i as u64, *n, None, None)).collect();
        let watched = Course::new(Vec::new(), seen, 10, String::new());
        let marks: Vec<Marks> = [400, 430, 435, 50].map(first).into();
        let course = told("m", &watched, &free, &first(430), &marks).expect("intervals");
        assert_eq!((course.stop.as_ref().map(|stop| stop.0), course.kept, course.best), (Some(20), 10, 20));
        assert!((course.shortfall.mean - 0.005).abs() < 1e-12 && (course.collapse.mean + 0.385).abs() < 1e-12);
        assert_eq!((course.collapsed, course.in_time, course.near), (true, Ruling::Confirmed, Ruling::Confirmed));
        assert_eq!(course.points.iter().map(|p| p.unseen).collect::<Vec<_>>(), [0.4, 0.43, 0.435, 0.05]);
        let worse = told("m", &watched, &free, &first(380), &marks).expect("intervals");
        assert_eq!(worse.near, Ruling::Refuted);
    }

    #[test]
    fn a_late_stop_or_none_is_not_in_time() {
        assert_eq!(in_time(true, Some((-0.05, 0.02)), true), Ruling::Refuted);
        assert_eq!(in_time(true, Some((-0.04, 0.02)), true), Ruling::Confirmed);
        assert_eq!(in_time(true, None, true), Ruling::Confirmed, "a limit stopped it before accuracy fell");
        assert_eq!(in_time(false, None, true), Ruling::Refuted);
        assert_eq!(in_time(false, None, false), Ruling::Undecided);
    }
}
