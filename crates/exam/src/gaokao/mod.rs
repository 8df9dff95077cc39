//! GAOKAO-Eval (arXiv 2412.10056): do high scores of models reflect ability as they do for persons?
//!
//! The paper's mode, as published: difficulty stated by people, the Rasch curve (its Eq. 1)
//! P = 1 / (1 + e^{−s(θ − b)}) with slope s, and three discrepancies of a model's score rates from it.
//! What the paper does not have, and what tells a discrepancy from chance, are two nulls of each: scores
//! permuted within each item, which makes all persons alike, and tables that keep each person's and each
//! item's total, all of which the Rasch model makes equally likely. A negative control runs the whole
//! analysis on permuted scores.

mod curve;
mod difficulty;
mod meaning;
mod measure;
mod null;
mod table;
mod trades;

use irt::pairwise::Duel;
use marks::Marks;
use serde::{Deserialize, Serialize};

pub use difficulty::Source;
pub use null::Null;

use self::difficulty::Difficulty;
use self::measure::Measured;
use self::table::Table;
use self::trades::SameTotals;
use crate::statistics::wilson;

/// What the paper's mode is asked.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Where difficulty comes from.
    pub source: Source,
    /// Judgements which of two items (places in the marks) is harder: points for the first.
    pub duels: Vec<Duel>,
    /// Whether the slope is fitted; it is 1 a step of the scale of difficulty otherwise, as in Eq. 1.
    pub free_slope: bool,
    /// Draws of each null; 0 for as many as take some seconds, 40 to 200.
    pub draws: usize,
    /// Seed of permutations and simulations.
    pub seed: u64,
}

/// Correlation of difficulty and score rate of one person on the items of one subject and type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Consistency {
    /// The person.
    pub person: String,
    /// The subject.
    pub subject: String,
    /// The type of item.
    pub kind: String,
    /// Items.
    pub n: usize,
    /// Pearson's r.
    pub r: f64,
    /// Its 95 % interval by Fisher's z.
    pub interval: (f64, f64),
    /// Against permuted scores.
    pub permuted: Option<Null>,
    /// Against tables of the Rasch model with the same totals.
    pub simulated: Option<Null>,
}

/// One person's curve of Eq. 1 over difficulty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The person.
    pub person: String,
    /// Items.
    pub n: usize,
    /// θ on the scale of difficulty.
    pub theta: f64,
    /// s.
    pub slope: f64,
    /// 1 − Σ (rate − curve)² / Σ (rate − mean)²; below 0 the curve is worse than a constant.
    pub r2: f64,
    /// Deviation of score rates among items of similar difficulty (ten classes of equal width).
    pub spread: f64,
    /// Share of items whose score rate lies more than one deviation off the curve.
    pub beyond: f64,
    /// Nulls of `r2`, `spread` and `beyond` by permuted scores.
    pub permuted: [Option<Null>; 3],
    /// The same by tables of the Rasch model with the same totals.
    pub simulated: [Option<Null>; 3],
}

/// One of the paper's discrepancies, over all persons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Discrepancy {
    /// Its name.
    pub name: String,
    /// What is counted, in words.
    pub measure: String,
    /// Mean over persons (of the first: over subject × model × type).
    pub observed: f64,
    /// How many it is the mean of.
    pub n: usize,
    /// Against permuted scores.
    pub permuted: Option<Null>,
    /// Against tables of the Rasch model with the same totals.
    pub simulated: Option<Null>,
    /// Of the controls, how many lay outside the 95 % range of permuted scores.
    pub control_permuted: usize,
    /// Of the controls, how many lay outside the 95 % range of tables with their totals.
    pub control_simulated: usize,
    /// Controls.
    pub controls: usize,
    /// 95 % interval of the share of controls outside that range (Wilson).
    pub control_interval: (f64, f64),
}

