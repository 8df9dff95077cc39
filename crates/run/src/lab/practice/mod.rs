//! The lab of learning: ways of practising without labels, and what an exam says to the paper's claims.
//!
//! Each seed has a small decoder of its own, trained from scratch (the same as in the lab of decoding:
//! its folder `pico/SEED` can be copied from there). It practises on questions that nobody answers for
//! it and sits an exam before and after; seeds are the clusters of every interval. Rivals may spend on
//! each question, in sampling, what Genius spent there, and read as many tokens in training. Every
//! training is measured and never stopped: the point that a small held-out bank chose and the last
//! one both stand in the table. Each piece is a stage: the same command continues where it stood.

mod collapse;
mod contestant;
mod judge;
mod pupil;
mod settings;

use std::collections::HashMap;
use std::path::Path;

use record::seed;
use report::Learning;
use tasks::Split;

pub use self::collapse::collapse;
use self::contestant::{Contestant, LOSSES, MEASURE, TABLE, chosen};
use self::judge::{Line, Marks, Outcome, accuracy};
use self::pupil::{Pupil, Sizes};
use self::settings::{RATES, rate, training, watching};
use crate::pull::Sources;
use crate::verbs::Flow;
use crate::{Error, Recipe, Result, Watch};

/// What the lab of learning is asked to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Exam problems a seed.
    pub problems: usize,
    /// Seeds, each with a model of its own.
    pub seeds: usize,
    /// Questions without answers that each model practises on.
    pub questions: usize,
    /// Problems of the bank that chooses which point of a training is kept.
    pub guard: usize,
    /// Names of contestants, METHOD+LOSS; empty for the whole table.
    pub contestants: Vec<String>,
}

impl Settings {
    fn validate(&self) -> Result<()> {
        match [self.problems, self.seeds, self.questions, self.guard].contains(&0) {
            true => Err(Error::Nothing {
                problem: "a lab without problems, seeds or questions shows nothing".into(),
                hint: "give --problems, --seeds and --questions of 1 or more".into(),
            }),
            false => Ok(()),
        }
    }

    fn sizes(&self, bank: Split) -> Sizes {
        Sizes { practice: self.questions, guard: self.guard, exam: self.problems, bank }
    }
}

/// A contestant with its rate, and where its trainings lie.
struct Entry {
    contestant: Contestant,
    rate: f64,
    folder: String,
}

/// Holds ways of learning against each other, in `out`, and writes `lab.json` and `lab.html` there.
pub async fn practice(
    recipe: &Recipe,
    settings: &Settings,
    out: &Path,
    sources: &Sources,
    watch: &Watch,
) -> Result<Learning> {
    settings.validate()?;
    let contestants = match settings.contestants.is_empty() {
        true => chosen(&TABLE)?,
        false => chosen(&settings.contestants)?,
    };
    let flow = Flow::open(recipe, out, sources, watch)?;
    let mut pupils = Vec::new();
    for k in 1..=settings.seeds as u64 {
        pupils.push(Pupil::new(&flow, k, settings.sizes(Split::Exam)).await?);
    }
    let entry = |contestant: Contestant| Entry { rate: rate(&contestant.loss), folder: contestant.name(), contestant };
    let entries = contestants.into_iter().map(entry).collect();
    table(&flow, "practice", settings, &pupils, entries, out).await
}

/// Tries every rate for every loss on a seed that stands in no table and a bank that is no exam:
/// what the table's rates were chosen by.
pub async fn rates(
    recipe: &Recipe,
    settings: &Settings,
    out: &Path,
    sources: &Sources,
    watch: &Watch,
) -> Result<Learning> {
    settings.validate()?;
    let contestants = match settings.contestants.is_empty() {
        true => chosen(&LOSSES)?,
        false => chosen(&settings.contestants)?,
    };
    let flow = Flow::open(recipe, out, sources, watch)?;
    let pupils = [Pupil::new(&flow, 0, settings.sizes(Split::Validation)).await?];
    let entries = contestants.into_iter().flat_map(|contestant| {
        RATES.map(|rate| Entry {
            folder: format!("{}/{rate:e}", contestant.name()),
            contestant: contestant.clone(),
            rate,
        })
    });
    table(&flow, "practice-rates", settings, &pupils, entries.collect(), out).await
}

