use irt::pairwise::elo;
use marks::Marks;
use serde::{Deserialize, Serialize};

use super::Config;
use super::table::Table;
use crate::{Error, Result};

/// Where the difficulty of items comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Stated where there is one, else judged, else by the other persons.
    #[default]
    Auto,
    /// What people stated.
    Stated,
    /// Elo's ratings of pairwise judgements which item is harder, from 0 to 10.
    Elo,
    /// The mean of both, each standardised, on the scale of what was stated.
    Blend,
    /// For each person 10 times the share of marks that the other persons missed: what can be had from
    /// responses alone, without counting a person's own.
    Others,
}

/// The difficulty of items.
pub(super) enum Difficulty {
    /// By the item's place in the marks; none where it is not known.
    Known(Vec<Option<f64>>),
    /// By the other persons of the table at hand.
    Others,
}

/// Points that a judgement moves ratings by; what chess federations take for players who are settling in.
const K: f64 = 32.0;

impl Difficulty {
    pub(super) fn new(marks: &Marks, config: &Config) -> Result<(Self, String)> {
        let stated: Vec<Option<f64>> = marks.items().iter().map(|item| item.difficulty).collect();
        let some = stated.iter().flatten().count();
        let nothing = |problem: &str| Err(Error::Difficulty { problem: problem.into() });
        let source = match config.source {
            Source::Auto if some > 0 => Source::Stated,
            Source::Auto if !config.duels.is_empty() => Source::Elo,
            Source::Auto => Source::Others,
            source => source,
        };
        if matches!(source, Source::Stated | Source::Blend) && some == 0 {
            return nothing("no item has a stated difficulty");
        }
        if matches!(source, Source::Elo | Source::Blend) && config.duels.is_empty() {
            return nothing("there is no judgement which of two items is harder");
        }
        let rated = || -> Vec<Option<f64>> {
            let ratings = elo(stated.len(), &config.duels, K);
            let mut judged = vec![false; stated.len()];
            config.duels.iter().for_each(|d| (judged[d.first], judged[d.second]) = (true, true));
            let known = || ratings.iter().zip(&judged).filter(|(_, judged)| **judged).map(|(r, _)| *r);
            let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
            let scale = |r: f64| 10.0 * (r - low) / (high - low).max(1e-9);
            ratings.iter().zip(&judged).map(|(r, judged)| judged.then(|| scale(*r))).collect()
        };
        let judged = config.duels.len();
        Ok(match source {
            Source::Others | Source::Auto => (
                Self::Others,
                "the share of marks that the other persons missed, times 10 (nobody stated a difficulty)".into(),
            ),
            Source::Stated => {
                (Self::Known(stated.clone()), format!("stated by people, for {some} of {} items", stated.len()))
            }
            Source::Elo => (Self::Known(rated()), format!("Elo of {judged} pairwise judgements, from 0 to 10")),
            Source::Blend => {
                let rated = rated();
                let moments = |x: &[Option<f64>]| {
                    let known: Vec<f64> = x.iter().flatten().copied().collect();
                    let mean = known.iter().sum::<f64>() / known.len() as f64;
                    let square = known.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / known.len() as f64;
                    (mean, square.sqrt().max(1e-9))
                };
                let ((mean, deviation), (other, spread)) = (moments(&stated), moments(&rated));
                let blend = |(stated, rated): (&Option<f64>, &Option<f64>)| {
                    let z = 0.5 * (((*stated)? - mean) / deviation + ((*rated)? - other) / spread);
                    Some(mean + deviation * z)
                };
                let words = format!("stated by people, blended half and half with Elo of {judged} pairwise judgements");
                (Self::Known(stated.iter().zip(&rated).map(blend).collect()), words)
            }
        })
    }

    /// Whether an item's is known.
    pub(super) fn has(&self, item: u32) -> bool {
        match self {
            Self::Known(known) => known[item as usize].is_some(),
            Self::Others => true,
        }
    }

    /// Difficulties as a person of the table meets them, in the order of that person's cells.
    pub(super) fn of(&self, table: &Table, totals: &[(f64, usize)], person: usize) -> Vec<f64> {
        let one = |&(item, share): &(usize, f64)| match self {
            Self::Known(known) => known[table.items[item] as usize].unwrap_or(f64::NAN),
            Self::Others => {
                let (sum, n) = totals[item];
                10.0 * (1.0 - (sum - share) / (n as f64 - 1.0))
            }
        };
        table.rows[person].iter().map(one).collect()
    }
}