/// Everything that the paper's mode says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gaokao {
    /// Persons.
    pub persons: usize,
    /// Items whose difficulty is known.
    pub items: usize,
    /// Responses to them, graders and attempts counted by their mean.
    pub responses: usize,
    /// Where difficulty comes from, in words.
    pub difficulty: String,
    /// Whether the slope was fitted.
    pub free_slope: bool,
    /// Draws of each null.
    pub draws: usize,
    /// Correlations, one a subject × model × type.
    pub consistency: Vec<Consistency>,
    /// Curves, one a person.
    pub curves: Vec<Curve>,
    /// The discrepancies.
    pub discrepancies: Vec<Discrepancy>,
    /// What a reader must know beforehand.
    pub warnings: Vec<String>,
    /// Names of the persons, in the order of `heat`.
    pub names: Vec<String>,
    /// Score rates over difficulty: for each person and each of ten classes of difficulty the mean rate and
    /// the items it is the mean of.
    pub heat: Vec<Vec<Option<(f64, usize)>>>,
    /// Middles of those classes.
    pub classes: Vec<f64>,
}

/// Persons below which nothing should be concluded.
pub const FEW: usize = 30;

/// Permuted tables that the whole analysis is run on.
const CONTROLS: usize = 20;

/// Carries the paper's mode out.
pub fn paper(marks: &Marks, config: &Config) -> crate::Result<Gaokao> {
    let (difficulty, words) = Difficulty::new(marks, config)?;
    let table = Table::new(marks, &difficulty)?;
    let work = table.cells() * 25;
    let draws = if config.draws > 0 { config.draws } else { (100_000_000 / (work * 4).max(1)).clamp(40, 200) };
    let measure = |table: &Table| Measured::new(table, &difficulty, config.free_slope);
    let observed = measure(&table);
    let permuted = null::draw(draws, |draw| measure(&table.permuted(config.seed, draw)));
    let pupils = SameTotals::new(&table, config.seed);
    let simulated = null::draw(draws, |draw| measure(&pupils.draw(draw)));
    let warnings = warnings(marks, &table);

    let of_controls = null::draw(CONTROLS, |control| {
        let control = table.permuted(config.seed ^ 0x5eed_c0de, control);
        let pupils = SameTotals::new(&control, config.seed ^ 0xc0de);
        let few = draws.clamp(20, 60);
        let own: Vec<[f64; 4]> = (0..few).map(|draw| measure(&pupils.draw(draw)).means()).collect();
        (measure(&control).means(), own)
    });
    let mut discrepancies = Vec::new();
    let means: Vec<[f64; 4]> = permuted.iter().map(Measured::means).collect();
    let simulated_means: Vec<[f64; 4]> = simulated.iter().map(Measured::means).collect();
    for (at, (name, says)) in measure::NAMES.iter().enumerate() {
        let value = observed.means()[at];
        if !value.is_finite() {
            continue;
        }
        let pick = |draws: &[[f64; 4]]| draws.iter().map(|m| m[at]).collect::<Vec<f64>>();
        let outside = |null: Option<Null>| null.is_some_and(|null| null.p < 0.05);
        let by_permuted = pick(&means);
        let control_permuted = of_controls.iter().filter(|(f, _)| outside(Null::new(f[at], &by_permuted))).count();
        let own = |(f, own): &&([f64; 4], Vec<[f64; 4]>)| outside(Null::new(f[at], &pick(own)));
        let control_simulated = of_controls.iter().filter(own).count();
        discrepancies.push(Discrepancy {
            name: (*name).into(),
            measure: (*says).into(),
            observed: value,
            n: observed.count(at),
            permuted: Null::new(value, &by_permuted),
            simulated: Null::new(value, &pick(&simulated_means)),
            control_permuted,
            control_simulated,
            controls: CONTROLS,
            control_interval: wilson(control_simulated as f64 / CONTROLS as f64, CONTROLS),
        });
    }
    let name = |person: usize| marks.persons()[table.persons[person] as usize].name.clone();
    let consistency = observed
        .correlations
        .iter()
        .enumerate()
        .filter_map(|(at, found)| {
            let (r, n) = (*found)?;
            let cell = &table.groups[at];
            let of = |draws: &[Measured]| {
                Null::new(r, &draws.iter().filter_map(|d| Some(d.correlations[at]?.0)).collect::<Vec<_>>())
            };
            Some(Consistency {
                person: name(cell.person),
                subject: cell.subject.clone(),
                kind: cell.kind.clone(),
                n,
                r,
                interval: measure::fisher(r, n),
                permuted: of(&permuted),
                simulated: of(&simulated),
            })
        })
        .collect();
    let curves = observed
        .curves
        .iter()
        .enumerate()
        .filter_map(|(person, curve)| {
            let curve = curve.as_ref()?;
            let nulls = |draws: &[Measured]| -> [Option<Null>; 3] {
                std::array::from_fn(|at| {
                    let value = curve.figures()[at];
                    Null::new(
                        value,
                        &draws
                            .iter()
                            .filter_map(|d| Some(d.curves[person].as_ref()?.figures()[at]))
                            .collect::<Vec<_>>(),
                    )
                })
            };
            let [r2, spread, beyond] = curve.figures();
            Some(Curve {
                person: name(person),
                n: curve.n,
                theta: curve.theta,
                slope: curve.slope,
                r2,
                spread,
                beyond,
                permuted: nulls(&permuted),
                simulated: nulls(&simulated),
            })
        })
        .collect();
    let (classes, heat) = measure::heat(&table, &difficulty);
    Ok(Gaokao {
        persons: table.persons.len(),
        items: table.items.len(),
        responses: table.cells(),
        difficulty: words,
        free_slope: config.free_slope,
        draws,
        consistency,
        curves,
        discrepancies,
        warnings,
        names: (0..table.persons.len()).map(name).collect(),
        heat,
        classes,
    })
}