/// Every entry on every pupil; the measure's entry comes first.
async fn table(
    flow: &Flow<'_>,
    set: &str,
    settings: &Settings,
    pupils: &[Pupil],
    entries: Vec<Entry>,
    out: &Path,
) -> Result<Learning> {
    let mut before: Vec<Marks> = Vec::new();
    for pupil in pupils {
        before.push(pupil.sit_before(flow, &pupil.exam).await?);
    }
    let mut spent: Vec<Spent> = pupils.iter().map(|_| Spent::default()).collect();
    let mut lines = Vec::new();
    for entry in &entries {
        let mut outcomes = Vec::new();
        for (pupil, spent) in pupils.iter().zip(&mut spent) {
            outcomes.push(practise(flow, pupil, entry, spent).await?);
        }
        lines.push(Line { name: entry.contestant.name(), rate: entry.rate, outcomes });
    }
    let few = || Error::Nothing {
        problem: "an interval needs two seeds, or two problems".into(),
        hint: "give --seeds 2 or more".into(),
    };
    let before: Vec<&Marks> = before.iter().collect();
    let rows = lines.iter().map(|line| line.row(&before, settings.questions).ok_or_else(few));
    let lab = Learning {
        schema_version: 1,
        set: set.into(),
        models: pupils.iter().map(|pupil| pupil.name.clone()).collect(),
        questions: settings.questions,
        guard: settings.guard,
        bank: if pupils.iter().all(|pupil| pupil.folder != "0") { "exam" } else { "validation" }.into(),
        clusters: if pupils.len() > 1 { "seed" } else { "problem" }.into(),
        before: accuracy(&before).ok_or_else(few)?,
        before_by_seed: before.iter().map(|marks| judge::share(marks)).collect(),
        rows: rows.collect::<Result<_>>()?,
        claims: if set == "practice" { judge::claims(&before, &lines) } else { Vec::new() },
    };
    record::shard::write_json(&out.join("lab.json"), &lab)?;
    record::shard::write_atomic(&out.join("lab.html"), report::render_learning(&lab).as_bytes())?;
    Ok(lab)
}

/// What the measure spent on one pupil.
#[derive(Default)]
struct Spent {
    /// Decode tokens by question.
    sampling: HashMap<String, u64>,
    /// Tokens that the trainer read.
    training: Option<u64>,
}

/// Samples, learns, and sits the exam at the kept and at the last point.
async fn practise(flow: &Flow<'_>, pupil: &Pupil, entry: &Entry, spent: &mut Spent) -> Result<Outcome> {
    let Contestant { method, loss } = &entry.contestant;
    let lessons = pupil.sample(flow, method, method.endless().then_some(&spent.sampling)).await?;
    // Every contestant begins with the same pairs of matrices and passes over questions alike.
    let seed = seed::derive(pupil.seed, "lab/learn", "");
    let config = training(loss, entry.rate, spent.training, seed, flow.recipe.learn.threads);
    let folder = format!("learn/{}/{}", pupil.folder, entry.folder);
    let course = pupil.learn(flow, folder, &lessons, config, watching(pupil.guard.len())).await?;
    if spent.training.is_none() && entry.contestant.name() == MEASURE {
        *spent = Spent { sampling: lessons.spent.clone(), training: Some(course.tokens()) };
    }
    let kept = pupil.sit_at(flow, &course, course.kept, &pupil.exam).await?;
    let last = pupil.sit_at(flow, &course, course.last(), &pupil.exam).await?;
    Ok(Outcome { lessons, course, kept, last })
}