fn warnings(marks: &Marks, table: &Table) -> Vec<String> {
    let mut warnings = Vec::new();
    let n = table.persons.len();
    if n < FEW {
        warnings.push(format!(
            "{n} persons are fewer than {FEW}: take every figure over persons as a description of these {n}, not of models"
        ));
    }
    let mut bases: std::collections::BTreeMap<&str, usize> = Default::default();
    for &person in &table.persons {
        if let Some(base) = marks.persons()[person as usize].base.as_deref() {
            *bases.entry(base).or_default() += 1;
        }
    }
    let several: Vec<String> =
        bases.iter().filter(|(_, n)| **n > 1).map(|(base, n)| format!("{base} ({n} persons)")).collect();
    if !several.is_empty() {
        let named: usize = bases.values().sum();
        warnings.push(format!(
            "variants of one base are not independent: {}. {} independent bases stand behind {n} persons, and intervals \
             over persons are too narrow",
            several.join(", "),
            bases.len() + n - named
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use marks::{Item, Row};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Twelve persons on 60 items of stated difficulty 0 to 10. `flat` persons score alike on easy and hard.
    fn marks(flat: usize, noise: f64, seed: u64) -> Marks {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut marks = Marks::default();
        for person in 0..12 {
            let name = marks.person(&format!("p{person}")).expect("room");
            marks.person_mut(name).base = Some(format!("b{}", person / 2));
            for item in 0..60 {
                let b = f64::from(item) / 6.0;
                let place = marks
                    .item(&format!("i{item}"), || Item { difficulty: Some(b), ..Item::new("", 1.0) })
                    .expect("room");
                let logit = if person < flat { 0.3 } else { 3.0 + 0.4 * person as f64 - b };
                let off = noise * (random.random::<f64>() - 0.5);
                let score = f32::from(random.random::<f64>() < 1.0 / (1.0 + (-(logit + off)).exp()));
                marks.push(Row { person: name, item: place, grader: Row::NOBODY, attempt: 0, score }).expect("fits");
            }
        }
        marks
    }

    fn found(marks: &Marks) -> Gaokao {
        paper(marks, &Config { draws: 60, seed: 1, ..Config::default() }).expect("a result")
    }

    #[test]
    fn persons_of_the_rasch_model_are_no_discrepancy_and_the_control_is_null() {
        let found = found(&marks(0, 0.0, 3));
        for d in &found.discrepancies {
            let null = d.simulated.expect("a null");
            assert!(null.p > 0.01, "{d:?}");
            // 20 controls at 0.05: more than 5 happen in one of 400.
            assert!(d.control_permuted <= 5 && d.control_simulated <= 5, "{d:?}");
        }
        assert!(found.discrepancies[0].observed < -0.3, "{:?}", found.discrepancies);
        assert_eq!(found.curves.len(), 12);
        assert!(found.warnings[0].contains("12 persons") && found.warnings[1].contains("6 independent bases"));
        assert_eq!(found, self::found(&marks(0, 0.0, 3)), "the same seed gives the same numbers");
    }

    #[test]
    fn the_control_is_null_where_items_are_many_and_difficulty_comes_from_the_answers() {
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let mut marks = Marks::default();
        for person in 0..12 {
            let name = marks.person(&format!("p{person}")).expect("room");
            for item in 0..300 {
                let logit = 0.2 * f64::from(person) - 1.0 - 3.0 * (f64::from(item) / 300.0 - 0.5);
                let score = f32::from(random.random::<f64>() < 1.0 / (1.0 + (-logit).exp()));
                let place = marks.item(&format!("i{item}"), || Item::new("", 1.0)).expect("room");
                marks.push(Row { person: name, item: place, grader: Row::NOBODY, attempt: 0, score }).expect("fits");
            }
        }
        for d in found(&marks).discrepancies {
            assert!(d.simulated.is_some_and(|null| null.p > 0.01), "{d:?}");
            assert!(d.control_permuted <= 5 && d.control_simulated <= 5, "{d:?}");
        }
    }

    #[test]
    fn models_that_score_alike_on_easy_and_hard_are_told_apart() {
        let found = found(&marks(4, 0.0, 5));
        let flat: Vec<&Consistency> = found.consistency.iter().take(4).collect();
        // Their correlation is far above what pupils of the curve have.
        assert!(flat.iter().all(|c| c.simulated.is_some_and(|null| null.p < 0.05 && c.r > null.mean)), "{flat:?}");
        let honest =
            found.consistency[4..].iter().filter(|c| c.simulated.is_some_and(|null| null.p < 0.05 && c.r > null.mean));
        assert!(honest.count() <= 2, "{found:?}");
        let text = found.meaning().join(" ");
        assert!(text.contains("31.7 %") && text.contains("permut"), "{text}");
    }

    #[test]
    fn difficulty_has_to_come_from_somewhere_and_duels_give_it() {
        let mut plain = marks(0, 0.0, 3);
        (0..60).for_each(|item| plain.item_mut(item).difficulty = None);
        let config = |source| Config { source, draws: 20, ..Config::default() };
        let error = paper(&plain, &config(Source::Stated)).expect_err("nothing stated").to_string();
        assert!(error.contains("no item has a stated difficulty"), "{error}");
        assert!(paper(&plain, &config(Source::Elo)).expect_err("no duels").to_string().contains("judgement"));
        let duels: Vec<Duel> = (1..60)
            .flat_map(|step| (0..60 - step).map(move |i| Duel { first: i, second: i + step, points: 0.0 }))
            .collect();
        let found = paper(&plain, &Config { duels, ..config(Source::Elo) }).expect("a result");
        assert!(found.discrepancies[0].observed < -0.3, "{found:?}");
        let others = paper(&plain, &config(Source::Auto)).expect("a result");
        assert!(others.difficulty.contains("other persons") && others.discrepancies[0].observed < -0.3);
    }
}