#[cfg(test)]
mod tests {
    use decode::practice::Method;
    use lm_local::LocalModel;
    use record::{Guard, Input};

    use super::pupil::Problems;
    use super::*;
    use crate::lab::pico;
    use crate::pretrain::fresh;
    use crate::pull::Sources;

    /// An untrained decoder with problems.
    fn pupil(k: u64, sizes: Sizes) -> Pupil {
        let samples: Vec<_> = pico::mixture(Split::Train, 0, 20, k)
            .expect("problems")
            .iter()
            .map(|problem| problem.sample().expect("train"))
            .collect();
        let base = fresh(&samples, "pico-200k", 0, k).expect("a decoder");
        let Problems { practice, guard, exam } = Problems::new(sizes, k).expect("problems");
        let config = lm_local::Config { memory_mb: 64, ..lm_local::Config::default() };
        Pupil {
            name: format!("untrained {k}"),
            folder: k.to_string(),
            seed: k,
            engine: LocalModel::load(&base, config).expect("an engine"),
            identity: vec![Input { path: "base".into(), sha256: base.sha256.clone() }],
            base: base.into(),
            practice,
            guard: guard.into(),
            exam: exam.into(),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rivals_spend_what_genius_spent_and_the_same_command_gives_the_same_table() {
        let out = tempfile::tempdir().expect("tempdir");
        let (recipe, watch) = (Recipe::default(), Watch::new(|_| {}, None, None));
        let sources = Sources { options: assets::Options::default(), watch: watch.clone() };
        let flow = Flow::open(&recipe, out.path(), &sources, &watch).expect("a run");
        let settings = Settings { problems: 8, seeds: 2, questions: 4, guard: 6, contestants: Vec::new() };
        let pupils = [1, 2].map(|k| pupil(k, settings.sizes(Split::Exam)));
        let entries = || {
            let entry = |contestant: Contestant| Entry { rate: 1e-3, folder: contestant.name(), contestant };
            chosen(&["greedy+sft", "genius+dpo", MEASURE]).expect("known").into_iter().map(entry).collect()
        };
        let lab = table(&flow, "practice", &settings, &pupils, entries(), out.path()).await.expect("a table");
        let names: Vec<_> = lab.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!((names, lab.before.n), (vec![MEASURE, "greedy+sft", "genius+dpo"], 16));
        assert_eq!((lab.rows[0].training, lab.rows[0].decode), (lab.rows[2].training, lab.rows[2].decode));
        assert!(lab.rows[1].training <= lab.rows[0].training && lab.rows[1].decode < lab.rows[0].decode);
        let passes = lab.rows[1].training / lab.rows[0].training;
        assert!(passes > 0.5, "a small set is passed over until the tokens are spent: {:?}", lab.rows);
        assert_eq!(
            lab.claims.iter().map(|claim| claim.pair.1.as_str()).collect::<Vec<_>>(),
            ["base", "genius+dpo", "greedy+sft"]
        );

        // Before its first step a model is its own reference.
        let guards: Vec<Guard> =
            record::shard::read_jsonl(&out.path().join("learn/1/genius+aco/guards.jsonl")).expect("points");
        assert!(guards[0].step == 0 && guards[0].kl.abs() < 0.02 && guards[0].length > 0.0, "{:?}", guards[0]);

        let genius = pupils[0].sample(&flow, &Method::parse("genius").expect("known"), None).await.expect("lessons");
        let vote = Method::parse("vote").expect("known");
        let vote = pupils[0].sample(&flow, &vote, Some(&genius.spent)).await.expect("lessons");
        assert_eq!(vote.spent.len(), 4);
        assert!(vote.spent.iter().all(|(question, tokens)| *tokens <= genius.spent[question] && *tokens > 0));

        let again = table(&flow, "practice", &settings, &pupils, entries(), out.path()).await.expect("a table");
        assert_eq!(again, lab);
    }
}
